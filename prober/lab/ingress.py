"""The ingress: terminates TLS, routes by SNI and Host, and forwards to web-api over a connection of its own."""

from __future__ import annotations

import asyncio
from time import perf_counter

import h11

from prober.lab.certificates import CertificateFiles
from prober.lab.connection import Connection, TlsConnection
from prober.lab.http import App, Misbehaviour, Reply, Request, Response, text
from prober.lab.http1 import serve_http1
from prober.lab.http2 import serve_http2
from prober.lab.sockets import connect
from prober.lab.switches import Switches
from prober.lab.tls import Terminator

_CONNECT_TIMEOUT = 0.5  # seconds
_ANSWER_TIMEOUT = 5.0
_HTTP2_ONLY = {"http-goaway": Misbehaviour.GOAWAY, "http-stream-reset": Misbehaviour.STREAM_RESET}


def over_http2(switches: Switches, app: App) -> App:
    """`app` as it answers over HTTP/2, spoilt by the faults that only this version has."""

    async def answer(request: Request) -> Reply:
        fault = switches.first(*_HTTP2_ONLY)
        return _HTTP2_ONLY[fault] if fault else await app(request)

    return answer


class Ingress:
    """Routes `host` (as SNI and as Host) to the port of the application, in the family that the client came by."""

    def __init__(self, switches: Switches, certificates: CertificateFiles, host: str, upstream_port: int) -> None:
        self._switches = switches
        self._host = host
        self._upstream_port = upstream_port
        self._terminator = Terminator(switches, certificates, [host], self._speak, self._speak_plain)

    async def serve(self, connection: Connection) -> None:
        """Serve one connection."""
        await self._terminator.serve(connection)

    async def _speak(self, connection: TlsConnection) -> None:
        if connection.alpn == "h2":
            await serve_http2(connection, over_http2(self._switches, self._answer))
        else:
            await serve_http1(connection, self._answer)

    async def _speak_plain(self, connection: Connection) -> None:
        await serve_http1(connection, self._answer)

    async def _answer(self, request: Request) -> Reply:
        if request.host != self._host or self._switches.on("ingress-no-route"):
            return text(404, "default backend - 404\n", server="lab-ingress")
        began = perf_counter()
        try:
            answer = await self._forward(request)
        except TimeoutError:
            answer = text(504, "upstream request timeout\n")
        except (OSError, h11.RemoteProtocolError) as error:
            answer = text(502, f"upstream connect error or reset: {type(error).__name__}\n")
        upstream = f"{(perf_counter() - began) * 1000:.0f}"
        headers = {**answer.headers, "server": "lab-ingress", "x-envoy-upstream-service-time": upstream}
        return Response(answer.status, answer.body, headers)

    async def _forward(self, request: Request) -> Response:
        async with asyncio.timeout(_CONNECT_TIMEOUT):
            upstream = await connect(request.family, self._upstream_port)
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT):
                return await _exchange(upstream, request)
        finally:
            upstream.close()


async def _exchange(upstream: Connection, request: Request) -> Response:
    """One request without a body over HTTP/1.1, and its response read to the end."""
    protocol = h11.Connection(h11.CLIENT)
    headers = [("host", request.host), ("connection", "close"), ("via", "lab-ingress")]
    head = h11.Request(method=request.method, target=request.target, headers=headers)
    await upstream.send((protocol.send(head) or b"") + (protocol.send(h11.EndOfMessage()) or b""))
    status, kept, body = 0, dict[str, str](), b""
    while True:
        event = protocol.next_event()
        if event is h11.NEED_DATA:
            protocol.receive_data(await upstream.receive())
        elif isinstance(event, h11.Response):
            status = event.status_code
            kept = {name.decode(): value.decode("latin-1") for name, value in event.headers}
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            return Response(status, body, {name: kept[name] for name in kept.keys() & _END_TO_END})


_END_TO_END = {"content-type", "retry-after"}
