"""HTTP/2 frames as they stand on the wire (RFC 9113 sections 4.1 and 6), one by one and counted. No I/O.

h2 gets them singly: it takes a GOAWAY for the end of everything, though streams up to its last id still finish;
and a flood has to end before it has been parsed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from h2.errors import ErrorCodes

from prober.reasons import Reason
from prober.wire.http.errors import HttpBroken, not_http

DATA, HEADERS, SETTINGS, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0x0, 0x1, 0x4, 0x7, 0x8, 0x9
_HEADER: Final = 9
#: SETTINGS_MAX_FRAME_SIZE at its initial value, which we leave.
MAX_FRAME: Final = 16384
#: Frames of one exchange that carry neither header section nor body.
MAX_CONTROL: Final = 128


class Frame(NamedTuple):
    """One whole frame. `raw` begins with its header."""

    kind: int
    stream: int
    raw: bytes

    @property
    def payload(self) -> bytes:
        """What stands behind the header."""
        return self.raw[_HEADER:]


class Frames:
    """Bytes in, whole frames out; of control frames no more than `limit`, None: any number."""

    __slots__ = ("_buffer", "_control", "_limit", "_started")

    def __init__(self, limit: int | None = MAX_CONTROL) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._control = 0
        self._started = False

    def split(self, data: bytes) -> Iterator[Frame]:
        """The frames that `data` completes. Raises HttpBroken for a peer that sends no frames, or too many."""
        buffer = self._buffer
        buffer += data
        if not self._started:
            self._check_preface()
        while len(buffer) >= _HEADER:
            length = int.from_bytes(buffer[:3])
            if length > MAX_FRAME:
                raise HttpBroken(Reason.PROTOCOL, f"frame of {length} bytes, {MAX_FRAME} allowed")
            if len(buffer) < _HEADER + length:
                return
            kind = buffer[3]
            if kind not in (DATA, HEADERS, CONTINUATION) or (kind == DATA and not length):
                self._control += 1
                if self._limit is not None and self._control > self._limit:
                    raise HttpBroken(Reason.PROTOCOL, f"more than {self._limit} control frames", {"last_type": kind})
            frame = Frame(kind, int.from_bytes(buffer[5:9]) & 0x7FFFFFFF, bytes(buffer[: _HEADER + length]))
            del buffer[: _HEADER + length]
            yield frame

    def _check_preface(self) -> None:
        """The server's connection preface is a SETTINGS frame (RFC 9113 section 3.4)."""
        buffer = self._buffer
        if buffer.startswith(b"HTTP/"):
            raise not_http("HTTP/2", bytes(buffer[:16]))
        if len(buffer) < _HEADER:
            return
        if buffer[3] != SETTINGS or any(buffer[5:9]):
            raise not_http("HTTP/2", bytes(buffer[:16]))
        self._started = True


def code_name(code: int) -> str:
    """The name of an error code (RFC 9113 section 7)."""
    try:
        return ErrorCodes(code).name
    except ValueError:
        return f"0x{code:x}"
