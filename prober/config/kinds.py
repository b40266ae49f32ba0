"""Kinds and schemes: which URL each kind can climb to, and what each URL is climbed with by default. Pure tables."""

from __future__ import annotations

from collections.abc import Mapping

from prober.model import Endpoint, Scheme
from prober.reasons import Kind

_STREAMS: tuple[Scheme, ...] = ("tcp", "tls", "http", "https", "grpc", "grpcs")
#: Kind → the schemes it can climb to. A kind may climb less than the URL offers, not more.
CLIMBS: Mapping[Kind, tuple[Scheme, ...]] = {
    Kind.ICMP: ("icmp", *_STREAMS, "dns"),
    Kind.TCP: _STREAMS,
    Kind.TLS: ("tls", "https", "grpcs"),
    Kind.HTTP: ("http", "https"),
    Kind.GRPC: ("grpc", "grpcs"),
    Kind.DNS: ("dns",),
    Kind.KUBERNETES: ("https",),
}
#: Scheme → the kind that climbs all of it.
BY_SCHEME: Mapping[Scheme, Kind] = {
    "icmp": Kind.ICMP,
    "tcp": Kind.TCP,
    "tls": Kind.TLS,
    "http": Kind.HTTP,
    "https": Kind.HTTP,
    "grpc": Kind.GRPC,
    "grpcs": Kind.GRPC,
    "dns": Kind.DNS,
}
#: The target that `kind: kubernetes` has by itself, and its paths: the API server by name and by address.
PRESET = "kubernetes"
PRESET_PATHS = ("name", "ip")
#: Kind → the scheme it speaks to endpoints that come without a URL.
BARE: Mapping[Kind, Scheme] = {
    Kind.ICMP: "icmp",
    Kind.TCP: "tcp",
    Kind.TLS: "tls",
    Kind.HTTP: "http",
    Kind.GRPC: "grpc",
    Kind.KUBERNETES: "https",
}


def refuse_scheme(kind: Kind, endpoint: Endpoint) -> None:
    """ValueError where a probe of `kind` can't climb to `endpoint`."""
    if endpoint.scheme not in CLIMBS[kind]:
        schemes = ", ".join(f"{scheme}://" for scheme in CLIMBS[kind])
        raise ValueError(f"kind {kind} can't climb to {endpoint.scheme}:// (it climbs to {schemes})")
    if kind is Kind.ICMP and not endpoint.host:
        raise ValueError("the URL names no host to send echo requests to")
    if kind is Kind.KUBERNETES and endpoint.proxy is not None:
        raise ValueError("kind kubernetes does not go through a proxy (kind http does)")
