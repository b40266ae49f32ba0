"""Long answers, made and sent in slices: a list of ten thousand cells must not hold up the probes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from prober.export.pace import Pace

#: Characters that are sent at once.
CHUNK = 64 * 1024


class Streamed(Response):
    """A response that is sent as it is made, and given up once the client has gone.

    Starlette's own wants anyio, whose import in the middle of the first scrape would hold the event loop for 40 ms.
    """

    def __init__(
        self, body: AsyncGenerator[bytes, None], headers: Mapping[str, str] | None = None, media_type: str | None = None
    ) -> None:
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        self._body = body
        self.init_headers(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it all; for HEAD the headers only."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        gone = asyncio.create_task(_gone(receive))
        try:
            async with aclosing(self._body) as body:
                if scope["method"] != "HEAD":
                    async for chunk in body:
                        if gone.done():
                            return
                        await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            gone.cancel()


async def _gone(receive: Receive) -> None:
    """Return when the client closes the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


def json_list(name: str, items: Iterable[object]) -> Response:
    """`{"name": [item, …]}`. `items` is drawn from as it is sent."""
    return Streamed(in_chunks(_json_list(name, items)), media_type="application/json")


def _json_list(name: str, items: Iterable[object]) -> Iterable[str]:
    yield f'{{"{name}":['
    separator = "\n"
    for item in items:
        yield separator + json.dumps(item, ensure_ascii=False, separators=(",", ":"))
        separator = ",\n"
    yield "\n]}\n"


async def in_chunks(pieces: Iterable[str]) -> AsyncGenerator[bytes, None]:
    """The pieces, joined to chunks that are worth sending; the event loop goes on in between."""
    pace = Pace()
    ready: list[str] = []
    size = 0
    for piece in pieces:
        ready.append(piece)
        size += len(piece)
        if size >= CHUNK:
            yield "".join(ready).encode()
            ready, size = [], 0
        if pace.due:
            await pace.rest()
    yield "".join(ready).encode()
