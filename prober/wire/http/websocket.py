"""A WebSocket (RFC 6455) with wsproto, on the stream that its handshake left open: held idle, then closed."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Final

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import CloseConnection, Event, Message, Ping
from wsproto.utilities import generate_accept_token, generate_nonce

from prober.model import Evidence
from prober.reasons import Reason
from prober.wire.http.errors import HttpBroken, broken_by
from prober.wire.stream import Stream

__all__ = ["WebSocket", "generate_accept_token", "generate_nonce"]

_READ_SIZE: Final = 16 * 1024
#: Status codes of a Close frame (RFC 6455 section 7.4.1): we are done; the peer broke the protocol.
_NORMAL: Final = 1000
_REASON_SHOWN: Final = 123  # all that a control frame can hold


class WebSocket:
    """One open WebSocket. `early` came with the response to the handshake; of messages `limit` bytes are taken."""

    def __init__(self, stream: Stream, early: bytes, limit: int) -> None:
        self._stream = stream
        self._connection = Connection(ConnectionType.CLIENT)
        self._pending = early
        self._limit = limit
        self._received = 0
        self.held = 0.0
        """Seconds that it stayed open under `hold`."""
        self.pings = 0
        self.messages = 0

    async def hold(self, seconds: float) -> None:
        """Keep it open for `seconds`, answering pings. Raises HttpBroken if it ends before."""
        began = perf_counter()
        try:
            async with asyncio.timeout(seconds) as pause:
                await self._listen()
        except TimeoutError:
            if not pause.expired():
                raise
        finally:
            self.held = perf_counter() - began

    async def close(self) -> None:
        """Say that we are done (RFC 6455 section 7.1.2). The answer is not waited for; a peer may have gone."""
        try:
            await self._stream.send(self._connection.send(CloseConnection(_NORMAL)))
        except OSError:
            return

    async def _listen(self) -> None:
        while True:
            if self._pending:
                self._received += len(self._pending)
                self._connection.receive_data(self._pending)
                self._pending = b""
                for event in self._connection.events():
                    await self._take(event)
                if self._received > self._limit:
                    raise HttpBroken(
                        Reason.BODY, f"more than {self._limit} bytes of messages", {"max_body": self._limit}
                    )
                await asyncio.sleep(0)  # a socket that always has data never suspends its reader
            try:
                self._pending = await self._stream.receive(_READ_SIZE)
            except OSError as error:
                raise broken_by(error) from error
            if not self._pending:
                raise HttpBroken(Reason.CLOSED, "the connection ended without a Close frame")

    async def _take(self, event: Event) -> None:
        if isinstance(event, Ping):
            self.pings += 1
            await self._answer(event.response())
        elif isinstance(event, Message):
            self.messages += event.message_finished
        elif isinstance(event, CloseConnection):
            if self._connection.state is ConnectionState.OPEN:  # no frame of the peer's: wsproto's own judgement
                raise HttpBroken(Reason.PROTOCOL, "a frame that breaks RFC 6455", {"close_code": int(event.code)})
            evidence: Evidence = {"close_code": int(event.code)}
            if event.reason:
                evidence["close_reason"] = event.reason[:_REASON_SHOWN]
            raise HttpBroken(Reason.CLOSED, f"closed by the peer with code {int(event.code)}", evidence)

    async def _answer(self, event: Event) -> None:
        try:
            await self._stream.send(self._connection.send(event))
        except OSError as error:
            raise broken_by(error) from error
