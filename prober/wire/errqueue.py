"""The error queue of a socket (ip(7) IP_RECVERR, ipv6(7) IPV6_RECVERR): ICMP errors with type, code and sender, what is
too big for this machine's own device, and the stamps of packets that left.

Unprivileged, Linux only. What an error means for a layer is not decided here.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from prober.wire.stamps import kernel_stamp

LINUX = sys.platform == "linux"
# linux/in.h, linux/in6.h: not all are in Python's socket module
IP_RECVERR = 11
IPV6_RECVERR = 25
SO_EE_ORIGIN_LOCAL = 1
SO_EE_ORIGIN_ICMP = 2
SO_EE_ORIGIN_ICMP6 = 3
SO_EE_ORIGIN_TIMESTAMPING = 4
_EXTENDED = frozenset({(socket.IPPROTO_IP, IP_RECVERR), (socket.IPPROTO_IPV6, IPV6_RECVERR)})
_EXTENDED_ERR = struct.Struct("=IBBBBII")  # struct sock_extended_err, linux/errqueue.h


@dataclass(frozen=True, slots=True)
class IcmpError:
    """An ICMP (version 4) or ICMPv6 (6) error that the kernel queued for a socket, and the address of its sender.

    `info` is the path MTU in bytes of a "too big" message, else 0.
    """

    version: int
    type: int
    code: int
    offender: str
    info: int = 0

    @property
    def label(self) -> str:
        """`type/code`, as tcpdump users know it."""
        return f"{self.type}/{self.code}"


class TooBigHere(NamedTuple):
    """A packet of ours was larger than the device's MTU, or than the path's that is known here, in bytes."""

    mtu: int


class Departure(NamedTuple):
    """The kernel handed packet `number` of the socket (from 0) to the device: wall clock in nanoseconds."""

    number: int
    stamp_ns: int


Entry = IcmpError | TooBigHere | Departure
Ancillary = Iterable[tuple[int, int, bytes]]


def queue_errors(sock: socket.socket, family: socket.AddressFamily, *, on: bool) -> None:
    """Switch the error queue of a socket on or off; does nothing where the platform has none."""
    if not LINUX:
        return
    if family is socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, int(on))
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, int(on))


def read_error_queue(sock: socket.socket) -> IcmpError | None:
    """The first ICMP error in the socket's error queue, or None (a RST leaves the queue empty)."""
    return next((error for _, error in queued_errors(sock)), None)


def queued_errors(sock: socket.socket) -> Iterator[tuple[bytes, IcmpError]]:
    """Take the ICMP errors out of the error queue, each with the head of the packet of ours that it is about."""
    return ((packet, error) for packet, error, _ in errors_by_peer(sock))


def errors_by_peer(sock: socket.socket) -> Iterator[tuple[bytes, IcmpError, tuple[str, int]]]:
    """The same, with the address and port that the packet went to (recvmsg(2), MSG_ERRQUEUE)."""
    while (taken := take_entry(sock)) is not None:
        packet, entry, peer = taken
        if isinstance(entry, IcmpError):
            yield packet, entry, peer


def take_entry(sock: socket.socket) -> tuple[bytes, Entry | None, tuple[str, int]] | None:
    """Take one message out of the error queue: the head of the packet, what is said of it (None: nothing known here),
    where it went. None once the queue is empty."""
    if not LINUX:
        return None
    try:
        packet, ancillary, _, peer = sock.recvmsg(512, 512, socket.MSG_ERRQUEUE)
    except OSError:  # EAGAIN: the queue is empty
        return None
    return packet, _entry(ancillary), peer[:2] if isinstance(peer, tuple) else ("", 0)


def _entry(ancillary: Ancillary) -> Entry | None:
    for level, kind, data in ancillary:
        if (level, kind) not in _EXTENDED or len(data) < _EXTENDED_ERR.size:
            continue
        number, origin, _, _, _, info, value = _EXTENDED_ERR.unpack_from(data)
        if origin == SO_EE_ORIGIN_TIMESTAMPING:
            stamp = kernel_stamp(ancillary)
            return None if stamp is None else Departure(value, stamp)
        if origin == SO_EE_ORIGIN_LOCAL:
            return TooBigHere(info) if number == errno.EMSGSIZE else None
        return parse_extended_error(data)
    return None


def parse_extended_error(data: bytes) -> IcmpError | None:
    """An `IcmpError` from a `sock_extended_err` and the offender's sockaddr behind it; None if not from ICMP."""
    if len(data) < _EXTENDED_ERR.size:
        return None
    _, origin, icmp_type, code, _, info, _ = _EXTENDED_ERR.unpack_from(data)
    if origin not in (SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6):
        return None
    return IcmpError(
        6 if origin == SO_EE_ORIGIN_ICMP6 else 4, icmp_type, code, _offender(data[_EXTENDED_ERR.size :]), info
    )


def _offender(sockaddr: bytes) -> str:
    """The address in a raw sockaddr_in or sockaddr_in6; "" where there is none."""
    if len(sockaddr) < 8:
        return ""
    family = struct.unpack_from("=H", sockaddr)[0]
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, sockaddr[4:8])
    if family == socket.AF_INET6 and len(sockaddr) >= 24:
        return socket.inet_ntop(socket.AF_INET6, sockaddr[8:24])
    return ""
