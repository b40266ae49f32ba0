"""Proxies that answer CONNECT badly, or not at all."""

from __future__ import annotations

from functools import partial

from prober.lab.connection import Connection
from prober.model import Endpoint
from prober.reasons import Kind, Layer, Reason
from tests.support.scenarios import ENOUGH, SHORT, Place, Shown, add
from tests.support.scenarios.servers import listening

#: What the proxy says before it ends the stream; None: nothing, and it goes on listening.
ANSWERS: dict[Reason, bytes | None] = {
    Reason.PROXY_AUTH: b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n",
    Reason.PROXY_REFUSED: b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
    Reason.PROXY_FAILED: b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
    Reason.CLOSED: b"",
    Reason.TIMEOUT: None,
}


async def _asked(place: Place, answer: bytes | None) -> Shown:
    async def serve(connection: Connection) -> None:
        head = b""
        while b"\r\n\r\n" not in head and (data := await connection.receive()):
            head += data
        if answer is None:
            return await connection.drain()
        await connection.send(answer)
        return await connection.finish()

    async with listening(place.family, serve) as port:
        timeout = SHORT if answer is None else ENOUGH
        proxy = Endpoint("http", place.address, port)
        return await place.climb(place.cell(Kind.TLS, "tls", 443, timeout=timeout, proxy=proxy))


for _reason, _answer in ANSWERS.items():
    add(Layer.PROXY, _reason, partial(_asked, answer=_answer))
