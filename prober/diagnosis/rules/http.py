"""Rules for http, the API server's included. Pure data.

Front ends disagree: no endpoints is 502 from nginx and 503 from Envoy. No status maps to one cause; paths compared do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prober.diagnosis.codes import Code
from prober.diagnosis.facts import Facts
from prober.diagnosis.row import Row
from prober.reasons import Layer, Reason

_ANSWERS = "an HTTP server at {where} answers requests"


def _status(*wanted: int) -> Callable[[Facts], bool]:
    return lambda facts: facts.status in wanted


def _is_5xx(facts: Facts) -> bool:
    return facts.status >= 500


_BEHIND = (502, 503, 504)


def _envoy_said(facts: Facts) -> bool:
    return facts.status in _BEHIND and bool(facts.evidence.get("envoy_flag"))


def _front_end_said(facts: Facts) -> bool:
    return facts.status in _BEHIND and bool(facts.evidence.get("front_end_says"))


def _passed_on(facts: Facts) -> bool:
    """Envoy says how long what is behind it took to answer: so that answered."""
    envoy = facts.evidence.get("envoy")
    return facts.status in _BEHIND and isinstance(envoy, Mapping) and "upstream-service-time" in envoy


def _no_status(facts: Facts) -> bool:
    return facts.evidence.get("status") == 0


def _astray(facts: Facts) -> bool:
    return bool(facts.evidence.get("astray"))


def _draining(facts: Facts) -> bool:
    """RFC 9113 section 6.8: of our streams it has dealt with none."""
    return facts.evidence.get("error_code") == "NO_ERROR" and facts.evidence.get("last_stream_id") == 0


def _api(*wanted: int) -> Callable[[Facts], bool]:
    return lambda facts: facts.api_server and (facts.status in wanted or (not wanted and facts.status >= 500))


def _api_denies_token(facts: Facts) -> bool:
    return facts.api_server and facts.status == 403 and bool(facts.evidence.get("token"))


def _websocket(*wanted: int) -> Callable[[Facts], bool]:
    return lambda facts: facts.cell.options.http.websocket is not None and facts.status in wanted


def _held(facts: Facts) -> bool:
    return "held_seconds" in facts.evidence


ROWS = (
    Row(
        Layer.HTTP, Reason.STATUS, Code.ACCESS_DENIED,
        "The API server refuses this Pod's token: {status}{message}.",
        "The mounted token is expired or for another audience or cluster: is the projected volume still renewed "
        "(kubelet log), does the ServiceAccount still exist, has the cluster's signing key changed?",
        "the API server answers requests", _api(401),
    ),
    Row(
        Layer.HTTP, Reason.STATUS, Code.ACCESS_DENIED,
        "The API server knows this Pod's token and does not let it have {request}: {status}{message}.",
        "It is alive: the rights are missing. kubectl get clusterrolebinding system:public-info-viewer -o yaml; where "
        "they are withheld on purpose, `403` in expect.status says so.",
        "the API server answers requests, and takes the token", _api_denies_token,
    ),
    Row(
        Layer.HTTP, Reason.STATUS, Code.API_SERVER_NOT_READY,
        "The API server answers {status} to {request}: it is up, but says that it is not ready{failing}.",
        "kubectl get --raw '/readyz?verbose' names the failing check, most often etcd; then the load on the control "
        "plane (429 and 504 point to priority and fairness).",
        "the API server answers requests", _api(),
    ),
    Row(
        Layer.HTTP, Reason.STATUS, Code.ACCESS_DENIED,
        "{where} denies us {request}: {status}{front_end}.",
        "Credentials of the probe (bearer, basic, headers) and the rules of whoever answers: application, ingress "
        "auth, WAF, mesh policy. The response headers say which of them it was.",
        _ANSWERS, _status(401, 403, 407),
    ),
    Row(
        Layer.HTTP, Reason.STATUS, Code.ROUTE_MISSING,
        "{where} knows nothing under {request}: 404{front_end}.",
        "Who says it: an ingress without a rule for this Host and path, or the application? Ask the Pod directly with "
        "the same path; a rewrite-target or a Host that does not match is the usual difference.",
        _ANSWERS, _status(404),
    ),
    Row(
        Layer.HTTP, Reason.STATUS, Code.WEBSOCKET_REFUSED,
        "{where} does not switch to WebSocket: it answers {request} with {status}.",
        "A front end that drops Upgrade and Connection (nginx needs proxy_http_version 1.1 and both headers passed "
        "on), or an application without a WebSocket under this path. 426 names what it wants in Upgrade. Ask the Pod.",
        _ANSWERS, _websocket(200, 204, 400, 405, 426, 501),
    ),
    Row(
        Layer.HTTP, Reason.STATUS, Code.RATE_LIMITED,
        "{where} limits the rate of our requests: 429{front_end}.",
        "Which limiter counts us, and with whom are we in one bucket (source address, token)? Retry-After tells how "
        "long; a longer interval of the probe may be the right answer.",
        _ANSWERS, _status(429),
    ),
    Row(
        Layer.HTTP, Reason.STATUS, Code.BACKEND_UNAVAILABLE,
        "A front end at {where} answers {status}: it got nothing good from behind it{front_end}.",
        "UF, UH, UC: its backends and the way to them; UO: a circuit breaker; UT: a backend that is "
        "slow. Compare the Pod path with this one, and Envoy's view of its endpoints (EndpointSlices, health checks).",
        _ANSWERS, _envoy_said,
    ),
    Row(
        Layer.HTTP, Reason.STATUS, Code.BACKEND_UNAVAILABLE,
        "A front end at {where} answers {status} in the place of what is behind it{front_end}.",
        "Ask a Pod directly: if it answers well, compare what the front end takes for its backends with the "
        "EndpointSlices, and connect to the Pod from the front end's own node. Its error log has address and errno.",
        _ANSWERS, _front_end_said,
    ),
    Row(
        Layer.HTTP, Reason.STATUS, Code.SERVER_ERROR,
        "What is behind the Envoy at {where} answered {request} with {status} by itself, and Envoy passed it on.",
        "The application's log at this moment: overloaded, shutting down, or a dependency of its own is gone. One Pod "
        "or all of them? A path over the Pods one by one tells.",
        _ANSWERS, _passed_on,
    ),
    Row(
        Layer.HTTP, Reason.STATUS, Code.BACKEND_UNAVAILABLE,
        "A front end at {where} passes on as {status} what is no HTTP/1.x: what is behind it speaks another protocol.",
        "nginx does this where proxy_pass leads to TLS (https:// is meant), to gRPC (grpc_pass; ingress-nginx: "
        "backend-protocol), or to no web server at all: is the targetPort the right one?",
        _ANSWERS, _no_status,
    ),
    Row(
        Layer.HTTP, Reason.STATUS, Code.BACKEND_UNAVAILABLE,
        "A front end at {where} answers {status}: it got nothing good from behind it, or the application says so "
        "itself.",
        "Compare the Pod path with this one: if Pods answer well, the front end's view of its backends "
        "(EndpointSlices, health checks, upstream protocol); if not, the application. Envoy tells why in response "
        "flags (UF, UO, NR, UT).",
        _ANSWERS, _status(502, 503, 504),
    ),
    Row(
        Layer.HTTP, Reason.STATUS, Code.SERVER_ERROR,
        "The application behind {where} failed on {request}: {status}.",
        "Its log at this moment, with the request's time. One Pod or all of them? A path over the Pods one by one "
        "tells; a dependency of the application (database, queue) is the next suspect.",
        _ANSWERS, _is_5xx,
    ),
    Row(
        Layer.HTTP, Reason.STATUS, Code.UNEXPECTED_STATUS,
        "{where} answers {request} with {status}, which this probe does not expect.",
        "Run the line below and read headers and body: is it the application that speaks, or a front end before it? "
        "If the status is right, say so in expect.status.",
        _ANSWERS,
    ),
    Row(
        Layer.HTTP, Reason.TIMEOUT, Code.HTTP_SILENT,
        "{where} took the request and had not answered it in full after {took}.",
        "The phases tell whether the first byte came: if not, the application is stuck (threads, locks, a dependency, "
        "no CPU); if it did, the body stalls — a slow producer, or full-size packets lost to a path MTU.",
    ),
    Row(
        Layer.HTTP, Reason.RESET, Code.WEBSOCKET_CUT,
        "The WebSocket at {where} was open and idle, and after {held} a reset ended it.",
        "A NAT, firewall or load balancer whose idle timeout is shorter and that resets what it forgot; a process that "
        "crashed. Does it always take as long? Then it is a timeout: pings more often than that keep it open.",
        "{where} took the WebSocket handshake", _held,
    ),
    Row(
        Layer.HTTP, Reason.CLOSED, Code.WEBSOCKET_CUT,
        "The WebSocket at {where} was open and idle, and after {held} it was closed{detail}.",
        "Somebody's idle timeout: the front end's (nginx proxy_read_timeout and many load balancers 60 s, Envoy's "
        "stream idle timeout 5 min), or the server's own, which says a code. Pings more often than that keep it open.",
        "{where} took the WebSocket handshake", _held,
    ),
    Row(
        Layer.HTTP, Reason.RESET, Code.HTTP_RESET,
        "The connection to {where} was reset while the request was under way.",
        "A process that crashed or was killed (kubectl get pods: restarts, OOMKilled), a Pod that ends without "
        "draining, or a middlebox that forgot the flow.",
    ),
    Row(
        Layer.HTTP, Reason.CLOSED, Code.HTTP_CLOSED,
        "{where} closed the connection without a full answer{detail}.",
        "Plain HTTP sent to a TLS port, a server that wants the PROXY protocol, a crash while answering, or a Pod "
        "shutting down: its log, and the same request sent to the Pod directly.",
    ),
    Row(
        Layer.HTTP, Reason.GOAWAY, Code.HTTP_GOAWAY,
        "{where} is draining: it took the connection and then no request on it (GOAWAY NO_ERROR).",
        "A reload or a shutdown at this very moment: nginx does this to connections of its old workers, Envoy while it "
        "drains. Clients may repeat such a request. Often? Count the reloads in the controller's log; always? It never "
        "ends draining, and should be out of the EndpointSlices.",
        "an HTTP/2 server at {where} speaks", _draining,
    ),
    Row(
        Layer.HTTP, Reason.GOAWAY, Code.HTTP_GOAWAY,
        "{where} ended the HTTP/2 connection with GOAWAY before it answered{detail}.",
        "Read the error code (ENHANCE_YOUR_CALM is a rate limit, "
        "PROTOCOL_ERROR a disagreement). Try the same over HTTP/1.1.",
        "an HTTP/2 server at {where} speaks",
    ),
    Row(
        Layer.HTTP, Reason.STREAM_RESET, Code.HTTP_STREAM_RESET,
        "{where} reset the HTTP/2 stream of this request{detail}.",
        "REFUSED_STREAM: overload or shutdown, or HAProxy whose backend took no connection or broke off before it "
        "answered (over HTTP/1.1 it says 503 or 502). INTERNAL_ERROR or PROTOCOL_ERROR: often a front end whose "
        "backend broke off; its log, and the same request over HTTP/1.1 and to the Pod directly.",
        "an HTTP/2 server at {where} speaks",
    ),
    Row(
        Layer.HTTP, Reason.PROTOCOL, Code.WEBSOCKET_REFUSED,
        "{where} answers the WebSocket handshake wrongly{detail}.",
        "A cache or a front end that answers in the place of the server, or no WebSocket server at all: ask the Pod.",
        _ANSWERS, _websocket(101),
    ),
    Row(
        Layer.HTTP, Reason.PROTOCOL, Code.NOT_HTTP,
        "What {where} sent is not valid HTTP{detail}.",
        "Another protocol on that port (TLS, gRPC, a database)? Does the port's name or appProtocol match what the "
        "process speaks? Watch the first bytes with the line below.",
        "a process at {where} answers",
    ),
    Row(
        Layer.HTTP, Reason.VERSION, Code.HTTP_VERSION_MISMATCH,
        "{where} speaks {http_version}, not {expected_version} as this probe demands.",
        "Whoever ends TLS here chooses by ALPN: is h2 switched on at that listener? In the clear, HTTP/2 needs a "
        "server that takes prior knowledge (h2c).",
        _ANSWERS,
    ),
    Row(
        Layer.HTTP, Reason.REDIRECT, Code.UNEXPECTED_REDIRECT,
        "{where} sends {request} elsewhere, and the redirects lead to no answer{detail}.",
        "curl with the line below shows every hop. Back and forth between http and https is a front end that ends TLS "
        "before an application that does not know (X-Forwarded-Proto); to a login page and back is a cookie that no "
        "probe keeps; more hops than http.follow allows may be right: raise it.",
        _ANSWERS, _astray,
    ),
    Row(
        Layer.HTTP, Reason.REDIRECT, Code.UNEXPECTED_REDIRECT,
        "{where} sends {request} elsewhere ({status} to {location}), which this probe does not expect.",
        "This probe follows no redirects (http.follow): probe that URL if it is right. To https or a login page is a "
        "missing header or credential; back to itself is a front end that ends TLS before an application that does "
        "not know.",
        _ANSWERS,
    ),
    Row(
        Layer.HTTP, Reason.HEADER, Code.UNEXPECTED_HEADER,
        "{where} answered {status}, but a response header is not as expected{detail}.",
        "Is this the application we mean (Server, Via), the right version of it, or a front end that strips and "
        "rewrites headers? Compare with the Pod's own answer.",
        _ANSWERS,
    ),
    Row(
        Layer.HTTP, Reason.BODY, Code.UNEXPECTED_BODY,
        "{where} answered {status}, but with a body that is not as expected{detail}.",
        "Read it: a default page of the front end, an error page with status 200, another application or version "
        "behind the same name? Longer than http.max_body also counts.",
        _ANSWERS,
    ),
    Row(
        Layer.HTTP, Reason.CLIENT_CERTIFICATE, Code.CLIENT_CERTIFICATE_WANTED,
        "The handshake with {where} finished, and then the server asked for a client certificate, or for another one "
        "than ours.",
        "TLS 1.3 says so only on the first read. Give tls.certificate_file and key_file from the CA that the server "
        "trusts; in a mesh with strict mTLS, Pods outside it are turned away like this.",
    ),
)  # fmt: skip
