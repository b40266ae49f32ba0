"""A peer that breaks on demand: HTTP, silence and DNS in one Pod, over both families. Run as a program there.

It says `ready`, then obeys one command a line and says `done` to each: `status N` (of every answer), `close` and `open`
(the HTTP port). It says `heard` whenever somebody connects to the silent port.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import dns.flags
import dns.message
import dns.rrset

#: Ports: HTTP whose answers and listener obey; TCP that accepts (and answers HTTP); accepted, then not a word; DNS.
MOODY, PLAIN, MUTE, NAMES = 7009, range(7001, 7008), 7010, 7053
NAME = "lab.example."


class Peer:
    """The servers of one Pod."""

    def __init__(self) -> None:
        self._status = 200
        self._listener: asyncio.Server | None = None

    async def run(self) -> None:
        """Serve until stdin ends."""
        loop = asyncio.get_running_loop()
        commands = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
        for port in PLAIN:
            await asyncio.start_server(self._answer, None, port)
        await asyncio.start_server(self._mute, None, MUTE)
        await loop.create_datagram_endpoint(_Names, ("::", NAMES))  # IPv4 comes in mapped addresses
        await self._open()
        print("ready", flush=True)
        while command := (await commands.readline()).decode().split():
            await self._obey(*command)
            print("done", flush=True)

    async def _obey(self, word: str, value: str = "") -> None:
        if word == "status":
            self._status = int(value)
        elif word == "close" and self._listener is not None:
            self._listener.close()
            self._listener = None
        elif word == "open":
            await self._open()

    async def _open(self) -> None:
        self._listener = await asyncio.start_server(self._moody, None, MOODY)

    async def _moody(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._answer(reader, writer, self._status)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, status: int = 200) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.1 {status} As Told\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok".encode())
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # whoever only wanted to connect
        finally:
            writer.close()

    async def _mute(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        print("heard", flush=True)
        await reader.read()
        writer.close()


class _Names(asyncio.DatagramProtocol):
    """Answers every question for A and AAAA."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = dns.message.make_response(dns.message.from_wire(data))
        reply.flags |= dns.flags.RA
        kind = reply.question[0].rdtype.name
        reply.answer.append(dns.rrset.from_text(NAME, 30, "IN", kind, "192.0.2.1" if kind == "A" else "2001:db8::1"))
        self._transport.sendto(reply.to_wire(), addr)


if __name__ == "__main__":
    asyncio.run(Peer().run())
