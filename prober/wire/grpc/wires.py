"""HTTP/2 as both sides of the bridge need it: the preface for the server, grpcio's frames, stream numbers. No I/O.

RFC 9113. grpcio numbers its streams on and on; on the connection of a climb they begin at 1.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

from prober.wire.http.frames import CONTINUATION, DATA, GOAWAY, HEADERS, MAX_FRAME, SETTINGS, Frame, Frames
from prober.wire.http.guard import MAX_HEAD

RST_STREAM, PUSH_PROMISE, PING, WINDOW_UPDATE = 0x3, 0x5, 0x6, 0x8
ACK = END_STREAM = 0x1
END_HEADERS = 0x4
#: Flow control windows for what the server sends: of each stream and of the connection, bytes.
WINDOW: Final = 1024 * 1024
_LARGEST_WINDOW: Final = 2**31 - 1
_INITIAL_WINDOW: Final = 65535
_MAGIC: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEAD = struct.Struct(">HBBBI")  # upper 16 bits of the length, its lower 8, type, flags, stream
_SETTING = struct.Struct(">HI")
_CARRIED: Final = frozenset({HEADERS, CONTINUATION, DATA, RST_STREAM})


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    """One frame as it stands on the wire."""
    return _HEAD.pack(len(payload) >> 8, len(payload) & 0xFF, kind, flags, stream) + payload


def settings(values: dict[int, int]) -> bytes:
    """A SETTINGS frame (RFC 9113 section 6.5)."""
    return frame(SETTINGS, payload=b"".join(_SETTING.pack(*pair) for pair in values.items()))


def window_update(stream: int, size: int) -> bytes:
    """A WINDOW_UPDATE frame of `size` bytes."""
    return frame(WINDOW_UPDATE, 0, stream, size.to_bytes(4))


#: SETTINGS_HEADER_TABLE_SIZE 0, _ENABLE_PUSH 0, _INITIAL_WINDOW_SIZE, _MAX_HEADER_LIST_SIZE; the connection's window.
PREFACE: Final = _MAGIC + settings({1: 0, 2: 0, 4: WINDOW, 6: MAX_HEAD}) + window_update(0, WINDOW - _INITIAL_WINDOW)
#: What we are to grpcio: a server without header compression, whose windows never close.
GREETING: Final = settings({1: 0, 4: _LARGEST_WINDOW}) + window_update(0, _LARGEST_WINDOW - _INITIAL_WINDOW)
#: Bytes that grpcio may still send before that window has to be opened again.
_LOW: Final = 2**30
SETTINGS_ACK: Final = frame(SETTINGS, ACK)


def header_frames(stream: int, fields: Iterable[tuple[bytes, bytes]], flags: int) -> tuple[bytes, bytes]:
    """A header section for a decoder without a table, and its block: every field literal (RFC 7541 section 6.2.2)."""
    block = b"\x20" + b"".join(b"\0" + _string(name) + _string(value) for name, value in fields)
    pieces = [block[at : at + MAX_FRAME] for at in range(0, len(block), MAX_FRAME)]
    frames = frame(HEADERS, flags | (END_HEADERS if len(pieces) == 1 else 0), stream, pieces[0])
    for position, piece in enumerate(pieces[1:], 2):
        frames += frame(CONTINUATION, END_HEADERS if position == len(pieces) else 0, stream, piece)
    return frames, block


def _string(text: bytes) -> bytes:
    """A string literal without Huffman's code (RFC 7541 sections 5.1 and 5.2)."""
    length = len(text)
    if length < 127:
        return bytes([length]) + text
    head, length = b"\x7f", length - 127
    while length >= 128:
        head, length = head + bytes([length & 127 | 128]), length >> 7
    return head + bytes([length]) + text


def renumbered(raw: bytes, stream: int) -> bytes:
    """The frame `raw` on another stream."""
    return raw[:5] + stream.to_bytes(4) + raw[9:]


class Client:
    """grpcio's side of its connection to us: its bytes in; what we answer, and what a climb has to carry, out."""

    __slots__ = ("_base", "_frames", "_greeted", "_highest", "_magic", "_sent")

    def __init__(self) -> None:
        self._frames = Frames(limit=None)
        self._magic = len(_MAGIC)
        self._greeted = False
        self._highest = 0
        self._base: int | None = None
        self._sent = 0

    def forget(self) -> None:
        """The streams so far are nobody's any more."""
        self._base = None

    def take(self, data: bytes) -> tuple[bytes, list[Frame]]:
        """Bytes to answer at once, and the frames of this climb's streams, still under grpcio's numbers."""
        reply = b""
        if self._magic:
            data, self._magic = data[self._magic :], max(0, self._magic - len(data))
        if not self._greeted:
            self._greeted, reply = True, GREETING
        carried = []
        for piece in self._frames.split(data):
            if piece.kind == SETTINGS and not piece.raw[4] & ACK:
                reply += SETTINGS_ACK
            elif piece.kind == PING and not piece.raw[4] & ACK:
                reply += frame(PING, ACK, 0, piece.payload)
            elif piece.kind in _CARRIED and self._is_current(piece):
                carried.append(piece)
            if piece.kind == DATA:
                self._sent += len(piece.payload)
        if self._sent > _LOW:
            reply += window_update(0, self._sent)
            self._sent = 0
        return reply, carried

    def _is_current(self, piece: Frame) -> bool:
        """Whether it belongs to a stream that was opened since `forget`."""
        if piece.kind == HEADERS and piece.stream > self._highest:
            self._highest = piece.stream
            if self._base is None:
                self._base = piece.stream
        return self._base is not None and piece.stream >= self._base


class Numbers:
    """grpcio's stream numbers ↔ those on the climb's connection."""

    __slots__ = ("_shift",)

    def __init__(self) -> None:
        self._shift: int | None = None

    def out(self, stream: int) -> int:
        """The number on the wire of grpcio's `stream`; the first one becomes 1."""
        if self._shift is None:
            self._shift = stream - 1
        return stream - self._shift

    def back(self, stream: int) -> int:
        """grpcio's number of `stream` on the wire."""
        return stream + (self._shift or 0)


__all__ = [
    "ACK", "CONTINUATION", "DATA", "END_HEADERS", "END_STREAM", "GOAWAY", "HEADERS", "PING", "PREFACE", "PUSH_PROMISE",
    "RST_STREAM", "SETTINGS", "SETTINGS_ACK", "WINDOW", "Client", "Numbers", "frame", "header_frames",
    "renumbered", "window_update",
]  # fmt: skip
