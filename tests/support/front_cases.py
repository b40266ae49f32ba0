"""Faults of an ingress and of what is behind it, and what web and gRPC probes find of each: every row was seen.

Front ends disagree about statuses, so that none means one cause.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prober.lab.sockets import Mode
from tests.network.lab.fronts.ingress import GRPC_HOST, WEB_HOST


@dataclass(frozen=True, slots=True)
class Seen:
    """What a probe finds: layer and reason as `layer/reason`, the verdict's code, some of the blamed layer's evidence.

    Empty: all is well.
    """

    blame: str = ""
    code: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)


def seen(blame: str, code: str, **evidence: Any) -> Seen:
    """A failure."""
    return Seen(blame, code, evidence)


def status(number: int, front_end: str | None, code: str = "backend_unavailable", **evidence: Any) -> Seen:
    """A bad status, and which front end's own it is."""
    return seen("http/status", code, status=number, front_end=front_end, **evidence)


WELL = Seen()


@dataclass(frozen=True, slots=True)
class Case:
    """One fault, of the ingress' own routing or of what is behind it, and what web and gRPC probes find, by program."""

    name: str
    web: Mapping[str, Seen]
    grpc: Mapping[str, Seen]
    routing: Mapping[str, Any] = field(default_factory=dict)
    switches: tuple[str, ...] = ()
    mode: Mode = Mode.OPEN
    """Of the listeners behind it."""


def alike(found: Seen, **but: Seen) -> dict[str, Seen]:
    """The same from every program, `but` for some."""
    return {program: but.get(program, found) for program in ("nginx", "envoy", "haproxy")}


_SNI, _NO_H2 = seen("tls/unrecognized_name", "sni_unknown"), seen("tls/no_alpn", "alpn_mismatch")
#: HAProxy's word for a request that it may not repeat itself, but the client may (RFC 9113 section 8.7).
_REFUSED = seen("http/stream_reset", "http_stream_reset", error_code="REFUSED_STREAM")
_REFUSED_CALL = seen("grpc/stream_reset", "grpc_stream_reset", error_code="REFUSED_STREAM")


def unavailable(**evidence: Any) -> Seen:
    """A call that a front end answered so."""
    return seen("grpc/unavailable", "grpc_unavailable", **evidence)


CASES = (
    Case("healthy", alike(WELL), alike(WELL)),
    Case(
        "no-endpoints",
        {"nginx": status(502, "nginx"), "envoy": status(503, "envoy", envoy_flag="UF"),
         "haproxy": status(503, "haproxy")},
        {"nginx": unavailable(http_status=502), "envoy": unavailable(envoy_flag="UF"),
         "haproxy": unavailable(http_status=503)},
        mode=Mode.CLOSED,
    ),
    Case(
        "backend-drop",
        {"nginx": status(504, "nginx"), "envoy": status(503, "envoy", envoy_flag="UF"), "haproxy": _REFUSED},
        {"nginx": unavailable(http_status=504), "envoy": unavailable(envoy_flag="UF"), "haproxy": _REFUSED_CALL},
        mode=Mode.FULL,
    ),
    Case(
        "backend-slow",
        {"nginx": status(504, "nginx"), "envoy": status(504, "envoy", envoy_flag="UT"),
         "haproxy": status(504, "haproxy")},
        alike(unavailable(http_status=504), envoy=unavailable(envoy_flag="UT")), switches=("http-hang", "grpc-hang"),
    ),
    Case(
        "backend-reset",
        {"nginx": status(502, "nginx"), "envoy": status(503, "envoy", envoy_flag="UC"), "haproxy": _REFUSED},
        alike(WELL), switches=("http-reset",),
    ),
    Case(
        "backend-garbage",
        {"nginx": status(0, None), "envoy": status(502, "envoy", envoy_flag="UPE"), "haproxy": status(502, "haproxy")},
        alike(WELL), switches=("http-garbage",),
    ),
    Case(
        "application-503",
        alike(status(503, None, retry_after="5"), envoy=status(503, None, "server_error", retry_after="5")),
        alike(unavailable(message="shutting down", envoy_flag=None)), switches=("http-503", "grpc-unavailable"),
    ),
    Case(
        "no-route-sni",
        alike(_SNI, envoy=seen("tls/reset", "tls_reset")), alike(WELL), routing={"hosts": [GRPC_HOST]},
    ),
    Case(
        "no-route-host",
        {"nginx": status(404, "nginx", "route_missing"),
         "envoy": status(404, "envoy", "route_missing", envoy_flag="NR"),
         "haproxy": status(404, None, "route_missing", body="no route")},
        alike(WELL), routing={"hosts": [GRPC_HOST], "strict_sni": False},
    ),
    Case(
        "no-route-authority",
        alike(WELL),
        alike(seen("grpc/not_grpc", "not_grpc", http_status=404),
              envoy=seen("grpc/unimplemented", "route_missing", envoy_flag="NR")),
        routing={"hosts": [WEB_HOST], "strict_sni": False},
    ),
    Case("h1-listener", alike(_NO_H2), alike(_NO_H2), routing={"http2": False}),
    Case(
        "grpc-over-http1",
        alike(WELL),
        {"nginx": seen("grpc/not_grpc", "not_grpc", http_status=0), "envoy": unavailable(envoy_flag="UPE"),
         "haproxy": unavailable(http_status=502)},
        routing={"grpc_over_http1": True},
    ),
)  # fmt: skip
