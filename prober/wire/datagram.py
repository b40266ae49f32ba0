"""UDP sockets on the event loop, to one peer or to several: datagrams with kernel receive stamps, ICMP errors told.

A fresh socket for each exchange: its source port is random, and a late answer to an earlier question finds nobody.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from prober.wire.errqueue import IcmpError, errors_by_peer, queue_errors, read_error_queue
from prober.wire.ready import readable
from prober.wire.stamps import ANCILLARY_BYTES, Instant, Span, elapsed, kernel_stamp, stamp_receipt

_MAX_DATAGRAM = 65535
_NONBLOCK = getattr(socket, "SOCK_NONBLOCK", 0)


class Datagram(NamedTuple):
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

    __slots__ = ("_asked", "_loop", "_socket")

    def __init__(self, address: str, port: int) -> None:
        """Open and connect to a literal address, which sends nothing. OSError ENETUNREACH: no route to it."""
        self._loop = asyncio.get_running_loop()
        family, peer = (_parsed if "%" in address else _remembered)(address, port)  # a zone may mean another tomorrow
        self._socket = socket.socket(family, socket.SOCK_DGRAM | _NONBLOCK)
        self._asked = False
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
        sent = Instant.surely()
        try:
            self._socket.send(data)
        except OSError as error:
            raise DatagramFailed(error, read_error_queue(self._socket)) from error
        self._asked = True
        return sent

    async def receive(self, until: float | None = None) -> Datagram:
        """The next datagram from the peer; TimeoutError once the loop's time is `until`."""
        if self._asked:  # no answer is there before its time: looking first would be a call for nothing
            self._asked = False
            await readable(self._loop, self._socket, until)
        while True:
            try:
                data, ancillary, _, _ = self._socket.recvmsg(_MAX_DATAGRAM, ANCILLARY_BYTES)
            except BlockingIOError:
                await readable(self._loop, self._socket, until)
            except OSError as error:
                raise DatagramFailed(error, read_error_queue(self._socket)) from error
            else:
                return Datagram(data, Instant.now(), kernel_stamp(ancillary))

    def close(self) -> None:
        """Close at once; a second call does nothing."""
        self._socket.close()


def _parsed(address: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    """The family and the socket address of a literal. AI_NUMERICHOST: parses a zone id, asks nobody."""
    found = socket.getaddrinfo(address, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
    return found[0][0], found[0][4]  # type: ignore[return-value]  # typeshed allows for families without addresses


_remembered = lru_cache(maxsize=4096)(_parsed)

Peer = tuple[str, int]


class OpenDatagramSocket:
    """UDP to several peers from one port. An ICMP error is received like a datagram: the others may still answer."""

    __slots__ = ("_errors", "_loop", "_peers", "_socket")

    def __init__(self, peers: Iterable[Peer]) -> None:
        """Open one socket for address literals of either family (IPv4 ones mapped, where there is IPv6 among them).

        OSError EAFNOSUPPORT: this machine has no such family.
        """
        peers = tuple(peers)
        self._loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if any(":" in address for address, _ in peers) else socket.AF_INET
        self._peers = {peer: _address_of(family, peer) for peer in peers}
        self._errors: list[tuple[Peer, IcmpError]] = []
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            if family is socket.AF_INET6:
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                queue_errors(self._socket, socket.AF_INET6, on=True)
            queue_errors(self._socket, socket.AF_INET, on=True)
            stamp_receipt(self._socket)
        except BaseException:
            self._socket.close()
            raise

    def send(self, data: bytes, peer: Peer) -> Instant:
        """Send one datagram to one of the peers; the moment just before it left. DatagramFailed: it could not."""
        sent = Instant.surely()
        for last in (False, True):
            try:
                self._socket.sendto(data, self._peers[peer])
                break
            except OSError as error:  # maybe the error of an earlier datagram, which says nothing about this peer
                if not self._drain() or last:
                    raise DatagramFailed(error, None) from error
        return sent

    async def receive(self) -> tuple[Peer | None, Datagram | IcmpError]:
        """The next datagram or ICMP error, and the peer that it is about, None for a stranger; without a deadline."""
        while True:
            if self._errors:
                return self._errors.pop(0)
            try:
                data, ancillary, _, source = self._socket.recvmsg(_MAX_DATAGRAM, ANCILLARY_BYTES)
            except BlockingIOError:
                if not self._drain():
                    await readable(self._loop, self._socket)
            except OSError as error:
                if not self._drain():
                    raise DatagramFailed(error, None) from error
            else:
                return self._peer(source), Datagram(data, Instant.now(), kernel_stamp(ancillary))

    def close(self) -> None:
        """Close at once; a second call does nothing."""
        self._socket.close()

    def _drain(self) -> bool:
        """Empty the error queue, which would keep the socket awake; whether there was anything in it."""
        found = [(self._peer(peer), error) for _, error, peer in errors_by_peer(self._socket)]
        self._errors += [(peer, error) for peer, error in found if peer is not None]
        return bool(found)

    def _peer(self, source: tuple[str, int]) -> Peer | None:
        return next((peer for peer, address in self._peers.items() if _same(address, source)), None)


def _address_of(family: socket.AddressFamily, peer: Peer) -> tuple[str, int]:
    flags = socket.AI_NUMERICHOST | (socket.AI_V4MAPPED if family is socket.AF_INET6 else 0)
    found = socket.getaddrinfo(*peer, family=family, type=socket.SOCK_DGRAM, flags=flags)  # asks nobody
    return found[0][4]  # type: ignore[return-value]  # typeshed allows for families without addresses


def _same(one: tuple[str, int], other: tuple[str, int]) -> bool:
    """The same address and port; the kernel writes a zone where we may not have."""
    return (one[0].partition("%")[0], one[1]) == (other[0].partition("%")[0], other[1])
