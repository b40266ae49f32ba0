"""HTTP/1.1 (RFC 9112) with h11: one request, one response, then the connection is done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import h11

from prober.reasons import Reason
from prober.wire.http.errors import HttpBroken, not_http
from prober.wire.http.guard import MAX_HEAD, Guard
from prober.wire.http.record import Call

_BEGINNING = b"HTTP/"
#: Pieces of body before other tasks get their turn: one read can hold thousands of chunks.
_TURN = 256


class Http1:
    """One exchange over `guard`: `send`, then `head`, then `body` to its end."""

    __slots__ = ("_connection", "_ended", "_guard")

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        self._ended = False

    async def send(self, call: Call) -> None:
        """Write the whole request."""
        connection, guard = self._connection, self._guard
        request = h11.Request(method=call.method, target=call.target, headers=call.fields)
        data = connection.send(request) or b""
        if call.body:
            data += connection.send(h11.Data(data=call.body)) or b""
        data += connection.send(h11.EndOfMessage()) or b""
        guard.begin()
        await guard.send(data)
        guard.sent()

    async def head(self) -> None:
        """Read up to the end of the final response's head. Raises HttpBroken."""
        guard = self._guard
        while True:
            event = await self._next()
            if isinstance(event, h11.InformationalResponse) and event.status_code != 101:
                guard.informational(event.status_code)
            elif isinstance(event, h11.Response | h11.InformationalResponse):
                guard.head(event.status_code, event.http_version.decode("ascii"), list(event.headers))
                return
            else:
                raise guard.closed()

    async def body(self) -> AsyncIterator[bytes]:
        """The body piece by piece, chunked coding undone. Raises HttpBroken."""
        guard, pieces = self._guard, 0
        while True:
            event = await self._next()
            if not isinstance(event, h11.Data):  # EndOfMessage; PAUSED after a switch of protocols
                guard.record.rest = self._connection.trailing_data[0] if event is h11.PAUSED else b""
                guard.end()
                return
            piece = bytes(event.data)
            guard.body(piece)
            yield piece
            pieces += 1
            if pieces % _TURN == 0:
                await asyncio.sleep(0)

    async def _next(self) -> h11.Event | type[h11.PAUSED]:
        connection, guard = self._connection, self._guard
        while True:
            try:
                event = connection.next_event()
            except h11.RemoteProtocolError as error:
                if self._ended:
                    raise guard.closed() from error
                # the text behind the colon is the peer's
                raise HttpBroken(Reason.PROTOCOL, str(error).partition(":")[0]) from error
            if not isinstance(event, type) or event is h11.PAUSED:  # not NEED_DATA
                return event
            data = await guard.receive()
            if data:
                guard.began()
            if guard.record.status is None:
                self._check_beginning()
            self._ended = not data
            connection.receive_data(data)

    def _check_beginning(self) -> None:
        """Give up on a peer of another protocol at once: it may never send the empty line that h11 waits for."""
        first = self._guard.first
        if not first.startswith(_BEGINNING[: len(first)]):
            raise not_http("HTTP/1.1", first)
