"""The I/O under the stub resolver: questions out, answers in, over UDP or TCP (RFC 1035 section 4.2, RFC 7766).

Sockets are opened for one exchange and closed after it. Questions to several servers at once: `prober.wire.race`.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Final

from dns.message import QueryMessage

from prober.reasons import Reason
from prober.wire.datagram import DatagramSocket
from prober.wire.dnsmessage import Query, Step, encode, judge
from prober.wire.errqueue import IcmpError
from prober.wire.resolver import Ask, Sending
from prober.wire.stamps import Instant, Span
from prober.wire.stream import Stream
from prober.wire.tcp import TcpStream, open_tcp
from prober.wire.trail import Trail

#: Answers to other questions that are passed over in one exchange: a flood of them must not hold the event loop.
MAX_STRAYS: Final = 100
#: Errors of this process, which say nothing about a server: they are raised.
OURS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


async def perform(ask: Ask, trail: Trail) -> Sequence[Step]:
    """Send the questions of `ask` and gather a step for each one sent, in their order."""
    before = len(trail.steps)
    exchange = TcpExchange if ask.queries[0].transport == "tcp" else _UdpExchange
    under_way = exchange(ask, trail)
    try:
        async with asyncio.timeout(ask.wait):
            await under_way.go()
    except TimeoutError:
        trail.give_up(Reason.TIMEOUT, under_way.passed_over)
    except asyncio.CancelledError:  # the climb's own deadline: what is waited for stays on the trail
        trail.give_up(Reason.TIMEOUT, under_way.passed_over)
        raise
    except OSError as error:
        if error.errno in OURS:
            raise
        trail.give_up(Reason.TIMEOUT if error.errno == errno.ETIMEDOUT else Reason.UNREACHABLE, explain(error))
    steps = sorted(trail.steps[before:], key=lambda step: ask.queries.index(step.query))
    took = (max if ask.sending is Sending.TOGETHER else sum)(step.seconds for step in steps)
    name = ask.queries[0].name
    trail.spent[name] = trail.spent.get(name, 0.0) + took
    return steps


def explain(error: OSError) -> str:
    """What the kernel says, and the ICMP error behind it."""
    icmp: IcmpError | None = getattr(error, "icmp", None)
    text = error.strerror or str(error)
    return f"{text} (ICMP {icmp.label} from {icmp.offender})" if icmp else text


class _Exchange:
    """Questions under way to one server, and the answers that belong to them."""

    def __init__(self, ask: Ask, trail: Trail) -> None:
        self.ask = ask
        self.trail = trail
        self.messages: dict[Query, QueryMessage] = {}
        self.strays = 0

    @property
    def passed_over(self) -> str:
        """What to say of answers that belonged to no question."""
        return f"{self.strays} answers to other questions passed over" if self.strays else ""

    def prepare(self, queries: Sequence[Query]) -> None:
        """Build the messages of `queries` and put them on the trail."""
        for query in queries:
            self.messages[query] = encode(query)
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


class _UdpExchange(_Exchange):
    """Over UDP: all at once, or each after the other's answer."""

    async def go(self) -> None:
        """Ask, and receive until everything is answered. OSError where the server cannot be reached."""
        queries = self.ask.queries
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
                await self._batch(udp, batch)
        finally:
            if udp is not None:
                udp.close()

    async def _batch(self, udp: DatagramSocket, batch: Sequence[Query]) -> None:
        for query in batch:
            self.trail.ask(query, udp.send(self.messages[query].to_wire()))
        while self.messages:
            reply = await udp.receive()
            self.take(reply.data, reply.since)


class TcpExchange(_Exchange):
    """Over one TCP connection: every question with its length before it, answers in any order."""

    async def go(self) -> None:
        """As for UDP. A connection that ends before the answers is the server's failure."""
        self.prepare(self.ask.queries)
        server = self.ask.queries[0].server
        stream = await open_tcp(server.address, server.port)
        try:
            connect = _connecting(stream)
            stream.times.start()
            await stream.send(b"".join(_framed(message.to_wire()) for message in self.messages.values()))
            received = bytearray()
            while self.messages:
                if (data := await _frame(stream, received)) is None:
                    self.trail.give_up(Reason.SERVER_FAILURE, "connection closed before the answer", self.messages)
                    return
                network = Span(connect.seconds + stream.times.network, connect.kernel and stream.times.kernel)
                self.take(data, _exactly(network))
        except ConnectionError as error:
            self.trail.give_up(Reason.SERVER_FAILURE, explain(error), self.messages)
        finally:
            stream.close()


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
