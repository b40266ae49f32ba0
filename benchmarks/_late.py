"""What the benchmarks of truth probe: a cell of each kind at a late server, and how the peer is asked the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prober.model import Cell, Endpoint
from prober.options import KindOptions
from prober.reasons import Family, Kind
from tests.support.delayed import NAME, Delayed
from tests.support.late_echo import ADDRESSES

LOOPBACK = {Family.IPV4: "127.0.0.1", Family.IPV6: "::1"}
FAR = dict(zip(Family, ADDRESSES, strict=True))
QUESTION = "web.example."


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of probe. `labels` names the layers that are held against the truth, by the layer's own word; `samples`
    says where the peer tells the same, `target` what it is told to probe."""

    name: str
    kind: Kind
    service: str
    labels: Mapping[str, str]
    options: Mapping[str, Any] = field(default_factory=dict)
    peer: Mapping[str, Any] | None = None
    samples: Mapping[str, str] = field(default_factory=dict)
    target: str = "{address}:{port}"
    peer_families: Sequence[Family] = tuple(Family)

    def cell(self, late: Delayed, family: Family) -> Cell:
        """The cell at the late server of `family`."""
        address = FAR[family] if self.kind is Kind.ICMP else LOOPBACK[family]
        port = late.ports.get((self.service, address), 0)
        options = dict(self.options)
        scheme: Any = str(self.kind)
        endpoint = Endpoint(scheme, address, port)
        if self.kind is Kind.DNS:
            endpoint = Endpoint("dns", address, port, QUESTION)
        elif self.service == "https":
            endpoint = Endpoint("https", address, port)
            options["tls"] = {"ca_file": str(late.ca_file), "server_name": NAME}
        elif "proxy" in self.labels:
            endpoint = Endpoint("http", NAME, 80, proxy=Endpoint("http", address, port))
        return Cell("truth", self.kind, self.name, "late", family, endpoint, 10, 5,
                    KindOptions.model_validate(options))  # fmt: skip

    def peer_target(self, cell: Cell) -> str:
        """The target as the peer takes it."""
        host = cell.endpoint.host
        if self.kind is Kind.ICMP:
            return host
        address = f"[{host}]" if ":" in host else host
        return self.target.format(address=address, port=cell.endpoint.port)

    def peer_module(self, late: Delayed) -> dict[str, Any] | None:
        """The peer's module, None where it tells nothing of the kind."""
        if self.peer is None:
            return None
        prober = {"https": "http"}.get(self.service, str(self.kind))
        block: dict[str, Any] = dict(self.peer)
        if self.service == "https":
            block["tls_config"] = {"ca_file": str(late.ca_file), "server_name": NAME}
        return {"prober": prober, "timeout": "5s", prober: block}


def _dns(transport: str, service: str) -> Case:
    label = f"dns/{transport}"
    return Case(label, Kind.DNS, service, {"dns": label}, {"dns": {"transport": transport}},
                {"query_name": QUESTION, "query_type": "A", "transport_protocol": transport},
                {label: 'probe_dns_duration_seconds{phase="request"}'})  # fmt: skip


def _https(version: str) -> Case:
    label = f"http/{version}"
    samples = {"tls": 'probe_http_duration_seconds{phase="tls"}',
               label: 'probe_http_duration_seconds{phase="processing"}'}  # fmt: skip
    return Case(label, Kind.HTTP, "https", {"tls": "tls", "http": label}, {"http": {"version": version}},
                {"enable_http2": version == "2"}, samples, "https://{address}:{port}/")  # fmt: skip


CASES = (
    Case("icmp", Kind.ICMP, "echo", {"icmp": "icmp"}, {}, {}, {"icmp": 'probe_icmp_duration_seconds{phase="rtt"}'}),
    Case("tcp", Kind.TCP, "http", {"tcp": "tcp"}, {}, {}, {"tcp": "probe_duration_seconds"}),
    _dns("udp", "dns-udp"),
    _dns("tcp", "dns"),
    Case("proxy", Kind.HTTP, "http", {"proxy": "proxy"}),
    _https("1.1"),
    _https("2"),
    Case(
        "grpc",
        Kind.GRPC,
        "grpc",
        {"grpc": "grpc"},
        {},
        {},
        {"grpc": 'probe_grpc_duration_seconds{phase="check"}'},
        peer_families=(Family.IPV4,),
    ),  # release 0.23 dials `::1:port`
)
