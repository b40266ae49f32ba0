"""The same targets for the prober and for blackbox_exporter: a server, our cell, its module, and what both must say."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import dns.rcode

from prober.lab.connection import Connection, TlsConnection
from prober.lab.sockets import Mode, Serve
from prober.lab.tls import make_context
from prober.model import Cell
from prober.reasons import Family, Kind, Layer, Reason
from tests.support.hostile.http2 import GOAWAY, HEADERS, RST, START
from tests.support.http import Handler, frame, says, serving
from tests.support.http import response as answer
from tests.support.nameserver import Script, always, dns_server, silent, zone
from tests.support.scenarios import NAME, Place
from tests.support.scenarios import dns as dns_scenarios
from tests.support.scenarios import grpc as grpc_scenarios
from tests.support.scenarios import http as http_scenarios
from tests.support.scenarios.servers import listening
from tests.support.scenarios.tls import DEFECTS, speaks

L, R = Layer, Reason
Serving = Callable[[Place], AbstractAsyncContextManager[int]]
#: Seconds that either may take for one probe.
TIMEOUT = 0.6
_PROBERS = {Kind.ICMP: "icmp", Kind.TCP: "tcp", Kind.TLS: "tcp", Kind.HTTP: "http", Kind.DNS: "dns", Kind.GRPC: "grpc"}


@dataclass(frozen=True)
class Row:
    """One target. `blame`: the layer and the reason that we have where both say no; None where both say yes."""

    kind: Kind
    scheme: str
    serve: Serving
    blame: tuple[Layer, Reason] | None = None
    module: dict[str, Any] = field(default_factory=dict)
    """Keys of the peer's own block."""
    cell: dict[str, Any] = field(default_factory=dict)
    address: dict[Family, str] = field(default_factory=dict)
    """Where it is, if not on loopback."""

    def where(self, place: Place) -> str:
        """The address that is probed."""
        return self.address.get(place.family, place.address)

    def our_cell(self, place: Place, port: int) -> Cell:
        """What the prober climbs."""
        host = NAME if self.kind in (Kind.TLS, Kind.HTTP) else self.where(place)
        return place.cell(self.kind, self.scheme, port, host=host, timeout=TIMEOUT, **self.cell)

    def its_module(self, place: Place) -> dict[str, Any]:
        """The same for blackbox_exporter."""
        prober = _PROBERS[self.kind]
        protocol = "ip6" if place.family is Family.IPV6 else "ip4"
        block: dict[str, Any] = {"preferred_ip_protocol": protocol, "ip_protocol_fallback": False}
        if self.scheme in ("tls", "https"):
            block["tls_config"] = {"ca_file": str(place.files.ca_file), "server_name": NAME}
        if self.kind is Kind.TLS:
            block["tls"] = True
        return {"prober": prober, "timeout": f"{TIMEOUT}s", prober: {**block, **self.module}}

    def its_target(self, place: Place, port: int) -> str:
        """The target as a scrape names it."""
        where = self.where(place)
        if self.kind is Kind.ICMP:
            return where
        place_and_port = f"[{where}]:{port}" if ":" in where else f"{where}:{port}"
        return f"{self.scheme}://{place_and_port}/" if self.kind is Kind.HTTP else place_and_port


def _listens(serve: Serve | None, mode: Mode | None = None) -> Serving:
    return lambda place: listening(place.family, serve, mode)


def _defective(*faults: str) -> Serving:
    return lambda place: listening(place.family, speaks(make_context(place.files, [NAME], frozenset(faults))))


def _answers(handler: Handler) -> Serving:
    @asynccontextmanager
    async def start(place: Place) -> AsyncIterator[int]:
        async with serving(handler, place.family) as server:
            yield server.port

    return start


def _over_tls(*pieces: bytes, alpn: str = "http/1.1") -> Serving:
    """A server that hears one request out, over HTTP/1.1 or HTTP/2, and answers with `pieces`."""

    def start(place: Place) -> AbstractAsyncContextManager[int]:
        context = make_context(place.files, [NAME], alpn=[alpn])

        async def serve(connection: Connection) -> None:
            tls, heard = TlsConnection(connection, context), b""
            await tls.handshake()
            while not (_has_headers(heard) if alpn == "h2" else b"\r\n\r\n" in heard):
                if not (more := await tls.receive()):
                    return
                heard += more
            await tls.send(b"".join(pieces))
            await (tls.drain() if alpn == "h2" else tls.finish())

        return listening(place.family, serve)

    return start


def _has_headers(heard: bytes) -> bool:
    """A HEADERS frame has come behind the client's preface of 24 bytes (RFC 9113 section 3.4)."""
    frames = heard[24:]
    while len(frames) >= 9:
        if frames[3] == HEADERS:
            return True
        frames = frames[9 + int.from_bytes(frames[:3]) :]
    return False


def _names(script: Script) -> Serving:
    @asynccontextmanager
    async def start(place: Place) -> AsyncIterator[int]:
        async with dns_server(place.family, script) as server:
            yield server.port

    return start


async def _ends(connection: Connection) -> None:
    await connection.receive()
    await connection.finish()


async def _resets(connection: Connection) -> None:
    await connection.receive()
    connection.reset()


async def _plain(connection: Connection) -> None:
    await connection.receive()
    await connection.send(answer("400 Bad Request"))
    await connection.finish()


def _tls(serve: Serving, reason: Reason | None) -> Row:
    return Row(Kind.TLS, "tls", serve, reason and (L.TLS, reason))


def _http(handler: Handler, reason: Reason | None = None, module: Any = None, **expect: Any) -> Row:
    return Row(Kind.HTTP, "http", _answers(handler), reason and (L.HTTP, reason), module or {}, {"expect": expect})


def _https(serve: Serving, blame: tuple[Layer, Reason] | None = None, module: Any = None, **expect: Any) -> Row:
    return Row(Kind.HTTP, "https", serve, blame, module or {}, {"expect": expect})


def _dns(script: Script, reason: Reason | None, module: Any = None, transport: str = "udp", **expect: Any) -> Row:
    asked = {"query_name": "web.c.", "query_type": "A", "transport_protocol": transport, **(module or {})}
    options = {"dns": {"transport": transport}, "resolver": {"attempts": 1}}
    cell = {"options": options, "resource": "web.c.", "expect": expect}
    return Row(Kind.DNS, "dns", _names(script), reason and (L.DNS, reason), asked, cell)


def _grpc(handler: Handler, reason: Reason | None) -> Row:
    return Row(Kind.GRPC, "grpc", _answers(handler), reason and (L.GRPC, reason))


_WEB = zone({("web.c.", "A"): ["192.0.2.1"]})
_NOWHERE = {Family.IPV4: "255.255.255.255", Family.IPV6: "2001:db8::1"}

ROWS: dict[str, Row] = {
    "icmp": Row(Kind.ICMP, "icmp", _listens(None)),
    "tcp": Row(Kind.TCP, "tcp", _listens(Connection.drain)),
    "tcp-closed": Row(Kind.TCP, "tcp", _listens(None), (L.TCP, R.REFUSED)),
    "tcp-full": Row(Kind.TCP, "tcp", _listens(None, Mode.FULL), (L.TCP, R.TIMEOUT)),
    "tls": _tls(_defective(), None),
    **{f"tls-{word}": _tls(_defective(fault), word) for word, fault in DEFECTS.items() if word is not R.NO_ALPN},
    "tls-plain": _tls(_listens(_plain), R.NOT_TLS),
    "tls-silent": _tls(_listens(Connection.drain), R.TIMEOUT),
    "tls-ends": _tls(_listens(_ends), R.CLOSED),
    "tls-resets": _tls(_listens(_resets), R.RESET),
    "http": _http(says(answer())),
    "http-204": _http(says(b"HTTP/1.1 204 No Content\r\n\r\n")),
    "http-404": _http(says(answer("404 Not Found")), R.STATUS),
    "http-503": _http(says(answer("503 Service Unavailable")), R.STATUS),
    "http-503-wanted": _http(says(answer("503 X")), None, {"valid_status_codes": [503]}, status=[503]),
    "http-redirect": _http(
        says(answer("302 Found", b"", "Location: /login")), R.REDIRECT, {"follow_redirects": False}, status=["2xx"]
    ),
    "http-body": _http(says(answer()), None, {"fail_if_body_not_matches_regexp": ["^ok$"]}, body_matches="^ok$"),
    "http-body-wrong": _http(says(answer()), R.BODY, {"fail_if_body_not_matches_regexp": ["^no"]}, body_matches="^no"),
    "http-body-not": _http(says(answer()), R.BODY, {"fail_if_body_matches_regexp": ["ok"]}, body_not_contains="ok"),
    "http-header": _http(
        says(answer("200 OK", b"ok", "X-Version: 3")), None,
        {"fail_if_header_not_matches": [{"header": "X-Version", "regexp": "^3"}]}, headers={"x-version": "^3"},
    ),
    "http-header-wrong": _http(
        says(answer("200 OK", b"ok", "X-Version: 2")), R.HEADER,
        {"fail_if_header_not_matches": [{"header": "X-Version", "regexp": "^3"}]}, headers={"x-version": "^3"},
    ),
    "http-version": _http(says(answer()), R.VERSION, {"valid_http_versions": ["HTTP/2.0"]}, http_version="2"),
    "http-1.0": _http(says(b"HTTP/1.0 200 OK\r\n\r\nold")),
    "http-chunked": _http(says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")),
    "http-cut": _http(says(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nok"), R.CLOSED),
    "http-ends": _http(says(), R.CLOSED),
    "http-resets": _http(http_scenarios.SERVERS[R.RESET][0], R.RESET),
    "http-silent": _http(http_scenarios.SERVERS[R.TIMEOUT][0], R.TIMEOUT),
    "http-other": _http(says(b"220 mail.example.com ESMTP\r\n"), R.PROTOCOL),
    "http-closed": Row(Kind.HTTP, "http", _listens(None), (L.TCP, R.REFUSED)),
    "https": _https(_over_tls(answer())),
    "https-503": _https(_over_tls(answer("503 X")), (L.HTTP, R.STATUS)),
    "https-expired": _https(_defective("tls-expired"), (L.TLS, R.EXPIRED)),
    "https-wrong-name": _https(_defective("tls-wrong-name"), (L.TLS, R.NAME_MISMATCH)),
    "https-unknown-ca": _https(_defective("tls-unknown-ca"), (L.TLS, R.UNKNOWN_AUTHORITY)),
    "https-client-certificate": _https(_defective("tls-client-certificate"), (L.HTTP, R.CLIENT_CERTIFICATE)),
    "h2": _https(
        _over_tls(START, frame(HEADERS, b"\x88", flags=5, stream=1), alpn="h2"), None,
        {"valid_http_versions": ["HTTP/2.0"]}, http_version="2",
    ),
    "h2-500": _https(_over_tls(START, frame(HEADERS, b"\x8e", flags=5, stream=1), alpn="h2"), (L.HTTP, R.STATUS)),
    "h2-goaway": _https(_over_tls(START, frame(GOAWAY, bytes(7) + b"\2"), alpn="h2"), (L.HTTP, R.GOAWAY)),
    "h2-reset": _https(
        _over_tls(START, frame(RST, b"\0\0\0\2", stream=1), alpn="h2"), (L.HTTP, R.STREAM_RESET)
    ),
    "dns": _dns(_WEB, None),
    "dns-tcp": _dns(_WEB, None, transport="tcp"),
    "dns-nxdomain": _dns(always(dns.rcode.NXDOMAIN), R.NAME_NOT_FOUND),
    "dns-nxdomain-wanted": _dns(always(dns.rcode.NXDOMAIN), None, {"valid_rcodes": ["NXDOMAIN"]}, rcode="NXDOMAIN"),
    "dns-servfail": _dns(always(dns.rcode.SERVFAIL), R.SERVER_FAILURE),
    "dns-refused": _dns(always(dns.rcode.REFUSED), R.REFUSED),
    "dns-nodata-wanted": _dns(always(dns.rcode.NOERROR), None, {"valid_rcodes": ["NOERROR"]}, rcode="NOERROR"),
    "dns-answer": _dns(
        _WEB, None, {"validate_answer_rrs": {"fail_if_none_matches_regexp": [r".*192\.0\.2\.1$"]}},
        answers=("192.0.2.1",),
    ),
    "dns-wrong-answer": _dns(
        _WEB, R.WRONG_ANSWER, {"validate_answer_rrs": {"fail_if_none_matches_regexp": [r".*192\.0\.2\.9$"]}},
        answers=("192.0.2.9",),
    ),
    "dns-silent": _dns(silent, R.TIMEOUT),
    "dns-malformed": _dns(dns_scenarios.SCRIPTS[R.MALFORMED][0], R.MALFORMED),
    "dns-ends-over-tcp": _dns(silent, R.SERVER_FAILURE, transport="tcp"),
    "grpc": _grpc(grpc_scenarios.answers(0, b"\x08\x01"), None),
    **{
        f"grpc-{reason}": _grpc(grpc_scenarios.SERVERS[reason], reason)
        for reason in (R.NOT_SERVING, R.UNIMPLEMENTED, R.UNKNOWN_SERVICE, R.UNAUTHENTICATED, R.PERMISSION,
                       R.UNAVAILABLE, R.NOT_GRPC, R.GOAWAY)  # no R.TIMEOUT: its gRPC check keeps no deadline
    },
    "grpc-closed": Row(Kind.GRPC, "grpc", _listens(None), (L.TCP, R.REFUSED)),
    "icmp-nowhere": Row(Kind.ICMP, "icmp", _listens(None), (L.ICMP, R.UNREACHABLE), address=_NOWHERE),
}  # fmt: skip
