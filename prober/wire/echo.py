"""Echo requests and replies as bytes (RFC 792, RFC 4443 section 4), and what became of one request. Pure."""

from __future__ import annotations

import asyncio
import struct
from typing import Final, NamedTuple

from prober.reasons import Family
from prober.wire.errqueue import IcmpError
from prober.wire.stamps import Instant, Span

#: Bytes of the ICMP header, and of the random token that the payload begins with.
HEADER: Final = 8
TOKEN: Final = 8
_FORM: Final = struct.Struct("!BBHHH")
_REQUEST: Final = {Family.IPV4: 8, Family.IPV6: 128}
_REPLY: Final = {Family.IPV4: 0, Family.IPV6: 129}
#: Header bytes of the packet around a payload: IP and ICMP, without options.
OVERHEAD: Final = {Family.IPV4: 20 + HEADER, Family.IPV6: 40 + HEADER}


class EchoReply(NamedTuple):
    """An echo reply: how long after its request it came, the TTL or hop limit left in it, its sender, and its turn
    among all replies to the socket."""

    took: Span
    ttl: int | None
    source: str
    turn: int

    @property
    def seconds(self) -> float:
        """The round trip."""
        return self.took.seconds


class Echo:
    """A request under way. `answer` ends with the reply, or with the ICMP error that came instead."""

    __slots__ = ("answer", "duplicates", "left_ns", "number", "sent", "sequence", "token")

    def __init__(self, sequence: int, token: bytes, answer: asyncio.Future[EchoReply | IcmpError]) -> None:
        self.sequence = sequence
        self.token = token
        self.answer = answer
        self.sent = Instant(0, 0.0)
        """Just before it was handed to the kernel."""
        self.left_ns: int | None = None
        """When the kernel handed it to the device (wall clock), where it says so."""
        self.number = -1
        """Of the socket's packets, by the kernel's count."""
        self.duplicates = 0
        """Replies beyond the first one."""


def request(family: Family, identifier: int, echo: Echo, size: int, *, sealed: bool) -> bytes:
    """The ICMP message of an echo request with `size` bytes of payload. Datagram sockets, and ICMPv6, have the kernel
    fill in the checksum, datagram sockets their own identifier too: `sealed` is for the others."""
    payload = echo.token.ljust(size, b"\0")
    kind = _REQUEST[family]
    message = _FORM.pack(kind, 0, 0, identifier, echo.sequence) + payload
    if not sealed:
        return message
    return _FORM.pack(kind, 0, checksum(message), identifier, echo.sequence) + payload


def checksum(message: bytes) -> int:
    """The Internet checksum (RFC 1071): the sum of 16-bit words in ones' complement is the remainder by 65535."""
    return 0xFFFF - int.from_bytes(message if len(message) % 2 == 0 else message + b"\0", "big") % 0xFFFF


def reply_to(family: Family, message: bytes, head: int = 0) -> tuple[int, int, bytes] | None:
    """Identifier, sequence number and token of an echo reply that begins at `head`; None for anything else."""
    if len(message) < head + HEADER + TOKEN:
        return None
    kind, _, _, identifier, sequence = _FORM.unpack_from(message, head)
    if kind != _REPLY[family]:
        return None
    return identifier, sequence, message[head + HEADER : head + HEADER + TOKEN]
