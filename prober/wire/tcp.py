"""TCP as the kernel tells it: one connect with its error queue and its TCP_INFO, then a byte stream.

No retries, no Happy Eyeballs (RFC 8305), no names: an address literal and a port. What an errno means for a
layer is not decided here.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
import sys
from dataclasses import dataclass
from functools import lru_cache
from time import perf_counter
from typing import NamedTuple

from prober.addresses import literal_family
from prober.reasons import Family
from prober.wire.core import WATCHING, latest_departure
from prober.wire.errqueue import LINUX, IcmpError, queue_errors, read_error_queue
from prober.wire.losses import TICK, Losses
from prober.wire.marks import PLAIN, Marks, mark
from prober.wire.ready import readable, writable
from prober.wire.stamps import ANCILLARY_BYTES, Instant, elapsed, kernel_stamp, stamp_both_ways, stamp_receipt
from prober.wire.stream import Times

# struct tcp_info up to tcpi_total_retrans (linux/tcp.h): of it state, options, window scales, snd_mss, pmtu, rtt,
# rttvar, advmss, total_retrans
_TCP_INFO_HEAD = struct.Struct("=B4xBBx8xI40xI4xII8xI12xI")
_TIMESTAMPS, _SACK, _WSCALE, _ECN = 1, 2, 4, 8
#: Where a finished handshake leaves a connection (linux/tcp_states.h): open, or already closed by the peer.
_ESTABLISHED, _SYN_SENT, _CLOSE_WAIT = 1, 2, 8
_IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h
_NONBLOCK = getattr(socket, "SOCK_NONBLOCK", 0)


class ConnectFailed(OSError):
    """`connect` failed. `errno` is the kernel's word, `icmp` the error message behind it, if there was one."""

    def __init__(self, number: int, icmp: IcmpError | None = None) -> None:
        super().__init__(number, os.strerror(number))
        self.icmp = icmp


class SourceFailed(ConnectFailed):
    """The socket could not be bound to the source address that was asked for."""


class TcpInfo(NamedTuple):
    """What TCP_INFO says of a connection: RTT and its variance in seconds, sizes in bytes.

    `mss` is how much we send in a segment at most, by what the peer announced; `advmss` what we announced to it.
    `retransmits` counts SYNs too.
    """

    state: int
    options: str
    mss: int
    path_mtu: int
    rtt: float
    rttvar: float
    advmss: int
    retransmits: int

    @classmethod
    def of(cls, sock: socket.socket) -> TcpInfo | None:
        """As of now; None where the platform has none."""
        if not LINUX:
            return None
        raw = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_HEAD.size)
        state, options, scales, mss, path_mtu, rtt, rttvar, *counts = _TCP_INFO_HEAD.unpack(
            raw if len(raw) == _TCP_INFO_HEAD.size else raw.ljust(_TCP_INFO_HEAD.size, b"\0")
        )
        return cls(state, _options(options, scales), mss, path_mtu, rtt / 1e6, rttvar / 1e6, *counts)

    @property
    def connected(self) -> bool:
        """The handshake has been completed."""
        return self.state in (_ESTABLISHED, _CLOSE_WAIT)

    @property
    def waiting(self) -> bool:
        """The SYN has no answer yet."""
        return self.state == _SYN_SENT

    @property
    def handshake(self) -> float | None:
        """Right after a connect: the kernel's round trip of the SYN, in seconds. None where it has no sample of it.

        Karn (RFC 6298 section 3): a SYN that was sent twice has none, and its wait is what the user felt.
        """
        return self.rtt if self.retransmits == 0 and self.rtt > 0 else None


@lru_cache(maxsize=256)
def _options(bits: int, scales: int) -> str:
    """What both sides agreed on: timestamps, SACK, ECN, and the window scales, ours and the peer's (RFC 7323)."""
    ours, peers = (scales >> 4, scales & 0x0F) if sys.byteorder == "little" else (scales & 0x0F, scales >> 4)
    known = ((_TIMESTAMPS, "timestamps"), (_SACK, "sack"), (_ECN, "ecn"), (_WSCALE, f"wscale {ours}/{peers}"))
    return ", ".join(name for bit, name in known if bits & bit)


@dataclass(slots=True)
class Attempt:
    """A connect, for whoever wants to know of it though it fails or is given up."""

    info: TcpInfo | None = None
    """TCP_INFO as the socket was closed; None after success."""


class TcpStream:
    """An open TCP connection on a non-blocking socket; implements `prober.wire.stream.Stream` and keeps its `times`.

    The kernel stamps what it receives (socket(7) SO_TIMESTAMPNS), where the platform can.
    """

    __slots__ = ("_departures", "_loop", "_out_of_order", "_prepared", "asked", "connected", "socket", "times")

    def __init__(
        self, sock: socket.socket, loop: asyncio.AbstractEventLoop, asked: Instant, connected: TcpInfo | None
    ) -> None:
        self.socket = sock
        self.asked = asked
        """Just before its connect. Stamps are measured from here: a step of the clock is seen as long as it lives."""
        self.connected = connected
        """TCP_INFO as it was once connected; None where the platform has none."""
        self.times = Times()
        self._loop = loop
        self._prepared = False
        self._departures = False
        self._out_of_order = 0

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """See Stream.receive."""
        if not self._prepared:
            self._prepare()
        while True:
            try:
                data, ancillary, _, _ = self.socket.recvmsg(max_bytes, ANCILLARY_BYTES)
            except BlockingIOError:
                if self._departures:  # one that came late would keep the socket awake
                    latest_departure(self.socket)
                await readable(self._loop, self.socket)
            except OSError:
                self.times.arrived(perf_counter(), kernel=False)
                raise
            else:
                now = Instant.now()
                after, kernel = elapsed(self.asked, now, kernel_stamp(ancillary))
                at = self.asked.monotonic + after
                age = now.monotonic - at
                if kernel and age > TICK and (closed := self._gap_closed(age)) is not None:
                    at, kernel = now.monotonic - closed, False
                self.times.arrived(at, kernel=kernel)
                return data

    def _gap_closed(self, age: float) -> float | None:
        """How many seconds ago a gap in the stream was closed whose closing is later than a stamp of this `age`.

        The stamp is that of the last segment in line, and where one before it was lost, it had come while that one was
        still missing. None if the stamp is the latest.
        """
        losses = Losses.of(self.socket)
        if losses is None or losses.out_of_order == self._out_of_order or age <= losses.quiet + TICK:
            return None
        self._out_of_order = losses.out_of_order
        return max(0.0, losses.quiet - TICK)

    async def send(self, data: bytes) -> None:
        """See Stream.send."""
        if not self._prepared:
            self._prepare()
        rest: bytes | memoryview = data
        while rest:
            at = perf_counter()
            try:
                sent = self.socket.send(rest)
            except BlockingIOError:
                await writable(self._loop, self.socket)
                continue
            self.times.handed(self._left(at))
            rest = memoryview(rest)[sent:]

    def _left(self, at: float) -> float:
        """When that left which was handed over at `at`: by the kernel's stamp where this process lost its core then."""
        back = WATCHING.held_up(at)
        stamp_ns = latest_departure(self.socket) if self._departures else None
        if back is None or stamp_ns is None:
            return at
        left = self.asked.monotonic + (stamp_ns - self.asked.wall_ns) / 1e9
        return left if at <= left <= back else at

    def _prepare(self) -> None:
        """What a connection needs that is used: one that is only opened does without.

        The error queue has done its work; from here on it would make every stray ICMP error fatal.
        """
        self._departures = WATCHING.on and stamp_both_ways(self.socket)
        if not self._departures:
            stamp_receipt(self.socket)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        queue_errors(self.socket, self.socket.family, on=False)
        self._prepared = True

    def close(self) -> None:
        """See Stream.close."""
        self.socket.close()


def family_of(address: str) -> socket.AddressFamily:
    """AF_INET or AF_INET6 of a literal (a zone id is allowed). ValueError for anything else."""
    family = literal_family(address)
    if family is None:
        raise ValueError(f"not an address: {address!r}")
    return socket.AF_INET6 if family is Family.IPV6 else socket.AF_INET


async def open_tcp(
    address: str, port: int, *, source: str = "", marks: Marks = PLAIN, attempt: Attempt | None = None
) -> TcpStream:
    """Connect to a literal address, from `source` if given. Raises ConnectFailed; has no deadline of its own.

    The error queue (IP_RECVERR, ip(7)) makes ICMP errors arrive at once, in both families, with their type, code
    and sender.
    """
    loop = asyncio.get_running_loop()
    family = family_of(address)
    try:
        sock = socket.socket(family, socket.SOCK_STREAM | _NONBLOCK)
    except OSError as error:
        raise ConnectFailed(error.errno or errno.EIO) from error
    try:
        if not _NONBLOCK:
            sock.setblocking(False)
        queue_errors(sock, family, on=True)
        if marks is not PLAIN:
            mark(sock, marks)
        if source:
            _bind(sock, source)
        asked = Instant.surely()
        number = sock.connect_ex((address, port))
        if number == errno.EINPROGRESS:
            number, info = await _connected(sock, loop)
        else:
            info = None if number else TcpInfo.of(sock)
        if number:
            raise ConnectFailed(number, read_error_queue(sock))
    except BaseException:
        if attempt is not None:
            attempt.info = TcpInfo.of(sock)
        sock.close()
        raise
    return TcpStream(sock, loop, asked, info)


def _bind(sock: socket.socket, source: str) -> None:
    """Take `source` as our address; the port is left to connect, which may use one again for another peer."""
    try:
        if LINUX:
            sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        sock.bind((source, 0))
    except OSError as error:
        raise SourceFailed(error.errno or errno.EADDRNOTAVAIL) from error


async def _connected(sock: socket.socket, loop: asyncio.AbstractEventLoop) -> tuple[int, TcpInfo | None]:
    """Wait for the end of a connect: its errno, 0 for success, and TCP_INFO."""
    info = TcpInfo.of(sock)
    if info is None or not info.connected:  # else the peer is on this machine, and has answered within the call
        await writable(loop, sock)
        info = TcpInfo.of(sock)
    if info is not None and info.connected:
        return 0, info
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), info
