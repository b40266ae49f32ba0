"""gRPC servers as frames: any client library meets the same bytes."""

from __future__ import annotations

from functools import partial

from h2.errors import ErrorCodes

from prober.lab.tls import make_context
from prober.reasons import Kind, Layer, Reason
from tests.support import payments
from tests.support.http import Handler, Http2Peer, frame, response, says, serving, speaks_http2
from tests.support.scenarios import ENOUGH, NAME, SHORT, Place, Shown, add, shows
from tests.support.scenarios.servers import listening
from tests.support.scenarios.tls import speaks

#: HealthCheckResponse of grpc.health.v1, field 1, and status codes of gRPC.
NOT_SERVING = b"\x08\x02"
NOT_FOUND, PERMISSION_DENIED, RESOURCE_EXHAUSTED, UNIMPLEMENTED, UNAVAILABLE, UNAUTHENTICATED = 5, 7, 8, 12, 14, 16


def answers(status: int, message: bytes | None = None) -> Handler:
    """A response with `message`, if there is one, and `status` in its trailers."""

    async def handler(side: Http2Peer) -> None:
        if not side.headers:
            return  # a connection that was only opened
        head = [(":status", "200"), ("content-type", "application/grpc")]
        trailers = [("grpc-status", str(status)), ("grpc-message", "because")]
        if message is None:
            side.connection.send_headers(1, head + trailers, end_stream=True)
        else:
            side.connection.send_headers(1, head)
            side.connection.send_data(1, b"\0" + len(message).to_bytes(4) + message)
            side.connection.send_headers(1, trailers, end_stream=True)
        await side.flush()
        await side.peer.reader.read()

    return speaks_http2(handler)


@speaks_http2
async def _goes_away(side: Http2Peer) -> None:
    await side.peer.send(frame(7, bytes(4) + int(ErrorCodes.INTERNAL_ERROR).to_bytes(4)))
    await side.peer.reader.read()


@speaks_http2
async def _hangs(side: Http2Peer) -> None:
    await side.peer.reader.read()


@speaks_http2
async def _resets_the_stream(side: Http2Peer) -> None:
    side.connection.reset_stream(1, ErrorCodes.INTERNAL_ERROR)
    await side.flush()
    await side.peer.reader.read()


@speaks_http2
async def _resets(side: Http2Peer) -> None:
    side.peer.reset()


@speaks_http2
async def _closes(side: Http2Peer) -> None:
    side.peer.writer.close()


SERVERS: dict[Reason, Handler] = {
    Reason.NOT_SERVING: answers(0, NOT_SERVING),
    Reason.UNIMPLEMENTED: answers(UNIMPLEMENTED),
    Reason.UNKNOWN_SERVICE: answers(NOT_FOUND),
    Reason.UNAUTHENTICATED: answers(UNAUTHENTICATED),
    Reason.PERMISSION: answers(PERMISSION_DENIED),
    Reason.UNAVAILABLE: answers(UNAVAILABLE),
    Reason.STATUS: answers(RESOURCE_EXHAUSTED),
    Reason.NOT_GRPC: says(response("400 Bad Request")),
    Reason.GOAWAY: _goes_away,
    Reason.STREAM_RESET: _resets_the_stream,
    Reason.RESET: _resets,
    Reason.CLOSED: _closes,
    Reason.TIMEOUT: _hangs,
}


async def _checked(place: Place, handler: Handler) -> Shown:
    async with serving(handler, place.family) as server:
        timeout = SHORT * 2 if handler is _hangs else ENOUGH
        return await place.climb(place.cell(Kind.GRPC, "grpc", server.port, host=place.address, timeout=timeout))


for _reason, _handler in SERVERS.items():
    add(Layer.GRPC, _reason, partial(_checked, handler=_handler))


@shows(Layer.GRPC, Reason.CLIENT_CERTIFICATE)
async def a_client_certificate_that_tls_1_3_asks_for(place: Place) -> Shown:
    """It can say so only after the handshake."""
    context = make_context(place.files, [NAME], frozenset({"tls-client-certificate"}))
    context.set_alpn_protocols(["h2"])
    async with listening(place.family, speaks(context)) as port:
        return await place.climb(place.cell(Kind.GRPC, "grpcs", port))


@shows(Layer.GRPC, Reason.BODY)
async def a_message_that_is_not_as_expected(place: Place) -> Shown:
    async with payments.serving(payments.Payments(), place.family) as server:
        cell = place.cell(
            Kind.GRPC, "grpc", server.port, host=place.address, options={"grpc": {"call": f"{payments.SERVICE}/Get"}},
            expect={"body_json": {"$.amount.currency": "CHF"}},
        )  # fmt: skip
        return await place.climb(cell)
