"""The gRPC service with more ways to fail than the demo's: statuses, and what proxies answer in its place."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping

from prober.lab.connection import Speaker
from prober.lab.grpc import Payments
from prober.lab.http import Reply, Request, Response
from prober.lab.http2 import serve_http2
from prober.lab.switches import Switches

#: Seconds from the connection until a slow server looks at a call: above the budget even where the call comes late.
SLOW = 0.6
_GRPC = "application/grpc"


def _ended(status: int, message: str) -> Response:
    """A response of trailers alone (gRPC over HTTP/2, "Trailers-Only")."""
    return Response(200, b"", {"content-type": _GRPC, "grpc-status": str(status), "grpc-message": message})


async def _never() -> AsyncIterator[bytes]:
    """Headers have been sent, and no message comes."""
    await asyncio.Event().wait()
    yield b""  # pragma: no cover - the client leaves


#: Faults of a whole answer → the answer.
ANSWERS: Mapping[str, Response] = {
    "grpc-internal": _ended(13, "panic"),
    "grpc-exhausted": _ended(8, "too many requests"),
    "grpc-unknown": _ended(2, "no reason"),
    "grpc-cancelled": _ended(1, "cancelled by the server"),
    "grpc-deadline": _ended(4, "upstream took too long"),
    "grpc-http-502": Response(502, b"<h1>502 Bad Gateway</h1>\n", {"content-type": "text/html"}),
    "grpc-http-403": Response(403, b"<h1>Forbidden</h1>\n", {"content-type": "text/html"}),
    "grpc-json": Response(200, b'{"status": "SERVING"}\n', {"content-type": "application/json"}),
}
MORE = (*ANSWERS, "grpc-slow", "grpc-half", "grpc-silent")


class FaultyPayments(Payments):
    """The service of one family."""

    def __init__(self, switches: Switches, context: ssl.SSLContext) -> None:
        super().__init__(switches, context)
        self._board = switches

    async def speak(self, client: Speaker) -> None:
        """See Payments."""
        if self._board.on("grpc-silent"):  # not even SETTINGS
            await client.drain()
        elif self._board.first(*ANSWERS, "grpc-half") is not None:
            await serve_http2(client, self._answer)
        else:
            if self._board.on("grpc-slow"):
                await asyncio.sleep(SLOW)
            await super().speak(client)

    async def _answer(self, _request: Request) -> Reply:
        on = self._board.first(*ANSWERS)
        return Response(200, _never(), {"content-type": _GRPC}) if on is None else ANSWERS[on]
