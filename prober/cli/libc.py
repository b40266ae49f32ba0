"""getaddrinfo(3) of the C library that this process runs on: what a program here would really get."""

from __future__ import annotations

import platform
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

_FAMILIES: Mapping[tuple[str, ...], socket.AddressFamily] = {("A",): socket.AF_INET, ("AAAA",): socket.AF_INET6}


def ask(name: str, types: Sequence[str]) -> dict[str, Any]:
    """Its addresses in its order or its error, and the seconds that it took. Blocks."""
    from prober.wire.eai import NUMBERS

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


def libc() -> str:
    """Name and version of the C library, as far as this Python knows them."""
    return " ".join(filter(None, platform.libc_ver())) or "the C library here"
