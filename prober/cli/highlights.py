"""The few facts of a layer's evidence that a person wants on the same line. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prober.model import Outcome, Run
from prober.reasons import Kind, Layer, Reason
from prober.round_trips import trips_of
from prober.units import human_bytes, human_seconds

Facts = Iterator[str]
#: Evidence of what a connection lost under a layer → how it is said.
_LOST = (("retransmits", "sent again"), ("out_of_order", "out of order"), ("unacknowledged", "not acknowledged"))


def highlights(run: Run, outcome: Outcome) -> tuple[str, ...]:
    """Short facts, the most important first; empty where there is nothing to tell."""
    if outcome.reason is Reason.LITERAL:
        ready = outcome.evidence.get("endpoints")
        return (f"{ready} ready endpoint{'s' if ready != 1 else ''}",) if ready else ("literal address",)
    if outcome.reason is Reason.SKIPPED_BELOW:
        return ("not reached",)
    own = tuple(fact for fact in _LAYERS[outcome.layer](run, outcome.evidence) if fact)
    trips = trips_of(run, outcome)
    return (*own, *((str(trips),) if trips is not None and trips.count > 1 else ()), *_common(outcome))


def _common(outcome: Outcome) -> Facts:
    if outcome.layer is not Layer.TCP:
        for name, words in _LOST:
            if segments := outcome.evidence.get(name):
                yield f"{segments} segment{'s' if segments != 1 else ''} {words}"
    budget = outcome.evidence.get("budget", outcome.evidence.get("total_budget"))
    if isinstance(budget, float | int):
        yield f"budget {human_seconds(budget)}"
    if outcome.evidence.get("detail"):
        yield str(outcome.evidence["detail"])


def _dns(run: Run, evidence: Mapping[str, Any]) -> Facts:
    answers = evidence.get("answers") or []
    if run.cell.kind is Kind.DNS and answers:
        yield ", ".join(map(str, answers[:3])) + (f" +{len(answers) - 3}" if len(answers) > 3 else "")
    elif len(answers) > 1:
        yield f"1 of {len(answers)} addresses"
    queries = evidence.get("queries")
    if queries:
        server = f" to {evidence['server']}" if evidence.get("server") else ""
        yield f"{queries} quer{'ies' if queries != 1 else 'y'}{server}"
    elif evidence.get("endpoints") == 0:
        yield "no ready endpoint"
    if evidence.get("nsid"):
        yield f"it is {evidence['nsid']}"
    for error in evidence.get("ede") or ():
        yield f"{error['name'] or 'extended error'} ({error['code']})"
    if evidence.get("tls"):
        yield from _tls(run, evidence["tls"])


def _icmp(_run: Run, evidence: Mapping[str, Any]) -> Facts:
    if evidence.get("sent") is not None:
        yield f"{evidence.get('received', 0)}/{evidence['sent']} answered"
    if evidence.get("duplicates"):
        yield f"{evidence['duplicates']} twice"
    if evidence.get("reordered"):
        yield f"{evidence['reordered']} out of order"
    if evidence.get("jitter") is not None:
        yield f"jitter {human_seconds(evidence['jitter'])}"
    if evidence.get("mtu"):
        yield f"mtu {evidence['mtu']}"
    if evidence.get("ttl") is not None:
        yield f"ttl {evidence['ttl']}"
    yield from _icmp_error(evidence)


def _icmp_error(evidence: Mapping[str, Any]) -> Facts:
    if evidence.get("icmp"):
        yield f"ICMP {evidence['icmp']} from {evidence.get('from') or 'somebody'}"


def _tcp(_run: Run, evidence: Mapping[str, Any]) -> Facts:
    yield from _icmp_error(evidence)
    if evidence.get("errno") and not evidence.get("icmp"):
        yield "RST" if evidence["errno"] == "ECONNREFUSED" else str(evidence["errno"])
    if evidence.get("retransmits"):
        yield f"{evidence['retransmits']} SYN retransmitted"
    if evidence.get("dialogue"):
        yield str(evidence["dialogue"][-1])
    if evidence.get("received"):
        yield f"got {evidence['received']}"
    if evidence.get("mss"):
        yield f"mss {evidence['mss']}"


def _proxy(_run: Run, evidence: Mapping[str, Any]) -> Facts:
    if evidence.get("connect"):
        yield f"CONNECT {evidence['connect']}"
    if evidence.get("status"):
        yield str(evidence["status"])


def _tls(_run: Run, evidence: Mapping[str, Any]) -> Facts:
    if awaited := (evidence.get("starttls") or {}).get("waiting_for"):
        yield f"no {awaited}"
    ocsp = evidence.get("ocsp") or {}
    if (staple := ocsp.get("error") or ocsp.get("status")) not in (None, "good"):
        yield f"OCSP: {staple}"
    days = evidence.get("days_left")
    if isinstance(days, float | int) and days < 0:
        yield f"ended {str(evidence.get('not_after', ''))[:10]}"
    yield str(evidence.get("version") or "")
    yield str(evidence.get("alpn") or "")
    if isinstance(days, float | int) and days >= 0:
        yield f"{days:.0f} days left"
    yield str(evidence.get("subject") or next(iter(evidence.get("names") or ()), ""))
    yield "; ".join(map(str, evidence.get("openssl") or ()))


def _http(run: Run, evidence: Mapping[str, Any]) -> Facts:
    if evidence.get("status"):
        yield str(evidence["status"])
    if evidence.get("location"):
        yield f"to {evidence['location']}"
    if evidence.get("redirects"):
        yield f"{evidence['redirects']} redirect{'s' if evidence['redirects'] != 1 else ''} followed"
    if evidence.get("http_version"):
        yield f"HTTP/{evidence['http_version']}"
    if evidence.get("held_seconds"):
        yield f"held {human_seconds(evidence['held_seconds'])}"
    if isinstance(evidence.get("bytes"), int):
        yield human_bytes(evidence["bytes"])
    yield str(evidence.get("envoy_says") or evidence.get("front_end_says") or "")
    yield str(evidence.get("server") or "")
    yield f"cache {evidence['cache']}" if evidence.get("cache") else ""
    if "first_byte" in run.phases:
        yield f"first byte {human_seconds(run.phases['first_byte'])}"
    if "network" in run.phases:
        yield f"{human_seconds(run.phases['network'])} of it network and queues"


def _grpc(_run: Run, evidence: Mapping[str, Any]) -> Facts:
    yield str(evidence.get("status") or evidence.get("grpc_status") or "")
    yield str(evidence.get("service") or "")
    yield str(evidence.get("message") or "")


_LAYERS: Mapping[Layer, Callable[[Run, Mapping[str, Any]], Facts]] = {
    Layer.DNS: _dns,
    Layer.ICMP: _icmp,
    Layer.TCP: _tcp,
    Layer.PROXY: _proxy,
    Layer.TLS: _tls,
    Layer.HTTP: _http,
    Layer.GRPC: _grpc,
}
