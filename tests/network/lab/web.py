"""The web application of a Pod: in the clear, and behind TLS of its own, with HTTP/2."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

from prober.lab.certificates import CertificateFiles
from prober.lab.connection import Connection, TlsConnection
from prober.lab.http import Reply, Request, Response, text
from prober.lab.http1 import serve_http1
from prober.lab.http2 import serve_http2
from prober.lab.ingress import over_http2
from prober.lab.switches import Switches
from prober.lab.web import WebApi
from tests.network.lab.tls import ASKED, Front

_SLOW_CHUNKS = 8
_BETWEEN = 0.05  # seconds between two of them


async def _slowly() -> AsyncIterator[bytes]:
    """A body that takes its time, and ends."""
    for _ in range(_SLOW_CHUNKS):
        await asyncio.sleep(_BETWEEN)
        yield b"ok\n"


#: Faults of a whole answer → the answer.
ANSWERS: Mapping[str, Response] = {
    "http-404": text(404, "no such page\n"),
    "http-429": text(429, "too many requests\n", retry_after="1"),
    "http-500": text(500, "internal error\n"),
    "http-redirect": Response(302, b"", {"location": "https://login.example.com/"}),
    "http-empty": Response(200, b"", {"content-type": "text/plain"}),
}
MORE = (*ANSWERS, "http-slow-body", "http-silent")


class Web:
    """`serve` in the clear, `serve_tls` for the names that its certificate is for."""

    def __init__(self, switches: Switches, certificates: CertificateFiles, names: Sequence[str]) -> None:
        self._switches = switches
        self._app = WebApi(switches)
        self._front = Front(switches, certificates, names, self._speak, self.serve)

    async def serve(self, connection: Connection) -> None:
        """Serve one connection in the clear."""
        await self._app.serve(connection)

    async def serve_tls(self, connection: Connection) -> None:
        """Serve one connection over TLS."""
        await self._front.serve(connection)

    async def _speak(self, connection: TlsConnection) -> None:
        if self._switches.on("http-silent"):  # not even SETTINGS
            await connection.drain()
        elif connection.alpn == "h2":
            await serve_http2(connection, over_http2(self._switches, self._answer))
        else:
            await serve_http1(connection, self._answer)

    async def _answer(self, request: Request) -> Reply:
        """The application's answer, or that of whoever answers in its place."""
        if (on := self._switches.first(*ANSWERS)) is not None:
            return ANSWERS[on]
        if self._switches.on(ASKED):
            return text(400, "No required SSL certificate was sent\n", server="nginx")
        if self._switches.on("http-slow-body"):
            return Response(200, _slowly(), {"content-type": "text/plain"})
        return await self._app.answer(request)
