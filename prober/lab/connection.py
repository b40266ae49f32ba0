"""One accepted connection as a byte stream, plain or under TLS, with every way to end it.

TLS runs over memory BIOs rather than asyncio's transports, because these drop the alert of a failed handshake and
the alerts are the point of half the faults.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from contextlib import suppress

_CHUNK = 65536
_LINGER = 1.0  # seconds that a closing server waits for its client to close too


class Connection:
    """The server's end of a TCP connection. Reads and writes raise the OSError of the socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._pushed_back = b""
        self._sending = asyncio.Lock()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def family(self) -> socket.AddressFamily:
        """The address family of the connection."""
        return self._sock.family

    async def receive(self, max_bytes: int = _CHUNK) -> bytes:
        """The next bytes; `b""` once the peer has ended the stream."""
        if self._pushed_back:
            data, self._pushed_back = self._pushed_back[:max_bytes], self._pushed_back[max_bytes:]
            return data
        return await self._loop.sock_recv(self._sock, max_bytes)

    async def send(self, data: bytes) -> None:
        """Send all of `data`; several tasks may send, each its piece as a whole."""
        async with self._sending:
            await self._loop.sock_sendall(self._sock, data)

    async def peek(self, size: int) -> bytes:
        """The first `size` bytes (fewer only at the end of the stream), left in place for the next reader."""
        data = b""
        while len(data) < size and (more := await self.receive()):
            data += more
        self._pushed_back = data
        return data[:size]

    async def drain(self) -> None:
        """Read and forget until the peer ends the stream."""
        while await self.receive():
            pass

    async def finish(self) -> None:
        """End our side and wait a moment for the peer, so that what was sent last is not lost to a RST."""
        with suppress(OSError, TimeoutError):
            self._sock.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(_LINGER):
                while await self._loop.sock_recv(self._sock, _CHUNK):
                    pass
        self.close()

    def reset(self) -> None:
        """Close with a RST (SO_LINGER of zero seconds, socket(7))."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Close at once."""
        self._sock.close()


class TlsConnection:
    """The server's end of TLS over a `Connection`; the same methods, above the records."""

    def __init__(self, below: Connection, context: ssl.SSLContext) -> None:
        self.below = below
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    async def handshake(self) -> None:
        """Finish the handshake; ssl.SSLError if it fails, after the alert has been sent."""
        try:
            while True:
                try:
                    self._tls.do_handshake()
                except ssl.SSLWantReadError:
                    await self._flush()
                    await self._feed()
                else:
                    return await self._flush()
        except ssl.SSLError:
            await self._flush()
            await self.below.finish()
            raise

    @property
    def alpn(self) -> str | None:
        """The protocol that was agreed on (RFC 7301)."""
        return self._tls.selected_alpn_protocol()

    @property
    def family(self) -> socket.AddressFamily:
        """The address family of the connection."""
        return self.below.family

    async def receive(self, max_bytes: int = _CHUNK) -> bytes:
        """The next decrypted bytes; `b""` once the peer has ended the stream, with or without close_notify."""
        while True:
            try:
                return self._tls.read(max_bytes)
            except ssl.SSLWantReadError:
                await self._flush()
                await self._feed()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    async def send(self, data: bytes) -> None:
        """Send all of `data`; several tasks may send, each its piece as a whole."""
        self._tls.write(data)  # a memory BIO takes everything
        await self._flush()

    async def drain(self) -> None:
        """Read and forget until the peer ends the stream."""
        while await self.receive():
            pass

    async def finish(self) -> None:
        """Send close_notify, end our side, wait a moment for the peer."""
        with suppress(ssl.SSLError):  # close_notify of the peer has not come yet, and need not
            self._tls.unwrap()
        with suppress(OSError):
            await self._flush()
        await self.below.finish()

    def reset(self) -> None:
        """Close the connection below with a RST."""
        self.below.reset()

    def close(self) -> None:
        """Close the connection below at once, without close_notify."""
        self.below.close()

    async def _feed(self) -> None:
        if data := await self.below.receive():
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    async def _flush(self) -> None:
        if data := self._outgoing.read():
            await self.below.send(data)


#: What the protocols above speak on.
Speaker = Connection | TlsConnection


async def relay(client: Speaker, upstream: Connection, first: bytes = b"") -> None:
    """Carry bytes both ways until either side ends, then end the client's; `first` has come from it already."""
    if first:
        await upstream.send(first)
    pumps = [asyncio.create_task(_pump(client, upstream)), asyncio.create_task(_pump(upstream, client))]
    try:
        done, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
    try:
        for pump in done:
            pump.result()
    except ConnectionResetError:
        client.reset()  # a RST is passed on as one, so that a fault looks the same from both sides
        raise
    await client.finish()


async def _pump(source: Speaker, sink: Speaker) -> None:
    while data := await source.receive():
        await sink.send(data)
