"""The name servers of all cases, in a process of their own: UDP and TCP on the address of each."""

from __future__ import annotations

import heapq
import os
import resource
import selectors
import signal
import socket
import struct
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import dns.exception
import dns.message
import dns.rdatatype

from tests.network.dns_truth.case import Case, addresses
from tests.network.dns_truth.reply import replies

_FREEBIND = {socket.AF_INET: (socket.IPPROTO_IP, 15), socket.AF_INET6: (socket.IPPROTO_IPV6, 78)}  # linux/in.h, in6.h
#: Seconds by which a server answers after the one before it, so that their answers come in one order.
_APART = 0.15
_RESET = struct.pack("ii", 1, 0)


def word_for(says: Mapping[str, str], position: int, transport: str, name: str, kind: str) -> str:
    """What is said to a question: the most exact key counts; NXDOMAIN without any.

    A key is NAME/TYPE, NAME, */TYPE or *, and before it may stand the server's position, the transport, or both.
    """
    for where in (f"{position} {transport} ", f"{position} ", f"{transport} ", ""):
        for what in (f"{name}/{kind}", name, f"*/{kind}", "*"):
            if (word := says.get(where + what)) is not None:
                return word
    return "NXDOMAIN"


@contextmanager
def serving(cases: Mapping[int, Case], whos: Sequence[int]) -> Iterator[None]:
    """The servers of `cases` for each of `whos` are there for so long. Forks: no thread may run yet."""
    ready, tell = os.pipe()
    child = os.fork()
    if not child:
        try:
            servers = _Servers(cases, whos)
            os.write(tell, b"!")
            servers.serve()
        finally:
            traceback.print_exc()
            os._exit(1)
    os.close(tell)
    try:
        if not os.read(ready, 1):
            raise RuntimeError("the servers did not start")
        yield
    finally:
        os.kill(child, signal.SIGTERM)
        _, status = os.waitpid(child, 0)
        os.close(ready)
    if not os.WIFSIGNALED(status):
        raise RuntimeError("the servers did not last")


class _Servers:
    """Answers by the tables of the cases."""

    def __init__(self, cases: Mapping[int, Case], whos: Sequence[int]) -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self._selector = selectors.DefaultSelector()
        self._later: list[tuple[float, int, Callable[[], object]]] = []
        self._times: Counter[tuple[Any, ...]] = Counter()
        self._kept: list[socket.socket] = []
        for number, case in cases.items():
            for who in whos:
                for position, address in enumerate(addresses(case, number, who), 1):
                    self._open(case, (number, who, position), address)

    def serve(self) -> None:
        """Until this process ends."""
        while True:
            wait = self._later[0][0] - time.monotonic() if self._later else None
            for key, _ in self._selector.select(wait and max(wait, 0)):
                key.data()
            while self._later and self._later[0][0] <= time.monotonic():
                heapq.heappop(self._later)[2]()

    def _open(self, case: Case, place: tuple[int, int, int], address: str) -> None:
        trouble = case.servers[place[2] - 1].partition("/")[2]
        if trouble in ("closed", "unroutable"):
            return
        udp = self._bind(address, socket.SOCK_DGRAM)
        self._selector.register(udp, selectors.EVENT_READ, lambda: self._take_datagram(udp, case, place))
        if trouble == "no-tcp":
            return
        tcp = self._bind(address, socket.SOCK_STREAM)
        if trouble == "full-tcp":  # whose queue of connections is full: what comes more is not answered
            tcp.listen(0)
            self._kept.append(socket.create_connection((address, 53)))
            return
        tcp.listen(32)
        if trouble != "silent-tcp":
            self._selector.register(tcp, selectors.EVENT_READ, lambda: self._accept(tcp, case, place))

    def _bind(self, address: str, kind: socket.SocketKind) -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        one = socket.socket(family, kind)
        one.setsockopt(*_FREEBIND[family], 1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((address, 53))
        one.setblocking(False)
        self._kept.append(one)
        return one

    def _take_datagram(self, udp: socket.socket, case: Case, place: tuple[int, int, int]) -> None:
        wire, client = udp.recvfrom(4096)
        for delay, reply in self._hear(wire, case, place, "udp"):
            self._do_later(delay, lambda reply=reply: udp.sendto(reply, client))

    def _accept(self, tcp: socket.socket, case: Case, place: tuple[int, int, int]) -> None:
        connection, _ = tcp.accept()
        received = bytearray()

        def take() -> None:
            try:
                data = connection.recv(4096)
            except ConnectionResetError:
                data = b""
            received.extend(data)
            while len(received) > 2 and len(received) >= (end := 2 + int.from_bytes(received[:2], "big")):
                wire = bytes(received[2:end])
                del received[:end]
                for delay, reply in self._hear(wire, case, place, "tcp"):
                    self._do_later(delay, lambda reply=reply: self._send(connection, reply))
            if not data:
                self._end(connection)

        self._selector.register(connection, selectors.EVENT_READ, take)

    def _send(self, connection: socket.socket, reply: bytes) -> None:
        """One reply; an empty one ends the connection, `R` resets it."""
        if connection.fileno() < 0:
            return
        if len(reply) > 1:
            with suppress(ConnectionError):  # the C library may have had enough
                connection.sendall(len(reply).to_bytes(2, "big") + reply)
            return
        if reply:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._end(connection)

    def _end(self, connection: socket.socket) -> None:
        if connection.fileno() >= 0:
            self._selector.unregister(connection)
            connection.close()

    def _do_later(self, delay: float, what: Callable[[], object]) -> None:
        if not delay:
            what()
        else:
            heapq.heappush(self._later, (time.monotonic() + delay, id(what), what))

    def _hear(self, wire: bytes, case: Case, place: tuple[int, int, int], transport: str) -> list[tuple[float, bytes]]:
        """What to say to a query, and how many seconds later."""
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return []
        question = query.question[0]
        name, kind = question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype)
        asked = (place, transport, name, kind)
        self._times[asked] += 1
        words = word_for(case.says, place[2], transport, name, kind).split(" then ")
        word = words[min(self._times[asked], len(words)) - 1]
        if word in ("drop", "close", "reset"):
            return [] if word == "drop" else [(0.0, b"" if word == "close" else b"R")]
        return [(delay + _APART * (place[2] - 1), wire) for delay, wire in replies(query, word, transport)]
