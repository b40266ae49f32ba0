"""Rules for grpc: the health check (grpc.health.v1) and what answers in its place. Pure data."""

from __future__ import annotations

from collections.abc import Callable

from prober.diagnosis.codes import Code
from prober.diagnosis.facts import Facts
from prober.diagnosis.row import Row
from prober.reasons import Layer, Reason

_ANSWERS = "a gRPC server at {where} answers calls"


def _called(facts: Facts) -> bool:
    return facts.cell.options.grpc.call is not None


def _no_route(facts: Facts) -> bool:
    return facts.evidence.get("envoy_flag") == "NR"


def _envoy_said(facts: Facts) -> bool:
    return bool(facts.evidence.get("envoy_flag"))


def _http(*wanted: int) -> Callable[[Facts], bool]:
    return lambda facts: facts.evidence.get("http_status") in wanted


ROWS = (
    Row(
        Layer.GRPC, Reason.UNIMPLEMENTED, Code.ROUTE_MISSING,
        "The Envoy at {where} has no route for the call{front_end}, and says UNIMPLEMENTED by itself.",
        "Is there a GRPCRoute, VirtualService or Ingress for this authority (grpc.authority) and method, and has the "
        "front end taken it? Ask the Pod directly: a server without the method says so with a message.",
        "an HTTP/2 server at {where} speaks", when=_no_route,
    ),
    Row(
        Layer.GRPC, Reason.UNIMPLEMENTED, Code.GRPC_METHOD_UNKNOWN,
        "The server at {where} speaks gRPC but does not have {grpc_call}{why}.",
        "Reflection shows what it has: grpcurl … list, describe. No reflection: register it in the server, for "
        "grpc.call needs it. A front end that routes by method may also not forward this one.",
        _ANSWERS, when=_called,
    ),
    Row(
        Layer.GRPC, Reason.UNKNOWN_SERVICE, Code.GRPC_SERVICE_UNKNOWN,
        "The server at {where} does not know the service of {grpc_call}.",
        "Compare grpc.call with what reflection lists: grpcurl … list. Another version of the server, or another "
        "server behind the name?",
        _ANSWERS, when=_called,
    ),
    Row(
        Layer.GRPC, Reason.NOT_SERVING, Code.NOT_SERVING,
        "The server at {where} says of {grpc_service} that it is {status}.",
        "This is the application's own word: its log, and the dependencies that its health depends on. During "
        "shutdown it is right to say so, but then readiness should have taken the Pod out of the EndpointSlices.",
        _ANSWERS,
    ),
    Row(
        Layer.GRPC, Reason.UNIMPLEMENTED, Code.HEALTH_NOT_IMPLEMENTED,
        "The server at {where} speaks gRPC but has no health service{message}.",
        "Register grpc.health.v1.Health in the server, or probe it with kind tls or tcp. A front end that routes by "
        "method may also not forward /grpc.health.v1.Health/Check.",
        _ANSWERS,
    ),
    Row(
        Layer.GRPC, Reason.UNKNOWN_SERVICE, Code.GRPC_SERVICE_UNKNOWN,
        "The health service at {where} does not know {grpc_service}.",
        "Compare grpc.service with the name that the server sets in its health service (package.Service, exactly); "
        "reflection lists them: grpcurl … list. An empty name asks for the server as a whole.",
        _ANSWERS,
    ),
    Row(
        Layer.GRPC, Reason.UNAUTHENTICATED, Code.GRPC_CREDENTIALS_WANTED,
        "The server at {where} wants credentials for {grpc_call}{message}.",
        "Give them in grpc.metadata (authorization), or let the server's interceptor pass health checks: the "
        "kubelet's own gRPC probes carry none either.",
        _ANSWERS,
    ),
    Row(
        Layer.GRPC, Reason.PERMISSION, Code.GRPC_PERMISSION_DENIED,
        "The server at {where} knows us but does not permit {grpc_call}{message}.",
        "Roles behind the credentials in grpc.metadata, or an authorization policy of the mesh (AuthorizationPolicy) "
        "that does not list this prober's ServiceAccount.",
        _ANSWERS,
    ),
    Row(
        Layer.GRPC, Reason.UNAVAILABLE, Code.GRPC_UNAVAILABLE,
        "The Envoy at {where} got nothing good from behind it for the call{front_end}.",
        "UF, UH, UC: its backends and the way to them; UT: one that is slow; UPE: it speaks HTTP/1.1 to a gRPC server "
        "(appProtocol grpc or kubernetes.io/h2c, or the port's name). Compare the Pod path with this one.",
        "an HTTP/2 server at {where} speaks", when=_envoy_said,
    ),
    Row(
        Layer.GRPC, Reason.UNAVAILABLE, Code.GRPC_UNAVAILABLE,
        "A front end at {where} answers the call with HTTP {http_status}: it got nothing good from behind it.",
        "Ask the Pod directly. 504: it took no connection or gave no answer in time; 503: there is none to ask; 502: "
        "it refused or broke off, or the front end speaks HTTP/1.1 to it (nginx: grpc_pass; HAProxy: proto h2).",
        "an HTTP/2 server at {where} speaks", when=_http(502, 503, 504),
    ),
    Row(
        Layer.GRPC, Reason.UNAVAILABLE, Code.GRPC_UNAVAILABLE,
        "{where} accepts connections, but the call ended UNAVAILABLE{message}.",
        "A front end without a healthy backend, or one that speaks HTTP/1.1 to it, answers like this; so does a "
        "server that is shutting down. Compare the Pod path with this one.",
    ),
    Row(
        Layer.GRPC, Reason.STATUS, Code.GRPC_STATUS,
        "At {where} {grpc_call} ended with {grpc_status}{why}.",
        "The server's log at this moment: an interceptor or the health service itself failed. RESOURCE_EXHAUSTED is a "
        "limit, INTERNAL and UNKNOWN are bugs or a front end that translates an HTTP status.",
        _ANSWERS,
    ),
    Row(
        Layer.GRPC, Reason.NOT_GRPC, Code.NOT_GRPC,
        "A front end at {where} passes on as HTTP {http_status} what it could not read: it speaks HTTP/1.1 to a gRPC "
        "server.",
        "nginx does this with proxy_pass where grpc_pass is meant (ingress-nginx: backend-protocol GRPC). Ask the Pod "
        "directly: it will answer well.",
        "an HTTP/2 server at {where} speaks", when=_http(0),
    ),
    Row(
        Layer.GRPC, Reason.NOT_GRPC, Code.NOT_GRPC,
        "What answers at {where} knows nothing of the call: HTTP {http_status} instead of gRPC.",
        "A front end without a route for this authority (grpc.authority) and method, or a web server on the port that "
        "should be gRPC's: the field server in the evidence tells them apart, and so does asking the Pod.",
        "an HTTP/2 server at {where} speaks", when=_http(404),
    ),
    Row(
        Layer.GRPC, Reason.NOT_GRPC, Code.NOT_GRPC,
        "What answers at {where} does not speak gRPC{detail}.",
        "An HTTP/1.1 server, a web page of a front end, or TLS against plain text: does the port's appProtocol say "
        "grpc (or h2c), and does the Ingress carry the annotation for gRPC backends?",
        "a process at {where} answers",
    ),
    Row(
        Layer.GRPC, Reason.GOAWAY, Code.GRPC_GOAWAY,
        "{where} ended the connection with GOAWAY before the call was answered{detail}.",
        "On a fresh connection: a server that is shutting down while still in the EndpointSlices (no preStop delay), "
        "a connection limit, or keepalive rules (ENHANCE_YOUR_CALM).",
        "an HTTP/2 server at {where} speaks",
    ),
    Row(
        Layer.GRPC, Reason.STREAM_RESET, Code.GRPC_STREAM_RESET,
        "{where} reset the stream of the call instead of answering it{detail}.",
        "REFUSED_STREAM: overload or shutdown, or HAProxy whose backend took no connection or broke off before it "
        "answered. INTERNAL_ERROR or PROTOCOL_ERROR: often a front end whose backend broke off; its log, and the same "
        "call to the Pod directly.",
        "an HTTP/2 server at {where} speaks",
    ),
    Row(
        Layer.GRPC, Reason.RESET, Code.GRPC_RESET,
        "The connection to {where} was reset while the call was under way.",
        "A process that crashed or was killed (kubectl get pods: restarts, OOMKilled), a Pod that ends without "
        "draining, or a middlebox that forgot the flow.",
    ),
    Row(
        Layer.GRPC, Reason.CLOSED, Code.GRPC_CLOSED,
        "{where} closed the connection without answering the call{detail}.",
        "Plain gRPC sent to a TLS port, a server that wants the PROXY protocol, a crash while answering, or a Pod "
        "shutting down: its log, and the same call to the Pod directly.",
    ),
    Row(
        Layer.GRPC, Reason.CLIENT_CERTIFICATE, Code.CLIENT_CERTIFICATE_WANTED,
        "The handshake with {where} finished, and then the gRPC server asked for a client certificate, or for another "
        "one than ours.",
        "TLS 1.3 says so only on the first read. Give tls.certificate_file and key_file from the CA that the server "
        "trusts; in a mesh with strict mTLS, Pods outside it are turned away like this.",
    ),
    Row(
        Layer.GRPC, Reason.BODY, Code.UNEXPECTED_MESSAGE,
        "{where} answers {grpc_call}, but not as expected{detail}.",
        "The same call by hand shows the whole message. If the request does not fit, the server's messages have "
        "changed: compare grpc.request with grpcurl … describe.",
        _ANSWERS,
    ),
    Row(
        Layer.GRPC, Reason.TIMEOUT, Code.GRPC_SILENT,
        "{where} accepts connections, but {grpc_call} had no answer after {took}.",
        "A server whose threads are all busy or stuck, or a port that accepts and speaks another protocol: HTTP/2 "
        "settings never came? Ask another Pod of the same Service.",
    ),
)  # fmt: skip
