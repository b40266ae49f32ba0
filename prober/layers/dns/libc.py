"""getaddrinfo of this Pod's own C library, beside the walk of a dns probe: what programs here really get."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Final

from prober.layers.base import Ascent
from prober.wire.dns.libc import ask_beside

#: The part of a climb's timeout for which it is waited, from the beginning of the walk.
PATIENCE: Final = 0.5


@asynccontextmanager
async def beside(ascent: Ascent, types: tuple[str, ...]) -> AsyncIterator[None]:
    """Run it beside what is done inside, and put down what it returned: evidence alone, it fails nothing.

    `agrees`: the same set of addresses as the walk. `unfinished`: it had not returned when nobody waited any longer.
    """
    began = perf_counter()
    call = asyncio.ensure_future(ask_beside(ascent.cell.endpoint.resource, types))
    try:
        yield
    finally:
        ended = perf_counter()
        try:
            await asyncio.wait([call], timeout=max(0.0, began + PATIENCE * ascent.cell.timeout - ended))
        finally:
            _note(ascent, call, perf_counter() - began)
            if ascent.waited is not None:
                ascent.waited += perf_counter() - ended


def _note(ascent: Ascent, call: asyncio.Task[dict[str, object]], seconds: float) -> None:
    if not call.done():
        call.cancel()
        ascent.evidence["getaddrinfo"] = {"unfinished": True, "seconds": round(seconds, 6)}
        return
    found = call.result()
    addresses = found["addresses"]
    if isinstance(addresses, list) and found["error"] != "busy":
        found["agrees"] = set(addresses) == set(ascent.evidence.get("answers", ()))
    ascent.evidence["getaddrinfo"] = found
