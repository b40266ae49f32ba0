"""Address literals, and the servers that are written with them. Pure."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

from prober.reasons import Family

DNS_PORT = 53
_SERVER = re.compile(r"(?:\[([^\]]+)\]|([^:\[\]]+))(?::([0-9]{1,5}))?")


@lru_cache(maxsize=8192)  # every climb asks, of the same few hosts
def literal_family(host: str) -> Family | None:
    """The family of an address literal (IPv6 without brackets, a zone id is allowed); None for a name."""
    try:
        return Family.IPV4 if ipaddress.ip_address(host).version == 4 else Family.IPV6
    except ValueError:
        return None


def is_literal(host: str) -> bool:
    """Whether `host` is an address rather than a name."""
    return literal_family(host) is not None


def parse_server(text: str) -> tuple[str, int]:
    """Address and port (53) of a DNS server: `address`, `address:port` or `[v6]:port`. ValueError for a name."""
    if is_literal(text):
        return text, DNS_PORT
    match = _SERVER.fullmatch(text)
    host, port = (match[1] or match[2], int(match[3] or DNS_PORT)) if match else ("", 0)
    if not is_literal(host) or not 0 < port < 65536:
        raise ValueError("a DNS server is an address, with :port where it is not 53")
    return host, port
