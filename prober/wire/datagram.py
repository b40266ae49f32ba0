"""A connected UDP socket on the event loop: datagrams with kernel receive stamps, ICMP errors as OSError.

A fresh socket for each exchange: its source port is random, and a late answer to an earlier question finds nobody.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass

from prober.wire.errqueue import IcmpError, queue_errors, read_error_queue
from prober.wire.ready import readable
from prober.wire.stamps import ANCILLARY_BYTES, Instant, Span, elapsed, kernel_stamp, stamp_receipt

_MAX_DATAGRAM = 65535


@dataclass(frozen=True, slots=True)
class Datagram:
    """What was received: the bytes, when user space saw it, and the kernel's stamp (wall clock, ns) if it has one."""

    data: bytes
    seen: Instant
    stamp_ns: int | None

    def since(self, sent: Instant) -> Span:
        """How long after `sent` it came."""
        return elapsed(sent, self.seen, self.stamp_ns)


class DatagramFailed(OSError):
    """The peer cannot be reached. `errno` is the kernel's word, `icmp` the message behind it, if there was one."""

    def __init__(self, error: OSError, icmp: IcmpError | None) -> None:
        super().__init__(error.errno, error.strerror)
        self.icmp = icmp


class DatagramSocket:
    """UDP to one peer. `send` and `receive` raise DatagramFailed."""

    __slots__ = ("_loop", "_socket")

    def __init__(self, address: str, port: int) -> None:
        """Open and connect to a literal address, which sends nothing. OSError ENETUNREACH: no route to it."""
        self._loop = asyncio.get_running_loop()
        family, _, _, _, peer = socket.getaddrinfo(  # AI_NUMERICHOST: parses a zone id, asks nobody
            address, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST
        )[0]
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            queue_errors(self._socket, family, on=True)
            stamp_receipt(self._socket)
            self._socket.connect(peer)
        except BaseException:
            self._socket.close()
            raise

    def send(self, data: bytes) -> Instant:
        """Send one datagram; the moment just before it left."""
        sent = Instant.now()
        try:
            self._socket.send(data)
        except OSError as error:
            raise DatagramFailed(error, read_error_queue(self._socket)) from error
        return sent

    async def receive(self) -> Datagram:
        """The next datagram from the peer; waits without a deadline."""
        while True:
            try:
                data, ancillary, _, _ = self._socket.recvmsg(_MAX_DATAGRAM, ANCILLARY_BYTES)
            except BlockingIOError:
                await readable(self._loop, self._socket)
            except OSError as error:
                raise DatagramFailed(error, read_error_queue(self._socket)) from error
            else:
                return Datagram(data, Instant.now(), kernel_stamp(ancillary))

    def close(self) -> None:
        """Close at once; a second call does nothing."""
        self._socket.close()
