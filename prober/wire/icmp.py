"""ICMP echo (RFC 792, RFC 4443 section 4) over one shared socket per family: icmplib's packets, our own event loop.

Replies find their request by identifier, sequence number and a random token in the payload; ICMP errors come out of
the socket's error queue with the head of the request that they are about. What an error means is not decided here.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import sys
from dataclasses import dataclass
from typing import Any, Final

from icmplib import ICMPSocketError, ICMPv4Socket, ICMPv6Socket, SocketPermissionError

from prober.reasons import Family
from prober.wire.errqueue import LINUX, IcmpError, queue_errors, queued_errors
from prober.wire.stamps import ANCILLARY_BYTES, Instant, Span, elapsed, kernel_stamp, stamp_receipt

_HEAD: Final = 512  # bytes: enough of a reply for its headers and the token, or of an error for the request in it
_ECHO_HEADER: Final = 8
_TOKEN: Final = 8
_BATCH: Final = 64  # replies read at one wake-up: a flood must not hold the event loop
_IP_RECVTTL: Final = 12  # linux/in.h; not in Python's socket module
_REPLY: Final = {Family.IPV4: 0, Family.IPV6: 129}
_ERRORS: Final = {Family.IPV4: frozenset({3, 11, 12}), Family.IPV6: frozenset({1, 2, 3, 4})}


class NotPermittedError(PermissionError):
    """Neither a datagram nor a raw ICMP socket may be opened here."""


@dataclass(frozen=True, slots=True)
class EchoReply:
    """An echo reply: how long after its request it came, the TTL or hop limit left in it, its sender."""

    took: Span
    ttl: int | None
    source: str

    @property
    def seconds(self) -> float:
        """The round trip."""
        return self.took.seconds


@dataclass(frozen=True, slots=True, eq=False)
class Echo:
    """A request under way. `answer` ends with the reply, or with the ICMP error that came instead."""

    sequence: int
    token: bytes
    sent: Instant
    answer: asyncio.Future[EchoReply | IcmpError]


class EchoSocket:
    """The echo socket of one family: a datagram socket where the gid may have one (icmp(7) ping_group_range), else raw.

    Raises NotPermittedError where neither may be opened, OSError where the family does not exist.
    """

    def __init__(self, family: Family) -> None:
        self.family = family
        self.loop = asyncio.get_running_loop()
        self._icmp = _open(family)
        self.raw: bool = self._icmp.is_privileged
        self._socket: socket.socket = self._icmp.sock
        self._waiting: dict[int, Echo] = {}
        self._sequence = secrets.randbelow(1 << 16)
        self._set_up()
        self.loop.add_reader(self._socket.fileno(), self._readable)

    def _set_up(self) -> None:
        self._socket.setblocking(False)
        queue_errors(self._socket, self._socket.family, on=True)
        stamp_receipt(self._socket)
        if self.family is Family.IPV6:
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        elif LINUX:
            self._socket.setsockopt(socket.IPPROTO_IP, _IP_RECVTTL, 1)
        self._id = secrets.randbelow(1 << 16)  # not the pid, which is 1 in every container
        if LINUX and not self.raw:  # the kernel puts its own identifier, the local port, into every request
            self._socket.bind(("::" if self.family is Family.IPV6 else "0.0.0.0", 0))  # noqa: S104 - no port is opened
            self._id = self._socket.getsockname()[1]

    def send(self, address: str, size: int) -> Echo:
        """Send one request with `size` bytes of payload (at least 8) to a literal address.

        Raises the OSError of sendto: ENETUNREACH, EMSGSIZE, … Give the echo to `forget` when done with it.
        """
        sequence = self._next_sequence()
        token = os.urandom(_TOKEN)
        packet = self._icmp._create_packet(  # noqa: SLF001 - icmplib's own send() turns errno into text
            self._id, sequence, token.ljust(size, b"\0")
        )
        peer = socket.getaddrinfo(address, 0, self._socket.family, socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)[0][4]
        echo = Echo(sequence, token, Instant.now(), self.loop.create_future())
        self._waiting[sequence] = echo
        try:
            self._transmit(packet, peer)
        except BaseException:
            self.forget(echo)
            raise
        return echo

    def forget(self, echo: Echo) -> None:
        """Wait for `echo` no longer; a reply that comes later finds nobody."""
        self._waiting.pop(echo.sequence, None)
        echo.answer.cancel()

    def close(self) -> None:
        """Close the socket; requests under way are cancelled."""
        for echo in tuple(self._waiting.values()):
            self.forget(echo)
        if not self.loop.is_closed():
            self.loop.remove_reader(self._socket.fileno())
        self._icmp.close()

    def _next_sequence(self) -> int:
        if len(self._waiting) > 0xFFFF:
            raise BlockingIOError("65536 echo requests are under way")
        while True:
            self._sequence = (self._sequence + 1) & 0xFFFF
            if self._sequence not in self._waiting:
                return self._sequence

    def _transmit(self, packet: bytes, peer: Any) -> None:
        """One sendto; a second one where the first gave back the pending error of an earlier request."""
        try:
            self._socket.sendto(packet, peer)
        except BlockingIOError:
            raise
        except OSError:
            self._read_errors()
            self._socket.sendto(packet, peer)

    def _readable(self) -> None:
        self._read_errors()
        for _ in range(_BATCH):
            try:
                packet, ancillary, _, source = self._socket.recvmsg(_HEAD, ANCILLARY_BYTES)
            except BlockingIOError:
                return
            except OSError:  # an error that the queue has told already
                continue
            self._take(packet, ancillary, source[0])

    def _read_errors(self) -> None:
        for request, error in queued_errors(self._socket):
            if len(request) >= _ECHO_HEADER and int.from_bytes(request[4:6], "big") == self._id:
                self._settle(self._waiting.get(int.from_bytes(request[6:8], "big")), error)

    def _take(self, packet: bytes, ancillary: list[tuple[int, int, bytes]], source: str) -> None:
        """Settle the echo that `packet` answers. A raw socket sees every ICMP packet of the host: most are not ours."""
        seen = Instant.now()
        ttl = _hop_limit(ancillary)
        head = 0
        if self.family is Family.IPV4 and (self.raw or not LINUX):  # an IP header, of 20 bytes for icmplib
            ttl, head = packet[8], 20
            packet = packet[:20] + packet[(packet[0] & 0x0F) * 4 :]
        reply = self._icmp._parse_reply(packet, source, 0.0)  # noqa: SLF001 - icmplib's receive() blocks
        echo = self._waiting.get(reply.sequence) if reply is not None and reply.id == self._id else None
        if reply is None or echo is None:
            return
        start = head + _ECHO_HEADER
        if reply.type == _REPLY[self.family] and packet[start : start + _TOKEN] == echo.token:
            self._settle(echo, EchoReply(elapsed(echo.sent, seen, kernel_stamp(ancillary)), ttl, source))
        elif not LINUX and reply.type in _ERRORS[self.family]:  # no error queue there: errors come as packets
            self._settle(echo, IcmpError(6 if self.family is Family.IPV6 else 4, reply.type, reply.code, source))

    @staticmethod
    def _settle(echo: Echo | None, answer: EchoReply | IcmpError) -> None:
        if echo is not None and not echo.answer.done():
            echo.answer.set_result(answer)


class Pinger:
    """The echo sockets of the process, one per family, opened when first needed."""

    def __init__(self) -> None:
        self._sockets: dict[Family, EchoSocket] = {}

    def socket(self, family: Family) -> EchoSocket:
        """The socket of `family` on the running loop. NotPermittedError, or OSError where the family is missing."""
        known = self._sockets.get(family)
        if known is not None and known.loop is asyncio.get_running_loop():
            return known
        if known is not None:
            known.close()
        opened = self._sockets[family] = EchoSocket(family)
        return opened

    def close(self) -> None:
        """Close every socket."""
        while self._sockets:
            self._sockets.popitem()[1].close()


def _open(family: Family) -> Any:
    """icmplib's socket: datagram first, raw where that is not allowed."""
    make = ICMPv6Socket if family is Family.IPV6 else ICMPv4Socket
    refused: OSError | None = None
    for privileged in (False, True):
        try:
            return make(privileged=privileged)
        except SocketPermissionError:
            refused = NotPermittedError(f"no {family} ICMP socket may be opened")
        except ICMPSocketError as error:
            cause = error.__context__
            refused = refused or (cause if isinstance(cause, OSError) else OSError(str(error)))
    raise refused or OSError("no ICMP socket")


def _hop_limit(ancillary: list[tuple[int, int, bytes]]) -> int | None:
    """The TTL or hop limit among the control messages of recvmsg."""
    wanted = {(socket.IPPROTO_IP, socket.IP_TTL), (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT)}
    limits = (data for level, kind, data in ancillary if (level, kind) in wanted)
    return next((int.from_bytes(data[:4], sys.byteorder) for data in limits), None)
