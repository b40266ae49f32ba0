"""resolv.conf(5) as a frozen value: which servers a Pod asks, through which search list, how patiently.

Parsing is pure; `system` reads the file again only when it has changed. What is done with it:
`prober.wire.dns.resolver`.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from prober.addresses import DNS_PORT, is_literal, parse_server
from prober.options import ResolverOptions, Transport
from prober.reasons import Family

SYSTEM = Path("/etc/resolv.conf")
# MAXNS and RES_MAXNDOTS of glibc's resolv.h, and the same in musl's lookup.h and resolvconf.c; of timeout and attempts
# musl takes more (glibc's own limits: `prober.wire.dns.resolver`)
MAX_SERVERS, MAX_NDOTS, MAX_TIMEOUT, MAX_ATTEMPTS = 3, 15, 60, 10
ENCRYPTED_PORTS: Mapping[str, int] = MappingProxyType({"tls": 853, "https": 443})


class Server(NamedTuple):
    """One name server: an address literal (an IPv6 zone id is allowed) and a port."""

    address: str
    port: int = DNS_PORT

    @classmethod
    def parse(cls, text: str) -> Server:
        """A server from `address`, `address:port` or `[v6]:port`. ValueError for anything else, names included."""
        return cls(*parse_server(text))

    def over(self, transport: Transport) -> Server:
        """This server where it takes `transport`: in the place of 53, where TLS may not be spoken (RFC 7858)."""
        port = ENCRYPTED_PORTS.get(transport)
        return self if port is None or self.port != DNS_PORT else Server(self.address, port)

    @property
    def family(self) -> Family:
        """Of the packets to this server."""
        return Family.IPV6 if ":" in self.address else Family.IPV4

    def __str__(self) -> str:
        """`address`, and the port only where it is not 53: the form that `resolver.servers` takes."""
        if self.port == DNS_PORT:
            return self.address
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class ResolvConf:
    """What resolv.conf(5) says, defaults filled in; `timeout` in seconds.

    `search_given`: the search list stands in the file; else it is the host name's domain, which only glibc makes of it.
    `use_vc` is the file's option of that name, which musl does not know; `transport` holds for everyone.
    """

    servers: tuple[Server, ...] = (Server("127.0.0.1"),)
    search: tuple[str, ...] = ()
    search_given: bool = True
    ndots: int = 1
    timeout: float = 5.0
    attempts: int = 2
    rotate: bool = False
    single_request: bool = False
    single_request_reopen: bool = False
    use_vc: bool = False
    transport: Transport = "udp"
    edns0: bool = False
    trust_ad: bool = False
    no_tld_query: bool = False

    def override(self, options: ResolverOptions) -> ResolvConf:
        """This configuration with each given option in the place of its own. ValueError for a bad server."""
        return replace(
            self,
            servers=tuple(Server.parse(text) for text in options.servers) or self.servers,
            search=self.search if options.search is None else options.search,
            search_given=self.search_given or options.search is not None,
            ndots=self.ndots if options.ndots is None else options.ndots,
            timeout=self.timeout if options.timeout is None else options.timeout,
            attempts=self.attempts if options.attempts is None else options.attempts,
            transport=self.transport if options.transport == "udp" else options.transport,
        )


_FLAGS: Mapping[str, str] = MappingProxyType(
    {
        "rotate": "rotate",
        "single-request": "single_request",
        "single-request-reopen": "single_request_reopen",
        "use-vc": "use_vc",
        "edns0": "edns0",
        "trust-ad": "trust_ad",
        "no-tld-query": "no_tld_query",
    }
)
#: Options with a number → the least and the greatest that count; what is beyond is taken as that.
_NUMBERS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"ndots": (0, MAX_NDOTS), "timeout": (1, MAX_TIMEOUT), "attempts": (1, MAX_ATTEMPTS)}
)


def parse(text: str, *, hostname: str = "") -> ResolvConf:
    """A `ResolvConf` from the file's text. What the C library would ignore is ignored: nothing here fails.

    Without a `search` or `domain` line the search list is the domain part of `hostname`.
    """
    conf = ResolvConf(search=tuple(filter(None, [hostname.partition(".")[2]])), search_given=False)
    servers: list[Server] = []
    for line in text.splitlines():
        keyword, _, rest = line.replace("\t", " ").partition(" ")
        words = rest.split()
        if keyword == "nameserver":
            servers += _nameserver(rest)
        elif keyword == "search" and words:
            conf = replace(conf, search=tuple(words), search_given=True)
        elif keyword == "domain" and words:
            conf = replace(conf, search=(words[0],), search_given=True)
        elif keyword == "options":
            for word in words:
                conf = replace(conf, **_option(word))
    return replace(conf, servers=tuple(servers[:MAX_SERVERS])) if servers else conf


def _nameserver(rest: str) -> list[Server]:
    """The address of a nameserver line, which ends at a space, `;` or `#`; nothing where it is none."""
    address = rest.replace(";", " ").replace("#", " ").split()[:1]
    return [Server(host) for host in address if is_literal(host)]


def _option(word: str) -> dict[str, Any]:
    """The fields that one word of an options line sets; none where it is unknown or without a number."""
    name, _, value = word.partition(":")
    if name in _FLAGS:
        return {_FLAGS[name]: True}
    if name in _NUMBERS and value.isascii() and value.isdigit():
        least, greatest = _NUMBERS[name]
        return {name: min(max(int(value), least), greatest)}
    return {}


_read: dict[Path, tuple[tuple[int, int, int], ResolvConf]] = {}


def system(path: Path = SYSTEM) -> ResolvConf:
    """This machine's configuration; read again when the file was replaced or written. A missing file: the defaults."""
    try:
        stat = os.stat(path)  # noqa: PTH116 - at every lookup, and a Path takes thrice as long
        stamp = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
        known = _read.get(path)
        if known is None or known[0] != stamp:
            text = path.read_text(encoding="utf-8", errors="replace")
            known = _read[path] = (stamp, parse(text, hostname=socket.gethostname()))
    except OSError:  # resolv.conf(5): "If this file does not exist, only the name server on the local machine"
        return parse("", hostname=socket.gethostname())
    return known[1]
