"""The I/O under the stub resolver: questions out, answers in, over UDP, TCP, TLS or HTTPS (RFC 1035 section 4.2, RFC
7766, RFC 7858, RFC 8484).

Sockets are opened for one exchange and closed after it. Questions to several servers at once: `prober.wire.dns.race`.
"""

from __future__ import annotations

import asyncio
import errno
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Final, Protocol

from prober.reasons import Reason
from prober.wire.datagram import DatagramSocket
from prober.wire.dns.message import Query, Sent, Step, encode, judge
from prober.wire.dns.resolvconf import Server
from prober.wire.dns.resolver import Ask, Sending
from prober.wire.dns.trail import Trail
from prober.wire.errqueue import IcmpError
from prober.wire.stamps import Instant, Span
from prober.wire.stream import Stream, Times, times_of
from prober.wire.tcp import TcpStream, open_tcp

#: Answers to other questions that are passed over in one exchange: a flood of them must not hold the event loop.
MAX_STRAYS: Final = 100
#: Errors of this process, which say nothing about a server: they are raised.
OURS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Channel(Protocol):
    """Encrypted ways to a server, as the layer above opens and judges them. `open` and `ask` raise ChannelFailed."""

    async def open(self, server: Server) -> tuple[Stream, Span]:
        """A stream that takes DNS messages, and how long the network took until it was open."""
        ...

    async def ask(self, server: Server, message: bytes) -> tuple[bytes, Span]:
        """The reply to one message, and how long the network took, a connection of its own included."""
        ...

    def broken(self, error: OSError) -> ChannelFailed | None:
        """What an error of an open stream means; None: what it means on any stream."""
        ...


class ChannelFailed(Exception):
    """No question could be asked, or no answer taken: what a dns layer calls it, and how long it took."""

    def __init__(self, reason: Reason, detail: str, took: Span | None) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
        self.took = took


async def perform(ask: Ask, trail: Trail, channel: Channel | None = None) -> Sequence[Step]:
    """Send the questions of `ask` and gather a step for each one sent, in their order."""
    before = len(trail.steps)
    under_way = exchange_of(ask, trail, channel)
    try:
        await under_way.go(asyncio.get_running_loop().time() + ask.wait)
    except TimeoutError:
        trail.give_up(Reason.TIMEOUT, under_way.passed_over)
    except asyncio.CancelledError:  # the climb's own deadline: what is waited for stays on the trail
        trail.give_up(Reason.TIMEOUT, under_way.passed_over)
        raise
    except OSError as error:
        if error.errno in OURS:
            raise
        trail.give_up(Reason.TIMEOUT if error.errno == errno.ETIMEDOUT else Reason.UNREACHABLE, explain(error))
    steps = trail.steps[before:]
    if len(steps) > 1:
        steps.sort(key=lambda step: ask.queries.index(step.query))
    at_once = ask.sending in (Sending.TOGETHER, Sending.APART) and ask.queries[0].transport != "https"
    took = (max if at_once else sum)([step.seconds for step in steps])
    name = ask.queries[0].name
    trail.spent[name] = trail.spent.get(name, 0.0) + took
    return steps


def exchange_of(ask: Ask, trail: Trail, channel: Channel | None) -> Exchange:
    """The exchange for the transport of `ask`."""
    transport = ask.queries[0].transport
    if transport == "udp":
        return _UdpExchange(ask, trail)
    if transport == "https":
        return _HttpsExchange(ask, trail, channel)
    return _StreamExchange(ask, trail, channel)


def explain(error: OSError) -> str:
    """What the kernel says, and the ICMP error behind it."""
    icmp: IcmpError | None = getattr(error, "icmp", None)
    text = error.strerror or str(error)
    return f"{text} (ICMP {icmp.label} from {icmp.offender})" if icmp else text


class Exchange(ABC):
    """Questions under way to one server, and the answers that belong to them."""

    number: int | None = None
    """The id of its messages; None: a random one each."""

    def __init__(self, ask: Ask, trail: Trail) -> None:
        self.ask = ask
        self.trail = trail
        self.messages: dict[Query, Sent] = {}
        self.strays = 0

    @abstractmethod
    async def go(self, until: float) -> None:
        """Ask, and receive until everything is answered. OSError where the server cannot be reached.

        TimeoutError once the loop's time is `until`.
        """

    @property
    def passed_over(self) -> str:
        """What to say of answers that belonged to no question."""
        return f"{self.strays} answers to other questions passed over" if self.strays else ""

    def prepare(self, queries: Sequence[Query]) -> None:
        """Build the messages of `queries` and put them on the trail."""
        for query in queries:
            self.messages[query] = encode(query, self.number)
            self.trail.ask(query, Instant.now())

    def take(self, data: bytes, since: Callable[[Instant], Span]) -> None:
        """Judge one reply; `since` says how long after its query it came. A flood of strays is `malformed`."""
        step = judge(self.messages, data)
        if step is not None:
            del self.messages[step.query]
            self.trail.hear(step, since)
            return
        self.strays += 1
        if self.strays > MAX_STRAYS:
            asked = tuple(self.messages)
            self.messages.clear()
            self.trail.give_up(Reason.MALFORMED, self.passed_over, asked)


class _UdpExchange(Exchange):
    """Over UDP: all at once, or each after the other's answer."""

    async def go(self, until: float) -> None:
        """See Exchange.go."""
        queries = self.ask.queries
        if self.ask.sending is Sending.APART:
            await self._apart(queries, until)
            return
        batches = [queries] if self.ask.sending is Sending.TOGETHER else [(query,) for query in queries]
        udp: DatagramSocket | None = None
        try:
            for batch in batches:
                self.prepare(batch)
                if udp is not None and self.ask.sending is Sending.REOPEN:
                    udp.close()
                    udp = None
                if udp is None:
                    udp = DatagramSocket(batch[0].server.address, batch[0].server.port)
                await self._batch(udp, batch, until)
        finally:
            if udp is not None:
                udp.close()

    async def _batch(self, udp: DatagramSocket, batch: Sequence[Query], until: float) -> None:
        for query in batch:
            self.trail.ask(query, udp.send(self.messages[query].wire))
        while self.messages:
            reply = await udp.receive(until)
            self.take(reply.data, reply.since)

    async def _apart(self, queries: Sequence[Query], until: float) -> None:
        """Each from a socket of its own: what one of them cannot get does not end the other."""
        self.prepare(queries)
        sockets: list[DatagramSocket] = []
        try:
            for query in queries:
                sockets.append(DatagramSocket(query.server.address, query.server.port))
                self.trail.ask(query, sockets[-1].send(self.messages[query].wire))
            waits = (self._until_answered(udp, query, until) for udp, query in zip(sockets, queries, strict=True))
            ended = await asyncio.gather(*waits, return_exceptions=True)
            for error in filter(None, ended):
                raise error
        finally:
            for udp in sockets:
                udp.close()

    async def _until_answered(self, udp: DatagramSocket, query: Query, until: float) -> None:
        while query in self.messages:
            reply = await udp.receive(until)
            self.take(reply.data, reply.since)


class _StreamExchange(Exchange):
    """Over one connection, TCP or TLS: every question with its length before it, answers in any order."""

    def __init__(self, ask: Ask, trail: Trail, channel: Channel | None) -> None:
        super().__init__(ask, trail)
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
            self._fail(told or ChannelFailed(Reason.SERVER_FAILURE, explain(error), None))

    def _fail(self, failed: ChannelFailed) -> None:
        self.trail.give_up(failed.reason, failed.detail, self.messages, failed.took)

    async def converse(self) -> None:
        """Open the connection, ask, take the answers."""
        stream, opening = await self._open()
        try:
            times = times_of(stream) or Times()
            times.start()
            await self._send(stream)
            received = bytearray()
            while self.messages:
                if (data := await _frame(stream, received)) is None:
                    self.trail.give_up(Reason.SERVER_FAILURE, "connection closed before the answer", self.messages)
                    return
                network = Span(opening.seconds + times.network, opening.kernel and times.kernel)
                self.take(data, _exactly(network))
        finally:
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
        stream = await open_tcp(server.address, server.port)
        return stream, _connecting(stream)


class _HttpsExchange(_StreamExchange):
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
