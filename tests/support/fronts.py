"""Front ends of the lab on loopback: ports for them, and starting them or saying why not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from socket import AF_INET, AF_INET6, SOCK_STREAM

import pytest

from prober.lab.sockets import Listener, Mode, Serve, bind_alike
from prober.reasons import Family
from tests.network.lab.fronts import PROGRAMS
from tests.network.lab.fronts.process import Front, leash
from tests.network.lab.probes import THROUGH
from tests.support.cells import has_ipv6
from tests.support.tools import require_tool

#: What this machine has.
FAMILIES = (Family.IPV4, Family.IPV6) if has_ipv6() else (Family.IPV4,)
_SOCKETS = [(AF_INET6 if family is Family.IPV6 else AF_INET, SOCK_STREAM) for family in FAMILIES]


def free_port() -> int:
    """A port that was free a moment ago in every family; servers that bind by themselves have to take that chance."""
    sockets = bind_alike(_SOCKETS)
    port: int = sockets[0].getsockname()[1]
    for sock in sockets:
        sock.close()
    return port


@asynccontextmanager
async def listener(serve: Serve) -> AsyncIterator[Listener]:
    """An open listener in every family."""
    listener = Listener(bind_alike(_SOCKETS), serve)
    try:
        await listener.become(Mode.OPEN)
        yield listener
    finally:
        await listener.close()


def require_front(program: type[Front]) -> None:
    """Skip the test with the reason where the machine lacks a front's program or PID namespaces."""
    try:
        leash()
    except RuntimeError as error:
        pytest.skip(str(error))
    try:
        program.binary()
    except FileNotFoundError:
        require_tool(program.program)


def require_path(path: str) -> None:
    """Skip the test where a path of the lab's probes leads through a front end that is not installed."""
    if path in THROUGH:
        require_front(PROGRAMS[THROUGH[path]])


async def start_or_skip(front: Front) -> None:
    """Start it, where that can be."""
    require_front(type(front))
    await front.start()
