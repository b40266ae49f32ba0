"""DNS over HTTPS on the server's side (RFC 8484): HTTP/1.1 by hand and HTTP/2 with h2, one request a connection."""

from __future__ import annotations

import asyncio
import contextlib
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded

from tests.support.nameserver import DnsServer

MEDIA_TYPE = "application/dns-message"


@dataclass
class Requests:
    """What was asked, and what is wrong with the answers: their status, their media type, their body."""

    status: int = 200
    media_type: str = MEDIA_TYPE
    body: bytes | None = None
    close_before_answer: bool = False
    seen: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list)
    """Method, target without the question, fields."""

    async def talk(self, server: DnsServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, by what ALPN chose."""
        chosen = writer.get_extra_info("ssl_object").selected_alpn_protocol()
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await (self._http2 if chosen == "h2" else self._http1)(server, reader, writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    def _answer(self, server: DnsServer, method: str, target: str, fields: Mapping[str, str], body: bytes) -> bytes:
        path, _, question = target.partition("?dns=")
        self.seen.append((method, path, fields))
        if method == "GET":
            body = urlsafe_b64decode(question + "=" * (-len(question) % 4))
        return self.body if self.body is not None else b"".join(server.replies(body, "https", 0))

    async def _http1(self, server: DnsServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, target, _ = head[0].split(" ")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(fields.get("content-length", 0)))
        answer = self._answer(server, method, target, fields, body)
        if not self.close_before_answer:
            lines = (
                f"HTTP/1.1 {self.status} x\r\nContent-Type: {self.media_type}\r\nContent-Length: {len(answer)}\r\n\r\n"
            )
            writer.write(lines.encode() + answer)
            await writer.drain()

    async def _http2(self, server: DnsServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        connection.initiate_connection()
        fields: dict[str, str] = {}
        body = b""
        while data := await reader.read(65536):
            for event in connection.receive_data(data):
                if isinstance(event, RequestReceived):
                    fields = dict(event.headers)  # type: ignore[arg-type]  # text, as header_encoding says
                elif isinstance(event, DataReceived):
                    body += event.data
                elif isinstance(event, StreamEnded):
                    answer = self._answer(server, fields[":method"], fields[":path"], fields, body)
                    if self.close_before_answer:
                        return
                    connection.send_headers(
                        1,
                        [
                            (":status", str(self.status)),
                            ("content-type", self.media_type),
                            ("content-length", str(len(answer))),
                        ],
                    )
                    connection.send_data(1, answer, end_stream=True)
            writer.write(connection.data_to_send())
            await writer.drain()
