"""How packets are marked on their way out: hop limit, traffic class, whether they may be fragmented (ip(7), ipv6(7)).

Options of the socket, set only where a probe asks for them.
"""

from __future__ import annotations

import errno
import socket
from typing import Final, NamedTuple

from prober.wire.errqueue import LINUX

# linux/in.h, linux/in6.h: not all are in Python's socket module
_IP_MTU_DISCOVER: Final = 10
_IPV6_MTU_DISCOVER: Final = 23
_PMTUDISC_PROBE: Final = 3
_V6: Final = (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, socket.IPV6_TCLASS, _IPV6_MTU_DISCOVER)
_V4: Final = (socket.IPPROTO_IP, socket.IP_TTL, socket.IP_TOS, _IP_MTU_DISCOVER)
_SYSTEM_DEFAULT: Final = -1


class Marks(NamedTuple):
    """`ttl`: hops that a packet may take (None: the system's default); `dscp`: the six bits of RFC 2474; `whole`: never
    fragmented, not even where a smaller path MTU is known, but sent and answered with "too big" (RFC 4821 probes)."""

    ttl: int | None = None
    dscp: int = 0
    whole: bool = False


PLAIN: Final = Marks()


def discovery_of(sock: socket.socket) -> int:
    """How the socket goes about the path's MTU when nobody asks for anything: the system's default."""
    level, _, _, discover = _options(sock)
    return sock.getsockopt(level, discover)


def mark(sock: socket.socket, marks: Marks, before: Marks = PLAIN, *, discovery: int = 0) -> None:
    """Let `sock` send packets with `marks`, where they differ from those that it has; `discovery_of` it is the default.

    The two low bits of the traffic class belong to ECN (RFC 3168) and stay 0.
    """
    level, hops, traffic_class, discover = _options(sock)
    if marks.ttl != before.ttl:
        sock.setsockopt(level, hops, _SYSTEM_DEFAULT if marks.ttl is None else marks.ttl)
    if marks.dscp != before.dscp:
        sock.setsockopt(level, traffic_class, marks.dscp << 2)
    if marks.whole != before.whole:
        if not LINUX:
            raise OSError(errno.ENOPROTOOPT, "dont_fragment needs Linux")
        sock.setsockopt(level, discover, _PMTUDISC_PROBE if marks.whole else discovery)


def _options(sock: socket.socket) -> tuple[int, int, int, int]:
    return _V6 if sock.family == socket.AF_INET6 else _V4
