"""The stream as both versions of HTTP use it: its errors get their reason, its bytes are counted against limits."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Final

from prober.reasons import Reason
from prober.wire.http.errors import HttpBroken, broken_by, peer_speaks
from prober.wire.http.record import Record
from prober.wire.stream import Stream, times_of

#: Bytes of one read: a TLS record, and little enough that a flood of tiny frames cannot hold the loop for long.
READ_SIZE: Final = 16 * 1024
#: Bytes of header section that are taken, before and after decoding.
MAX_HEAD: Final = 64 * 1024
#: Bytes beside the body that are taken: header section, chunk sizes, frames; and one more for each 8 of body.
MAX_OVERHEAD: Final = 128 * 1024
#: 1xx responses before the real one.
MAX_INFORMATIONAL: Final = 16
#: Reads in a row before other tasks get their turn: a socket that always has data never suspends its reader.
_TURN: Final = 16
_FIRST: Final = 16


class Guard:
    """Sends and receives for one exchange."""

    __slots__ = ("_reads", "_received", "_stream", "_times", "_unsent", "arrived", "first", "record")

    def __init__(self, stream: Stream, record: Record) -> None:
        self._stream = stream
        self._times = times_of(stream)
        self.arrived: float | None = None
        """When the latest bytes came: by the kernel's stamp where the stream has one."""
        self.record = record
        self._unsent: HttpBroken | None = None
        self._reads = 0
        self._received = 0
        self.first = b""
        """The first bytes that the peer sent."""

    @property
    def sending(self) -> bool:
        """Whether the connection still took everything that was sent."""
        return self._unsent is None

    def begin(self) -> None:
        """The request begins: what is sent next are its first bytes."""
        if self._times is not None:
            self._times.start()
        self.record.began = perf_counter()

    def sent(self) -> None:
        """The whole request was sent, if the connection took it."""
        if not self.sending:
            return
        record, times = self.record, self._times
        record.sent = perf_counter()
        if times is not None and times.began is not None:
            record.began, record.sent = times.began, times.sent

    async def send(self, data: bytes) -> None:
        """Send `data`. An error is kept for `receive`: the peer may have said why (alert, 413) before it closed."""
        if self._unsent is None:
            try:
                await self._stream.send(data)
            except OSError as error:
                self._unsent = broken_by(error)

    async def receive(self) -> bytes:
        """The next bytes; `b""` at the end of the stream. Raises HttpBroken."""
        self._reads += 1
        if self._reads % _TURN == 0:
            await asyncio.sleep(0)
        try:
            data = await self._stream.receive(READ_SIZE)
        except OSError as error:
            broken = broken_by(error)
            if self._unsent is not None and broken.reason is not Reason.CLIENT_CERTIFICATE:
                raise self._unsent from error
            raise broken from error
        if not data and self._unsent is not None:
            raise self._unsent
        self.arrived = perf_counter() if self._times is None else self._times.received
        self._count(data)
        return data

    def _count(self, data: bytes) -> None:
        self._received += len(data)
        if len(self.first) < _FIRST:
            self.first += data[: _FIRST - len(self.first)]
        size = self.record.size
        if self._received - size > MAX_OVERHEAD + size // 8:
            raise HttpBroken(Reason.PROTOCOL, f"more than {MAX_OVERHEAD} bytes that are no body")

    def head(self, status: int, version: str, fields: list[tuple[bytes, bytes]]) -> None:
        """Note the head of the response."""
        self.record.status, self.record.version, self.record.fields = status, version, fields

    def informational(self, status: int) -> None:
        """Note a 1xx response; raises HttpBroken where there is no end of them."""
        self.record.informational.append(status)
        if len(self.record.informational) > MAX_INFORMATIONAL:
            raise HttpBroken(Reason.PROTOCOL, f"more than {MAX_INFORMATIONAL} 1xx responses")

    def body(self, data: bytes) -> None:
        """Note a piece of body; raises HttpBroken once there is more than the limit."""
        record = self.record
        record.size += len(data)
        if record.limit is not None and record.size > record.limit:
            raise HttpBroken(Reason.BODY, f"the body is longer than {record.limit} bytes", {"max_body": record.limit})

    def closed(self) -> HttpBroken:
        """The peer ended the stream too early: say where."""
        if self.record.status is not None:
            return HttpBroken(Reason.CLOSED, "closed by the peer inside the body")
        speaks = peer_speaks(self.first)
        if speaks is not None and not speaks.startswith("HTTP/"):  # too little of it to tell before
            return HttpBroken(Reason.PROTOCOL, f"the peer speaks {speaks}, not HTTP", {"peer_speaks": speaks})
        where = "inside the head of the response" if self.first else "before the response"
        return HttpBroken(Reason.CLOSED, f"closed by the peer {where}")

    def began(self) -> None:
        """The latest bytes hold the beginning of the response."""
        if self.record.first is None:
            self.record.first = self.arrived

    def end(self) -> None:
        """The response is complete with the latest bytes."""
        self.record.ended = self.arrived
        self.record.kernel = self._times is not None and self._times.kernel
