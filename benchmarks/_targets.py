"""Fast servers in a process of their own, on a core of their own: what both probers of `cpu.py` are pointed at.

One port per kind: `tcp` accepts and closes, `http` and `https` (HTTP/2 or 1.1 by ALPN; `tls` is the same port) answer
200, `dns` answers every question over UDP with 127.0.0.1, `grpc` is grpcio's health service.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import selectors
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import dns.message
import dns.rrset
import grpc
import h2.config
import h2.connection
import h2.events
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from benchmarks._machine import pin
from prober.lab.certificates import CertificateFiles
from prober.lab.tls import make_context

ADDRESS = "127.0.0.1"
#: The name in the certificate.
NAME = "api.example.com"
_RESPONSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 3\r\nconnection: close\r\n\r\nok\n"


@dataclass(frozen=True, slots=True)
class Targets:
    """The running servers: ports by kind, and the file with the CA that signed their certificate."""

    ports: dict[str, int]
    ca_file: Path


def accept_and_close(listeners: list[socket.socket]) -> None:
    """Accept every connection and close it at once; does not return."""
    with selectors.DefaultSelector() as selector:
        for listener in listeners:
            listener.setblocking(False)
            selector.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                listener = key.fileobj  # type: ignore[assignment]  # only sockets were registered
                with contextlib.suppress(BlockingIOError):
                    while True:
                        listener.accept()[0].close()


async def _http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One request, HTTP/1.1 or, where ALPN chose it, HTTP/2; then until the peer closes."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        tls = writer.get_extra_info("ssl_object")
        if tls is not None and tls.selected_alpn_protocol() == "h2":
            await _http2(reader, writer)
        else:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(_RESPONSE)
    with contextlib.suppress(OSError):
        writer.close()


async def _http2(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    connection.initiate_connection()
    while True:
        if data := connection.data_to_send():
            writer.write(data)
        if not (received := await reader.read(65536)):
            return
        for event in connection.receive_data(received):
            if isinstance(event, h2.events.RequestReceived):
                stream = event.stream_id or 1
                connection.send_headers(stream, [(":status", "200"), ("content-length", "3")])
                connection.send_data(stream, b"ok\n", end_stream=True)


class _Names(asyncio.DatagramProtocol):
    """The same address for every name."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to answer."""
        self._transport: asyncio.DatagramTransport = transport  # type: ignore[assignment]  # a datagram protocol has one

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one question."""
        reply = dns.message.make_response(dns.message.from_wire(data), recursion_available=True)
        reply.answer.append(dns.rrset.from_text(reply.question[0].name, 60, "IN", "A", ADDRESS))
        self._transport.sendto(reply.to_wire(), addr)


def _grpc() -> int:
    server = grpc.server(ThreadPoolExecutor(2))
    servicer = health.HealthServicer()
    servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port: int = server.add_insecure_port(f"{ADDRESS}:0")
    server.start()
    _kept.append(server)
    return port


_kept: list[grpc.Server] = []


async def _serve(told: Connection, files: Path) -> None:
    certificates = CertificateFiles(files)
    context = make_context(certificates, [NAME])
    plain = await asyncio.start_server(_http, ADDRESS, 0, backlog=1024)
    secure = await asyncio.start_server(_http, ADDRESS, 0, ssl=context, backlog=1024)
    names, _ = await asyncio.get_running_loop().create_datagram_endpoint(_Names, (ADDRESS, 0))
    listener = socket.create_server((ADDRESS, 0), backlog=1024)
    threading.Thread(target=accept_and_close, args=([listener],), daemon=True).start()
    ports = {
        "tcp": listener.getsockname()[1],
        "http": plain.sockets[0].getsockname()[1],
        "https": secure.sockets[0].getsockname()[1],
        "dns": names.get_extra_info("sockname")[1],
        "grpc": _grpc(),
    }
    told.send((ports, certificates.ca_file))
    await asyncio.Event().wait()


def _main(told: Connection, files: Path, core: int) -> None:
    pin(core)
    asyncio.run(_serve(told, files))


@contextlib.contextmanager
def serve(files: Path, core: int) -> Iterator[Targets]:
    """The servers, on `core`, for as long as the context lasts; `files` is a directory for their certificates."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_main, args=(theirs, files, core), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Targets(*ours.recv())
    finally:
        process.kill()
        process.join()
        ours.close()
