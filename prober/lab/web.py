"""The application web-api: HTTP/1.1, and HTTP/2 by prior knowledge, in the clear."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from prober.lab.connection import Connection
from prober.lab.http import App, Misbehaviour, Reply, Request, Response, text
from prober.lab.http1 import serve_http1
from prober.lab.http2 import PREFACE, serve_http2
from prober.lab.switches import Switches

SLOW = 0.4  # seconds: above the demo's budget, below its timeout
_DRIP = 0.05  # seconds between two bytes
_MISBEHAVIOURS = {
    "http-hang": Misbehaviour.HANG,
    "http-reset": Misbehaviour.RESET,
    "http-closed": Misbehaviour.CLOSE,
    "http-garbage": Misbehaviour.GARBAGE,
    "http-truncated": Misbehaviour.TRUNCATED,
}


async def serve_clear(connection: Connection, app: App) -> None:
    """Serve `app` in the clear, in the version that the first bytes speak (RFC 9113 section 3.3)."""
    if await connection.peek(len("PRI")) == PREFACE[: len("PRI")]:
        return await serve_http2(connection, app)
    return await serve_http1(connection, app)


class WebApi:
    """The application's pages: `/`, `/health`, `/readyz`; anything else is 404."""

    def __init__(self, switches: Switches) -> None:
        self._switches = switches

    async def serve(self, connection: Connection) -> None:
        """Serve one connection."""
        await serve_clear(connection, self.answer)

    async def answer(self, request: Request) -> Reply:
        """One reply, spoilt by the `http-…` faults of the application."""
        fault = self._switches.first(*_MISBEHAVIOURS)
        if fault is not None:
            return _MISBEHAVIOURS[fault]
        if self._switches.on("http-slow"):
            await asyncio.sleep(SLOW)
        return self._page(request)

    def _page(self, request: Request) -> Reply:
        if request.path not in ("/", "/health", "/readyz"):
            return text(404, "not found\n")
        if self._switches.on("http-503"):
            return text(503, "overloaded\n", retry_after="5")
        body = "nothing to see here\n" if self._switches.on("http-wrong-body") else "ok\n"
        kind = "text/html" if self._switches.on("http-wrong-header") else "text/plain; charset=utf-8"
        drip = self._switches.on("http-drip")
        return Response(200, _drip() if drip else body.encode(), {"content-type": kind, "server": "web-api"})


async def _drip() -> AsyncIterator[bytes]:
    while True:
        yield b"."
        await asyncio.sleep(_DRIP)
