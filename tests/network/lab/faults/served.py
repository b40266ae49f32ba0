"""How a fault of a server is put in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from prober.reasons import Family
from tests.network.lab.faults.fault import Inject

if TYPE_CHECKING:
    from tests.network.lab.lab import Lab


def served(server: str, *switches: str) -> Inject:
    """The switches of one of `tests.network.lab.servers.SERVERS`, on."""

    @asynccontextmanager
    async def inject(lab: Lab, families: Sequence[Family]) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for switch in switches:
                await stack.enter_async_context(lab.servers.fault(server, switch, families))
            yield

    return inject
