"""What the end of a gRPC call means: its status, the response on the wire, or the connection that broke. Tables.

Where the server itself gave a status, that is the reason. Where it gave none, what stood on the wire is: grpcio's own
texts are for people.
"""

from __future__ import annotations

from asyncio import get_running_loop
from collections.abc import Mapping
from typing import Final

from prober.layers.base import Ascent, Failed
from prober.layers.excerpt import shown
from prober.layers.http.envoy import MEANINGS, UPSTREAM_TIME, flag_in, is_envoy
from prober.reasons import Reason
from prober.wire.grpc import Answer, Response, Talk
from prober.wire.grpc.health import serving_status
from prober.wire.http.errors import HttpBroken, peer_speaks

Metadata = list[tuple[str, str | bytes]]

#: gRPC status → reason; what is not here is `status`, with the code as evidence.
STATUS_REASONS: Final[Mapping[str, Reason]] = {
    "UNIMPLEMENTED": Reason.UNIMPLEMENTED,
    "NOT_FOUND": Reason.UNKNOWN_SERVICE,  # health.proto: an unknown service
    "UNAUTHENTICATED": Reason.UNAUTHENTICATED,
    "PERMISSION_DENIED": Reason.PERMISSION,
    "DEADLINE_EXCEEDED": Reason.TIMEOUT,
    "UNAVAILABLE": Reason.UNAVAILABLE,
}
#: HTTP status of a response without a gRPC status → reason, where front ends answer for the server behind them
#: (doc/http-grpc-status-mapping.md of gRPC). Any other is `not_grpc`: a web server that knows of no gRPC.
HTTP_REASONS: Final[Mapping[int, Reason]] = {
    401: Reason.UNAUTHENTICATED,
    403: Reason.PERMISSION,
    429: Reason.UNAVAILABLE,
    502: Reason.UNAVAILABLE,
    503: Reason.UNAVAILABLE,
    504: Reason.UNAVAILABLE,
}
#: How a connection broke, in the words of HTTP → in those of gRPC; what is not here stays as it is.
BROKEN_REASONS: Final[Mapping[Reason, Reason]] = {
    Reason.PROTOCOL: Reason.NOT_GRPC,
    Reason.VERSION: Reason.NOT_GRPC,
}


def status_reason(code: str, *, health: bool) -> Reason:
    """The reason behind a status that the server gave. Only a health service says NOT_FOUND of a service."""
    if code == "NOT_FOUND" and not health:
        return Reason.STATUS
    return STATUS_REASONS.get(code, Reason.STATUS)


def http_reason(status: int) -> Reason:
    """The reason behind a response that is not gRPC, by its HTTP status."""
    return HTTP_REASONS.get(status, Reason.NOT_GRPC)


def broken_reason(broken: HttpBroken, first: bytes) -> Reason:
    """The reason behind a connection that ended before the call was answered; `first` are the peer's first bytes."""
    if broken.reason in (Reason.CLOSED, Reason.RESET) and first and peer_speaks(first) != "HTTP/2":
        return Reason.NOT_GRPC  # it said something, and then hung up on what we said
    return BROKEN_REASONS.get(broken.reason, broken.reason)


def rest_of(ascent: Ascent) -> float | None:
    """Seconds until the climb's deadline, which the server is told (grpc-timeout); None: there is none."""
    return None if ascent.until is None else max(0.001, ascent.until - get_running_loop().time())


def message_of(answer: Answer) -> bytes:
    """The message of a call that ended with OK. Without one it is no unary call of gRPC, whatever its status says."""
    if answer.payload is None:
        raise Failed(Reason.NOT_GRPC, "OK, and no message")
    return answer.payload


def judge_status(ascent: Ascent, message: bytes) -> None:
    """Hold a HealthCheckResponse: only SERVING will do."""
    try:
        status = serving_status(message)
    except ValueError as error:
        raise Failed(Reason.NOT_GRPC, str(error)) from error
    ascent.evidence["status"] = status
    if status == "SERVICE_UNKNOWN":
        raise Failed(Reason.UNKNOWN_SERVICE)
    if status != "SERVING":
        raise Failed(Reason.NOT_SERVING)


def ended_as_expected(ascent: Ascent, talk: Talk, answer: Answer, *, health: bool) -> None:
    """Hold the end of a call against `expect.grpc_status`; a status other than OK counts only by the server's word.

    Puts down how it ended where that is not just OK.
    """
    expected = ascent.cell.expect.grpc_status or ("OK",)
    if answer.code == "OK" and "OK" in expected:
        return
    if answer.code == "OK":
        ascent.evidence["grpc_status"] = "OK"
        raise Failed(Reason.STATUS, f"OK, expected {' or '.join(expected)}")
    response = talk.carrier.response()
    if answer.code not in expected or response is None or response.grpc_status is None:
        raise refused(ascent, talk, answer, health=health)
    note_answer(ascent, answer)


def refused(ascent: Ascent, talk: Talk, answer: Answer, *, health: bool) -> Failed:
    """The failure behind a status that is not OK."""
    evidence = ascent.evidence
    note_answer(ascent, answer)
    response = talk.carrier.response()
    if response is not None:
        _note_front_end(ascent, response, answer)
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


def _note_front_end(ascent: Ascent, response: Response, answer: Answer) -> None:
    """Who answered: the HTTP status of what is not gRPC, and why Envoy did in the place of what is behind it."""
    evidence = ascent.evidence
    if response.status != 200:
        evidence["http_status"] = response.status
    if response.server:
        evidence["server"] = shown(ascent, response.server)
    flag = flag_in(answer.message.encode())
    if flag is None and _without_route(response, answer):
        flag = "NR", MEANINGS["NR"]
    if flag is not None:
        evidence["front_end"], evidence["envoy_flag"], evidence["envoy_says"] = "envoy", *flag


def _without_route(response: Response, answer: Answer) -> bool:
    """What Envoy says where it has no route: UNIMPLEMENTED without a word, and nobody behind it was asked."""
    asked = any(name == UPSTREAM_TIME for name, _ in answer.trailers)
    return (
        answer.code == "UNIMPLEMENTED"
        and response.alone
        and not answer.message
        and not asked
        and is_envoy(response.server)
    )


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
