"""The DNS server of the lab, over UDP and TCP: a resolver with recursion available, as CoreDNS is for its Pods."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

from prober.lab.connection import Connection
from prober.lab.switches import Switches
from prober.lab.zone import API, HEADLESS, OUTSIDE, STALE, WEB_API, Found, Zone, rrset

log = logging.getLogger(__name__)

SLOW = 0.22  # seconds: a name that walks the demo's search list still arrives in time
_PAYLOAD = 1232  # bytes of UDP that pass everywhere: the DNS flag day of 2020
_UDP_WITHOUT_EDNS = 512  # RFC 1035 section 4.2.1
_LARGEST = 65535


@dataclass(frozen=True, slots=True)
class Spoilt:
    """Which names the faults are about."""

    gone: dns.name.Name = WEB_API
    """`dns-nxdomain`, `dns-no-aaaa`"""
    large: dns.name.Name = HEADLESS
    """`dns-truncated`, with all below it"""
    upstream: dns.name.Name = OUTSIDE
    """`dns-servfail` and `dns-malformed`, with all below it"""
    stale: dns.name.Name = API
    """`dns-wrong-answer`"""


class DnsServer:
    """Answers from a zone, spoilt by the `dns-…` faults. `slow`: seconds that `dns-slow` takes for a reply."""

    def __init__(self, switches: Switches, zone: Zone, spoilt: Spoilt = Spoilt(), slow: float = SLOW) -> None:
        self._switches = switches
        self._zone = zone
        self._spoilt = spoilt
        self._slow = slow
        self._sockets: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, datagrams: Sequence[socket.socket]) -> None:
        """Answer on these UDP sockets, which are ours from now on."""
        for sock in datagrams:
            self._sockets.append(sock)
            asyncio.get_running_loop().add_reader(sock, self._receive, sock)

    @property
    def is_open(self) -> bool:
        """Whether it has UDP sockets."""
        return bool(self._sockets)

    async def close(self) -> None:
        """Close the UDP sockets; replies that are under way are dropped. `start` may come again."""
        for sock in self._sockets:
            asyncio.get_running_loop().remove_reader(sock)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()

    async def serve(self, connection: Connection) -> None:
        """Answer the queries of one TCP connection, in turn (RFC 7766)."""
        while len(prefix := await connection.peek(2)) == 2:
            size = 2 + int.from_bytes(prefix, "big")
            wire = await connection.peek(size)
            await connection.receive(size)
            reply = await self.answer(wire[2:], _LARGEST)
            if reply is None:
                await connection.drain()
            if not reply:
                break
            await connection.send(len(reply).to_bytes(2, "big") + reply)
        await connection.finish()

    def _receive(self, sock: socket.socket) -> None:
        try:
            wire, client = sock.recvfrom(_LARGEST)
        except OSError as error:
            log.debug("no datagram: %s", error)
            return
        task = asyncio.create_task(self._reply(sock, wire, client))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reply(self, sock: socket.socket, wire: bytes, client: tuple[str, int]) -> None:
        try:
            if reply := await self.answer(wire, None):
                sock.sendto(reply, client)
        except OSError as error:
            log.debug("no reply to %s: %s", client, error)
        except Exception:
            log.exception("internal error of the lab")

    async def answer(self, wire: bytes, limit: int | None) -> bytes | None:
        """The reply to one query, of at most `limit` bytes; where None, UDP's limit that the query gives.

        None: stay silent. Empty: end the TCP connection.
        """
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return None
        if self._switches.on("dns-timeout") or query.flags & dns.flags.QR or len(query.question) != 1:
            return None
        if self._switches.on("dns-slow"):
            await asyncio.sleep(self._slow)
        name = query.question[0].name
        if self._switches.on("dns-truncated") and name.is_subdomain(self._spoilt.large):
            return truncated(self.response(query, dns.rcode.NOERROR)) if limit is None else b""
        full = packed(self.message(query), query, limit)
        if self._switches.on("dns-malformed") and name.is_subdomain(self._spoilt.upstream):
            return full[: len(query.to_wire()) + 3]
        return full

    def message(self, query: dns.message.Message) -> dns.message.Message:
        """The reply to `query`, of any size."""
        name = query.question[0].name
        if self._switches.on("dns-refused"):
            return self.response(query, dns.rcode.REFUSED)
        if self._switches.on("dns-servfail") and name.is_subdomain(self._spoilt.upstream):
            return self.response(query, dns.rcode.SERVFAIL)
        found = self._found(query)
        reply = self.response(query, dns.rcode.NOERROR if found.exists else dns.rcode.NXDOMAIN)
        reply.answer.extend(found.answer)
        if not any(records.rdtype == query.question[0].rdtype for records in found.answer) and found.soa is not None:
            reply.authority.append(found.soa)
        return reply

    def _found(self, query: dns.message.Message) -> Found:
        name, kind = query.question[0].name, query.question[0].rdtype
        found = self._zone.find(name, kind)
        if name == self._spoilt.gone and self._switches.on("dns-nxdomain"):
            return Found(exists=False, soa=found.soa)
        if name == self._spoilt.gone and kind == dns.rdatatype.AAAA and self._switches.on("dns-no-aaaa"):
            return replace(found, answer=())
        if self._switches.on("dns-wrong-answer"):
            return replace(found, answer=tuple(map(self._stale, found.answer)))
        return found

    def _stale(self, records: dns.rrset.RRset) -> dns.rrset.RRset:
        """The records, of an address that has moved on since."""
        if records.name != self._spoilt.stale or records.rdtype not in STALE:
            return records
        return rrset(records.name, records.rdtype, STALE[records.rdtype])

    def response(self, query: dns.message.Message, rcode: dns.rcode.Rcode) -> dns.message.Message:
        """A reply without records."""
        reply = dns.message.make_response(query, recursion_available=True, our_payload=_PAYLOAD)
        reply.set_rcode(rcode)
        known = rcode in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)
        if known and self._zone.is_authority(query.question[0].name):
            reply.flags |= dns.flags.AA
        return reply


def packed(reply: dns.message.Message, query: dns.message.Message, limit: int | None) -> bytes:
    """The reply in `limit` bytes (where None, in what the query takes over UDP), or truncated."""
    try:
        return reply.to_wire(max_size=limit or (query.payload if query.edns >= 0 else _UDP_WITHOUT_EDNS))
    except dns.exception.TooBig:
        return truncated(reply)


def truncated(reply: dns.message.Message) -> bytes:
    """The reply without its records and with TC set: the client has to come back over TCP (RFC 2181 section 9)."""
    reply.answer.clear()
    reply.authority.clear()
    reply.flags |= dns.flags.TC
    return reply.to_wire()
