"""The line that proves a run by hand: curl, dig, openssl s_client, grpcurl, ping, nc or kubectl. Pure.

A failed run is shown with the tool of the layer that failed, a good one with the tool of its kind. The line goes to
the address that the run used, and never shows a secret. The tools themselves: `prober.export.tools`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from prober.export.tools.http import curl, grpcurl, through_proxy
from prober.export.tools.line import Line
from prober.export.tools.network import dig, nc, ping
from prober.export.tools.tls import openssl
from prober.model import Run
from prober.reasons import OURS, Kind, Layer

_OWN_LAYER: Mapping[Kind, Layer] = MappingProxyType(
    {
        Kind.ICMP: Layer.ICMP,
        Kind.TCP: Layer.TCP,
        Kind.TLS: Layer.TLS,
        Kind.HTTP: Layer.HTTP,
        Kind.GRPC: Layer.GRPC,
        Kind.DNS: Layer.DNS,
        Kind.KUBERNETES: Layer.HTTP,
    }
)
_TOOLS: Mapping[Layer, Callable[[Line], list[str]]] = MappingProxyType(
    {
        Layer.DNS: dig,
        Layer.ICMP: ping,
        Layer.TCP: nc,
        Layer.PROXY: through_proxy,
        Layer.TLS: openssl,
        Layer.HTTP: curl,
        Layer.GRPC: grpcurl,
    }
)


def reproduce(run: Run) -> str:
    """A shell line that does by hand what decided `run`."""
    return " ".join(_TOOLS[_decisive(run)](Line(run)))


def _decisive(run: Run) -> Layer:
    """The layer to show: the one to blame, the one that was expected to fail, else the kind's own."""
    if run.blame is not None and run.blame.reason not in OURS:
        return run.blame.layer
    return run.cell.expect.failed or _OWN_LAYER[run.cell.kind]
