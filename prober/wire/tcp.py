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
from time import perf_counter
from typing import NamedTuple

from prober.addresses import literal_family
from prober.reasons import Family
from prober.wire.errqueue import LINUX, IcmpError, queue_errors, read_error_queue
from prober.wire.ready import readable, writable
from prober.wire.stamps import ANCILLARY_BYTES, Instant, elapsed, kernel_stamp, stamp_receipt
from prober.wire.stream import Times

# struct tcp_info up to tcpi_total_retrans (linux/tcp.h): of it state, snd_mss, pmtu, rtt, rttvar, total_retrans
_TCP_INFO_HEAD = struct.Struct("=B7x8xI40xI4xII24xI")
#: Where a finished handshake leaves a connection (linux/tcp_states.h): open, or already closed by the peer.
_ESTABLISHED, _CLOSE_WAIT = 1, 8
_NONBLOCK = getattr(socket, "SOCK_NONBLOCK", 0)


class ConnectFailed(OSError):
    """`connect` failed. `errno` is the kernel's word, `icmp` the error message behind it, if there was one."""

    def __init__(self, number: int, icmp: IcmpError | None = None) -> None:
        super().__init__(number, os.strerror(number))
        self.icmp = icmp


class TcpInfo(NamedTuple):
    """What TCP_INFO says of a connection: RTT and its variance in seconds, sizes in bytes."""

    state: int
    mss: int
    path_mtu: int
    rtt: float
    rttvar: float
    retransmits: int

    @classmethod
    def of(cls, sock: socket.socket) -> TcpInfo | None:
        """As of now; None where the platform has none."""
        if not LINUX:
            return None
        raw = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_HEAD.size)
        state, mss, path_mtu, rtt, rttvar, retransmits = _TCP_INFO_HEAD.unpack(raw.ljust(_TCP_INFO_HEAD.size, b"\0"))
        return cls(state, mss, path_mtu, rtt / 1e6, rttvar / 1e6, retransmits)

    @property
    def connected(self) -> bool:
        """The handshake has been completed."""
        return self.state in (_ESTABLISHED, _CLOSE_WAIT)

    @property
    def handshake(self) -> float | None:
        """Right after a connect: the kernel's round trip of the SYN, in seconds. None where it has no sample of it.

        Karn (RFC 6298 section 3): a SYN that was sent twice has none, and its wait is what the user felt.
        """
        return self.rtt if self.retransmits == 0 and self.rtt > 0 else None


class TcpStream:
    """An open TCP connection on a non-blocking socket; implements `prober.wire.stream.Stream` and keeps its `times`.

    The kernel stamps what it receives (socket(7) SO_TIMESTAMPNS), where the platform can.
    """

    __slots__ = ("_loop", "_prepared", "asked", "connected", "socket", "times")

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

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """See Stream.receive."""
        if not self._prepared:
            self._prepare()
        while True:
            try:
                data, ancillary, _, _ = self.socket.recvmsg(max_bytes, ANCILLARY_BYTES)
            except BlockingIOError:
                await readable(self._loop, self.socket)
            except OSError:
                self.times.arrived(perf_counter(), kernel=False)
                raise
            else:
                after, kernel = elapsed(self.asked, Instant.now(), kernel_stamp(ancillary))
                self.times.arrived(self.asked.monotonic + after, kernel=kernel)
                return data

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
            self.times.handed(at)
            rest = memoryview(rest)[sent:]

    def _prepare(self) -> None:
        """What a connection needs that is used: one that is only opened does without.

        The error queue has done its work; from here on it would make every stray ICMP error fatal.
        """
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


def has_source(address: str) -> bool:
    """Whether this place has an address to reach the literal `address` from.

    Connecting a datagram socket sends nothing, but picks a source as TCP would. It tells the two meanings of
    EADDRNOTAVAIL apart: an IPv6 without any address of ours gives it as well as the lack of a local port (connect(2)).
    """
    try:
        with socket.socket(family_of(address), socket.SOCK_DGRAM) as sock:
            return sock.connect_ex((address, 9)) == 0
    except OSError:
        return False


async def open_tcp(address: str, port: int) -> TcpStream:
    """Connect to a literal address. Raises ConnectFailed; has no deadline of its own.

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
        asked = Instant.now()
        number = sock.connect_ex((address, port))
        if number == errno.EINPROGRESS:
            number, info = await _connected(sock, loop)
        else:
            info = None if number else TcpInfo.of(sock)
        if number:
            raise ConnectFailed(number, read_error_queue(sock))
    except BaseException:
        sock.close()
        raise
    return TcpStream(sock, loop, asked, info)


async def _connected(sock: socket.socket, loop: asyncio.AbstractEventLoop) -> tuple[int, TcpInfo | None]:
    """Wait for the end of a connect: its errno, 0 for success, and TCP_INFO."""
    info = TcpInfo.of(sock)
    if info is None or not info.connected:  # else the peer is on this machine, and has answered within the call
        await writable(loop, sock)
        info = TcpInfo.of(sock)
    if info is not None and info.connected:
        return 0, info
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), info
