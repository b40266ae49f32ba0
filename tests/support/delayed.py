"""Servers in a process of their own that answer after a known delay, for holding reported latencies against.

One port per service and address: `http` (1.1; CONNECT is answered as a proxy would, and the tunnel leads back to it),
`https` (TLS 1.3 or 1.2, then HTTP/1.1 or 2 by ALPN), `dns` (over TCP), `dns-udp`, `grpc` (health, in the clear); and
echo replies, if asked for, from a TUN device (`late_echo.py`). Every flight of an answer leaves `delay` seconds after
the kernel stamped the last segment of what it answers. What the delay really was is kept, and told when asked: from
the kernel's stamp of that segment to the kernel's stamp of the answer as it left (SO_TIMESTAMPING), so that it is true
on a busy machine as well.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from prober.lab.certificates import CertificateFiles
from prober.lab.tls import make_context
from tests.support import late_speech
from tests.support.late_echo import LateEcho

NAME = "api.example.com"
_SO_TIMESTAMPNS, _SO_TIMESTAMPING = 35, 37
_OUTGOING = 1 << 1 | 1 << 4 | 1 << 11  # SOF_TIMESTAMPING: TX_SOFTWARE, SOFTWARE, OPT_TSONLY (net_tstamp.h)
_NS = 1_000_000_000
#: Seconds before an answer is due that are spent spinning: sleeping is not exact.
SPIN = 0.0003


@dataclass(slots=True)
class Ledger:
    """(service, flight, true delay in seconds) of every answer. The lock is held from before an answer leaves."""

    kept: list[tuple[str, str, float]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> list[tuple[str, str, float]]:
        """All since the last call: whoever has an answer finds it here."""
        with self.lock:
            taken, self.kept = self.kept, []
        return taken


class Wire:
    """A connection, or a socket for datagrams: kernel stamps in, delayed flights out, true delays onto the ledger."""

    def __init__(self, sock: socket.socket, service: str, delay: float, ledger: Ledger) -> None:
        self.sock = sock
        self.service, self.delay, self.ledger = service, delay, ledger
        self.came = time.time_ns()
        self.peer: object = None
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, _OUTGOING)
        if sock.type == socket.SOCK_STREAM:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def receive(self) -> bytes:
        """The next bytes; raises EOFError at the end."""
        data, ancillary, _, peer = self.sock.recvmsg(65536, 128)
        if not data:
            raise EOFError
        self.came = _stamp(ancillary) or time.time_ns()
        self.peer = None if self.sock.type == socket.SOCK_STREAM else peer
        return data

    def answer(self, data: bytes, flight: str) -> None:
        """Send `data` when it is due."""
        due = self.came + int(self.delay * _NS)
        if (rest := (due - time.time_ns()) / _NS - SPIN) > 0:
            time.sleep(rest)
        while time.time_ns() < due:
            pass
        with self.ledger.lock:
            sent = self.send(data)
            self.ledger.kept.append((self.service, flight, (sent - self.came) / _NS))

    def send(self, data: bytes) -> int:
        """Send at once; when it left, by the kernel's stamp where there is one, in ns of the wall clock."""
        before = time.time_ns()
        if self.peer is None:
            self.sock.sendall(data)
        else:
            self.sock.sendto(data, self.peer)  # type: ignore[arg-type]  # as recvmsg gave it
        stamp = None
        with contextlib.suppress(BlockingIOError):
            while True:
                _, ancillary, _, _ = self.sock.recvmsg(0, 512, socket.MSG_ERRQUEUE)
                stamp = _stamp(ancillary) or stamp
        return stamp or before


def _stamp(ancillary: list[tuple[int, int, bytes]]) -> int | None:
    """The kernel's stamp among control messages, in ns of the wall clock."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind in (_SO_TIMESTAMPNS, _SO_TIMESTAMPING):
            seconds, nanoseconds = struct.unpack_from("@ll", data)
            return int(seconds) * _NS + int(nanoseconds)
    return None


Speaker = Callable[[Wire], None]


def _converse(sock: socket.socket, speak: Speaker, service: str, delay: float, ledger: Ledger) -> None:
    with sock, contextlib.suppress(EOFError, OSError):
        speak(Wire(sock, service, delay, ledger))


def _accept(listener: socket.socket, *conversation: object) -> None:
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=_converse, args=(sock, *conversation), daemon=True).start()


def _serve(address: str, service: str, speak: Speaker, delay: float, ledger: Ledger) -> int:
    """Serve one service on one address, from threads; its port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    if service == "dns-udp":
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.bind((address, 0))
        serving: Callable[..., None] = _converse
    else:
        sock = socket.create_server((address, 0), family=family, backlog=128)
        serving = _accept
    port: int = sock.getsockname()[1]
    threading.Thread(target=serving, args=(sock, speak, service, delay, ledger), daemon=True).start()
    return port


def _main(
    told: Connection, delay: float, files: Path, addresses: tuple[str, ...], core: int | None, echo: bool
) -> None:
    if core is not None:
        os.sched_setaffinity(0, {core})
    echoes = LateEcho(delay) if echo else None  # first: it brings the loopback up
    certificates = CertificateFiles(files)
    context = make_context(certificates, [NAME])
    context.set_alpn_protocols(["h2", "http/1.1", "dot"])
    context.num_tickets = 0  # a ticket of TLS 1.3 would be a flight that answers nothing
    ledger = Ledger()
    speakers: dict[str, Speaker] = {"http": late_speech.http, "https": late_speech.https(context),
                                    "dns": late_speech.dns_over_tcp, "dns-udp": late_speech.dns_over_udp,
                                    "grpc": late_speech.grpc_health}  # fmt: skip
    ports = {(service, address): _serve(address, service, speak, delay, ledger)
             for address in addresses for service, speak in speakers.items()}  # fmt: skip
    gc.disable()  # a collection between the reckoning of a delay and its end would be a lie of its length
    told.send((ports, certificates.ca_file))
    while told.recv():
        pings = [] if echoes is None else [("echo", "icmp", seconds) for seconds in echoes.delays()]
        told.send(ledger.take() + pings)


@dataclass(frozen=True, slots=True)
class Delayed:
    """The running servers: `ports` by (service, address), and the CA that signed them."""

    ports: dict[tuple[str, str], int]
    ca_file: Path
    _told: Connection

    def delays(self) -> list[tuple[str, str, float]]:
        """(service, flight, seconds) of every answer since the last call, in their order."""
        self._told.send(True)
        kept: list[tuple[str, str, float]] = self._told.recv()
        return kept


@contextlib.contextmanager
def serve_late(
    delay: float, files: Path, addresses: tuple[str, ...], core: int | None = None, *, echo: bool = False
) -> Iterator[Delayed]:
    """The servers on these loopback addresses, each flight `delay` seconds late, on one `core` if it is given.

    `echo`: in a network namespace of its own, late echo replies as well.
    """
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    main = partial(_main, theirs, delay, files, addresses, core, echo)
    process = context.Process(target=main, daemon=True)
    process.start()
    theirs.close()
    try:
        ports, ca_file = ours.recv()
        yield Delayed(ports, ca_file, ours)
    finally:
        process.kill()
        process.join()
        process.close()
        ours.close()
