"""HTTP servers on loopback whose every byte a test decides: raw scripts, and HTTP/2 spoken with h2."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RequestReceived, StreamEnded

from prober.engine.climb import climb
from prober.layers.base import Kit
from prober.model import Cell, Run
from prober.reasons import Family
from prober.wire.http import Record
from tests.support.cells import LOOPBACK


@dataclass(eq=False)
class Peer:
    """One accepted connection, and what was received on it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    head: bytes = b""

    async def read_head(self) -> bytes:
        """The request up to its empty line; also kept as `head`."""
        self.head = await self.reader.readuntil(b"\r\n\r\n")
        return self.head

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def flood(self, data: bytes) -> None:
        """Send `data` until the peer goes away."""
        while True:
            await self.send(data)

    def reset(self) -> None:
        """End the connection with a RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Handler = Callable[[Peer], Awaitable[None]]


class Server:
    """An async context: accepts connections and hands each to `handler`, then closes it."""

    def __init__(self, handler: Handler, family: Family = Family.IPV4, tls: ssl.SSLContext | None = None) -> None:
        self.handler = handler
        self.peers: list[Peer] = []
        self.port = 0
        self.address = LOOPBACK[family]
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken: list[Exception] = []

    async def __aenter__(self) -> Server:
        self._server = await asyncio.start_server(self._accept, self.address, self.port, ssl=self._tls, limit=2**20)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for peer in self.peers:
            peer.writer.transport.abort()  # TLS may still wait for the other side's close_notify
        await asyncio.sleep(0)
        if self._broken and error is None:
            raise self._broken[0]

    @property
    def heads(self) -> list[bytes]:
        """The request heads received, in order."""
        return [peer.head for peer in self.peers]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        self.peers.append(peer)
        task = asyncio.get_running_loop().create_task(self._serve(peer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, peer: Peer) -> None:
        try:
            await self.handler(peer)
        except (OSError, asyncio.IncompleteReadError):
            return  # the client has gone
        except Exception as error:  # noqa: BLE001 - a broken handler fails its test when the server ends
            self._broken.append(error)
        finally:
            peer.writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await peer.writer.wait_closed()


def says(*pieces: bytes) -> Handler:
    """Read the request's head, answer with `pieces`, close."""

    async def handler(peer: Peer) -> None:
        await peer.read_head()
        for piece in pieces:
            await peer.send(piece)

    return handler


def response(status: str = "200 OK", body: bytes = b"ok", *fields: str) -> bytes:
    """An HTTP/1.1 response with a Content-Length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass
class Http2Peer:
    """The server's side of an HTTP/2 connection, for one request on stream 1."""

    peer: Peer
    connection: H2Connection = field(
        default_factory=lambda: H2Connection(
            H2Configuration(client_side=False, header_encoding="utf-8", validate_outbound_headers=False)
        )
    )
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    async def flush(self) -> None:
        await self.peer.send(self.connection.data_to_send())

    async def start(self) -> None:
        self.connection.initiate_connection()
        await self.flush()

    async def events(self) -> AsyncIterator[Event]:
        """What the client sends, until it goes away."""
        while data := await self.peer.reader.read(65536):
            for event in self.connection.receive_data(data):
                yield event
            await self.flush()

    async def request(self) -> None:
        """Read the whole request."""
        async for event in self.events():
            if isinstance(event, RequestReceived):
                self.headers = {str(name): str(value) for name, value in event.headers or []}
            elif isinstance(event, DataReceived):
                self.body += event.data or b""
                self.connection.acknowledge_received_data(event.flow_controlled_length or 0, 1)
            elif isinstance(event, StreamEnded):
                return

    async def respond(self, status: int = 200, body: bytes = b"ok", **fields: str) -> None:
        """Send a response, windows kept to, and wait for the client to go: closing with unread frames would reset."""
        names = [(name.replace("_", "-"), value) for name, value in fields.items()]
        self.connection.send_headers(1, [(":status", str(status)), *names], end_stream=not body)
        await self.flush()
        while body:
            room = min(self.connection.local_flow_control_window(1), self.connection.max_outbound_frame_size)
            if room:
                self.connection.send_data(1, body[:room], end_stream=room >= len(body))
                body = body[room:]
                await self.flush()
            else:
                await anext(self.events())
        await self.peer.reader.read()


def speaks_http2(handler: Callable[[Http2Peer], Awaitable[None]]) -> Handler:
    """A handler that has an HTTP/2 connection with the request already read."""

    async def serve(peer: Peer) -> None:
        side = Http2Peer(peer)
        await side.start()
        await side.request()
        await handler(side)

    return serve


@asynccontextmanager
async def serving(
    handler: Handler, family: Family = Family.IPV4, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    """A running `Server`."""
    async with Server(handler, family, tls) as server:
        yield server


def frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    """One HTTP/2 frame as bytes (RFC 9113 section 4.1)."""
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def told(record: Record) -> dict[str, Any]:
    """All that an exchange put down but its times, of which only that there are some."""
    return {
        "status": record.status, "version": record.version, "fields": record.fields, "body": bytes(record.body),
        "size": record.size, "informational": record.informational, "ended": record.ended is not None,
        "first": record.first is not None,
    }  # fmt: skip


async def climb_to(server: Server, cell: Cell) -> Run:
    """The one run of `cell` against `server`, with a kit of its own."""
    kit = Kit()
    try:
        (run,) = await climb(cell, kit, found=[(server.address, server.port)])
    finally:
        await kit.close()
    return run
