"""What the keys of one block get wrong together, or what their types can't say. One function per block."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from prober.addresses import parse_server
from prober.config import words
from prober.config.address import check_resource
from prober.config.dns_blocks import DNS_EXPECTATIONS, Finding, complaint, dns_block, expectations
from prober.config.grpc_block import OF_THE_MESSAGE, grpc_expectations, grpc_findings
from prober.config.nodes import Document
from prober.config.schema import Defaults
from prober.config.settings import Asked, Settings
from prober.config.targets import NO_COLON
from prober.config.tls_block import tls_findings
from prober.json_paths import check_path
from prober.options import (
    Expect,
    HttpOptions,
    KubernetesOptions,
    Profile,
    ResolverOptions,
    TcpOptions,
)
from prober.reasons import LADDERS, REASONS, Kind, Layer

#: RFC 9110 section 5.6.2.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
#: Headers that say how long a message is (RFC 9112 section 6): a wrong one would be our own mistake.
_FRAMING = frozenset({"content-length", "transfer-encoding"})
_HTTP_EXPECTATIONS = (
    "status",
    "http_version",
    "headers",
    "body_contains",
    "body_matches",
    "body_not_contains",
    "body_json",
)


def check_blocks(document: Document, asked: Asked, settings: Settings) -> None:
    """Report what is wrong in the blocks that the probe's kind uses, where it is given."""
    for name, check in _CHECKS.items():
        stack = asked.block(name)
        if any(block.model_fields_set for _, block in stack.places):
            for keys, message in check(stack.merged()):
                document.report(stack.where(*keys), message)
    kind = asked.probe.kind
    for name, keys, message in (*_kubernetes_alone(kind, settings), *_other_kinds(kind, settings)):
        document.report(asked.block(name).where(*keys), message)


def _kubernetes_alone(kind: Kind, settings: Settings) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """What kind kubernetes takes none of: block, keys, and why."""
    tls, http = settings.options.tls, settings.options.http
    if kind is not Kind.KUBERNETES:
        return
    if not tls.verify:
        yield "tls", ("verify",), "the Pod's token is sent to no server that is not verified"
    if http.follow:
        yield "http", ("follow",), "kind kubernetes follows no redirects (kind http does)"
    if http.websocket is not None:
        yield "http", ("websocket",), "kind kubernetes opens no WebSocket (kind http does)"


def _other_kinds(kind: Kind, settings: Settings) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """What other kinds take none of, or not in their timeout: block, keys, and why."""
    options = settings.options
    if kind is not Kind.TLS and options.tls.starttls is not None:
        yield "tls", ("starttls",), f"only kind tls asks for TLS in another protocol's words, this is kind {kind}"
    if kind is not Kind.DNS and len(options.resolver.profile) > 1:
        yield "resolver", ("profile",), f"only kind dns asks as several, this is kind {kind}"
    if kind is not Kind.TCP and options.tcp.steps:
        said = next(key for key in ("dialogue", "send", "expect") if getattr(options.tcp, key))
        yield "tcp", (said,), f"only kind tcp speaks on its connection, this is kind {kind}"
    if kind is Kind.DNS and options.dns.sockets != "one" and Profile.MUSL in options.resolver.profile:
        yield "dns", ("sockets",), "musl sends all from one socket: profile glibc alone can do otherwise"
    if kind is Kind.ICMP and (options.icmp.count - 1) * options.icmp.gap >= settings.timeout:
        yield "icmp", ("count",), "{} requests, gap apart, don't fit into the timeout"
    if kind is Kind.GRPC and options.grpc.watch is not None and options.grpc.watch >= settings.timeout:
        yield "grpc", ("watch",), "a watch of {} does not fit into the timeout"
    websocket = options.http.websocket
    if kind is Kind.HTTP and websocket is not None and websocket.hold >= settings.timeout:
        yield "http", ("websocket", "hold"), "a hold of {} does not fit into the timeout"


def check_defaults(document: Document, defaults: Defaults) -> None:
    """Report what is wrong in the blocks of the defaults by themselves, whether a probe uses them or not."""
    for name, check in _CHECKS.items():
        for keys, message in check(getattr(defaults, name)):
            document.report(("defaults", name, *keys), message)


def check_expect(document: Document, asked: Asked, settings: Settings) -> None:
    """Report expectations that the kind can't meet, that contradict each other, or that are malformed."""
    expect, stack, kind = settings.expect, asked.expect(), asked.probe.kind
    of_dns = expectations(expect, settings.options.dns)
    of_grpc = grpc_expectations(expect, settings.options.grpc) if kind is Kind.GRPC else ()
    for keys, message in (*_for_kind(expect, kind), *_negative(expect, kind), *_patterns(expect), *of_dns, *of_grpc):
        document.report(stack.where(*keys), message)
    version = settings.options.http.version
    if version != "auto" and expect.http_version is not None and not expect.http_version.startswith(version[:1]):
        document.report(stack.where("http_version"), f"http.version is {version}: this can't be met")
    if settings.options.http.websocket is not None and kind is Kind.HTTP and expect.http_version == "2":
        document.report(stack.where("http_version"), "a WebSocket begins with HTTP/1.1: this can't be met")


def _http(http: HttpOptions) -> Iterator[Finding]:
    if http.method == "CONNECT":
        yield ("method",), "CONNECT opens tunnels: a path's proxy: does that"
    if http.bearer is not None and http.basic is not None:
        yield ("bearer",), "either bearer or basic: a request has one Authorization"
    if http.websocket is not None:
        yield from _websocket(http)
    if http.basic is not None and ":" in http.basic.username:
        yield ("basic", "username"), NO_COLON
    for name, value in http.headers.items():
        if not _TOKEN.fullmatch(name):
            yield ("headers", name), "not the name of a header (RFC 9110 section 5.1)"
        elif name.lower() in _FRAMING:
            yield ("headers", name), "how long the body is, is found out: leave it out"
        elif name.lower() == "authorization" and (http.bearer or http.basic):
            yield ("headers", name), "bearer or basic already set Authorization"
        elif isinstance(value, str) and re.search(r"[\r\n\0]", value):
            yield ("headers", name), "a header's value is one line"


def _websocket(http: HttpOptions) -> Iterator[Finding]:
    """What a handshake of RFC 6455 section 4.1 leaves no choice about."""
    if http.method != "GET" or http.body is not None:
        yield ("method" if http.method != "GET" else "body",), "a WebSocket begins with a GET without a body"
    if http.version == "2":
        yield ("version",), "a WebSocket begins with HTTP/1.1"
    if http.follow:
        yield ("follow",), "a WebSocket handshake is not redirected"
    for name in http.headers:
        if name.lower() in ("connection", "upgrade") or name.lower().startswith("sec-websocket-"):
            yield ("headers", name), "the WebSocket handshake sets this one: leave it out"


def _resolver(resolver: ResolverOptions) -> Iterator[Finding]:
    servers: list[Finding] = [(("servers", position), text) for position, text in enumerate(resolver.servers)]
    for keys, text in [*servers, *((("named", name), text) for name, text in resolver.named.items())]:
        if (message := complaint(parse_server, text)) is not None:
            yield keys, message
    for name in resolver.named:
        if (message := complaint(words.check_name, name)) is not None:
            yield ("named", name), message.replace("{}", "the name")
    for position, domain in enumerate(resolver.search or ()):
        if (message := complaint(words.check_host_name, domain)) is not None:
            yield ("search", position), message


def _kubernetes(kubernetes: KubernetesOptions) -> Iterator[Finding]:
    if not kubernetes.resource.startswith("/"):
        yield ("resource",), "{} does not begin with /"
    elif (message := complaint(check_resource, kubernetes.resource)) is not None:
        yield ("resource",), message


def _tcp(tcp: TcpOptions) -> Iterator[Finding]:
    if tcp.dialogue and (tcp.send is not None or tcp.expect is not None):
        yield ("dialogue",), "either a dialogue, or send and expect"
    patterns: list[tuple[tuple[str | int, ...], str | None]] = [(("expect",), tcp.expect)]
    for position, step in enumerate(tcp.dialogue):
        patterns.append((("dialogue", position, "expect"), step.expect))
        if step.send is None and step.expect is None:
            yield ("dialogue", position), "a step sends something, expects something, or both"
    for keys, text in patterns:
        message = None if text is None else complaint(partial(words.check_pattern, of_bytes=True), text)
        if message is not None:
            yield keys, message


_CHECKS: Mapping[str, Callable[[Any], Iterator[Finding]]] = {
    "tcp": _tcp,
    "tls": tls_findings,
    "http": _http,
    "grpc": grpc_findings,
    "resolver": _resolver,
    "dns": dns_block,
    "kubernetes": _kubernetes,
}


def _for_kind(expect: Expect, kind: Kind) -> Iterator[Finding]:
    """Expectations of layers that the kind does not climb."""
    for key in sorted(expect.model_fields_set):
        if key == "grpc_status" and kind is not Kind.GRPC:
            yield (key,), f"only kind grpc has statuses of gRPC, this is kind {kind}"
        elif kind is Kind.GRPC and key in OF_THE_MESSAGE:
            continue
        elif key in _HTTP_EXPECTATIONS and Layer.HTTP not in LADDERS[kind]:
            yield (key,), f"kind {kind} makes no HTTP request"
        elif key in DNS_EXPECTATIONS and kind is not Kind.DNS:
            yield (key,), f"only kind dns looks at answers, this is kind {kind}"


def _negative(expect: Expect, kind: Kind) -> Iterator[Finding]:
    """`failed` and `reason`."""
    if expect.failed is None:
        if expect.reason:
            yield ("reason",), "a reason is expected of a layer: add failed: LAYER"
        return
    if expect.failed not in LADDERS[kind]:
        yield ("failed",), f"kind {kind} does not climb {expect.failed} (it climbs {', '.join(LADDERS[kind])})"
        return
    known = REASONS[expect.failed]
    for position, reason in enumerate(expect.reason):
        if reason not in known:
            near = words.suggest(reason, known) or f" (its reasons: {', '.join(known)})"
            yield ("reason", position), f"{expect.failed} never fails with {{}}{near}"


def _patterns(expect: Expect) -> Iterator[Finding]:
    for position, status in enumerate(expect.status):
        if not (re.fullmatch(r"[1-5]xx", status) if isinstance(status, str) else 100 <= status <= 599):
            yield ("status", position), "{} is not a status: 100 to 599, or a class such as 2xx"
    places: list[tuple[tuple[str, ...], str]] = [(("headers", name), text) for name, text in expect.headers.items()]
    if expect.body_matches is not None:
        places.append((("body_matches",), expect.body_matches))
    for path, wanted in expect.body_json.items():
        if (message := complaint(check_path, path)) is not None:
            yield ("body_json", path), message
        elif len(wanted.model_fields_set) != 1:
            yield ("body_json", path), "one of equals, matches, exists is needed"
        elif wanted.matches is not None:
            places.append((("body_json", path, "matches"), wanted.matches))
    for keys, text in places:
        if (message := complaint(words.check_pattern, text)) is not None:
            yield keys, message
