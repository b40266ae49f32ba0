"""httpx over a stream that is already open. The only module that imports httpx.

No pool, no retries, no redirects, no cookies, no environment: a request goes out once, on the stream that came
with it in `request.extensions`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Final

from prober.wire.http.guard import Guard
from prober.wire.http.http1 import Http1
from prober.wire.http.http2 import Http2
from prober.wire.http.record import Call, Record, Version
from prober.wire.stream import Stream

# Where click and rich are installed httpx imports its command line as well: 70 modules, 70 ms and 3 MB for nothing
sys.modules["httpx._main"] = None  # type: ignore[assignment]  # as import says that there is no such module
import httpx  # noqa: E402 - only after that

#: Keys of `request.extensions`.
STREAM: Final = "prober.stream"
VERSION: Final = "prober.version"
RECORD: Final = "prober.record"
WHOLE: Final = "prober.whole"

# It logs every header field at DEBUG, and there may be secrets in them
logging.getLogger("hpack").setLevel(logging.WARNING)


class StreamTransport(httpx.AsyncBaseTransport):
    """Speaks HTTP/1.1 or HTTP/2 on the request's own stream. Raises HttpBroken, never httpx's errors."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request and read the response's head; the body is read as it is asked for."""
        record: Record = request.extensions[RECORD]
        guard = Guard(request.extensions[STREAM], record)
        speaker = Http2(guard) if request.extensions[VERSION] == "2" else Http1(guard)
        url, stream = request.url, request.stream
        body = stream.content if isinstance(stream, _Content) else b""
        call = Call(request.method, url.scheme, url.netloc.decode("ascii"), url.raw_path.decode("ascii"),
                    request.headers.raw, body)  # fmt: skip
        await speaker.send(call)
        await speaker.head(call)
        if not request.extensions[WHOLE]:
            return httpx.Response(record.status or 0, stream=_Body(speaker))  # its fields stand in the record
        while piece := await speaker.piece():
            record.body += piece
        return httpx.Response(record.status or 0, stream=_NOTHING)


class _Content(httpx.ByteStream):
    """The body of a request, known as a whole."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.content = content


_NOTHING: Final = httpx.ByteStream(b"")


class _Body(httpx.AsyncByteStream):
    """The body of a response, read from the connection piece by piece."""

    def __init__(self, speaker: Http1 | Http2) -> None:
        self._speaker = speaker

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await self._speaker.piece():
            yield piece


@lru_cache(maxsize=16384)
def _url(scheme: str, authority: str, target: str) -> httpx.URL:
    """Parsed once per cell: parsing costs more than sending."""
    return httpx.URL(f"{scheme}://{authority}{target}")


class HttpClient:
    """httpx's requests over our transport; a part of the kit: `kit.get(HttpClient)`.

    What `httpx.AsyncClient` puts before a transport (a pool, redirects, cookies, credentials, a log of URLs) is what a
    measuring client must not have, and was a third of an exchange's time.
    """

    def __init__(self) -> None:
        self._transport = StreamTransport()

    async def exchange(self, call: Call, stream: Stream, version: Version, record: Record) -> None:
        """One request and its whole response into `record`. Raises HttpBroken; ValueError for a URL that is none.

        `record` keeps what there was when the exchange breaks or is cancelled.
        """
        await self._send(call, stream, version, record, whole=True)

    @asynccontextmanager
    async def open(
        self, call: Call, stream: Stream, version: Version, record: Record
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """One request and the head of its response; gives the body's pieces as they come. Raises as `exchange`."""
        response = await self._send(call, stream, version, record, whole=False)
        try:
            yield response.stream.__aiter__()  # type: ignore[union-attr]  # ours is async
        finally:
            await response.aclose()

    async def _send(
        self, call: Call, stream: Stream, version: Version, record: Record, *, whole: bool
    ) -> httpx.Response:
        try:
            url = _url(call.scheme, call.authority, call.target)
        except httpx.InvalidURL as error:
            raise ValueError(f"not a URL: {error}") from error
        request = httpx.Request(
            call.method,
            url,
            headers=call.fields,
            stream=_Content(call.body) if call.body else _NOTHING,
            extensions={STREAM: stream, VERSION: version, RECORD: record, WHOLE: whole},
        )
        return await self._transport.handle_async_request(request)

    async def close(self) -> None:
        """Close the transport. It holds no connection."""
        await self._transport.aclose()
