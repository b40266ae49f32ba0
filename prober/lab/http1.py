"""HTTP/1.1 over a connection: h11 keeps the rules, this file moves the bytes, and misbehaves when told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from http import HTTPStatus

import h11

from prober.lab.connection import Speaker
from prober.lab.http import GARBAGE, PROMISED, SENT, App, Misbehaviour, Request, Response, without_port


async def serve_http1(connection: Speaker, app: App) -> None:
    """Answer requests until either side ends the connection. What is not HTTP/1.1 is answered with 400."""
    protocol = h11.Connection(h11.SERVER)
    try:
        while (request := await _next_request(protocol, connection)) is not None:
            reply = await app(request)
            if isinstance(reply, Misbehaviour):
                await _misbehave(connection, reply)
                return
            await _respond(protocol, connection, request, reply)
            if protocol.our_state is not h11.DONE or protocol.their_state is not h11.DONE:
                break
            protocol.start_next_cycle()
    except h11.RemoteProtocolError as error:
        await connection.send(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n%b\n" % str(error).encode())
    await connection.finish()


async def _next_request(protocol: h11.Connection, connection: Speaker) -> Request | None:
    """The next request, its body read and dropped; None once the client has left."""
    head: h11.Request | None = None
    while True:
        event = protocol.next_event()
        if event is h11.NEED_DATA:
            protocol.receive_data(await connection.receive())
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            headers = _plain(head.headers)
            host = without_port(headers.get("host", ""))
            return Request(head.method.decode(), head.target.decode(), host, headers, connection.family)
        elif isinstance(event, h11.ConnectionClosed):
            return None


def _plain(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("ascii"): value.decode("latin-1") for name, value in headers}


async def _respond(protocol: h11.Connection, connection: Speaker, request: Request, response: Response) -> None:
    headers = dict(response.headers)
    if isinstance(response.body, bytes):
        headers["content-length"] = str(len(response.body))
    else:
        headers["connection"] = "close"  # while it streams, whatever the client sends means that it leaves
    head = h11.Response(
        status_code=response.status, reason=HTTPStatus(response.status).phrase, headers=list(headers.items())
    )
    await connection.send(protocol.send(head) or b"")
    if isinstance(response.body, bytes):
        body = b"" if request.method == "HEAD" else response.body
        await connection.send((protocol.send(h11.Data(body)) or b"") + (protocol.send(h11.EndOfMessage()) or b""))
        return
    await _stream(protocol, connection, response.body)


async def _stream(protocol: h11.Connection, connection: Speaker, chunks: AsyncIterator[bytes]) -> None:
    """Send chunks until they end or the client leaves."""

    async def send() -> None:
        async for chunk in chunks:
            await connection.send(protocol.send(h11.Data(chunk)) or b"")
        await connection.send(protocol.send(h11.EndOfMessage()) or b"")

    tasks = asyncio.create_task(send()), asyncio.create_task(connection.drain())
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _misbehave(connection: Speaker, how: Misbehaviour) -> None:
    if how is Misbehaviour.HANG:
        await connection.drain()
    elif how is Misbehaviour.GARBAGE:
        await connection.send(GARBAGE)
        await connection.finish()
    elif how is Misbehaviour.TRUNCATED:
        await connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (PROMISED, SENT))
        await connection.finish()
    elif how in (Misbehaviour.RESET, Misbehaviour.STREAM_RESET):
        connection.reset()
    else:
        await connection.finish()
