"""Names that are addresses: what getaddrinfo(3) of either C library takes for one, and asks nobody about."""

from __future__ import annotations

import re
import socket
from typing import Final

from prober.addresses import is_literal

_NUMBERS: Final = re.compile(r"[0-9][0-9a-fA-FxX]*(\.[0-9][0-9a-fA-FxX]*){0,3}")


def numeric(host: str) -> str | None:
    """The address that `host` is: a literal, or inet_aton(3)'s `127.1`, `0x7f000001`, `2130706433`; None for a name."""
    if is_literal(host):
        return host
    if _NUMBERS.fullmatch(host) is None:
        return None
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return None
