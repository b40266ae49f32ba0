"""HTTP/2 over a connection: h2 keeps the rules, this file moves the bytes, and misbehaves when told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

from prober.lab.connection import Speaker
from prober.lab.http import GARBAGE, PROMISED, SENT, App, Misbehaviour, Reply, Request, Response, without_port

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # RFC 9113 section 3.4


async def serve_http2(connection: Speaker, app: App) -> None:
    """Answer the streams of one connection until either side ends it."""
    await _Session(connection, app).run()


class _Session:
    """One connection: a reader, and a task for each stream that has its request."""

    def __init__(self, connection: Speaker, app: App) -> None:
        self._connection = connection
        self._app = app
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self._requests: dict[int, Request] = {}
        self._streams: dict[int, asyncio.Task[None]] = {}
        self._window = asyncio.Condition()
        self._reader: asyncio.Task[None] | None = None
        self._ending = Misbehaviour.CLOSE

    async def run(self) -> None:
        self._h2.initiate_connection()
        await self._flush()
        self._reader = asyncio.create_task(self._read())
        try:
            await asyncio.wait({self._reader})
        finally:
            tasks = [self._reader, *self._streams.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await self._end()

    async def _read(self) -> None:
        with suppress(OSError, h2.exceptions.ProtocolError):  # h2 has written the GOAWAY that says which error
            while data := await self._connection.receive():
                for event in self._h2.receive_data(data):
                    if isinstance(event, h2.events.ConnectionTerminated):
                        return
                    await self._handle(event)
                await self._flush()

    async def _end(self) -> None:
        if self._ending is Misbehaviour.RESET:
            return self._connection.reset()
        if self._ending is Misbehaviour.GOAWAY:  # as of a server that drains and has processed nothing
            self._h2.close_connection(h2.errors.ErrorCodes.NO_ERROR, last_stream_id=0)
        with suppress(OSError):
            await self._flush()
            if self._ending is Misbehaviour.GARBAGE:
                await self._connection.send(GARBAGE)
        return await self._connection.finish()

    async def _handle(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived():
                self._requests[event.stream_id] = _request(event, self._connection)
            case h2.events.DataReceived():
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.StreamEnded():
                stream = event.stream_id
                task = asyncio.create_task(self._answer(stream, self._requests.pop(stream)))
                self._streams[stream] = task
                task.add_done_callback(lambda _: self._streams.pop(stream, None))
            case h2.events.StreamReset():
                self._requests.pop(event.stream_id, None)
                if (running := self._streams.get(event.stream_id)) is not None:
                    running.cancel()
            case h2.events.WindowUpdated() | h2.events.RemoteSettingsChanged():
                async with self._window:
                    self._window.notify_all()

    async def _answer(self, stream: int, request: Request) -> None:
        with suppress(OSError, h2.exceptions.ProtocolError):  # the client has left, or has reset the stream
            reply: Reply = await self._app(request)
            if isinstance(reply, Misbehaviour):
                await self._misbehave(stream, reply)
            else:
                await self._respond(stream, request, reply)

    async def _respond(self, stream: int, request: Request, response: Response) -> None:
        body = response.body
        headers = [(":status", str(response.status)), *response.headers.items()]
        if isinstance(body, bytes):
            headers.append(("content-length", str(len(body))))
        no_body = request.method == "HEAD" or body == b""
        self._h2.send_headers(stream, headers, end_stream=no_body)
        await self._flush()
        if no_body:
            return
        async for chunk in _chunks(body):
            await self._send_data(stream, chunk)
        self._h2.end_stream(stream)
        await self._flush()

    async def _send_data(self, stream: int, data: bytes) -> None:
        """Send `data` as the peer's flow control windows open (RFC 9113 section 5.2)."""
        while data:
            async with self._window:
                await self._window.wait_for(lambda: self._h2.local_flow_control_window(stream) > 0)
            size = min(self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size)
            self._h2.send_data(stream, data[:size])
            data = data[size:]
            await self._flush()

    async def _misbehave(self, stream: int, how: Misbehaviour) -> None:
        if how is Misbehaviour.HANG:
            await asyncio.Event().wait()  # until the client leaves: the session cancels its streams
        elif how is Misbehaviour.STREAM_RESET:
            self._h2.reset_stream(stream, h2.errors.ErrorCodes.INTERNAL_ERROR)
            await self._flush()
        elif self._reader is not None:  # the others end the whole connection
            if how is Misbehaviour.TRUNCATED:
                self._h2.send_headers(stream, [(":status", "200"), ("content-length", str(PROMISED))])
                self._h2.send_data(stream, SENT)
            self._ending = how
            self._reader.cancel()

    async def _flush(self) -> None:
        if data := self._h2.data_to_send():
            await self._connection.send(data)


def _request(event: h2.events.RequestReceived, connection: Speaker) -> Request:
    headers = dict(_decoded(event))
    host = without_port(headers.get(":authority", headers.get("host", "")))
    return Request(headers.get(":method", ""), headers.get(":path", ""), host, headers, connection.family)


def _decoded(event: h2.events.RequestReceived) -> list[tuple[str, str]]:
    return [(str(name), str(value)) for name, value in event.headers or ()]


async def _chunks(body: bytes | AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if isinstance(body, bytes):
        yield body
        return
    async for chunk in body:
        yield chunk
