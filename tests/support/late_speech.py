"""What the late servers say: HTTP in its versions, TLS around it, DNS, gRPC health. The delays are `delayed.Wire`'s."""

from __future__ import annotations

import contextlib
import re
import ssl
from collections.abc import Callable
from typing import Protocol

import dns.message
import dns.rdatatype
import dns.rrset
import h2.config
import h2.connection
import h2.events


class Wire(Protocol):
    """One connection, or one socket for datagrams, whose answers leave late."""

    def receive(self) -> bytes:
        """The next bytes; raises EOFError at the end."""
        ...

    def answer(self, data: bytes, flight: str) -> None:
        """Send `data` when it is due."""
        ...

    def send(self, data: bytes) -> object:
        """Send `data` at once: bytes that answer nothing."""
        ...


Speaker = Callable[[Wire], None]


def http(wire: Wire, first: bytes = b"", seal: Callable[[bytes], bytes] = bytes,
         unseal: Callable[[bytes], bytes] = bytes) -> None:  # fmt: skip
    """HTTP/1.1, one answer for each request (a body is a DNS message); `seal` and `unseal` are those of TLS."""
    received = first
    while True:
        while b"\r\n\r\n" not in received:
            received += unseal(wire.receive())
        head, _, received = received.partition(b"\r\n\r\n")
        if (length := re.search(rb"(?i)\r\ncontent-length: (\d+)", head)) is not None:
            while len(received) < int(length[1]):
                received += unseal(wire.receive())
            data, received = _answer_to(received[: int(length[1])]), received[int(length[1]) :]
            fields = b"content-type: application/dns-message\r\ncontent-length: %d" % len(data)
            wire.answer(seal(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n\r\n" + data), "dns")
        elif head.startswith(b"CONNECT "):
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
                wire.send(seal(settings))
                connection.send_headers(event.stream_id or 1, [(":status", "200")])
                connection.send_data(event.stream_id or 1, b"ok", end_stream=True)
                wire.answer(seal(connection.data_to_send()), "http")
        if data := connection.data_to_send():
            wire.send(seal(data))
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
        speaker = {"h2": http2, "dot": dns_over_tcp}.get(tls.selected_alpn_protocol() or "", http)
        speaker(wire, unseal(b""), seal, unseal)

    return speak


def dns_over_tcp(wire: Wire, first: bytes = b"", seal: Callable[[bytes], bytes] = bytes,
                 unseal: Callable[[bytes], bytes] = bytes) -> None:  # fmt: skip
    """One A or AAAA record for any name; `seal` and `unseal` are those of TLS."""
    received = first
    while True:
        while len(received) < 2 or len(received) < 2 + int.from_bytes(received[:2]):
            received += unseal(wire.receive())
        end = 2 + int.from_bytes(received[:2])
        data = _answer_to(received[2:end])
        received = received[end:]
        wire.answer(seal(len(data).to_bytes(2) + data), "dns")


def dns_over_udp(wire: Wire) -> None:
    """The same, a datagram for each."""
    while True:
        wire.answer(_answer_to(wire.receive()), "dns")


def _answer_to(query: bytes) -> bytes:
    reply = dns.message.make_response(dns.message.from_wire(query), recursion_available=True)
    kind = reply.question[0].rdtype
    address = "::1" if kind == dns.rdatatype.AAAA else "127.0.0.1"
    reply.answer.append(dns.rrset.from_text(reply.question[0].name, 60, "IN", kind, address))
    return reply.to_wire()


def grpc_health(wire: Wire) -> None:
    """gRPC over HTTP/2 in the clear: SERVING, late, for every call.

    SETTINGS as soon as the client has said something, for some wait for them before they ask; if that was the request,
    together with it (before it, their ACK could move its stamp).
    """
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    connection.initiate_connection()
    while True:
        events = connection.receive_data(wire.receive())
        if data := connection.data_to_send():
            wire.send(data)
        for event in events:
            if isinstance(event, h2.events.StreamEnded):
                connection.send_headers(event.stream_id, [(":status", "200"), ("content-type", "application/grpc")])
                connection.send_data(event.stream_id, b"\0\0\0\0\2\x08\x01")  # HealthCheckResponse, status: SERVING
                connection.send_headers(event.stream_id, [("grpc-status", "0")], end_stream=True)
                wire.answer(connection.data_to_send(), "grpc")
