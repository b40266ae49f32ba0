"""Questions to one server over UDP: all at once, or each after the other's answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from prober.wire.datagram import DatagramFailed, DatagramSocket
from prober.wire.dns.exchange import Exchange
from prober.wire.dns.message import Query, Step
from prober.wire.dns.resolver import Sending, is_cut, settles


class UdpExchange(Exchange):
    """Over UDP, from the sockets of its lookup, which stay open after it."""

    async def go(self, until: float) -> None:
        """See Exchange.go."""
        queries, sending = self.ask.queries, self.ask.sending
        if sending is Sending.APART:
            await self._apart(queries, until)
        elif sending is Sending.TOGETHER:
            await self._batch(queries, until)
        else:
            await self._in_turn(queries, until)

    async def _in_turn(self, queries: Sequence[Query], until: float) -> None:
        """Each after the answer to the one before; after a failure that is passed over none, but the time is waited."""
        for query in queries:
            if query is not queries[0] and self.ask.sending is Sending.REOPEN:
                self.kept.close()
            step = await self._batch((query,), until)
            if self.ask.hasty and step is not None and not settles(step):
                if step.rcode is not None and query is not queries[-1] and not is_cut(step):
                    await self._silence(self.kept.socket(self.ask.place, query), until)
                return

    async def _silence(self, udp: DatagramSocket, until: float) -> None:
        """Nothing more is asked, and what comes is passed over."""
        while True:
            await udp.receive(until)

    async def _batch(self, queries: Sequence[Query], until: float) -> Step | None:
        """Send them all and receive until they are answered; the last step."""
        self.prepare(queries)
        udp = self.kept.socket(self.ask.place, queries[0])
        for query in queries:
            self._send(udp, query, first=query is queries[0])
        step: Step | None = None
        while self.messages:
            reply = await udp.receive(until)
            step = self.take(reply.data, reply.since) or step
        return step

    def _send(self, udp: DatagramSocket, query: Query, *, first: bool) -> None:
        """Send one question. An ICMP error of the one before is read by the next send: it leaves all the same."""
        try:
            sent = udp.send(self.messages[query].wire)
        except DatagramFailed:
            if first:
                raise
            sent = udp.send(self.messages[query].wire)
        self.trail.ask(query, sent)

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
