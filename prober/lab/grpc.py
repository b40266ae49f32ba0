"""The service payments: a grpcio server with health and reflection, behind a front that TLS and other faults need."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from prober.lab.connection import Connection, Speaker, TlsConnection, relay
from prober.lab.http import App, Misbehaviour, Reply, Request, Response
from prober.lab.http1 import serve_http1
from prober.lab.http2 import serve_http2
from prober.lab.sockets import connect
from prober.lab.switches import Switches

SERVICE = "payments.v1.Payments"
_KNOWN = ("", SERVICE)
_ABORTS = {
    "grpc-unimplemented": (grpc.StatusCode.UNIMPLEMENTED, "unknown service grpc.health.v1.Health"),
    "grpc-unavailable": (grpc.StatusCode.UNAVAILABLE, "shutting down"),
    "grpc-unauthenticated": (grpc.StatusCode.UNAUTHENTICATED, "no credentials"),
    "grpc-permission": (grpc.StatusCode.PERMISSION_DENIED, "not for you"),
    "grpc-unknown-service": (grpc.StatusCode.NOT_FOUND, "unknown service"),
}
_Status = health_pb2.HealthCheckResponse


class _Health(health_pb2_grpc.HealthServicer):
    """grpc.health.v1 as its text says, spoilt by the `grpc-…` faults."""

    def __init__(self, switches: Switches) -> None:
        self._switches = switches

    async def Check(  # noqa: N802 - the name is the protocol's
        self, request: health_pb2.HealthCheckRequest,
        context: grpc.aio.ServicerContext[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse],
    ) -> health_pb2.HealthCheckResponse:  # fmt: skip
        """The status of one service; NOT_FOUND for one that is not known."""
        if self._switches.on("grpc-hang"):
            await asyncio.Event().wait()  # until the client gives up: grpcio cancels the call
        fault = self._switches.first(*_ABORTS)
        if fault is not None:
            await context.abort(*_ABORTS[fault])
        if request.service not in _KNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        down = self._switches.on("grpc-not-serving")
        return _Status(status=_Status.NOT_SERVING if down else _Status.SERVING)


class Payments:
    """The server on a private port, and the fronts `serve` (plain) and `serve_tls` that relay to it."""

    def __init__(self, switches: Switches, context: ssl.SSLContext) -> None:
        self._switches = switches
        self._context = context
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        health_pb2_grpc.add_HealthServicer_to_server(_Health(switches), self._server)
        health = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
        reflection.enable_server_reflection([health, reflection.SERVICE_NAME], self._server)
        self._port = self._server.add_insecure_port("127.0.0.1:0")

    async def start(self) -> None:
        """Start the server behind the fronts."""
        await self._server.start()

    async def stop(self) -> None:
        """Stop it; calls that are open are cancelled."""
        await self._server.stop(None)

    async def serve(self, connection: Connection) -> None:
        """Serve one connection in the clear."""
        await self.speak(connection)

    async def serve_tls(self, connection: Connection) -> None:
        """Serve one connection after its TLS handshake."""
        tls = TlsConnection(connection, self._context)
        await tls.handshake()
        await self.speak(tls)

    async def speak(self, client: Speaker) -> None:
        """Serve what comes on an open stream."""
        if self._switches.on("grpc-http1"):
            return await serve_http1(client, _web_page)
        if (fault := self._switches.first(*_INSTEAD)) is not None:
            return await serve_http2(client, _INSTEAD[fault])
        upstream = await connect(socket.AF_INET, self._port)
        try:
            await relay(client, upstream)
        finally:
            upstream.close()


async def _web_page(_request: Request) -> Reply:
    """What a web server that knows nothing of gRPC answers to a call."""
    return Response(404, b"<h1>404 Not Found</h1>\n", {"content-type": "text/html"})


async def _without_trailers(_request: Request) -> Reply:
    """SERVING, as a proxy passes it on that knows no trailers."""
    return Response(200, _SERVING, {"content-type": "application/grpc"})


def _always(misbehaviour: Misbehaviour) -> App:
    async def answer(_request: Request) -> Reply:
        return misbehaviour

    return answer


_MESSAGE = _Status(status=_Status.SERVING).SerializeToString()
_SERVING = b"\0" + len(_MESSAGE).to_bytes(4, "big") + _MESSAGE  # the length-prefixed message of gRPC over HTTP/2
#: Faults of the front → what answers instead of the server behind it.
_INSTEAD: Mapping[str, App] = {
    "grpc-not-grpc": _web_page,
    "grpc-no-trailers": _without_trailers,
    "grpc-goaway": _always(Misbehaviour.GOAWAY),
    "grpc-stream-reset": _always(Misbehaviour.STREAM_RESET),
    "grpc-reset": _always(Misbehaviour.RESET),
    "grpc-closed": _always(Misbehaviour.CLOSE),
}
