"""The HTTP/2 exchange that nearly every server has with a probe, without ceremony (RFC 9113 and 7541). Pure.

One request without a body goes out in literal fields; SETTINGS, WINDOW_UPDATE, one HEADERS frame and DATA come back.
With the first frame that is anything else h2 takes over: it is given all that came before, and judges.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from prober.wire.http.block import read_block
from prober.wire.http.frames import DATA, HEADERS, MAX_FRAME, SETTINGS, WINDOW_UPDATE, Frame
from prober.wire.http.plain import LENGTH, ODD, lower_name
from prober.wire.http.record import Fields

#: A SETTINGS frame that acknowledges the peer's (section 6.5.3).
ACKNOWLEDGED: Final = bytes([0, 0, 0, SETTINGS, 1, 0, 0, 0, 0])
#: Bytes of body after which the windows want looking after.
MAX_BODY: Final = 256 * 1024
_STREAM: Final = 1
_END_STREAM, _END_HEADERS, _ACK = 0x1, 0x4, 0x1
_MAX_WINDOW: Final = 2**31 - 1
_INITIAL_WINDOW_SIZE: Final = 4
#: Setting → the values that change nothing for us (section 6.5.2).
_SETTINGS: Final = {
    1: range(2**32),  # HEADER_TABLE_SIZE: we index nothing
    2: range(1),  # ENABLE_PUSH: a server may only say 0
    3: range(2**32),  # MAX_CONCURRENT_STREAMS: ours is open already
    _INITIAL_WINDOW_SIZE: range(_MAX_WINDOW + 1),
    5: range(MAX_FRAME, 2**24),
    6: range(2**32),
    8: range(2),  # ENABLE_CONNECT_PROTOCOL, RFC 8441
}
#: Fields that belong to an HTTP/1.1 connection (section 8.2.2): h2 refuses them.
_OF_CONNECTION: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade"}
)
#: RFC 7541 appendix A.
_STATIC: Final = {
    (b":method", b"GET"): b"\x82", (b":method", b"POST"): b"\x83", (b":path", b"/"): b"\x84",
    (b":scheme", b"http"): b"\x86", (b":scheme", b"https"): b"\x87",
}  # fmt: skip
#: Fields that no one on the way may index (RFC 7541 section 7.1.3).
_NEVER_INDEXED: Final = frozenset({b"authorization", b"cookie", b"proxy-authorization"})


def headers_frame(fields: Fields) -> bytes | None:
    """The HEADERS frame of a request that has no body; None if it would take more than one frame."""
    block = b"".join([_STATIC.get(field) or _literal(*field) for field in fields])
    if len(block) > MAX_FRAME:
        return None
    return len(block).to_bytes(3) + bytes([HEADERS, _END_HEADERS | _END_STREAM, 0, 0, 0, _STREAM]) + block


def _literal(name: bytes, value: bytes) -> bytes:
    """RFC 7541 sections 6.2.2 and 6.2.3, without Huffman."""
    return (b"\x10" if name in _NEVER_INDEXED else b"\0") + _string(name) + _string(value)


def _string(data: bytes) -> bytes:
    """RFC 7541 section 5.2."""
    rest = len(data) - 127
    if rest < 0:
        return bytes([len(data)]) + data
    number = bytearray([127])
    while rest >= 128:
        number.append(rest % 128 + 128)
        rest //= 128
    number.append(rest)
    return bytes(number) + data


class Plain2:
    """What came back so far, as long as it is plain."""

    __slots__ = ("_initial", "_length", "_windows", "ended", "fields", "owed", "seen", "size", "status")

    def __init__(self) -> None:
        self._length: int | None = None
        self._initial = 65535
        self._windows = {0: self._initial, _STREAM: self._initial}
        self.seen: list[Frame] = []
        """The frames taken."""
        self.owed = 0
        """SETTINGS that are not yet acknowledged."""
        self.status = 0
        self.fields: Fields = []
        self.size = 0
        """Bytes of body."""
        self.ended = False

    def take(self, frame: Frame) -> bool:
        """Whether `frame` is a plain one, and taken; if not h2 has to take it."""
        kind, flags = frame.kind, frame.raw[4]
        if kind == DATA:
            taken = frame.stream == _STREAM and self._take_data(frame, flags)
        elif kind == HEADERS:
            taken = frame.stream == _STREAM and self._take_headers(frame, flags)
        elif kind == SETTINGS:
            taken = frame.stream == 0 and self._take_settings(frame.payload, flags)
        else:
            taken = kind == WINDOW_UPDATE and self._take_window(frame)
        if taken:
            self.seen.append(frame)
        return taken

    def _take_data(self, frame: Frame, flags: int) -> bool:
        size = self.size + len(frame.raw) - 9
        ends = flags == _END_STREAM
        if not self.status or (flags and not ends) or size > (MAX_BODY if self._length is None else self._length):
            return False
        if size > MAX_BODY or (ends and self._length not in (None, size)):
            return False
        self.size, self.ended = size, ends
        return True

    def _take_headers(self, frame: Frame, flags: int) -> bool:
        if self.status or flags | _END_STREAM != _END_HEADERS | _END_STREAM:
            return False
        block = read_block(frame.payload)
        if not block:
            return False
        (name, status), *fields = block
        if name != b":status" or len(status) != 3 or not status.isdigit() or not b"200" <= status <= b"599":
            return False
        length = _length_of(fields)
        if length is None or (flags & _END_STREAM and length > 0):
            return False
        self.status, self.fields, self.ended = int(status), fields, bool(flags & _END_STREAM)
        self._length = length if length >= 0 else None
        return True

    def _take_settings(self, payload: bytes, flags: int) -> bool:
        if flags == _ACK:
            return not payload
        if flags or len(payload) % 6:
            return False
        for at in range(0, len(payload), 6):
            number, value = int.from_bytes(payload[at : at + 2]), int.from_bytes(payload[at + 2 : at + 6])
            if value not in _SETTINGS.get(number, ()):
                return False
            if number == _INITIAL_WINDOW_SIZE:  # it moves the windows of streams that are open (section 6.9.2)
                self._windows[_STREAM] += value - self._initial
                self._initial = value
                if self._windows[_STREAM] > _MAX_WINDOW:
                    return False
        self.owed += 1
        return True

    def _take_window(self, frame: Frame) -> bool:
        window = self._windows.get(frame.stream, _MAX_WINDOW) + int.from_bytes(frame.payload)
        if len(frame.raw) != 13 or not any(frame.payload) or window > _MAX_WINDOW:
            return False
        self._windows[frame.stream] = window
        return True


def _length_of(fields: Sequence[tuple[bytes, bytes]]) -> int | None:
    """The Content-Length of plain fields, -1 if they have none; None if one of them is not plain."""
    length = -1
    for name, value in fields:
        if lower_name(name) != name or name in _OF_CONNECTION or ODD.search(value) or value != value.strip(b" \t"):
            return None
        if name == b"content-length":
            if length >= 0 or not LENGTH.fullmatch(value):
                return None
            length = int(value)
    return length
