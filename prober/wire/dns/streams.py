"""Questions to one server over a connection: TCP, TLS or HTTPS (RFC 1035 section 4.2, RFC 7766, RFC 7858, RFC 8484).

It is opened for one exchange and closed after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter

from prober.reasons import Reason
from prober.wire.dns.exchange import Channel, ChannelFailed, Exchange, explain
from prober.wire.dns.kept import Kept
from prober.wire.dns.resolver import Ask
from prober.wire.dns.trail import Trail
from prober.wire.losses import NOTICEABLE, LossWatch
from prober.wire.stamps import Instant, Span
from prober.wire.stream import Stream, Times, times_of
from prober.wire.tcp import Attempt, TcpStream, open_tcp


class StreamExchange(Exchange):
    """Over one connection, TCP or TLS: every question with its length before it, answers in any order."""

    def __init__(self, ask: Ask, trail: Trail, kept: Kept, channel: Channel | None) -> None:
        super().__init__(ask, trail, kept)
        self.channel = channel

    async def go(self, until: float) -> None:
        """As for UDP. A connection that ends before the answers is the server's failure."""
        self.prepare(self.ask.queries)
        try:
            async with asyncio.timeout_at(until):
                await self.converse()
        except ChannelFailed as failed:
            self._fail(failed)
        except OSError as error:
            told = self.channel.broken(error) if self.channel is not None else None
            if told is None and not isinstance(error, ConnectionError):
                raise
            self._fail(told or ChannelFailed(Reason.SERVER_FAILURE, explain(error), None), error.errno or 0)

    def _fail(self, failed: ChannelFailed, errno: int = 0) -> None:
        self.trail.give_up(failed.reason, failed.detail, self.messages, failed.took, errno)

    async def converse(self) -> None:
        """Open the connection, ask, take the answers."""
        stream, opening = await self._open()
        times = times_of(stream) or Times()
        times.start()
        try:
            await self._send(stream)
            received = bytearray()
            while self.messages:
                if (data := await _frame(stream, received)) is None:
                    self.trail.give_up(Reason.SERVER_FAILURE, "connection closed before the answer", self.messages)
                    return
                network = Span(opening.seconds + times.network, opening.kernel and times.kernel)
                self.take(data, _exactly(network))
        finally:
            if isinstance(stream, TcpStream) and (self.messages or opening.seconds + times.network > NOTICEABLE):
                self.trail.lost.update(LossWatch(stream.socket, 0).since(waiting=bool(self.messages)))
            stream.close()

    async def _send(self, stream: Stream) -> None:
        try:
            await stream.send(b"".join(_framed(message.wire) for message in self.messages.values()))
        except ConnectionError:
            await stream.receive()  # the peer may have said why before it closed: an alert is raised from here
            raise

    async def _open(self) -> tuple[Stream, Span]:
        server = self.ask.queries[0].server
        if self.channel is not None:
            return await self.channel.open(server)
        attempt = Attempt()
        try:
            stream = await open_tcp(server.address, server.port, attempt=attempt)
        finally:
            if attempt.info is not None and attempt.info.retransmits:
                self.trail.lost["retransmits"] += attempt.info.retransmits
        return stream, _connecting(stream)


class HttpsExchange(StreamExchange):
    """Over HTTPS: one request for each question, one after the other, each on a connection of its own."""

    number = 0  # RFC 8484 section 4.1: the same question is then the same message, which caches like

    async def converse(self) -> None:
        """Ask for one after the other."""
        if self.channel is None:
            raise ChannelFailed(Reason.UNREACHABLE, "no way to speak HTTPS", None)
        for query in self.ask.queries:
            data, took = await self.channel.ask(query.server, self.messages[query].wire)
            self.take(data, _exactly(took))
            if query in self.messages:
                self.trail.give_up(Reason.MALFORMED, "answer to another question", (query,))
                self.messages.pop(query)


def _connecting(stream: TcpStream) -> Span:
    """How long the connect took that has just ended: the kernel's round trip of the SYN where it has one."""
    info = stream.connected
    handshake = None if info is None else info.handshake
    if handshake is not None:
        return Span(handshake, kernel=True)
    return Span(perf_counter() - stream.asked.monotonic, kernel=False)


def _exactly(span: Span) -> Callable[[Instant], Span]:
    return lambda _sent: span


def _framed(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


async def _frame(stream: Stream, received: bytearray) -> bytes | None:
    """The next message, None once the peer has ended the stream; `received` keeps what came behind it."""
    while len(received) < 2 or len(received) < 2 + int.from_bytes(received[:2], "big"):
        data = await stream.receive()
        if not data:
            return None
        received += data
    end = 2 + int.from_bytes(received[:2], "big")
    message = bytes(received[2:end])
    del received[:end]
    return message
