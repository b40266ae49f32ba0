"""The I/O of a `Race`: every question to every server from one socket, truncated answers once more over TCP.

What counts is decided by `prober.wire.dns.musl.Heat`; here are the socket, the rounds and the trail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from prober.reasons import Reason
from prober.wire.datagram import Datagram, OpenDatagramSocket, Peer
from prober.wire.dns.exchange import MAX_STRAYS, OURS, Channel, explain
from prober.wire.dns.kept import Kept
from prober.wire.dns.message import Query, Sent, Step, encode, judge
from prober.wire.dns.musl import Heat
from prober.wire.dns.perform import exchange_of
from prober.wire.dns.resolver import Ask, Race
from prober.wire.dns.trail import Trail
from prober.wire.errqueue import IcmpError
from prober.wire.stamps import Instant


async def perform_race(race: Race, trail: Trail, channel: Channel | None = None) -> Sequence[Step]:
    """Send the questions of `race`, round by round; a step for each time that one was sent.

    What is still on its way once every type has its answer ends as `cancelled`. OSError for errors of this process.
    """
    before = len(trail.steps)
    running = _Running(race, trail, channel)
    try:
        await running.go()
    finally:
        await running.end()
    return trail.steps[before:]


def _peer(query: Query) -> Peer:
    return query.server.address, query.server.port


class _Running:
    """One race under way."""

    def __init__(self, race: Race, trail: Trail, channel: Channel | None) -> None:
        self._race = race
        self._trail = trail
        self._channel = channel
        self._heat = Heat(race)
        self._messages: dict[str, Sent] = {}
        """By type: all servers get the same message."""
        self._cannot: dict[Peer, str] = {}
        """Servers that cannot be reached, and why."""
        self._strays = 0
        self._began = Instant.now()
        self._took = 0.0
        self._udp: OpenDatagramSocket | None = None
        self._tasks: dict[Query | None, asyncio.Task[None]] = {}
        """Connections by their query, and the receiver of datagrams."""
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def go(self) -> None:
        """Ask, round by round, until everything is answered or the time is over."""
        race, loop = self._race, asyncio.get_running_loop()
        for query in race.queries:
            self._messages.setdefault(query.type, encode(query))
        if race.queries[0].transport == "udp":
            self._udp = OpenDatagramSocket(dict.fromkeys(map(_peer, race.queries)))
            self._spawn(None, self._receive(self._udp))
        end = loop.time() + race.wait
        while (left := round(end - loop.time(), 3)) > 0:
            for query in self._heat.due():
                self._send(query)
            await asyncio.wait([self._over], timeout=min(race.interval, left))
            if self._over.done():
                self._over.result()
                return
            self._give_up(lambda query: query in race.queries and self._heat.wants(query))
        self._took = self._until_now()

    async def end(self) -> None:
        """Stop, and end every query that is still on its way."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        if self._udp is not None:
            self._udp.close()
        if self._over.done() and not self._over.cancelled():
            self._over.exception()  # `go` has raised it, or was cancelled before it could
        self._give_up(lambda query: self._heat.wants(query))
        answered = [query for query in self._trail.waiting if self._is_ours(query)]
        self._trail.give_up(Reason.CANCELLED, "another server answered first", answered)
        name = self._race.queries[0].name
        self._trail.spent[name] = self._trail.spent.get(name, 0.0) + self._took

    def _is_ours(self, query: Query) -> bool:
        return query in self._race.queries or query in self._tasks

    def _spawn(self, query: Query | None, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` beside the rounds; what it raises ends the race."""
        task = self._tasks[query] = asyncio.ensure_future(work)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._over.done():
            self._over.set_exception(error)

    def _send(self, query: Query) -> None:
        """Send one question; a server that cannot be reached is left alone until the next round."""
        if self._udp is None or query.transport != "udp":
            self._spawn(query, self._connect(query))
            return
        self._trail.ask(query, Instant.now())
        try:
            self._trail.ask(query, self._udp.send(self._messages[query.type].wire, _peer(query)))
        except OSError as error:
            if error.errno in OURS:
                raise
            self._cannot[_peer(query)] = explain(error)

    async def _connect(self, query: Query) -> None:
        """Ask one question over a connection of its own."""
        kept = Kept()
        kept.remember(query, self._messages[query.type])
        exchange = exchange_of(Ask((query,), self._race.wait), self._trail, self._channel, kept)
        try:
            await exchange.go(asyncio.get_running_loop().time() + self._race.wait)
        except TimeoutError:
            self._trail.give_up(Reason.TIMEOUT, "", (query,))
        except OSError as error:
            if error.errno in OURS:
                raise
            self._trail.give_up(Reason.UNREACHABLE, explain(error), (query,))
        step = next(step for step in reversed(self._trail.steps) if step.query == query)
        self._weigh(step)

    async def _receive(self, udp: OpenDatagramSocket) -> None:
        """Take datagrams and ICMP errors as they come."""
        while not self._over.done():
            peer, got = await udp.receive()
            if isinstance(got, IcmpError):
                if peer is not None:
                    self._cannot[peer] = f"ICMP {got.label} from {got.offender}"
            else:
                self._take(peer, got)

    def _take(self, peer: Peer | None, got: Datagram) -> None:
        """Judge one reply; one that belongs to no question is passed over, a flood of them ends the race."""
        waiting = {
            query: self._messages[query.type]
            for query in self._trail.waiting
            if query in self._race.queries and _peer(query) == peer
        }
        known = any(got.data[:2] == message.wire[:2] for message in waiting.values())
        step = judge(waiting, got.data) if known else None
        if step is not None:
            self._hear(step, got)
            return
        self._strays += 1
        if self._strays > MAX_STRAYS:
            self._trail.give_up(Reason.MALFORMED, self._passed_over)
            self._finish()

    def _hear(self, step: Step, got: Datagram) -> None:
        self._trail.hear(step, got.since)
        if self._heat.wants(step.query):
            self._took = max(self._took, got.since(self._began).seconds)
        self._weigh(self._trail.steps[-1])

    def _weigh(self, step: Step) -> None:
        """Do what a step leads to."""
        if step.query.transport != "udp":
            self._took = max(self._took, self._until_now())
        again = self._heat.hear(step)
        if again is not None:
            self._send(again)
        if self._heat.over:
            self._finish()

    def _until_now(self) -> float:
        return Instant.now().monotonic - self._began.monotonic

    def _finish(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    @property
    def _passed_over(self) -> str:
        return f"{self._strays} answers to other questions passed over" if self._strays else ""

    def _give_up(self, which: Callable[[Query], bool]) -> None:
        """End those queries that wait for nothing any more: silence, or a server that cannot be reached."""
        for query in [query for query in self._trail.waiting if self._is_ours(query) and which(query)]:
            self._took = max(self._took, self._until_now())
            if query in self._tasks:
                self._tasks[query].cancel()
            why = self._cannot.get(_peer(query), "")
            reason = Reason.UNREACHABLE if why else Reason.TIMEOUT
            self._trail.give_up(reason, why or self._passed_over, (query,))
