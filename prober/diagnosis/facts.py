"""What a rule may know of a run: the blamed layer's evidence, the kind of place, and words to fill templates with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from prober.model import Cell, Outcome, Run
from prober.reasons import Family, Kind, Layer
from prober.round_trips import of_distance
from prober.units import host_port, human_seconds, human_span

#: Where Services of type NodePort have their ports if nothing else is set (`--service-node-port-range`).
NODE_PORTS = range(30000, 32768)


class Facts(Mapping[str, str]):
    """The words of one run, seen from `layer`; missing evidence becomes a plain noun, never an empty gap."""

    def __init__(self, run: Run, layer: Layer) -> None:
        self.run = run
        self.cell: Cell = run.cell
        self.outcome: Outcome = run.outcome(layer) or run.outcomes[-1]
        self.evidence: Mapping[str, Any] = self.outcome.evidence
        self.words = _common(self) | _names(self) | _packets(self) | _tls(self) | _answers(self)

    def __getitem__(self, word: str) -> str:
        return self.words[word]

    def __iter__(self) -> Any:
        return iter(self.words)

    def __len__(self) -> int:
        return len(self.words)

    @property
    def cluster_service(self) -> bool:
        """The target is a Service: by the path's name, or by the form of the host."""
        host = self.cell.endpoint.host.rstrip(".")
        return self.cell.path.startswith("service") or host.endswith(".svc") or ".svc." in host

    @property
    def pod(self) -> bool:
        """The address is a Pod's own."""
        return self.cell.endpoint.service is not None or self.cell.path.startswith("pod")

    @property
    def node(self) -> bool:
        """The address is a node's, the port a NodePort: by the path's name, or by the port."""
        port = self.run.port or self.cell.endpoint.port
        by_port = port in NODE_PORTS and not (self.cluster_service or self.pod or self.proxied)
        return self.cell.path.startswith("node") or by_port

    @property
    def api_server(self) -> bool:
        """The target is the Kubernetes API server."""
        return self.cell.kind is Kind.KUBERNETES

    @property
    def proxied(self) -> bool:
        """The connection leads to a proxy first."""
        return self.cell.endpoint.proxy is not None

    @property
    def status(self) -> int:
        """The HTTP status that was answered, 0 if none."""
        status = self.evidence.get("status")
        return status if isinstance(status, int) else 0


def _common(facts: Facts) -> dict[str, str]:
    run, cell = facts.run, facts.cell
    budget = facts.evidence.get("total_budget", facts.evidence.get("budget"))
    detail = facts.evidence.get("detail")
    return {
        "target": cell.target,
        "layer": facts.outcome.layer.value,
        "family": "IPv6" if cell.family is Family.IPV6 else "IPv4",
        "took": human_seconds(facts.outcome.seconds or 0.0),
        "total": human_seconds(run.seconds),
        "timeout": human_seconds(cell.timeout),
        "budget": human_seconds(budget) if isinstance(budget, float | int) else "what it may take",
        "detail": f": {detail}" if detail else "",
        "expected": _expected(cell),
    }


def _expected(cell: Cell) -> str:
    if cell.expect.failed is None:
        return "to succeed"
    reasons = " or ".join(reason.value for reason in cell.expect.reason)
    return f"{cell.expect.failed.value} to fail" + (f" ({reasons})" if reasons else "")


def _names(facts: Facts) -> dict[str, str]:
    cell, run = facts.cell, facts.run
    hop, port = cell.endpoint.first_hop
    question = cell.kind is Kind.DNS
    goal = cell.endpoint.connect or (cell.endpoint.host, cell.endpoint.port)
    type_ = cell.options.dns.type if question else ("AAAA" if cell.family is Family.IPV6 else "A")
    return {
        "name": cell.endpoint.resource if question else hop,
        "type": type_,
        "service": _service(cell),
        "server": _server(facts),
        "address": run.address or hop,
        "where": host_port(run.address or hop, run.port or port),
        "port": str(run.port or port),
        "goal": host_port(*goal),
        "answers": _listed(facts.evidence.get("answers")) or "something else",
        "expected_answers": _listed(cell.expect.answers) or "other data",
    }


def _service(cell: Cell) -> str:
    """The Service by `namespace/name`, as far as the path or the host's form says it."""
    if cell.endpoint.service is not None:
        return f"Service {cell.endpoint.service.namespace}/{cell.endpoint.service.name}"
    labels = cell.endpoint.host.rstrip(".").split(".")
    if labels[2:3] == ["svc"]:
        return f"Service {labels[1]}/{labels[0]}"
    return f"the Service behind {cell.endpoint.host}"


def _server(facts: Facts) -> str:
    """The DNS server that was asked."""
    server = facts.evidence.get("server") or _listed(facts.evidence.get("servers"))
    if server:
        return str(server)
    if facts.cell.kind is Kind.DNS and facts.cell.endpoint.host:
        return host_port(facts.run.address or facts.cell.endpoint.host, facts.run.port or facts.cell.endpoint.port)
    return _listed(facts.cell.options.resolver.servers) or "the resolver"


def _packets(facts: Facts) -> dict[str, str]:
    evidence = facts.evidence
    icmp, sender = evidence.get("icmp"), evidence.get("from")
    lost = evidence.get("retransmits") or 0
    return {
        "icmp": f" (ICMP {icmp})" if icmp else "",
        "step": f"step {evidence['step']}" if evidence.get("step") else "a step",
        "heard": f"“{evidence['received']}”" if evidence.get("received") else "silence",
        "source": str(evidence.get("source") or "of its own"),
        "sender": str(sender or ("this node" if evidence.get("errno") == "EHOSTUNREACH" else "a router on the way")),
        "lost": f" with {lost} SYN{'s' if lost != 1 else ''} retransmitted" if lost else "",
        "behind": _segments(evidence.get("out_of_order")),
        "again": _segments(evidence.get("retransmits")),
        "sent": str(evidence.get("sent", facts.cell.options.icmp.count)),
        "received": str(evidence.get("received", 0)),
        "size": str(facts.cell.options.icmp.size),
        "packet": str(facts.cell.options.icmp.size + (48 if facts.cell.family is Family.IPV6 else 28)),
        "hops": str(facts.cell.options.icmp.ttl or "all its"),
        "mtu": _mtu(evidence),
    }


def _segments(count: object) -> str:
    """How many they are; a count that is missing becomes some."""
    return f"{count} segment{'s' if count != 1 else ''}" if count else "some"


def _mtu(evidence: Mapping[str, Any]) -> str:
    """Whose MTU was met: a router's that answered, or that of this place's own device."""
    mtu, sender = evidence.get("mtu"), evidence.get("from")
    if not mtu:
        return ""
    return f": {sender or 'the device here'} lets packets of {mtu} bytes pass"


def _tls(facts: Facts) -> dict[str, str]:
    evidence = facts.evidence
    return {
        "tls_name": str(evidence.get("server_name") or facts.cell.options.tls.server_name or facts.cell.endpoint.host),
        "subject": str(evidence.get("subject") or "the server"),
        "issuer": str(evidence.get("issuer") or "an unnamed authority"),
        "names": _listed(evidence.get("names")) or "no names at all",
        "not_before": _day(evidence.get("not_before")),
        "not_after": _day(evidence.get("not_after")),
        "ago": _ago(evidence.get("days_left")),
        "alert": f" ({'; '.join(map(str, evidence['openssl']))})" if evidence.get("openssl") else "",
        "alpn": str(evidence.get("alpn") or "no protocol"),
        "starttls": str(facts.cell.options.tls.starttls or "another protocol"),
        "expired_link": _expired_link(facts),
        **_staple(evidence.get("ocsp")),
    }


def _expired_link(facts: Facts) -> str:
    """The first certificate of the chain as sent that had ended by the time of the run."""
    for link in facts.evidence.get("chain") or ():
        if datetime.fromisoformat(link["not_after"]) < facts.run.started_at:
            return f"{link['subject']}, valid until {_day(link['not_after'])}"
    return "an intermediate"


def _staple(ocsp: object) -> dict[str, str]:
    told = ocsp if isinstance(ocsp, Mapping) else {}
    reason = f" ({told['reason']})" if told.get("reason") else ""
    why = told.get("error") or (f"its status is {told['status']}" if told.get("status") else "")
    return {
        "revoked": f" on {_day(told['revoked_at'])}{reason}" if told.get("revoked_at") else "",
        "staple": f": {why}" if why else "",
    }


def _answers(facts: Facts) -> dict[str, str]:
    evidence = facts.evidence
    http = facts.cell.options.http
    version = evidence.get("http_version")
    failing = _listed(evidence.get("failing"))
    return {
        "status": _status(evidence.get("status")),
        "request": f"{http.method} {facts.cell.resource}",
        "location": str(evidence.get("location") or "nowhere"),
        "front_end": _front_end(evidence),
        "spent": _spent(facts),
        "held": human_seconds(evidence.get("held_seconds") or 0.0),
        "failing": f" (failing: {failing})" if failing else "",
        "http_version": f"HTTP/{version}" if version else "another version",
        "expected_version": f"HTTP/{facts.cell.expect.http_version or http.version}",
        "grpc_service": evidence.get("service") or facts.cell.options.grpc.service or "the server as a whole",
        "grpc_call": facts.cell.options.grpc.call or "the health check",
        "why": f": {evidence.get('message') or evidence.get('detail')}"
        if evidence.get("message") or evidence.get("detail")
        else "",
        "http_status": _status(evidence.get("http_status")),
        "grpc_status": str(evidence.get("grpc_status") or "an error"),
        "message": f": {evidence['message']}" if evidence.get("message") else "",
    }


def _spent(facts: Facts) -> str:
    """Where a layer's time went, as far as the front end and the round trip of tcp tell it."""
    phases = facts.run.phases if facts.outcome.layer is Layer.HTTP else {}
    told = [of_distance(facts.run, facts.outcome)]
    if "network" in phases:
        behind, between = human_seconds(phases["upstream"]), human_seconds(phases["network"])
        told.insert(0, f"{behind} behind the front end, {between} in the network and in queues")
    return f" ({said})" if (said := "; ".join(filter(None, told))) else ""


def _status(status: object) -> str:
    """A status as it stands on the wire: nginx passes on as 000 what was no HTTP at all."""
    if isinstance(status, int):
        return f"{status:03}"
    return str(status or "an unexpected status")


def _front_end(evidence: Mapping[str, Any]) -> str:
    """Who answered in the place of what is behind it, and why."""
    if evidence.get("envoy_flag"):
        return f" (Envoy says {evidence['envoy_flag']}: {evidence['envoy_says']})"
    if not evidence.get("front_end"):
        return ""
    why = evidence.get("front_end_says")
    return f" (a page of {evidence['front_end']}'s own" + (f": {why})" if why else ")")


def _listed(values: Sequence[object] | None) -> str:
    """Up to three values, and how many more there are."""
    if not values or isinstance(values, str):
        return values if isinstance(values, str) else ""
    more = f" and {len(values) - 3} more" if len(values) > 3 else ""
    return ", ".join(str(value) for value in values[:3]) + more


def _day(moment: object) -> str:
    return str(datetime.fromisoformat(moment).date()) if isinstance(moment, str) else "its date"


def _ago(days_left: object) -> str:
    return f"{human_span(abs(days_left) * 86400)} ago" if isinstance(days_left, float | int) else "before now"
