"""What the shipped command line says, inside the vantage, of faults at ingresses and at the proxy: which side it is.

That the right layer is blamed is shown for every fault of the catalogue elsewhere; here it is the sentence.
"""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from prober.reasons import Family
from tests.network.lab import plan
from tests.network.lab.faults import FAULTS
from tests.network.lab.probes import CONFIG_FILE
from tests.network.lab.process import LabProcess
from tests.support.fronts import require_path

_CUT = "(a page of nginx's own: what is behind it refused, broke off or did not answer in HTTP)."
_LATE = "(a page of nginx's own: what is behind it took no connection, or gave no answer, in time)."
#: Fault → the probe that sees it, what it blames, and what its sentence ends with (over IPv4, over IPv6 if otherwise).
SAYS = {
    # over IPv6 the kernel tells of an ICMP error to a SYN with the next SYN only, and nginx waits no second
    "ing-nginx-no-endpoints": ("http", "http.status", _CUT, _LATE),
    "ing-nginx-wrong-targetport": ("http", "http.status", _CUT),
    "ing-nginx-backend-drop": ("http", "http.status", _LATE),
    "ing-nginx-wrong-protocol": ("http", "http.status",
                                 "passes on as 000 what is no HTTP/1.x: what is behind it speaks another protocol."),
    "ing-nginx-no-route-host": ("http", "http.status", "404 (a page of nginx's own)."),
    "ing-nginx-grpc-over-http1": ("grpc", "grpc.not_grpc", "it speaks HTTP/1.1 to a gRPC server."),
    "ing-envoy-backend-drop": ("http", "http.status", "(Envoy says UF: upstream connection failure)."),
    "ing-envoy-backend-slow": ("http", "http.status", "(Envoy says UT: upstream request timeout)."),
    "ing-envoy-no-route-host": ("http", "http.status", "404 (Envoy says NR: no route)."),
    "ing-envoy-no-route-authority": ("grpc", "grpc.unimplemented",
                                     "for the call (Envoy says NR: no route), and says UNIMPLEMENTED by itself."),
    "ing-envoy-grpc-over-http1": ("grpc", "grpc.unavailable", "(Envoy says UPE: upstream protocol error)."),
    "ing-haproxy-wrong-targetport": ("http", "http.status",
                                     "(a page of haproxy's own: no server behind it is up, or takes a connection)."),
    "ing-haproxy-backend-drop": ("http", "http.stream_reset", "stream of this request: RST_STREAM REFUSED_STREAM."),
    "proxy-failed": ("http", "proxy.proxy_failed", "it answered 503: connect fail (Connection refused)."),
    "proxy-auth": ("http", "proxy.proxy_auth",
                   "wants credentials before it connects to www.example.net:443: 407."),
}  # fmt: skip


@pytest.mark.parametrize("name", SAYS)
def test_the_sentence_says_which_side_it_is(lab: LabProcess, name: str) -> None:
    """In both families alike; afterwards nobody has anything to say."""
    fault, (probe, blame, *endings) = FAULTS[name], SAYS[name]
    require_path(fault.path)
    lab.ask(fault=name, on=True)
    try:
        seen = _failures(lab, probe, fault.path)
    finally:
        lab.ask(fault=name, on=False)
    assert set(seen) == set(Family)
    for family, (kind, sentence) in seen.items():
        assert kind == blame, sentence
        assert sentence.endswith(endings[0] if family is Family.IPV4 else endings[-1]), sentence
    assert _failures(lab, probe, fault.path) == {}


def _failures(lab: LabProcess, probe: str, path: str) -> dict[Family, tuple[str, str]]:
    """Family → whom the report blames for the failure on that path, and its sentence."""
    done = lab.prober("once", "-c", str(CONFIG_FILE), "--probe", probe, "-o", "junit")
    found = {}
    for case in ElementTree.fromstring(done.stdout).iter("testcase"):
        way, family, *_ = case.attrib["name"].split()
        if way == path and (failure := case.find("failure")) is not None:
            found[Family(family)] = (failure.attrib["type"], failure.attrib["message"])
    return found


def test_front_ends_start_beside_each_other_in_a_moment(lab: LabProcess) -> None:
    """Tenths of a second here; the limit is that of a machine with other things to do."""
    assert lab.facts["fronts"]
    assert all(0 < seconds < 5 for seconds in lab.facts["fronts"].values()), lab.facts


def test_envoy_tells_how_long_what_is_behind_it_took(lab: LabProcess) -> None:
    """The time that Envoy gives is the application's 400 ms; the first byte came no sooner."""
    require_path("envoy")
    lab.ask(fault="h2-slow-first-byte", on=True)
    try:
        done = lab.prober("once", "-c", str(CONFIG_FILE), "--probe", "http", "-o", "ndjson")
    finally:
        lab.ask(fault="h2-slow-first-byte", on=False)
    slow = [run for run in map(json.loads, done.stdout.splitlines()) if run["path"] == "envoy"]
    assert len(slow) == len(plan.SERVICE_NETWORKS)
    for run in slow:
        assert run["blame"] == {"layer": "http", "reason": "over_budget"}
        phases = run["phases"]
        assert 0.4 <= phases["upstream"] <= phases["first_byte"] + 0.001
        left = phases["request"] + phases["first_byte"] - phases["upstream"]
        assert phases["network"] == pytest.approx(max(0.0, left), abs=2e-6)
        assert phases["network"] < phases["upstream"], "the time is the application's, and that is told"
