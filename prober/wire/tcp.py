"""TCP as the kernel tells it: one connect with its error queue and its TCP_INFO, then a byte stream.

No retries, no Happy Eyeballs (RFC 8305), no names: an address literal and a port. What an errno means for a
layer is not decided here.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
import struct
from dataclasses import dataclass

from prober.wire.errqueue import LINUX, IcmpError, queue_errors, read_error_queue

_TCP_INFO_HEAD = struct.Struct("=8B24I")  # struct tcp_info up to tcpi_total_retrans, linux/tcp.h


class ConnectFailed(OSError):
    """`connect` failed. `errno` is the kernel's word, `icmp` the error message behind it, if there was one."""

    def __init__(self, number: int, icmp: IcmpError | None = None) -> None:
        super().__init__(number, os.strerror(number))
        self.icmp = icmp


@dataclass(frozen=True, slots=True)
class TcpInfo:
    """What TCP_INFO says of a connection: RTT and its variance in seconds, sizes in bytes."""

    rtt: float
    rttvar: float
    retransmits: int
    mss: int
    path_mtu: int


class TcpStream:
    """An open TCP connection on a non-blocking socket; implements `prober.wire.stream.Stream`."""

    __slots__ = ("_loop", "socket")

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        self.socket = sock
        self._loop = loop

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """See Stream.receive."""
        return await self._loop.sock_recv(self.socket, max_bytes)

    async def send(self, data: bytes) -> None:
        """See Stream.send."""
        await self._loop.sock_sendall(self.socket, data)

    def close(self) -> None:
        """See Stream.close."""
        self.socket.close()

    def info(self) -> TcpInfo | None:
        """TCP_INFO as of now; None where the platform has none."""
        if not LINUX:
            return None
        raw = self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_HEAD.size)
        words = _TCP_INFO_HEAD.unpack(raw.ljust(_TCP_INFO_HEAD.size, b"\0"))[8:]
        return TcpInfo(rtt=words[15] / 1e6, rttvar=words[16] / 1e6, retransmits=words[23], mss=words[2],
                       path_mtu=words[13])  # fmt: skip


def family_of(address: str) -> socket.AddressFamily:
    """AF_INET or AF_INET6 of a literal (a zone id is allowed). ValueError for anything else."""
    version = ipaddress.ip_address(address).version
    return socket.AF_INET6 if version == 6 else socket.AF_INET


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
    and sender. It is switched off again once connected: on a TCP socket it would make every stray ICMP error fatal.
    """
    loop = asyncio.get_running_loop()
    family = family_of(address)
    try:
        sock = socket.socket(family, socket.SOCK_STREAM | getattr(socket, "SOCK_NONBLOCK", 0))
    except OSError as error:
        raise ConnectFailed(error.errno or errno.EIO) from error
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        queue_errors(sock, family, on=True)
        number = sock.connect_ex((address, port))
        if number == errno.EINPROGRESS:
            await _writable(loop, sock)
            number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise ConnectFailed(number, read_error_queue(sock))
        queue_errors(sock, family, on=False)
    except BaseException:
        sock.close()
        raise
    return TcpStream(sock, loop)


async def _writable(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
    """Wait until the connect under way has ended, well or badly."""
    ended: asyncio.Future[None] = loop.create_future()
    descriptor = sock.fileno()
    loop.add_writer(descriptor, _resolve, ended)
    try:
        await ended
    finally:
        loop.remove_writer(descriptor)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
