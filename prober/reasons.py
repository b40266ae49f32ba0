"""The closed lists of layers, kinds, results and reasons.

Only tables live here: no I/O, no state. Every word below is part of the public API (metric labels, JSON,
`expect.reason` in `probes.yaml`); adding one is a minor version, renaming or removing one a major version.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from types import MappingProxyType


class Layer(StrEnum):
    """One rung of a ladder."""

    DNS = "dns"
    ICMP = "icmp"
    TCP = "tcp"
    PROXY = "proxy"
    TLS = "tls"
    HTTP = "http"
    GRPC = "grpc"


class Kind(StrEnum):
    """What a probe is: it fixes the ladder that is climbed."""

    ICMP = "icmp"
    TCP = "tcp"
    TLS = "tls"
    HTTP = "http"
    GRPC = "grpc"
    DNS = "dns"
    KUBERNETES = "kubernetes"


class Family(StrEnum):
    """The family of the packets on the path: of the target's address or, for `dns`, of the server's."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"


class Result(StrEnum):
    """What one layer did in one run."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


class Reason(StrEnum):
    """Why a layer failed or was skipped. Free text never becomes a reason."""

    # any layer
    TIMEOUT = "timeout"
    UNEXPECTED_SUCCESS = "unexpected_success"
    OVER_BUDGET = "over_budget"
    SKIPPED_BELOW = "skipped_below"
    LITERAL = "literal"
    CANCELLED = "cancelled"
    INTERNAL = "internal"
    # dns
    NAME_NOT_FOUND = "name_not_found"
    NO_DATA = "no_data"
    SERVER_FAILURE = "server_failure"
    MALFORMED = "malformed"
    TRUNCATED = "truncated"
    WRONG_ANSWER = "wrong_answer"
    # reaching an address: dns, icmp, tcp
    REFUSED = "refused"
    REJECTED = "rejected"
    PROHIBITED = "prohibited"
    UNREACHABLE = "unreachable"
    TOO_BIG = "too_big"
    NOT_PERMITTED = "not_permitted"
    NO_LOCAL_PORT = "no_local_port"
    # a connection that ended
    RESET = "reset"
    CLOSED = "closed"
    # proxy
    PROXY_REFUSED = "proxy_refused"
    PROXY_AUTH = "proxy_auth"
    PROXY_FAILED = "proxy_failed"
    # tls
    EXPIRED = "expired"
    EXPIRES_SOON = "expires_soon"
    NOT_YET_VALID = "not_yet_valid"
    NAME_MISMATCH = "name_mismatch"
    UNKNOWN_AUTHORITY = "unknown_authority"
    SELF_SIGNED = "self_signed"
    INCOMPLETE_CHAIN = "incomplete_chain"
    WRONG_PURPOSE = "wrong_purpose"
    REVOKED = "revoked"
    NO_STAPLE = "no_staple"
    PROTOCOL_VERSION = "protocol_version"
    NO_ALPN = "no_alpn"
    UNRECOGNIZED_NAME = "unrecognized_name"
    CLIENT_CERTIFICATE = "client_certificate"
    HANDSHAKE = "handshake"
    NOT_TLS = "not_tls"
    # http
    STATUS = "status"
    GOAWAY = "goaway"
    STREAM_RESET = "stream_reset"
    PROTOCOL = "protocol"
    VERSION = "version"
    REDIRECT = "redirect"
    HEADER = "header"
    BODY = "body"
    # grpc
    NOT_SERVING = "not_serving"
    UNIMPLEMENTED = "unimplemented"
    UNKNOWN_SERVICE = "unknown_service"
    UNAUTHENTICATED = "unauthenticated"
    PERMISSION = "permission"
    UNAVAILABLE = "unavailable"
    NOT_GRPC = "not_grpc"


R = Reason

#: Reasons that each layer can fail for by itself (design: section 6), in the order of the documentation.
REASONS: Mapping[Layer, tuple[Reason, ...]] = MappingProxyType(
    {
        Layer.DNS: (
            R.NAME_NOT_FOUND, R.NO_DATA, R.SERVER_FAILURE, R.REFUSED, R.TIMEOUT, R.MALFORMED, R.TRUNCATED,
            R.UNREACHABLE, R.WRONG_ANSWER,
        ),
        Layer.ICMP: (R.TIMEOUT, R.UNREACHABLE, R.PROHIBITED, R.TOO_BIG, R.NOT_PERMITTED),
        Layer.TCP: (
            R.REFUSED, R.REJECTED, R.PROHIBITED, R.UNREACHABLE, R.TIMEOUT, R.RESET, R.NO_LOCAL_PORT,
            R.NOT_PERMITTED, R.WRONG_ANSWER,
        ),
        Layer.PROXY: (R.PROXY_REFUSED, R.PROXY_AUTH, R.PROXY_FAILED, R.TIMEOUT, R.CLOSED),
        Layer.TLS: (
            R.EXPIRED, R.EXPIRES_SOON, R.NOT_YET_VALID, R.NAME_MISMATCH, R.UNKNOWN_AUTHORITY, R.SELF_SIGNED,
            R.INCOMPLETE_CHAIN, R.WRONG_PURPOSE, R.REVOKED, R.NO_STAPLE, R.PROTOCOL_VERSION, R.NO_ALPN,
            R.UNRECOGNIZED_NAME, R.CLIENT_CERTIFICATE, R.HANDSHAKE, R.NOT_TLS, R.RESET, R.CLOSED, R.TIMEOUT,
        ),
        Layer.HTTP: (
            R.STATUS, R.TIMEOUT, R.RESET, R.CLOSED, R.GOAWAY, R.STREAM_RESET, R.PROTOCOL, R.VERSION, R.REDIRECT,
            R.HEADER, R.BODY, R.CLIENT_CERTIFICATE,
        ),
        Layer.GRPC: (
            R.NOT_SERVING, R.UNIMPLEMENTED, R.UNKNOWN_SERVICE, R.UNAUTHENTICATED, R.PERMISSION, R.UNAVAILABLE,
            R.STATUS, R.NOT_GRPC, R.GOAWAY, R.STREAM_RESET, R.RESET, R.CLOSED, R.CLIENT_CERTIFICATE, R.BODY, R.TIMEOUT,
        ),
    }
)  # fmt: skip

#: Reasons that any layer can have beside its own.
COMMON_FAILURES: tuple[Reason, ...] = (R.UNEXPECTED_SUCCESS, R.OVER_BUDGET, R.CANCELLED, R.INTERNAL)
SKIPS: tuple[Reason, ...] = (R.SKIPPED_BELOW, R.LITERAL)

#: Reasons that say nothing about the target: they never make a target look down.
OURS: frozenset[Reason] = frozenset({R.INTERNAL, R.CANCELLED})

_L = Layer
#: The full ladder of each kind. `proxy` is climbed only where the path names a proxy, `tls` only where the
#: scheme asks for it (always for `tls` and `kubernetes`).
LADDERS: Mapping[Kind, tuple[Layer, ...]] = MappingProxyType(
    {
        Kind.ICMP: (_L.DNS, _L.ICMP),
        Kind.TCP: (_L.DNS, _L.TCP),
        Kind.TLS: (_L.DNS, _L.TCP, _L.PROXY, _L.TLS),
        Kind.HTTP: (_L.DNS, _L.TCP, _L.PROXY, _L.TLS, _L.HTTP),
        Kind.GRPC: (_L.DNS, _L.TCP, _L.PROXY, _L.TLS, _L.GRPC),
        Kind.DNS: (_L.DNS,),
        Kind.KUBERNETES: (_L.DNS, _L.TCP, _L.TLS, _L.HTTP),
    }
)


@cache  # one tuple for all cells of a kind
def ladder(kind: Kind, *, tls: bool, proxy: bool) -> tuple[Layer, ...]:
    """The layers that a cell of `kind` climbs, in order.

    `tls`: the scheme is `https`, `grpcs` or `tls`. `proxy`: the path names an explicit proxy.
    """
    left_out = set()
    if not proxy:
        left_out.add(Layer.PROXY)
    if not tls and kind in (Kind.HTTP, Kind.GRPC):
        left_out.add(Layer.TLS)
    return tuple(layer for layer in LADDERS[kind] if layer not in left_out)
