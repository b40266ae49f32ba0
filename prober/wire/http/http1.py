"""HTTP/1.1 (RFC 9112): one request, one response, then the connection is done. What is not plain, h11 reads."""

from __future__ import annotations

import asyncio
import re
from typing import Final

import h11

from prober.reasons import Reason
from prober.wire.http.errors import HttpBroken, not_http
from prober.wire.http.guard import MAX_HEAD, Guard
from prober.wire.http.plain import read_plain
from prober.wire.http.record import Call

_BEGINNING: Final = b"HTTP/"
#: Pieces of body before other tasks get their turn: one read can hold thousands of chunks.
_TURN: Final = 256
#: A request line with its fields: nothing in it may end a line of its own (RFC 9112 sections 3 and 5, RFC 9110 5.5).
_HEAD: Final = re.compile(
    rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-~]+ HTTP/1\.1\r\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+: [^\0\r\n]*\r\n)+\r\n"
)


class Http1:
    """One exchange over `guard`: `send`, then `head`, then `piece` to the end of the body."""

    __slots__ = ("_connection", "_data", "_ended", "_guard", "_left", "_pieces")

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._connection: h11.Connection | None = None
        self._data = b""
        """Of a plain response: body that came with its head."""
        self._left = 0
        """Of a plain response: bytes of body that are still to come, those in `_data` included."""
        self._pieces = 0
        self._ended = False

    async def send(self, call: Call) -> None:
        """Write the whole request. ValueError for one that would not be one request."""
        guard = self._guard
        head = b"".join(
            [
                f"{call.method} {call.target} HTTP/1.1\r\n".encode("ascii"),
                *[b"%b: %b\r\n" % pair for pair in call.fields],
                b"\r\n",
            ]
        )
        if head.count(b"\r\n") != len(call.fields) + 2 or _HEAD.fullmatch(head) is None:
            raise ValueError("method, target or a field holds what cannot be sent")
        guard.begin()
        await guard.send(head + call.body if call.body else head)
        guard.sent()

    async def head(self, call: Call) -> None:
        """Read up to the end of the head of the final response to `call`. Raises HttpBroken."""
        guard = self._guard
        data = await self._receive()
        plain = None if call.method == "HEAD" else read_plain(data)
        if plain is not None:
            guard.head(plain.status, plain.version, plain.fields)
            self._data, self._left = data[plain.body :], plain.length
            return
        self._connection = connection = _begun(call)
        connection.receive_data(data)
        while True:
            event = await self._next(connection)
            if isinstance(event, h11.InformationalResponse) and event.status_code != 101:
                guard.informational(event.status_code)
            elif isinstance(event, h11.Response | h11.InformationalResponse):
                guard.head(event.status_code, event.http_version.decode("ascii"), list(event.headers))
                return
            else:
                raise guard.closed()

    async def piece(self) -> bytes:
        """The next piece of the body, chunked coding undone; `b""` once it is complete. Raises HttpBroken."""
        guard, connection = self._guard, self._connection
        if connection is None:
            return await self._plain_piece()
        while True:
            event = await self._next(connection)
            if not isinstance(event, h11.Data):  # EndOfMessage; PAUSED after a switch of protocols
                guard.record.rest = connection.trailing_data[0] if event is h11.PAUSED else b""
                guard.end()
                return b""
            self._pieces += 1
            if self._pieces % _TURN == 0:
                await asyncio.sleep(0)
            if piece := bytes(event.data):
                guard.body(piece)
                return piece

    async def _plain_piece(self) -> bytes:
        """The same for a body whose length was announced."""
        guard = self._guard
        if not self._left:
            guard.end()
            return b""
        piece = (self._data or await self._receive())[: self._left]
        if not piece:
            raise guard.closed()
        self._data, self._left = b"", self._left - len(piece)
        guard.body(piece)
        return piece

    async def _next(self, connection: h11.Connection) -> h11.Event | type[h11.PAUSED]:
        while True:
            try:
                event = connection.next_event()
            except h11.RemoteProtocolError as error:
                if self._ended:
                    raise self._guard.closed() from error
                # the text behind the colon is the peer's
                raise HttpBroken(Reason.PROTOCOL, str(error).partition(":")[0]) from error
            if not isinstance(event, type) or event is h11.PAUSED:  # not NEED_DATA
                return event
            connection.receive_data(await self._receive())

    async def _receive(self) -> bytes:
        """The next bytes. Gives up on a peer of another protocol at once: it may never send the empty line that ends a
        head."""
        guard = self._guard
        data = await guard.receive()
        if guard.record.status is None:
            if data:
                guard.began()
            if not guard.first.startswith(_BEGINNING[: len(guard.first)]):
                raise not_http("HTTP/1.1", guard.first)
        self._ended = not data
        return data


def _begun(call: Call) -> h11.Connection:
    """h11's side of a connection on which `call` was sent."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
    connection.send(h11.Request(method=call.method, target=call.target, headers=call.fields))
    if call.body:
        connection.send(h11.Data(data=call.body))
    connection.send(h11.EndOfMessage())
    return connection
