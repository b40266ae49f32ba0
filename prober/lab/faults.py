"""The catalogue of faults: what each does, whom the prober has to blame, and where it shows. Pure data, no I/O.

`cells` are patterns over the cells of the lab's own configuration (`config.py`): the name of a probe, or a cell id
`probe/target/path/family` with the wildcards of fnmatch. Every cell that matches has to show the fault; others may
show it too, each in its own words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from types import MappingProxyType

from prober.reasons import Layer, Reason


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: `says` in one plain sentence, and the blame that a prober must give."""

    name: str
    says: str
    layer: Layer
    reason: Reason
    cells: tuple[str, ...]

    def shows_in(self, cell_id: str) -> bool:
        """Whether the cell `probe/target/path/family` of the demo configuration must blame this fault."""
        return any(fnmatchcase(cell_id, p if "/" in p else f"{p}/*") for p in self.cells)


L, R = Layer, Reason
EDGE = ("edge/web-api/*", "edge-h2/*")
TLS = (*EDGE, "edge-tls/*")
WEB = ("web/*",)
PROXIED = ("edge/web-api/proxied/*",)
GRPC = ("payments/*",)
API = ("apiserver/*", "apiserver-version/*")
OUTSIDE = ("outside",)
NAMES = ("web", "web-l4/*/service/*", "names")

_ALL = (
    Fault("dns-nxdomain", "The record of web-api is gone: its name does not exist.", L.DNS, R.NAME_NOT_FOUND, NAMES),
    Fault("dns-no-aaaa", "web-api has lost its AAAA record.", L.DNS, R.NO_DATA, ("web/*/ipv6",)),
    Fault("dns-servfail", "The upstream for example.com is broken: SERVFAIL.", L.DNS, R.SERVER_FAILURE, OUTSIDE),
    Fault("dns-refused", "The DNS server refuses every query, as an ACL does.", L.DNS, R.REFUSED, (*NAMES, *OUTSIDE)),
    Fault("dns-timeout", "The DNS server is silent over UDP and TCP.", L.DNS, R.TIMEOUT, (*NAMES, *OUTSIDE)),
    Fault("dns-slow", "The DNS server takes 220 ms for every reply.", L.DNS, R.OVER_BUDGET, ("names",)),
    Fault("dns-wrong-answer", "api.example.com has a stale address.", L.DNS, R.WRONG_ANSWER, OUTSIDE),
    Fault("dns-malformed", "Replies about example.com are cut off in the middle.", L.DNS, R.MALFORMED, OUTSIDE),
    Fault("dns-truncated", "Replies about the headless Service come truncated, and DNS over TCP is cut off.",
          L.DNS, R.TRUNCATED, ("headless",)),
    Fault("endpoints-not-ready", "No Pod behind web-api is ready: its EndpointSlices have no ready address.",
          L.DNS, R.NO_DATA, ("web-l4/*/pod/*",)),
    Fault("tcp-refused", "Nobody listens on the port of web-api.", L.TCP, R.REFUSED, ("web", "web-l4/*/service/*")),
    Fault("tcp-timeout", "web-api no longer accepts: its backlog is full, SYNs are dropped.",
          L.TCP, R.TIMEOUT, ("web", "web-l4/*/service/*")),
    Fault("canary-open", "The forbidden port lets connections through.", L.TCP, R.UNEXPECTED_SUCCESS, ("no-egress",)),
    Fault("proxy-auth", "The proxy wants credentials: 407.", L.PROXY, R.PROXY_AUTH, PROXIED),
    Fault("proxy-refused", "The proxy forbids the destination: 403.", L.PROXY, R.PROXY_REFUSED, PROXIED),
    Fault("proxy-failed", "The proxy cannot reach the destination: 502.", L.PROXY, R.PROXY_FAILED, PROXIED),
    Fault("proxy-hang", "The proxy does not answer CONNECT.", L.PROXY, R.TIMEOUT, PROXIED),
    Fault("proxy-closed", "The proxy closes the connection instead of answering CONNECT.", L.PROXY, R.CLOSED, PROXIED),
    Fault("tls-expired", "The certificate of the ingress has expired.", L.TLS, R.EXPIRED, TLS),
    Fault("tls-not-yet-valid", "The certificate of the ingress is not valid yet.", L.TLS, R.NOT_YET_VALID, TLS),
    Fault("tls-wrong-name", "The certificate of the ingress is for another name.", L.TLS, R.NAME_MISMATCH, TLS),
    Fault("tls-unknown-ca", "The certificate of the ingress comes from a CA that nobody here trusts.",
          L.TLS, R.UNKNOWN_AUTHORITY, TLS),
    Fault("tls-self-signed", "The certificate of the ingress is signed by itself.", L.TLS, R.SELF_SIGNED, TLS),
    Fault("tls-incomplete-chain", "The ingress does not send the intermediate certificate.",
          L.TLS, R.INCOMPLETE_CHAIN, TLS),
    Fault("tls-expired-intermediate", "The intermediate certificate that the ingress sends has expired.",
          L.TLS, R.EXPIRED, TLS),
    Fault("tls-no-san", "The certificate has its name in the subject alone, as of old.", L.TLS, R.NAME_MISMATCH, TLS),
    Fault("tls-wrong-purpose", "The certificate of the ingress is for clients, not for servers.",
          L.TLS, R.WRONG_PURPOSE, TLS),
    Fault("tls-no-alpn", "The ingress ignores ALPN: HTTP/2 is not agreed on.", L.TLS, R.NO_ALPN, ("edge-h2",)),
    Fault("tls-no-http2", "The ingress offers HTTP/1.1 alone.", L.HTTP, R.VERSION, ("edge/*",)),
    Fault("tls-old-version", "The ingress speaks TLS 1.0 at most.", L.TLS, R.PROTOCOL_VERSION, TLS),
    Fault("tls-no-cipher", "The ingress shares no cipher suite with its clients.", L.TLS, R.HANDSHAKE, TLS),
    Fault("tls-unknown-sni", "The ingress does not know api.example.com: alert unrecognized_name.",
          L.TLS, R.UNRECOGNIZED_NAME, TLS),
    Fault("tls-plaintext", "The ingress speaks plain HTTP on its TLS port.", L.TLS, R.NOT_TLS, TLS),
    Fault("tls-hang", "The ingress never answers the ClientHello.", L.TLS, R.TIMEOUT, TLS),
    Fault("tls-reset", "The ingress resets the connection during the handshake.", L.TLS, R.RESET, TLS),
    Fault("tls-closed", "The ingress closes the connection during the handshake.", L.TLS, R.CLOSED, TLS),
    Fault("tls-client-certificate", "The ingress wants a client certificate.", L.HTTP, R.CLIENT_CERTIFICATE, EDGE),
    Fault("http-503", "web-api answers 503.", L.HTTP, R.STATUS, (*WEB, *EDGE)),
    Fault("http-hang", "web-api takes requests and never answers.", L.HTTP, R.TIMEOUT, (*WEB, *EDGE)),
    Fault("http-slow", "web-api takes 400 ms for an answer.", L.HTTP, R.OVER_BUDGET, (*WEB, *EDGE)),
    Fault("http-drip", "web-api sends its answer byte by byte, without end.", L.HTTP, R.TIMEOUT, (*WEB, *EDGE)),
    Fault("http-garbage", "web-api answers something that is not HTTP.", L.HTTP, R.PROTOCOL, WEB),
    Fault("http-truncated", "The answers of web-api end in the middle of their body.", L.HTTP, R.CLOSED, WEB),
    Fault("http-closed", "web-api closes the connection instead of answering.", L.HTTP, R.CLOSED, WEB),
    Fault("http-reset", "web-api resets the connection instead of answering.", L.HTTP, R.RESET, WEB),
    Fault("http-wrong-body", "web-api answers 200 with the wrong page.", L.HTTP, R.BODY, (*WEB, *EDGE)),
    Fault("http-wrong-header", "web-api answers with the wrong content type.", L.HTTP, R.HEADER, WEB),
    Fault("http-goaway", "The ingress answers HTTP/2 requests with GOAWAY.", L.HTTP, R.GOAWAY, EDGE),
    Fault("http-stream-reset", "The ingress resets HTTP/2 streams.", L.HTTP, R.STREAM_RESET, EDGE),
    Fault("ingress-no-route", "The ingress has no route for the Host api.example.com: 404.", L.HTTP, R.STATUS, EDGE),
    Fault("grpc-not-serving", "payments says of itself NOT_SERVING.", L.GRPC, R.NOT_SERVING, GRPC),
    Fault("grpc-unknown-service", "payments does not know the service asked for.", L.GRPC, R.UNKNOWN_SERVICE, GRPC),
    Fault("grpc-unimplemented", "payments has no health service.", L.GRPC, R.UNIMPLEMENTED, GRPC),
    Fault("grpc-unavailable", "payments answers UNAVAILABLE.", L.GRPC, R.UNAVAILABLE, GRPC),
    Fault("grpc-unauthenticated", "payments wants credentials.", L.GRPC, R.UNAUTHENTICATED, GRPC),
    Fault("grpc-permission", "payments denies permission.", L.GRPC, R.PERMISSION, GRPC),
    Fault("grpc-hang", "payments takes calls and never answers.", L.GRPC, R.TIMEOUT, GRPC),
    Fault("grpc-not-grpc", "A web server answers on the port of payments.", L.GRPC, R.NOT_GRPC, GRPC),
    Fault("grpc-no-trailers", "A proxy drops the trailers of payments, and the status with them.",
          L.GRPC, R.NOT_GRPC, GRPC),
    Fault("grpc-http1", "A proxy answers HTTP/1.1 on the port of payments.", L.GRPC, R.NOT_GRPC, GRPC),
    Fault("grpc-goaway", "payments drains: it answers calls with GOAWAY.", L.GRPC, R.GOAWAY, GRPC),
    Fault("grpc-stream-reset", "payments resets the streams of calls.", L.GRPC, R.STREAM_RESET, GRPC),
    Fault("grpc-reset", "payments resets the connection instead of answering.", L.GRPC, R.RESET, GRPC),
    Fault("grpc-closed", "payments closes the connection instead of answering.", L.GRPC, R.CLOSED, GRPC),
    Fault("api-401", "The API server refuses the token.", L.HTTP, R.STATUS, API),
    Fault("api-403", "The token may not get what it asks for: 403.", L.HTTP, R.STATUS, ("apiserver-version/*",)),
    Fault("api-429", "The API server is overloaded: 429.", L.HTTP, R.STATUS, API),
    Fault("api-not-ready", "The API server says that it is not ready.", L.HTTP, R.STATUS, ("apiserver/*",)),
    Fault("api-500", "The API server is not ready: etcd is gone.", L.HTTP, R.STATUS, API),
    Fault("api-hang", "The API server does not answer.", L.HTTP, R.TIMEOUT, API),
)  # fmt: skip

FAULTS: Mapping[str, Fault] = MappingProxyType({fault.name: fault for fault in _ALL})


def known(name: str) -> Fault:
    """The fault called `name`. KeyError with a sentence that says which one may have been meant."""
    if name not in FAULTS:
        close = get_close_matches(name, FAULTS, 1)
        raise KeyError(f"unknown fault {name!r}" + (f" (did you mean {close[0]}?)" if close else ""))
    return FAULTS[name]
