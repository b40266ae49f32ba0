"""A DNS server on loopback whose answers are a function: UDP and TCP on one port, in one family."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from prober.reasons import Family
from tests.support.cells import LOOPBACK

#: What goes back for a query: messages or raw bytes, in order; nothing: silence (over TCP: the connection ends).
Answers = Sequence[dns.message.Message | bytes]
Script = Callable[[dns.message.Message, str], Answers]
Records = Mapping[tuple[str, str], Sequence[str]]


@dataclass(frozen=True)
class Asked:
    """A query as the server saw it; `port` is the one it came from."""

    name: str
    type: str
    transport: str
    port: int
    message: dns.message.Message


@dataclass
class DnsServer:
    """A running server, and the queries it has seen."""

    address: str
    port: int
    script: Script
    asked: list[Asked] = field(default_factory=list)

    @property
    def where(self) -> str:
        """In the form of `resolver.servers`."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    @property
    def names(self) -> list[str]:
        return [asked.name for asked in self.asked]

    def replies(self, wire: bytes, transport: str, port: int) -> list[bytes]:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append(Asked(question.name.to_text(), kind, transport, port, query))
        return [r if isinstance(r, bytes) else r.to_wire(max_size=65535) for r in self.script(query, transport)]


Talk = Callable[[DnsServer, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def dns_server(
    family: Family, script: Script, tls: ssl.SSLContext | None = None, talk: Talk | None = None, *, tcp: bool = True
) -> AsyncIterator[DnsServer]:
    """A server that answers by `script` until the block ends; with `tls` its TCP port speaks TLS (RFC 7858).

    Without `tcp` nobody listens there. `talk` serves a connection in another way (`tests.support.doh`).
    """
    udp, stream = _sockets(family)
    address, port = udp.getsockname()[:2]
    server = DnsServer(address, port, script)
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: _Udp(server), sock=udp)
    connections: dict[asyncio.Task[None] | None, asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections[asyncio.current_task()] = writer
        await (talk or _talk)(server, reader, writer)

    listener = await asyncio.start_server(serve, sock=stream, ssl=tls)
    if not tcp:
        listener.close()
    try:
        yield server
    finally:
        transport.close()
        listener.close()
        await asyncio.sleep(0)  # lets connections that came last reach their handler
        for writer in connections.values():
            writer.close()
        await asyncio.gather(*filter(None, connections))


@contextlib.contextmanager
def in_thread(
    family: Family, script: Script, tls: ssl.SSLContext | None = None, talk: Talk | None = None
) -> Iterator[DnsServer]:
    """The same for code that runs an event loop of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    running = dns_server(family, script, tls, talk)
    try:
        yield asyncio.run_coroutine_threadsafe(running.__aenter__(), loop).result(10)
        asyncio.run_coroutine_threadsafe(running.__aexit__(None, None, None), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _talk(server: DnsServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one TCP connection until either side has had enough."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            wire = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
            replies = server.replies(wire, "tcp", writer.get_extra_info("peername")[1])
            if not replies:
                break
            for reply in replies:
                writer.write(len(reply).to_bytes(2, "big") + reply)
            await writer.drain()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


def _sockets(family: Family) -> tuple[socket.socket, socket.socket]:
    number = socket.AF_INET6 if family is Family.IPV6 else socket.AF_INET
    for _ in range(50):
        udp = socket.socket(number, socket.SOCK_DGRAM)
        udp.bind((LOOPBACK[family], 0))
        udp.setblocking(False)
        try:
            return udp, socket.create_server(udp.getsockname()[:2], family=number)
        except OSError:  # the TCP port of that number is taken
            udp.close()
    raise AssertionError("no port is free for both UDP and TCP")


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        for reply in self._server.replies(data, "udp", addr[1]):
            self._transport.sendto(reply, addr)


def reply_to(
    query: dns.message.Message, *answers: str, rcode: dns.rcode.Rcode = dns.rcode.NOERROR, flags: str = "RA"
) -> dns.message.Message:
    """A reply with `answers` as lines of a zone file: `name ttl IN type data`."""
    reply = dns.message.make_response(query)
    reply.set_rcode(rcode)
    reply.flags |= dns.flags.from_text(flags)
    for line in answers:
        name, ttl, zone, kind, data = line.split(None, 4)
        reply.answer.append(dns.rrset.from_text(name, int(ttl), zone, kind, data))
    return reply


def zone(records: Records) -> Script:
    """Answers from (absolute name, type) → data, TTL 30; NODATA for another type, NXDOMAIN for other names."""

    def answer(query: dns.message.Message, transport: str) -> Answers:
        name, kind = query.question[0].name.to_text(), dns.rdatatype.to_text(query.question[0].rdtype)
        if (name, kind) in records:
            return [reply_to(query, *(f"{name} 30 IN {kind} {data}" for data in records[name, kind]))]
        known = any(name == other for other, _ in records)
        return [reply_to(query, rcode=dns.rcode.NOERROR if known else dns.rcode.NXDOMAIN)]

    return answer


def always(rcode: dns.rcode.Rcode) -> Script:
    """The same code for every query."""
    return lambda query, transport: [reply_to(query, rcode=rcode)]


def silent(query: dns.message.Message, transport: str) -> Answers:
    """No answer."""
    return []


def truncated_over_udp(*answers: str) -> Script:
    """TC and nothing else over UDP, `answers` over TCP."""
    return lambda query, transport: [
        reply_to(query, *answers) if transport == "tcp" else reply_to(query, flags="RA TC")
    ]
