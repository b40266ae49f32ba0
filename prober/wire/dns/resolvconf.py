"""resolv.conf(5) as a frozen value: which servers a Pod asks, through which search list, how patiently.

Parsing is pure; `system` reads the file again only when it has changed. What is done with it:
`prober.wire.dns.glibc` and `prober.wire.dns.musl`.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from prober.addresses import DNS_PORT, is_literal, parse_server
from prober.options import Profile, ResolverOptions, Transport
from prober.reasons import Family

SYSTEM = Path("/etc/resolv.conf")
# MAXNS and RES_MAXNDOTS of glibc's resolv.h, and the same in musl's lookup.h and resolvconf.c; of timeout and attempts
# musl takes more (glibc's own limits: `prober.wire.dns.glibc`)
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
    no_aaaa: bool = False

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
        "no-aaaa": "no_aaaa",
    }
)
#: Options with a number → the greatest that counts; what is beyond is taken as that.
_NUMBERS: Mapping[str, int] = MappingProxyType({"ndots": MAX_NDOTS, "timeout": MAX_TIMEOUT, "attempts": MAX_ATTEMPTS})
_BLANKS: Mapping[Profile, str] = MappingProxyType({Profile.GLIBC: " \t", Profile.MUSL: " \t\v\f\r"})
_NUMBER: Mapping[Profile, re.Pattern[str]] = MappingProxyType(
    {Profile.GLIBC: re.compile(r"[+-]?[0-9]{1,9}"), Profile.MUSL: re.compile(r"[0-9]{1,9}")}
)


def parse(text: str, *, hostname: str = "", profile: Profile = Profile.GLIBC) -> ResolvConf:
    """A `ResolvConf` from the file's text. What the C library would ignore is ignored: nothing here fails.

    glibc (resolv/res_init.c): without a `search` or `domain` line the search list is the domain part of `hostname`; a
    `domain` is one word; one of these without words is no line; the `\\r` of a DOS file belongs to the word before it.
    musl (src/network/resolvconf.c): `domain` is another word for `search`, and without words it empties the list.
    """
    conf = ResolvConf(search=tuple(filter(None, [hostname.partition(".")[2]])), search_given=False)
    servers: list[Server] = []
    for line in text.split("\n"):
        keyword, _, rest = line.replace("\t", " ").partition(" ")
        words = [word for word in re.split(f"[{_BLANKS[profile]}]+", rest) if word]
        if keyword == "nameserver":
            servers += _nameserver(rest, profile)
        elif keyword in ("search", "domain") and (words or profile is Profile.MUSL):
            alone = keyword == "domain" and profile is Profile.GLIBC
            conf = replace(conf, search=tuple(words[:1] if alone else words), search_given=True)
        elif keyword == "options":
            for word in words:
                conf = replace(conf, **_option(word, profile))
    return replace(conf, servers=tuple(servers[:MAX_SERVERS])) if servers else conf


def _nameserver(rest: str, profile: Profile) -> list[Server]:
    """The address of a nameserver line, which ends at a blank, `;` or `#`; nothing where it is none."""
    address = [word for word in re.split(f"[;#{_BLANKS[profile]}]", rest) if word][:1]
    return [Server(host) for host in address if is_literal(host)]


def _option(word: str, profile: Profile) -> dict[str, Any]:
    """The fields that one word of an options line sets; none where it is unknown.

    A number ends at the first letter. Where there is none, it is 0 for glibc (atoi(3)), and for musl no option at all.
    """
    name, colon, value = word.partition(":")
    if word in _FLAGS:
        return {_FLAGS[word]: True}
    if name not in _NUMBERS or not colon:
        return {}
    digits = _NUMBER[profile].match(value)
    if digits is None and profile is Profile.MUSL:
        return {}
    number = min(int(digits[0]) if digits else 0, _NUMBERS[name])
    return {name: number & MAX_NDOTS if name == "ndots" else max(number, 0)}


_read: dict[tuple[Path, Profile], tuple[tuple[int, int, int], ResolvConf]] = {}


def system(path: Path = SYSTEM, profile: Profile = Profile.GLIBC) -> ResolvConf:
    """This machine's configuration as `profile` reads it; read again when the file was replaced or written. A missing
    file: the defaults.
    """
    try:
        stat = os.stat(path)  # noqa: PTH116 - at every lookup, and a Path takes thrice as long
        stamp = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
        known = _read.get((path, profile))
        if known is None or known[0] != stamp:
            text = path.read_text(encoding="utf-8", errors="replace")
            known = _read[path, profile] = (stamp, parse(text, hostname=socket.gethostname(), profile=profile))
    except OSError:  # resolv.conf(5): "If this file does not exist, only the name server on the local machine"
        return parse("", hostname=socket.gethostname(), profile=profile)
    return known[1]
