"""The I/O under the stub resolver: questions out, answers in, over UDP or TCP (RFC 1035 section 4.2, RFC 7766).

Sockets are opened for one exchange and closed after it. What was asked and heard is kept in a `Trail`, which survives
a lookup that a deadline ends.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Final

from dns.message import QueryMessage

from prober.reasons import Reason
from prober.wire.datagram import DatagramSocket
from prober.wire.dnsmessage import Query, Step, encode, judge
from prober.wire.errqueue import IcmpError
from prober.wire.resolvconf import ResolvConf
from prober.wire.resolver import Ask, Lookup, Machine, Sending, glibc
from prober.wire.stamps import Instant, Span
from prober.wire.stream import Stream
from prober.wire.tcp import TcpStream, open_tcp

#: Answers to other questions that are passed over in one exchange: a flood of them must not hold the event loop.
MAX_STRAYS: Final = 100
#: Errors of this process, which say nothing about a server: they are raised.
_OURS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

_turn = itertools.count()


class Trail:
    """What a lookup has asked and heard so far. `changed` is called after every query and every step."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.waiting: dict[Query, Instant] = {}
        self.spent: dict[str, float] = {}
        """Name → seconds that the network took for its queries; those sent together count once."""
        self.kernel = True
        """Every query that has ended was answered, and timed by the kernel alone."""
        self.changed: Callable[[], None] = lambda: None

    @property
    def asked(self) -> int:
        """Queries so far, answered or not."""
        return len(self.steps) + len(self.waiting)

    @property
    def latest(self) -> Query | None:
        """The query asked last."""
        return next(reversed(self.waiting), self.steps[-1].query if self.steps else None)

    @property
    def seconds(self) -> float:
        """What the network took for all queries that have ended."""
        return sum(self.spent.values())

    def wasted(self, lookup: Lookup) -> float:
        """Seconds spent on other names than the one that decided `lookup`."""
        return sum(seconds for name, seconds in self.spent.items() if not lookup.steps or name != lookup.name)

    def ask(self, query: Query, sent: Instant) -> None:
        """`query` is on its way since `sent`."""
        self.waiting[query] = sent
        self.changed()

    def hear(self, step: Step, since: Callable[[Instant], Span] | None = None) -> None:
        """`step` came of its query. `since` says how long after the asking; without it, until now."""
        sent = self.waiting.pop(step.query)
        took = Span(Instant.now().monotonic - sent.monotonic, kernel=False) if since is None else since(sent)
        self.kernel = self.kernel and took.kernel
        self.steps.append(replace(step, seconds=took.seconds))
        self.changed()

    def give_up(self, reason: Reason, detail: str = "") -> None:
        """Every query still waiting ends with `reason`."""
        for query in tuple(self.waiting):
            self.hear(Step(query, reason, detail=detail))


async def look_up(
    name: str, types: tuple[str, ...], conf: ResolvConf, trail: Trail, *, recursion_desired: bool = True
) -> Lookup:
    """Look up `name` for all of `types` as glibc would, writing every query into `trail`.

    Sets no deadline over the whole. Raises OSError only for errors of this process (no descriptors left), and
    dns.rdatatype.UnknownRdatatype for a type nobody knows.
    """
    if conf.rotate:
        first = next(_turn) % len(conf.servers)
        conf = replace(conf, servers=conf.servers[first:] + conf.servers[:first])
    return await run(glibc(name, types, conf, recursion_desired=recursion_desired), trail)


async def run(machine: Machine, trail: Trail) -> Lookup:
    """Do what `machine` asks for until it returns."""
    try:
        ask = next(machine)
        while True:
            ask = machine.send(await perform(ask, trail))
    except StopIteration as over:
        result: Lookup = over.value
        return result


async def perform(ask: Ask, trail: Trail) -> Sequence[Step]:
    """Send the questions of `ask` and gather a step for each one sent, in their order."""
    before = len(trail.steps)
    exchange = _TcpExchange if ask.queries[0].transport == "tcp" else _UdpExchange
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
        if error.errno in _OURS:
            raise
        trail.give_up(Reason.TIMEOUT if error.errno == errno.ETIMEDOUT else Reason.UNREACHABLE, _explain(error))
    steps = sorted(trail.steps[before:], key=lambda step: ask.queries.index(step.query))
    took = (max if ask.sending is Sending.TOGETHER else sum)(step.seconds for step in steps)
    name = ask.queries[0].name
    trail.spent[name] = trail.spent.get(name, 0.0) + took
    return steps


def _explain(error: OSError) -> str:
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
            self.messages.clear()
            self.trail.give_up(Reason.MALFORMED, self.passed_over)


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


class _TcpExchange(_Exchange):
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
                    self.trail.give_up(Reason.SERVER_FAILURE, "connection closed before the answer")
                    return
                network = Span(connect.seconds + stream.times.network, connect.kernel and stream.times.kernel)
                self.take(data, _exactly(network))
        except ConnectionError as error:
            self.trail.give_up(Reason.SERVER_FAILURE, _explain(error))
        finally:
            stream.close()


def _connecting(stream: TcpStream) -> Span:
    """How long the connect took that has just ended: the kernel's round trip of the SYN where it has one."""
    info = stream.info()
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
