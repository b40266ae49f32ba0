"""The calls of one climb, made with grpcio over its bridge and carried by the climb's own stream."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

import grpc
import grpc.aio

from prober.wire.grpc.answer import Answer
from prober.wire.grpc.carrier import Carrier

Metadata = Sequence[tuple[str, str | bytes]]


UnaryMethods = dict[str, "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]"]


class Duplex:
    """A call with several messages in both directions. Raises HttpBroken as `Talk.unary` does."""

    def __init__(
        self, call: grpc.aio.StreamStreamCall[bytes, bytes], ended: Callable[[grpc.aio.AioRpcError], Answer]
    ) -> None:
        self._call = call
        self._ended = ended

    async def ask(self, request: bytes, *, last: bool = False) -> bytes | Answer:
        """Send one message, and wait for the next one of the server; an Answer is the end of the call."""
        try:
            await self._call.write(request)
            if last:
                await self._call.done_writing()
        except grpc.aio.AioRpcError as error:
            return self._ended(error)
        except asyncio.InvalidStateError:  # it has ended already: reading says how
            pass
        return await self.receive()

    async def receive(self) -> bytes | Answer:
        """The server's next message; an Answer is the end of the call."""
        call = self._call
        try:
            message = await call.read()
            if isinstance(message, bytes):
                return message
            return Answer((await call.code()).name, await call.details() or "", _pairs(await call.trailing_metadata()))
        except grpc.aio.AioRpcError as error:
            return self._ended(error)


class Talk:
    """Raises HttpBroken where the connection, not a call, came to its end."""

    def __init__(self, channel: grpc.aio.Channel, methods: UnaryMethods, carrier: Carrier) -> None:
        self._channel = channel
        self._methods = methods
        self.carrier = carrier
        self.calls = 0
        """Calls begun."""
        self.suspect = False
        """A call ended, but by no word of the server's: grpcio may be about to give the bridge up."""

    def _unary(self, method: str) -> grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]:
        """Made once for each channel: a kept one makes the same calls again."""
        known = self._methods.get(method)
        if known is None:
            known = self._methods[method] = self._channel.unary_unary(method)
        return known

    async def unary(self, method: str, request: bytes, metadata: Metadata, timeout: float | None) -> Answer:
        """One call of `/package.Service/Method`. Raises HttpBroken if the connection broke under it."""
        ask = self._unary(method)
        self.calls += 1
        call = ask(request, metadata=tuple(metadata), timeout=timeout)
        try:
            payload = await call
        except grpc.aio.AioRpcError as error:
            return self._ended(error)
        except BaseException:
            call.cancel()
            raise
        return Answer("OK", payload=payload)

    @contextlib.asynccontextmanager
    async def duplex(self, method: str, metadata: Metadata, timeout: float | None) -> AsyncIterator[Duplex]:
        """A call with several messages in both directions; cancelled at the end of the block."""
        ask: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = self._channel.stream_stream(method)
        self.calls += 1
        call = ask(metadata=tuple(metadata), timeout=timeout)
        try:
            yield Duplex(call, self._ended)
        finally:
            call.cancel()

    def _ended(self, error: grpc.aio.AioRpcError) -> Answer:
        if self.carrier.broken is not None:
            raise self.carrier.broken from error
        response = self.carrier.response()
        if self.carrier.reset is None and (
            response is None or (response.status == 200 and response.grpc_status is None)
        ):
            self.suspect = True
        return Answer(error.code().name, error.details() or "", _pairs(error.trailing_metadata()))


def _pairs(metadata: object) -> tuple[tuple[str, str | bytes], ...]:
    return tuple((str(name), value) for name, value in metadata or ())  # type: ignore[attr-defined]  # grpc.aio.Metadata
