"""Faults of applications and of the proxies right in front of them: web over HTTP/2, gRPC. Below them all is well."""

from __future__ import annotations

from prober.reasons import Layer, Reason
from tests.network.lab.faults.fault import MANY, Fault
from tests.network.lab.faults.served import served

R = Reason


def _http(name: str, says: str, to_blame: str, letter: str, reason: Reason, switch: str) -> Fault:
    return Fault(
        name, says, to_blame, f"+++{letter}+++", {Layer.HTTP: (reason,)}, served("web2", switch), per_family=False
    )


def _grpc(name: str, says: str, to_blame: str, reason: Reason, switch: str = "", letter: str = "X") -> Fault:
    return Fault(
        name,
        says,
        to_blame,
        f"++++{letter}++",
        {Layer.GRPC: (reason,)},
        served("payments", switch or name),
        per_family=False,
    )


_HTTP = (
    _http("h2-http503", "The application answers 503.", "application", "X", R.STATUS, "http-503"),
    _http("h2-slow-first-byte", "The application takes 400 ms for its first byte.", "application", "S",
          R.OVER_BUDGET, "http-slow"),
    _http("h2-hang", "The application takes requests and never answers.", "application", "T", R.TIMEOUT, "http-hang"),
    _http("h2-drip", "The answer comes byte by byte, without end.", "application", "T", R.TIMEOUT, "http-drip"),
    _http("h2-goaway-refuse", "The server drains: it answers requests with GOAWAY.", "drain", "X", R.GOAWAY,
          "http-goaway"),
    _http("h2-rst-stream", "The server resets the streams of requests.", "application", "X", R.STREAM_RESET,
          "http-stream-reset"),
    _http("h2-closed", "The server closes the connection instead of answering.", "application", "X", R.CLOSED,
          "http-closed"),
    _http("h2-reset", "The server resets the connection instead of answering.", "application", "X", R.RESET,
          "http-reset"),
    _http("h2-garbage", "The server answers what is no HTTP/2.", "application", "X", R.PROTOCOL, "http-garbage"),
    _http("h2-truncated", "The answer ends in the middle of its body.", "application", "X", R.CLOSED,
          "http-truncated"),
    _http("h2-wrong-body", "The application answers 200 with the wrong page.", "application", "X", R.BODY,
          "http-wrong-body"),
    _http("h2-404", "The application does not know the page.", "application, routing", "X", R.STATUS, "http-404"),
    _http("h2-429", "The application limits its clients: 429.", "application", "X", R.STATUS, "http-429"),
    _http("h2-500", "The application answers 500.", "application", "X", R.STATUS, "http-500"),
    _http("h2-redirect", "The application sends everybody to a login page.", "application", "X", R.REDIRECT,
          "http-redirect"),
    _http("h2-empty", "The application answers 200 with nothing.", "application", "X", R.BODY, "http-empty"),
    _http("h2-slow-body", "The answer takes 400 ms after its first byte.", "application", "S", R.OVER_BUDGET,
          "http-slow-body"),
    _http("h2-silent", "After the handshake nothing is said, not even SETTINGS.", "application", "T", R.TIMEOUT,
          "http-silent"),
)  # fmt: skip
_PORTS = (
    Fault("app-port-closed", "Nobody listens on the application's ports.", "application", "+Rbb+++",
          {Layer.TCP: (R.REFUSED,)}, served("web2", "tcp-closed")),
    Fault("app-backlog-full", "The application no longer accepts: its backlog is full.", "application", "+Tbb+++",
          {Layer.TCP: (R.TIMEOUT,)}, served("web2", "tcp-backlog")),
    Fault("app-1of2-503", "One of the two Pods behind the Service answers 503.", "application: one of its Pods",
          "+++P+++", {Layer.HTTP: (R.STATUS,)}, served("web1", "http-503"), path="both", per_family=False, runs=MANY),
    Fault("app-1of2-cert", "One of the two Pods behind the Service still has a certificate that expired.",
          "certificate: of one Pod", "++PP+++", {Layer.TLS: (R.EXPIRED,)}, served("web1", "tls-expired"), path="both",
          per_family=False, runs=MANY),
    Fault("grpc-port-closed", "Nobody listens on the port of the gRPC service.", "application", "++++b++",
          {Layer.TCP: (R.REFUSED,)}, served("payments", "tcp-closed")),
)  # fmt: skip
_GRPC = (
    _grpc("grpc-not-serving", "The health service says NOT_SERVING.", "application", R.NOT_SERVING),
    _grpc("grpc-unknown-service", "The health service does not know the service.", "application", R.UNKNOWN_SERVICE),
    _grpc("grpc-unimplemented", "There is no health service.", "application", R.UNIMPLEMENTED),
    _grpc("grpc-unavailable", "Calls end with UNAVAILABLE.", "application", R.UNAVAILABLE),
    _grpc("grpc-unauthenticated", "Calls end with UNAUTHENTICATED.", "identity", R.UNAUTHENTICATED),
    _grpc("grpc-permission", "Calls end with PERMISSION_DENIED.", "identity", R.PERMISSION),
    _grpc("grpc-no-trailers", "A proxy drops the trailers, and the status with them.", "proxy", R.NOT_GRPC),
    _grpc("grpc-h1", "Calls are answered in HTTP/1.1.", "proxy", R.NOT_GRPC, "grpc-http1"),
    _grpc(
        "grpc-web-page", "A web server answers calls with its 404 page.", "port, protocol", R.NOT_GRPC, "grpc-not-grpc"
    ),
    _grpc("grpc-goaway", "The server drains: it answers calls with GOAWAY.", "drain", R.GOAWAY),
    _grpc("grpc-rst-stream", "The streams of calls are reset.", "application", R.STREAM_RESET, "grpc-stream-reset"),
    _grpc("grpc-reset", "The connection is reset instead of an answer.", "application", R.RESET),
    _grpc("grpc-closed", "The connection is closed instead of an answer.", "application", R.CLOSED),
    _grpc("grpc-internal", "Calls end with INTERNAL.", "application", R.STATUS),
    _grpc("grpc-exhausted", "Calls end with RESOURCE_EXHAUSTED.", "application", R.STATUS),
    _grpc("grpc-unknown", "Calls end with UNKNOWN.", "application", R.STATUS),
    _grpc("grpc-cancelled", "Calls end with CANCELLED, which nobody here has asked for.", "application", R.STATUS),
    _grpc("grpc-deadline", "The server ends calls with DEADLINE_EXCEEDED.", "application", R.TIMEOUT, letter="T"),
    _grpc("grpc-http-502", "A proxy answers 502 in HTML.", "proxy", R.UNAVAILABLE),
    _grpc("grpc-http-403", "A proxy answers 403 in HTML.", "proxy", R.PERMISSION),
    _grpc("grpc-json", "Calls are answered in JSON.", "port, protocol", R.NOT_GRPC),
    _grpc("grpc-slow", "Calls take 600 ms.", "application", R.OVER_BUDGET, letter="S"),
    _grpc("grpc-half", "The headers of the answer come, and no message.", "application", R.TIMEOUT, letter="T"),
    _grpc("grpc-silent", "Nothing is said, not even SETTINGS.", "application", R.TIMEOUT, letter="T"),
    _grpc("grpc-hang", "Calls are never answered.", "application", R.TIMEOUT, letter="T"),
)
FAULTS = (*_PORTS, *_HTTP, *_GRPC)
