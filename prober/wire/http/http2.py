"""HTTP/2 (RFC 9113): one connection, one stream, one request. What is not plain, h2 speaks."""

from __future__ import annotations

from collections import deque
from functools import cache
from typing import Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, InformationalResponseReceived, ResponseReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from prober.reasons import Reason
from prober.wire.http.errors import HttpBroken
from prober.wire.http.frames import DATA, GOAWAY, SETTINGS, Frame, Frames, code_name
from prober.wire.http.guard import MAX_HEAD, Guard
from prober.wire.http.plain2 import ACKNOWLEDGED, Plain2, headers_frame
from prober.wire.http.record import Call, Fields

#: Flow control windows, bytes: a megabyte in flight does not wait for us on a long path.
WINDOW: Final = 1024 * 1024
_INITIAL_WINDOW: Final = 65535
_STREAM: Final = 1
#: Fields that belong to an HTTP/1.1 connection (RFC 9113 section 8.2.2).
_OF_CONNECTION: Final = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"})
_CONFIG: Final = H2Configuration(
    client_side=True,
    header_encoding=None,
    validate_outbound_headers=False,  # the layer has checked every field; pseudo-header fields are ours
    normalize_outbound_headers=False,  # names come in lower case
)
_SETTINGS: Final = {
    SettingCodes.ENABLE_PUSH: 0,
    SettingCodes.INITIAL_WINDOW_SIZE: WINDOW,
    SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEAD,
}


class Http2:
    """One exchange over `guard`: `send`, then `head`, then `piece` to the end of the body."""

    __slots__ = ("_connection", "_ended", "_fields", "_frames", "_goaway", "_guard", "_pieces", "_plain")

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._fields: Fields = []
        self._plain: Plain2 | None = None
        self._connection: H2Connection | None = None
        """None as long as the exchange is plain."""
        self._frames = Frames()
        self._pieces: deque[bytes] = deque()
        self._ended = False
        self._goaway: HttpBroken | None = None

    async def send(self, call: Call) -> None:
        """Write preface and request; a body waits for the peer's windows. Raises HttpBroken."""
        guard = self._guard
        self._fields = _fields(call)
        frame = None if call.body else headers_frame(self._fields)
        if frame is not None:
            self._plain = Plain2()
            guard.begin()
            await guard.send(_opening() + frame)
        else:
            self._connection = connection = _opened()
            connection.send_headers(_STREAM, self._fields, end_stream=not call.body)
            guard.begin()
            await self._flush()
            await self._send_body(connection, call.body)
        guard.sent()

    async def _send_body(self, connection: H2Connection, rest: bytes) -> None:
        while rest and not self._ended and self._guard.sending:
            room = min(connection.local_flow_control_window(_STREAM), connection.max_outbound_frame_size)
            if room <= 0:
                await self._pump()
                continue
            connection.send_data(_STREAM, rest[:room], end_stream=room >= len(rest))
            rest = rest[room:]
            await self._flush()

    async def head(self, _call: Call) -> None:
        """Read up to the final response's header section. Raises HttpBroken."""
        while self._guard.record.status is None:
            if self._ended:
                raise HttpBroken(Reason.PROTOCOL, "stream ended without a response")
            await self._pump()

    async def piece(self) -> bytes:
        """The next piece of the body, windows given back as it comes; `b""` once it is complete. Raises HttpBroken."""
        while True:
            while self._pieces:
                if piece := self._pieces.popleft():
                    self._guard.body(piece)
                    return piece
            if self._ended:
                self._guard.end()
                return b""
            await self._pump()

    async def _flush(self) -> None:
        if self._plain is not None:
            data, self._plain.owed = ACKNOWLEDGED * self._plain.owed, 0
        else:
            data = b"" if self._connection is None else self._connection.data_to_send()
        if data:
            await self._guard.send(data)

    async def _pump(self) -> None:
        """Take in one read."""
        data = await self._guard.receive()
        if not data:
            raise self._goaway or self._guard.closed()
        for frame in self._frames.split(data):
            if self._plain is not None and not self._take_plain(self._plain, frame):
                await self._flush()
                self._connection, self._plain = self._replayed(self._plain), None
            if self._connection is not None:
                self._take(self._connection, frame)
            if self._ended:
                return  # what follows is no longer ours
        await self._flush()

    def _take_plain(self, plain: Plain2, frame: Frame) -> bool:
        headless = not plain.status
        if not plain.take(frame):
            return False
        if headless and plain.status:
            self._guard.began()
            self._guard.head(plain.status, "2", plain.fields)
        elif frame.kind == DATA:
            self._pieces.append(frame.payload)
        self._ended = plain.ended
        return True

    def _replayed(self, plain: Plain2) -> H2Connection:
        """h2's side of a connection on which everything so far took place. What it says to that was said already, but
        for the windows that it gives back."""
        connection = _opened()
        connection.send_headers(_STREAM, self._fields, end_stream=True)
        connection.clear_outbound_data_buffer()
        for frame in plain.seen:
            connection.receive_data(frame.raw)
            if frame.kind == SETTINGS:
                connection.clear_outbound_data_buffer()
            elif frame.kind == DATA and len(frame.raw) > 9:
                connection.acknowledge_received_data(len(frame.raw) - 9, _STREAM)
        return connection

    def _take(self, connection: H2Connection, frame: Frame) -> None:
        if frame.kind == GOAWAY and frame.stream == 0 and len(frame.payload) >= 8:
            self._take_goaway(frame.payload)
            return
        try:
            for event in connection.receive_data(frame.raw):
                self._take_event(connection, event)
        except ProtocolError as error:
            said = str(error).partition(" from <memory")[0]  # hpack names the place in memory that it read
            raise HttpBroken(Reason.PROTOCOL, said or type(error).__name__) from error

    def _take_goaway(self, payload: bytes) -> None:
        """Streams up to the last id may still finish (RFC 9113 section 6.8); ours is refused if it lies above."""
        last, code = int.from_bytes(payload[:4]) & 0x7FFFFFFF, int.from_bytes(payload[4:8])
        debug = payload[8:108].decode("ascii", "replace")
        detail = f"GOAWAY {code_name(code)}"
        self._goaway = HttpBroken(
            Reason.GOAWAY, detail, {"error_code": code_name(code), "last_stream_id": last, "debug_data": debug}
        )
        if last < _STREAM:
            raise self._goaway

    def _take_event(self, connection: H2Connection, event: Event) -> None:
        guard = self._guard
        if isinstance(event, DataReceived):
            self._pieces.append(event.data)
            if event.flow_controlled_length:
                connection.acknowledge_received_data(event.flow_controlled_length, _STREAM)
        elif isinstance(event, StreamEnded):
            self._ended = True
        elif isinstance(event, ResponseReceived):
            guard.began()
            status, fields = _response(event.headers or [])
            guard.head(status, "2", fields)
        elif isinstance(event, InformationalResponseReceived):
            guard.began()
            guard.informational(_response(event.headers or [])[0])
        elif isinstance(event, StreamReset) and not self._ended:
            name = code_name(int(event.error_code or 0))
            raise HttpBroken(Reason.STREAM_RESET, f"RST_STREAM {name}", {"error_code": name})


def _opened() -> H2Connection:
    """A connection whose preface is written."""
    connection = H2Connection(_CONFIG)
    connection.local_settings = Settings(client=True, initial_values=_SETTINGS)
    connection.initiate_connection()
    connection.increment_flow_control_window(WINDOW - _INITIAL_WINDOW)
    return connection


@cache
def _opening() -> bytes:
    """The bytes of the preface, which are the same each time."""
    return _opened().data_to_send()


def _fields(call: Call) -> Fields:
    """The request's header section: pseudo-header fields first (RFC 9113 section 8.3)."""
    authority = call.authority.encode("utf-8")
    rest = []
    for name, value in call.fields:
        if name == b"host":
            authority = value
        elif name not in _OF_CONNECTION:
            rest.append((name, value))
    return [
        (b":method", call.method.encode("ascii")),
        (b":scheme", call.scheme.encode("ascii")),
        (b":authority", authority),
        (b":path", call.target.encode("ascii")),
        *rest,
    ]


def _response(headers: list[tuple[bytes, bytes]]) -> tuple[int, list[tuple[bytes, bytes]]]:
    """Status and fields of a header section; h2 has checked that `:status` is there."""
    status = next((value for name, value in headers if name == b":status"), b"")
    if not (len(status) == 3 and status.isdigit()):
        raise HttpBroken(Reason.PROTOCOL, ":status is no number of three digits")
    return int(status), [(name, value) for name, value in headers if not name.startswith(b":")]
