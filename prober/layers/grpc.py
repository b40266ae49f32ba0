"""The grpc rung: one health check (grpc.health.v1). Held: the answer is SERVING.

grpcio cannot take our connection, so this rung opens one of its own, pinned to the address that the rungs below
have reached, and shares it with nobody. Its time is the call's alone; its own TCP and TLS are evidence. Over TLS it
trusts exactly the chain that the tls rung has seen and judged.
grpcio keeps its socket to itself, so the time is on the user clock.
"""

from __future__ import annotations

from time import perf_counter
from typing import Final

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2

from prober.layers.base import Ascent, Failed
from prober.layers.tls import name_of
from prober.model import Cell
from prober.options import reveal
from prober.reasons import Reason
from prober.wire.certificates import carries_name, facts
from prober.wire.tls import TlsStream

#: gRPC status → reason; what is not here is `status`, with the code as evidence.
STATUS_REASONS: Final[dict[grpc.StatusCode, Reason]] = {
    grpc.StatusCode.UNIMPLEMENTED: Reason.UNIMPLEMENTED,
    grpc.StatusCode.NOT_FOUND: Reason.UNKNOWN_SERVICE,  # health.proto: an unknown service
    grpc.StatusCode.UNAUTHENTICATED: Reason.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED: Reason.PERMISSION,
    grpc.StatusCode.DEADLINE_EXCEEDED: Reason.TIMEOUT,
    grpc.StatusCode.UNAVAILABLE: Reason.UNAVAILABLE,
}
#: grpcio's own words for a peer that does not speak gRPC; the first that is contained wins.
DETAIL_REASONS: Final[tuple[tuple[str, Reason], ...]] = (
    ("http1.x server", Reason.NOT_GRPC),
    ("http status code", Reason.NOT_GRPC),
    ("http2 header with status", Reason.NOT_GRPC),
    ("content-type", Reason.NOT_GRPC),
    ("missing :status", Reason.NOT_GRPC),
    ("settings frame", Reason.NOT_GRPC),
    ("data frame with end_stream", Reason.NOT_GRPC),  # an answer without trailers
    ("goaway", Reason.GOAWAY),
)
_CHANNEL: Final = (
    ("grpc.use_local_subchannel_pool", 1),  # else probes share one connection
    ("grpc.enable_http_proxy", 0),  # the environment has no say
    ("grpc.enable_retries", 0),
    ("grpc.max_receive_message_length", 64 * 1024),
    ("grpc.primary_user_agent", "prober"),
)


async def check(ascent: Ascent) -> None:
    """Ask the server's health over a connection of its own."""
    began = perf_counter()
    channel = _channel(ascent)
    try:
        ready = await _connected(channel)
        asked = perf_counter()
        ascent.evidence["connect_seconds"] = round(asked - began, 6)
        try:
            answer = await _ask(ascent, channel)
        except grpc.aio.AioRpcError as error:
            raise _refused(ascent, error, ready=ready) from error
        ended = perf_counter()
        ascent.took(ended - asked, kernel=False, waited=ended - began)
    finally:
        await channel.close(None)
    status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    ascent.evidence["status"] = status
    if status == "SERVICE_UNKNOWN":
        raise Failed(Reason.UNKNOWN_SERVICE)
    if status != "SERVING":
        raise Failed(Reason.NOT_SERVING)


def _channel(ascent: Ascent) -> grpc.aio.Channel:
    """A channel to the one address that the rungs below reached, closing their connection first."""
    address, port = ascent.address or "", ascent.port
    target = f"ipv6:[{address}]:{port}" if ":" in address else f"ipv4:{address}:{port}"
    below = ascent.stream
    cell = ascent.cell
    authority = cell.options.grpc.authority or (name_of(cell) if cell.endpoint.tls else cell.endpoint.authority)
    options = [*_CHANNEL, ("grpc.default_authority", authority)]
    try:
        if not isinstance(below, TlsStream):
            return grpc.aio.insecure_channel(target, options=options)
        options.append(("grpc.ssl_target_name_override", _certified_name(cell, below)))
        return grpc.aio.secure_channel(target, _credentials(ascent, below), options=options)
    finally:
        ascent.close()


def _certified_name(cell: Cell, below: TlsStream) -> str:
    """The name that grpcio is to check: the cell's, or with `verify: false` one that the certificate does carry."""
    leaf = below.connection.get_peer_certificate(as_cryptography=True)
    name = name_of(cell)
    if leaf is None or carries_name(leaf, name):
        return name
    return next(iter(facts(leaf).names), name)


def _credentials(ascent: Ascent, below: TlsStream) -> grpc.ChannelCredentials:
    tls = ascent.cell.options.tls
    try:
        key_file = tls.key_file or tls.certificate_file
        key = key_file.read_bytes() if key_file is not None else None
        certificate = tls.certificate_file.read_bytes() if tls.certificate_file is not None else None
    except OSError as error:
        raise Failed(Reason.INTERNAL, f"client certificate can't be read: {error}") from error
    return grpc.ssl_channel_credentials(below.chain_pem(), key, certificate)


async def _connected(channel: grpc.aio.Channel) -> bool:
    """Whether the channel's first connection attempt succeeded."""
    state = channel.get_state(try_to_connect=True)
    while state in (grpc.ChannelConnectivity.IDLE, grpc.ChannelConnectivity.CONNECTING):
        await channel.wait_for_state_change(state)
        state = channel.get_state(try_to_connect=True)
    return state is grpc.ChannelConnectivity.READY


async def _ask(ascent: Ascent, channel: grpc.aio.Channel) -> health_pb2.HealthCheckResponse:
    options = ascent.cell.options.grpc
    metadata = []
    for name, value in options.metadata.items():
        try:
            text = reveal(value)
        except OSError as error:
            raise Failed(Reason.INTERNAL, f"metadata {name} can't be read: {error}") from error
        if not isinstance(value, str):
            ascent.hide(text, str(value))
        if not (name.endswith("-bin") or (text.isascii() and text.isprintable())):
            raise Failed(Reason.INTERNAL, f"metadata {name} holds what gRPC does not send: more than printable ASCII")
        metadata.append((name.lower(), text))
    ascent.evidence["service"] = options.service
    method = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    request = health_pb2.HealthCheckRequest(service=options.service)
    answer: health_pb2.HealthCheckResponse = await method(request, metadata=metadata, timeout=ascent.cell.timeout)
    return answer


def _refused(ascent: Ascent, error: grpc.aio.AioRpcError, *, ready: bool) -> Failed:
    """The failure behind a status that is not OK."""
    code, details = error.code(), error.details() or ""
    ascent.evidence.update(grpc_status=code.name, message=details[:300])
    return Failed(reason_of(code, details, ready=ready))


def reason_of(code: grpc.StatusCode, details: str, *, ready: bool) -> Reason:
    """The reason behind a gRPC status. `ready`: grpcio had its connection, so UNAVAILABLE is not about connecting."""
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL,
                grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.CANCELLED):  # fmt: skip
        lowered = details.lower()
        for words, reason in DETAIL_REASONS:
            if words in lowered:
                return reason
        if code is grpc.StatusCode.UNAVAILABLE and not ready and "socket closed" in lowered:
            return Reason.NOT_GRPC
    return STATUS_REASONS.get(code, Reason.STATUS)
