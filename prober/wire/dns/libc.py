"""getaddrinfo(3) of the C library that this process runs on: what a program here would really get.

It blocks, for as long as its own resolv.conf lets it, and nothing ends it: it runs in a thread of its own.
"""

from __future__ import annotations

import asyncio
import platform
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from prober.wire.dns.eai import NUMBERS

#: Calls under way at once: one that hangs for minutes must not pile up behind it a thread for each run.
MAX_CALLS: Final = 8
_FAMILIES: Mapping[tuple[str, ...], socket.AddressFamily] = {("A",): socket.AF_INET, ("AAAA",): socket.AF_INET6}
_free = threading.Semaphore(MAX_CALLS)


def ask(name: str, types: Sequence[str]) -> dict[str, Any]:
    """Its addresses in its order or its error, and the seconds that it took. Blocks."""
    family = _FAMILIES.get(tuple(types), socket.AF_UNSPEC)
    began = time.perf_counter()
    error: str | None = None
    found: list[Any] = []
    try:
        found = socket.getaddrinfo(name, None, family=family, type=socket.SOCK_STREAM)
    except socket.gaierror as failed:
        error = NUMBERS.get(failed.errno or 0, str(failed))
    except UnicodeError as failed:  # Python's own check of the name, before the C library sees it
        error = str(failed)
    return {
        "libc": libc(),
        "error": error,
        "addresses": list(dict.fromkeys(address[0] for *_, address in found)),
        "seconds": round(time.perf_counter() - began, 6),
    }


async def ask_beside(name: str, types: Sequence[str]) -> dict[str, Any]:
    """The same without blocking; cancelled, it leaves the call to end by itself. `error` is `busy` where too many of
    them have not ended yet.
    """
    if not _free.acquire(blocking=False):
        return {"libc": libc(), "error": "busy", "addresses": [], "seconds": 0.0}
    loop = asyncio.get_running_loop()
    told: asyncio.Future[dict[str, Any]] = loop.create_future()

    def call() -> None:
        try:
            found = ask(name, types)
        finally:
            _free.release()
        if not loop.is_closed():
            loop.call_soon_threadsafe(_tell, told, found)

    threading.Thread(target=call, name="getaddrinfo", daemon=True).start()
    return await told


def _tell(told: asyncio.Future[dict[str, Any]], found: dict[str, Any]) -> None:
    if not told.done():
        told.set_result(found)


@cache
def libc() -> str:
    """Name and version of the C library, as far as this Python knows them."""
    return " ".join(filter(None, platform.libc_ver())) or "the C library here"
