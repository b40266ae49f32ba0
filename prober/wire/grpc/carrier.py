"""What grpcio says to the bridge is said on a climb's own stream, and the other way round. No grpcio in here.

The connection is ours: preface, SETTINGS, PING and GOAWAY are dealt with here, bytes and frames are counted. What
belongs to a call (HEADERS, DATA, RST_STREAM) goes through as it is, under another stream number.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from hpack import Decoder
from hpack.exceptions import HPACKError

from prober.reasons import Reason
from prober.wire.grpc.answer import Response, header_block, read_response
from prober.wire.grpc.wires import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    SETTINGS_ACK,
    WINDOW,
    Numbers,
    frame,
    header_frames,
    renumbered,
    window_update,
)
from prober.wire.http.errors import HttpBroken
from prober.wire.http.frames import Frame, Frames, code_name
from prober.wire.http.guard import MAX_HEAD, Guard
from prober.wire.http.record import Record
from prober.wire.stream import Stream

#: Bytes of messages that a server may send in one climb: descriptors by reflection are the largest.
MAX_ANSWERS: Final = 8 * 1024 * 1024
#: Frames of all kinds in one climb: a flood of tiny ones ends here.
MAX_FRAMES: Final = 8192
#: RST_STREAM that tells grpcio of a call that is over, whatever it was for (RFC 9113 section 7: CANCEL).
_CANCEL: Final = (8).to_bytes(4)
#: The first byte of a header section that sets the size of the table to 0 (RFC 7541 section 6.3).
_NO_TABLE: Final = b"\x20"


class Carrier:
    """Carries the streams of one climb, until `close`. What breaks is kept in `broken`, and ends grpcio's calls."""

    def __init__(self, stream: Stream, feed: Callable[[bytes], Awaitable[None]]) -> None:
        self._feed = feed
        self._guard = Guard(stream, Record(limit=MAX_ANSWERS))
        self._frames = Frames()
        self._numbers = Numbers()
        self._outgoing = bytearray(PREFACE)
        self._open: set[int] = set()
        self._header: list[Frame] = []
        self._decoder: Decoder | None = None
        self._obeyed = False
        self._blocks: dict[int, list[bytes]] = {}
        self._latest = 0
        self._counted = 0
        self._headers = 0
        self._beginning = True
        self._unread = 0
        self._goaway: HttpBroken | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._pumping: asyncio.Task[None] | None = None
        self.streams = 0
        """Streams that grpcio has opened."""
        self.broken: HttpBroken | None = None
        """Why the connection is of no more use."""
        self.reset: str | None = None
        """The code of a RST_STREAM of the server's."""

    def begin(self) -> None:
        """The times of `record` begin with what is said next."""
        self._beginning = True

    def mark(self) -> None:
        """What the times are about is complete with the latest bytes, though the call goes on."""
        self._guard.end()

    @property
    def record(self) -> Record:
        """The times since `begin`."""
        return self._guard.record

    @property
    def first(self) -> bytes:
        """The first bytes that the peer sent."""
        return self._guard.first

    @property
    def said(self) -> bool:
        """Whether grpcio said anything that was carried."""
        return self._latest > 0

    def response(self) -> Response | None:
        """The latest call's response as it stood on the wire, as far as it came."""
        return read_response(self._blocks.get(self._latest, ()))

    # --- from grpcio to the peer

    def say(self, frames: list[Frame]) -> None:
        """Frames of grpcio's streams, to be carried."""
        for piece in frames:
            stream = self._numbers.out(piece.stream)
            if piece.kind == HEADERS:
                self._open.add(stream)
                self._latest = stream
                self.streams += 1
            elif piece.kind == RST_STREAM:
                self._open.discard(stream)
            self._outgoing += renumbered(piece.raw, stream)
        if self._pumping is None or self._pumping.done():
            self._pumping = self._spawn(self._pump())
        else:
            self._spawn(self._flush())

    def _spawn(self, work: Awaitable[None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _flush(self) -> None:
        """Send what there is. The first bytes since `begin` set the clock."""
        if not self._outgoing:
            return
        data, self._outgoing = bytes(self._outgoing), bytearray()
        beginning, self._beginning = self._beginning, False
        guard = self._guard
        if beginning:
            guard.record = Record(limit=MAX_ANSWERS)
            guard.begin()
        await guard.send(data)
        if beginning:
            guard.sent()

    # --- from the peer to grpcio

    async def _pump(self) -> None:
        """Carry everything until no call is open."""
        try:
            await self._flush()
            while self._open:
                await self._take_in()
        except HttpBroken as broken:
            self.broken = broken
        except OSError:  # grpcio's end of the bridge
            self.broken = HttpBroken(Reason.PROTOCOL, "grpcio gave up on what the peer sent")
        if self.broken is not None:
            with contextlib.suppress(OSError):
                await self._feed(b"".join(frame(RST_STREAM, 0, self._numbers.back(s), _CANCEL) for s in self._open))
            self._open.clear()

    async def _take_in(self) -> None:
        """Take in one read."""
        data = await self._guard.receive()
        if not data:
            raise self._goaway or HttpBroken(Reason.CLOSED, "closed by the peer before the call was answered")
        passed = bytearray()
        for piece in self._frames.split(data):
            self._counted += 1
            if self._counted > MAX_FRAMES:
                raise HttpBroken(Reason.PROTOCOL, f"more than {MAX_FRAMES} frames")
            self._take(piece, passed)
        if not self._open:
            self._guard.end()
        if passed:
            await self._feed(bytes(passed))
        if self._open:
            await self._flush()

    def _take(self, piece: Frame, passed: bytearray) -> None:
        kind, flags = piece.kind, piece.raw[4]
        if self._header and (kind != CONTINUATION or piece.stream != self._header[0].stream):
            raise HttpBroken(Reason.PROTOCOL, "another frame inside a header section")
        if kind in (HEADERS, CONTINUATION):
            self._take_header(piece, passed)
        elif kind == DATA:
            self._take_data(piece, passed)
        elif kind == SETTINGS and not flags & ACK:
            self._outgoing += SETTINGS_ACK
        elif kind == PING and not flags & ACK:
            self._outgoing += frame(PING, ACK, 0, piece.payload)
        elif kind == GOAWAY and len(piece.payload) >= 8:
            self._take_goaway(piece.payload)
        elif kind == RST_STREAM and piece.stream in self._open:
            self.reset = code_name(int.from_bytes(piece.payload[:4]))
            self._pass(piece, passed)
            self._open.discard(piece.stream)
        elif kind == PUSH_PROMISE:
            raise HttpBroken(Reason.PROTOCOL, "PUSH_PROMISE, which we do not take")

    def _take_header(self, piece: Frame, passed: bytearray) -> None:
        """Header sections go through whole: grpcio would wait for the rest of one in the next climb."""
        self._headers += len(piece.payload)
        if self._headers > MAX_HEAD:
            raise HttpBroken(Reason.PROTOCOL, f"more than {MAX_HEAD} bytes of header sections")
        if piece.kind == CONTINUATION and not self._header:
            raise HttpBroken(Reason.PROTOCOL, "CONTINUATION of nothing")
        self._header.append(piece)
        if not piece.raw[4] & END_HEADERS:
            return
        section, self._header = self._header, []
        first = section[0]
        if first.stream not in self._open:
            return
        self._guard.began()
        block = header_block(first.raw[4], first.payload) + b"".join(part.payload for part in section[1:])
        block = self._pass_header(section, block, passed)
        self._blocks.setdefault(first.stream, []).append(block)
        if first.raw[4] & END_STREAM:
            self._open.discard(first.stream)

    def _pass_header(self, section: list[Frame], block: bytes, passed: bytearray) -> bytes:
        """Pass a header section on in a form that leaves nothing in grpcio's table; its block in that form.

        We have asked for no table. A server that obeys says so first (RFC 7541 section 4.2); what others say is
        written anew.
        """
        if self._decoder is None and not self._obeyed:
            self._obeyed = block[:1] == _NO_TABLE
        if self._obeyed:
            for part in section:
                self._pass(part, passed)
            return block
        if self._decoder is None:
            self._decoder = Decoder(max_header_list_size=MAX_HEAD)
        try:
            fields = [(name, value) for name, value in self._decoder.decode(block, raw=True)]
        except (HPACKError, IndexError) as error:
            raise HttpBroken(Reason.PROTOCOL, f"a header section that cannot be decoded: {error}") from error
        first = section[0]
        frames, block = header_frames(self._numbers.back(first.stream), fields, first.raw[4] & END_STREAM)
        passed += frames
        return block

    def _take_data(self, piece: Frame, passed: bytearray) -> None:
        if piece.stream not in self._open:
            return
        self._guard.body(piece.payload)
        self._unread += len(piece.payload)
        self._pass(piece, passed)
        if piece.raw[4] & END_STREAM:
            self._open.discard(piece.stream)
        elif self._unread > WINDOW // 4:
            self._outgoing += window_update(0, self._unread) + window_update(piece.stream, self._unread)
            self._unread = 0

    def _take_goaway(self, payload: bytes) -> None:
        """Streams up to the last id may still finish (RFC 9113 section 6.8)."""
        last, code = int.from_bytes(payload[:4]) & 0x7FFFFFFF, int.from_bytes(payload[4:8])
        debug = payload[8:108].decode("ascii", "replace")
        self._goaway = HttpBroken(
            Reason.GOAWAY, f"GOAWAY {code_name(code)}",
            {"error_code": code_name(code), "last_stream_id": last, "debug_data": debug},
        )  # fmt: skip
        if any(stream > last for stream in self._open):
            raise self._goaway

    def _pass(self, piece: Frame, passed: bytearray) -> None:
        passed += renumbered(piece.raw, self._numbers.back(piece.stream))

    async def close(self) -> None:
        """End what is still under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
