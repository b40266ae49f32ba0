"""The grpc rung: calls on the connection that the rungs below opened. Held: the health service says SERVING, the
watched status stays so, or the call ends as expected.

The layer's time is the call's alone, from its first byte to the last segment of its answer; what is asked of
reflection before it is evidence.
"""

from __future__ import annotations

from asyncio import get_running_loop
from typing import Final

from prober.layers.base import Ascent, Failed
from prober.layers.excerpt import shown
from prober.layers.grpc_judge import broken_reason, http_reason, status_reason
from prober.layers.tls import name_of
from prober.model import Cell
from prober.options import reveal
from prober.reasons import Reason
from prober.wire.grpc import Answer, Bridges, Talk
from prober.wire.grpc.health import CHECK, health_request, serving_status
from prober.wire.http.errors import HttpBroken, peer_speaks

#: The word of the health service → why the layer did not hold; SERVING holds, any other is NOT_SERVING.
_UNKNOWN: Final = "SERVICE_UNKNOWN"

Metadata = list[tuple[str, str | bytes]]


async def check(ascent: Ascent) -> None:
    """Make the calls of `grpc:` and judge how they end."""
    if ascent.stream is None:
        raise Failed(Reason.INTERNAL, "no open connection")
    cell = ascent.cell
    metadata = metadata_of(ascent)
    scheme = "https" if cell.endpoint.tls else "http"
    try:
        async with ascent.kit.get(Bridges).talk(ascent.stream, authority_of(cell), scheme) as talk:
            try:
                await _health(ascent, talk, metadata)
            except HttpBroken as broken:
                raise _broken(ascent, talk, broken) from broken
            finally:
                _note_time(ascent, talk)
    except OSError as error:
        raise Failed(Reason.INTERNAL, f"no local socket for grpcio: {error}") from error


def authority_of(cell: Cell) -> str:
    """The `:authority` of the calls; over TLS by default the name that the certificate carries."""
    return cell.options.grpc.authority or (name_of(cell) if cell.endpoint.tls else cell.endpoint.authority)


def metadata_of(ascent: Ascent) -> Metadata:
    """The metadata that `grpc:` asks for, secrets revealed and from now on hidden."""
    metadata: Metadata = []
    for name, value in ascent.cell.options.grpc.metadata.items():
        try:
            text = reveal(value)
        except OSError as error:
            raise Failed(Reason.INTERNAL, f"metadata {name} can't be read: {error}") from error
        if not isinstance(value, str):
            ascent.hide(text, str(value))
        if name.endswith("-bin"):
            metadata.append((name.lower(), text.encode()))
        elif text.isascii() and text.isprintable():
            metadata.append((name.lower(), text))
        else:
            raise Failed(Reason.INTERNAL, f"metadata {name} holds what gRPC does not send: more than printable ASCII")
    return metadata


def rest_of(ascent: Ascent) -> float | None:
    """Seconds until the climb's deadline, which the server is told (grpc-timeout); None: there is none."""
    return None if ascent.until is None else max(0.001, ascent.until - get_running_loop().time())


async def _health(ascent: Ascent, talk: Talk, metadata: Metadata) -> None:
    service = ascent.cell.options.grpc.service
    ascent.evidence["service"] = service
    answer = await talk.unary(CHECK, health_request(service), metadata, rest_of(ascent))
    if answer.code != "OK":
        raise refused(ascent, talk, answer, health=True)
    judge_status(ascent, answer.payload)


def judge_status(ascent: Ascent, message: bytes) -> None:
    """Hold a HealthCheckResponse: only SERVING will do."""
    try:
        status = serving_status(message)
    except ValueError as error:
        raise Failed(Reason.NOT_GRPC, str(error)) from error
    ascent.evidence["status"] = status
    if status == _UNKNOWN:
        raise Failed(Reason.UNKNOWN_SERVICE)
    if status != "SERVING":
        raise Failed(Reason.NOT_SERVING)


def refused(ascent: Ascent, talk: Talk, answer: Answer, *, health: bool) -> Failed:
    """The failure behind a status that is not OK."""
    evidence = ascent.evidence
    note_answer(ascent, answer)
    response = talk.carrier.response()
    if response is not None and response.status != 200:
        evidence["http_status"] = response.status
    if talk.carrier.reset is not None and (response is None or response.grpc_status is None):
        evidence["error_code"] = talk.carrier.reset
        return Failed(Reason.STREAM_RESET, f"RST_STREAM {talk.carrier.reset}")
    if response is not None and response.grpc_status is not None:
        return Failed(status_reason(answer.code, health=health))
    if answer.code == "DEADLINE_EXCEEDED":
        return Failed(Reason.TIMEOUT)
    if not talk.carrier.said:
        return Failed(Reason.INTERNAL, "grpcio lost its connection to the prober")
    if response is None:
        return Failed(Reason.NOT_GRPC, "the answer is not HTTP/2 as it should be")
    if not response.is_grpc:
        evidence["content_type"] = shown(ascent, response.content_type)
        return Failed(http_reason(response.status), f"HTTP {response.status}, {response.content_type or 'no type'}")
    return Failed(Reason.NOT_GRPC, "the answer has no trailers")


def note_answer(ascent: Ascent, answer: Answer) -> None:
    """Put down how a call ended: status, message, trailers, and the types of a rich error's details."""
    evidence = ascent.evidence
    evidence["grpc_status"] = answer.code
    if answer.message:
        evidence["message"] = shown(ascent, answer.message)
    if trailers := answer.shown_trailers():
        evidence["trailers"] = {name: shown(ascent, value) for name, value in trailers.items()}
    if details := answer.details():
        evidence["details"] = [shown(ascent, name) for name in details]


def _broken(ascent: Ascent, talk: Talk, broken: HttpBroken) -> Failed:
    """The failure behind a connection that broke under the call."""
    for name, value in broken.evidence.items():
        ascent.evidence[name] = shown(ascent, value) if isinstance(value, str) else value
    if (speaks := peer_speaks(talk.carrier.first)) not in (None, "HTTP/2"):
        ascent.evidence["peer_speaks"] = speaks
    return Failed(broken_reason(broken, talk.carrier.first), broken.detail)


def _note_time(ascent: Ascent, talk: Talk) -> None:
    record = talk.carrier.record
    if record.seconds is not None:
        ascent.took(record.seconds, kernel=record.kernel)
