"""In which order getaddrinfo(3) hands out the addresses of a name: who would connect where first (RFC 6724 section 6).

`order` is pure; `sources` asks the kernel, sending nothing. Rules 3, 4 and 7 are left out, as by musl; glibc would ask
netlink for them, and for the netmasks by which it applies rule 9 to IPv4. A gai.conf(5) is not read.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Mapping, Sequence
from functools import cmp_to_key
from typing import Final

from prober.options import Profile

_Prefixes = Sequence[tuple[str, int]]
#: Prefix → label, prefix → precedence; the longest prefix counts. glibc: sysdeps/posix/getaddrinfo.c, default_labels
#: and default_precedence, those of RFC 3484: ULA addresses are as good as global ones, and IPv4 comes last.
_GLIBC_LABELS: Final[_Prefixes] = (
    ("::1/128", 0), ("2002::/16", 2), ("::/96", 3), ("::ffff:0:0/96", 4), ("fec0::/10", 5), ("fc00::/7", 6),
    ("2001::/32", 7), ("::/0", 1),
)  # fmt: skip
_GLIBC_PRECEDENCE: Final[_Prefixes] = (
    ("::1/128", 50), ("2002::/16", 30), ("::/96", 20), ("::ffff:0:0/96", 10), ("::/0", 40),
)  # fmt: skip
#: musl: src/network/lookup_name.c, defpolicy, that of RFC 6724: IPv4 comes before ULA addresses.
_MUSL_LABELS: Final[_Prefixes] = (
    ("::1/128", 0), ("::ffff:0:0/96", 4), ("2002::/16", 2), ("2001::/32", 5), ("fc00::/7", 13), ("::/0", 1),
)  # fmt: skip
_MUSL_PRECEDENCE: Final[_Prefixes] = (
    ("::1/128", 50), ("::ffff:0:0/96", 35), ("2002::/16", 30), ("2001::/32", 5), ("fc00::/7", 3), ("::/0", 40),
)  # fmt: skip
_TABLES: Mapping[Profile, tuple[_Prefixes, _Prefixes]] = {
    Profile.GLIBC: (_GLIBC_LABELS, _GLIBC_PRECEDENCE),
    Profile.MUSL: (_MUSL_LABELS, _MUSL_PRECEDENCE),
}
#: Addresses that musl returns at most (src/network/lookup.h, MAXADDRS).
_MUSL_MOST: Final = 48
_LINK_LOCAL, _SITE_LOCAL, _GLOBAL = 2, 5, 14  # RFC 4291 section 2.7


def sources(addresses: Iterable[str]) -> dict[str, str | None]:
    """Address → the source address that the kernel would use towards it, None where there is no way."""
    return {address: _source(address) for address in addresses}


def _source(address: str) -> str | None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 65535))  # UDP: nothing is sent
            return str(probe.getsockname()[0])
    except OSError:
        return None


def order(profile: Profile, addresses: Sequence[str], source: Mapping[str, str | None]) -> list[str]:
    """`addresses`, in the order of the answers, as the C library of `profile` hands them out: musl 48 of them."""
    if profile is Profile.MUSL:
        addresses = addresses[:_MUSL_MOST]
        if not any(":" in address for address in addresses):
            return list(addresses)
    ranks = {address: _rank(profile, address, source.get(address)) for address in addresses}

    def compare(one: str, other: str) -> int:
        first, second = ranks[one], ranks[other]
        if profile is Profile.GLIBC and not (":" in one and ":" in other):
            first, second = first[:-1], second[:-1]  # rule 9 compares within a family; for IPv4 see above
        return -1 if first > second else int(first < second)

    return sorted(addresses, key=cmp_to_key(compare))


def _rank(profile: Profile, address: str, source: str | None) -> tuple[int, ...]:
    """Rules 1, 2, 5, 6, 8 and 9, each the greater the better."""
    labels, precedences = _TABLES[profile]
    to = _mapped(address)
    scope = _scope(profile, to)
    if source is None:
        return (0, 0, 0, _longest(precedences, to), -scope, 0)
    own = _mapped(source)
    common = 128 - (int(to) ^ int(own)).bit_length()
    same_scope = scope == _scope(profile, own)
    same_label = _longest(labels, to) == _longest(labels, own)
    return (1, int(same_scope), int(same_label), _longest(precedences, to), -scope, common)


def _mapped(address: str) -> ipaddress.IPv6Address:
    """The address itself, an IPv4 one mapped into IPv6."""
    return ipaddress.IPv6Address(address.partition("%")[0] if ":" in address else f"::ffff:{address}")


def _longest(table: _Prefixes, address: ipaddress.IPv6Address) -> int:
    matching = [(ipaddress.IPv6Network(prefix).prefixlen, value) for prefix, value in table
                if address in ipaddress.IPv6Network(prefix)]  # fmt: skip
    return max(matching)[1]


def _scope(profile: Profile, address: ipaddress.IPv6Address) -> int:
    """RFC 6724 section 3.1; musl takes every IPv4 address for a global one."""
    if address.ipv4_mapped is not None:
        near = address.ipv4_mapped.is_loopback or address.ipv4_mapped.is_link_local
        return _LINK_LOCAL if near and profile is Profile.GLIBC else _GLOBAL
    if address.is_multicast:
        return address.packed[1] & 15
    if address.is_loopback or address.is_link_local:
        return _LINK_LOCAL
    return _SITE_LOCAL if address.is_site_local else _GLOBAL
