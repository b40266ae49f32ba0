"""Which function climbs which layer: one line per layer. Modules are imported when a cell first needs them."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from prober.layers.base import Rung
from prober.reasons import Kind, Layer

#: layer → "module:function"; what a kind does differently stands below.
RUNGS: dict[Layer, str] = {
    Layer.DNS: "prober.layers.dns.rung:resolve",
    Layer.ICMP: "prober.layers.icmp.rung:echo",
    Layer.TCP: "prober.layers.tcp.rung:connect",
    Layer.PROXY: "prober.layers.proxy:tunnel",
    Layer.TLS: "prober.layers.tls.rung:handshake",
    Layer.HTTP: "prober.layers.http.rung:request",
    Layer.GRPC: "prober.layers.grpc.rung:check",
}
BY_KIND: dict[tuple[Kind, Layer], str] = {
    (Kind.DNS, Layer.DNS): "prober.layers.dns.rung:query",
    (Kind.KUBERNETES, Layer.HTTP): "prober.layers.kubernetes:request",
}


@cache
def rung_of(kind: Kind, layer: Layer) -> Rung:
    """The function that climbs `layer` for a probe of `kind`."""
    module, function = BY_KIND.get((kind, layer), RUNGS[layer]).split(":")
    rung: Rung = getattr(import_module(module), function)
    return rung
