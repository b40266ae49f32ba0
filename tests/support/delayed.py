"""Servers in a process of their own that answer after a known delay, for holding reported latencies against.

One port per service and family: `http` (1.1; CONNECT is answered as a proxy would, and the tunnel leads back to it),
`https` (TLS 1.3 or 1.2, then HTTP/1.1 or 2 by ALPN), `dns` (over TCP). Every flight of an answer leaves `delay` seconds
after the kernel stamped the last segment of what it answers. What the delay really was is kept, and told when asked.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import dns.message
import dns.rrset
import h2.config
import h2.connection
import h2.events

from prober.lab.certificates import CertificateFiles
from prober.lab.tls import make_context

NAME = "api.example.com"
_SO_TIMESTAMPNS = 35
_NS = 1_000_000_000
#: Seconds before an answer is due that are spent spinning: sleeping is not exact.
_SPIN = 0.0003


class Wire:
    """One accepted connection: kernel stamps in, delayed flights out; `kept` gets (service, flight, true delay)."""

    def __init__(self, sock: socket.socket, service: str, delay: float, kept: list[tuple[str, str, float]]) -> None:
        self.sock = sock
        self.service, self.delay, self.kept = service, delay, kept
        self.came = time.time_ns()
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def receive(self) -> bytes:
        """The next bytes; raises EOFError at the end."""
        data, ancillary, _, _ = self.sock.recvmsg(65536, 128)
        if not data:
            raise EOFError
        self.came = time.time_ns()
        for level, kind, stamp in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
                seconds, nanoseconds = struct.unpack("@ll", stamp)
                self.came = seconds * _NS + nanoseconds
        return data

    def answer(self, data: bytes, flight: str) -> None:
        """Send `data` when it is due."""
        due = self.came + int(self.delay * _NS)
        if (rest := (due - time.time_ns()) / _NS - _SPIN) > 0:
            time.sleep(rest)
        while time.time_ns() < due:
            pass
        self.kept.append((self.service, flight, (time.time_ns() - self.came) / _NS))
        self.sock.sendall(data)


Speaker = Callable[[Wire], None]


def http(wire: Wire, first: bytes = b"", seal: Callable[[bytes], bytes] = bytes,
         unseal: Callable[[bytes], bytes] = bytes) -> None:  # fmt: skip
    """HTTP/1.1, one answer for each request head; `seal` and `unseal` are those of TLS."""
    received = first
    while True:
        while b"\r\n\r\n" not in received:
            received += unseal(wire.receive())
        head, _, received = received.partition(b"\r\n\r\n")
        if head.startswith(b"CONNECT "):
            wire.answer(seal(b"HTTP/1.1 200 OK\r\n\r\n"), "proxy")
        else:
            wire.answer(seal(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"), "http")


def http2(wire: Wire, first: bytes, seal: Callable[[bytes], bytes], unseal: Callable[[bytes], bytes]) -> None:
    """HTTP/2: the answer late, SETTINGS as soon as the request is there (before it, their ACK would move its stamp)."""
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    connection.initiate_connection()
    settings = connection.data_to_send()
    received = first
    while True:
        for event in connection.receive_data(received):
            if isinstance(event, h2.events.RequestReceived):
                wire.sock.sendall(seal(settings))
                connection.send_headers(event.stream_id or 1, [(":status", "200")])
                connection.send_data(event.stream_id or 1, b"ok", end_stream=True)
                wire.answer(seal(connection.data_to_send()), "http")
        if data := connection.data_to_send():
            wire.sock.sendall(seal(data))
        received = unseal(wire.receive())


def https(context: ssl.SSLContext) -> Speaker:
    """TLS with memory BIOs, so that each flight can be held back; then what ALPN says."""

    def speak(wire: Wire) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)

        def unseal(data: bytes) -> bytes:
            incoming.write(data)
            plain = b""
            with contextlib.suppress(ssl.SSLWantReadError):
                while piece := tls.read(65536):
                    plain += piece
            return plain

        def seal(data: bytes) -> bytes:
            tls.write(data)
            return outgoing.read()

        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                if flight := outgoing.read():
                    wire.answer(flight, "tls")
                incoming.write(wire.receive())
            else:
                break
        if flight := outgoing.read():
            wire.answer(flight, "tls")
        speaker = http2 if tls.selected_alpn_protocol() == "h2" else http
        speaker(wire, unseal(b""), seal, unseal)

    return speak


def dns_over_tcp(wire: Wire) -> None:
    """One A or AAAA record for any name."""
    received = b""
    while True:
        while len(received) < 2 or len(received) < 2 + int.from_bytes(received[:2]):
            received += wire.receive()
        end = 2 + int.from_bytes(received[:2])
        reply = dns.message.make_response(dns.message.from_wire(received[2:end]), recursion_available=True)
        kind = reply.question[0].rdtype
        reply.answer.append(
            dns.rrset.from_text(reply.question[0].name, 60, "IN", kind, "::1" if kind == 28 else "127.0.0.1")
        )
        received = received[end:]
        data = reply.to_wire()
        wire.answer(len(data).to_bytes(2) + data, "dns")


def _converse(
    sock: socket.socket, speak: Speaker, service: str, delay: float, kept: list[tuple[str, str, float]]
) -> None:
    with sock, contextlib.suppress(EOFError, OSError):
        speak(Wire(sock, service, delay, kept))


def _accept(listener: socket.socket, *conversation: object) -> None:
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=_converse, args=(sock, *conversation), daemon=True).start()


def _main(told: Connection, delay: float, files: Path, addresses: tuple[str, ...], core: int | None) -> None:
    if core is not None:
        os.sched_setaffinity(0, {core})
    certificates = CertificateFiles(files)
    context = make_context(certificates, [NAME])
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.num_tickets = 0  # a ticket of TLS 1.3 would be a flight that answers nothing
    kept: list[tuple[str, str, float]] = []
    ports: dict[tuple[str, str], int] = {}
    speakers: dict[str, Speaker] = {"http": http, "https": https(context), "dns": dns_over_tcp}
    for address in addresses:
        for service, speak in speakers.items():
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            listener = socket.create_server((address, 0), family=family, backlog=128)
            ports[service, address] = listener.getsockname()[1]
            threading.Thread(target=_accept, args=(listener, speak, service, delay, kept), daemon=True).start()
    gc.disable()  # a collection between the reckoning of a delay and its end would be a lie of its length
    told.send((ports, certificates.ca_file))
    while told.recv():
        told.send(list(kept))
        kept.clear()


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
def serve_late(delay: float, files: Path, addresses: tuple[str, ...], core: int | None = None) -> Iterator[Delayed]:
    """The servers on these loopback addresses, each flight `delay` seconds late, on one `core` if it is given."""
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_main, args=(theirs, delay, files, addresses, core), daemon=True)
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
