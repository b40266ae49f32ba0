"""The peer in a Pod of the lab: asks it for one probe after the other, and says what it said. One JSON line for each.

Run inside the Pod: `python -m benchmarks._lab_peer CORE COUNT`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks._peer import find_peer, serve_peer
from prober.reasons import Family
from tests.network.lab import plan, probes

_HTTP = 'probe_http_duration_seconds{phase="%s"}'
_NAME = "web.app.svc.cluster.local."


@dataclass(frozen=True, slots=True)
class Asked:
    """What the peer is told for a case of ours, and which of its samples tell the time of a layer."""

    target: str
    module: Mapping[str, object]
    layers: Mapping[str, str]


ASKED = {
    "icmp": Asked("{web}", {"prober": "icmp"}, {"icmp": 'probe_icmp_duration_seconds{phase="rtt"}'}),
    "tcp": Asked("{web}:8080", {"prober": "tcp"}, {"tcp": "probe_duration_seconds"}),
    "dns": Asked("{dns}:53", {"prober": "dns", "dns": {"query_name": _NAME, "query_type": "A"}},
                 {"dns": 'probe_dns_duration_seconds{phase="request"}'}),
    "http": Asked("http://{web}:8080/health", {"prober": "http"}, {"http": _HTTP % "processing"}),
    "https-1": Asked(
        "https://{web}:8443/health",
        {"prober": "http", "http": {"enable_http2": False, "tls_config": {
            "ca_file": str(probes.CA_FILE), "server_name": probes.APP}}},
        {"tls": _HTTP % "tls"},
    ),
}  # fmt: skip


def main(core: int, count: int) -> None:
    """Ask `count` times for every case and family, the families in turn."""
    modules = {name: {"timeout": "4s", **asked.module} for name, asked in ASKED.items()}
    with serve_peer(str(find_peer()), modules, core) as peer:
        for _ in range(count):
            for name, asked in ASKED.items():
                for family in Family:
                    hosts = {"web": plan.WEB2.address(family), "dns": plan.DNS.address(family)}
                    if family is plan.V6 and name != "icmp":
                        hosts = {pod: f"[{address}]" for pod, address in hosts.items()}
                    target = asked.target.format(**hosts)
                    said = peer.probe(name, target)
                    if not said.get("probe_success"):
                        raise SystemExit(f"the peer's {name}: {peer.explain(name, target)}")
                    layers = {layer: said[sample] for layer, sample in asked.layers.items()}
                    print(json.dumps({"case": name, "family": str(family), "layers": layers}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
