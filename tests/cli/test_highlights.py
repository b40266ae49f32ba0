"""Which facts of a layer's evidence stand on its line, and what the exit code makes of runs. Tables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from prober.cli.exits import exit_code, unfit
from prober.cli.highlights import highlights
from prober.model import Blame, Evidence, Outcome, Run
from prober.reasons import Family, Kind, Layer, Reason, Result
from tests.cli.samples import good
from tests.support.cells import make_cell

RUN = good(Family.IPV4)
DNS_RUN = replace(RUN, cell=make_cell(Kind.DNS, "dns", "10.96.0.10", resource="web.app"))


@pytest.mark.parametrize(
    ("layer", "evidence", "facts"),
    [
        (Layer.DNS, {"queries": 8, "server": "::1", "answers": ["a", "b"]}, ("1 of 2 addresses", "8 queries to ::1")),
        (Layer.DNS, {"queries": 1}, ("1 query",)),
        (Layer.DNS, {"endpoints": 0}, ("no ready endpoint",)),
        (Layer.DNS, {"queries": 1, "nsid": "node-7", "ede": [{"code": 18, "name": "Prohibited", "text": "x"}]},
         ("1 query", "it is node-7", "Prohibited (18)")),
        (Layer.DNS, {"queries": 1, "tls": {"version": "TLSv1.3", "days_left": 12.0, "subject": "dns.example"}},
         ("1 query", "TLSv1.3", "12 days left", "dns.example")),
        (Layer.ICMP, {"sent": 3, "received": 2, "ttl": 61}, ("2/3 answered", "ttl 61")),
        (Layer.ICMP, {"sent": 4, "received": 4, "jitter": 0.001, "duplicates": 2, "reordered": 1},
         ("4/4 answered", "2 twice", "1 out of order", "jitter 1.0 ms")),
        (Layer.ICMP, {"sent": 0, "errno": "EMSGSIZE", "mtu": 1500}, ("0/0 answered", "mtu 1500")),
        (Layer.ICMP, {"sent": 1, "icmp": "3/1", "from": "10.0.0.1"}, ("0/1 answered", "ICMP 3/1 from 10.0.0.1")),
        (Layer.TCP, {"errno": "ECONNREFUSED", "icmp": "3/3", "from": "10.42.1.1"}, ("ICMP 3/3 from 10.42.1.1",)),
        (Layer.TCP, {"errno": "ECONNREFUSED"}, ("RST",)),
        (Layer.TCP, {"errno": "ENETUNREACH"}, ("ENETUNREACH",)),
        (Layer.TCP, {"retransmits": 2, "mss": 1400}, ("2 SYN retransmitted", "mss 1400")),
        (Layer.TCP, {"dialogue": ["220", "250"], "mss": 1400}, ("250", "mss 1400")),
        (Layer.TCP, {"dialogue": [], "received": "421 busy"}, ("got 421 busy",)),
        (Layer.PROXY, {"connect": "api:443", "status": 403}, ("CONNECT api:443", "403")),
        (Layer.TLS, {"version": "TLSv1.2", "days_left": 12.4, "subject": "x"},
         ("TLSv1.2", "12 days left", "x", "2 round trips, one more than with TLS 1.3")),
        (Layer.TLS, {"days_left": -3.0, "not_after": "2026-11-01T00:00:00+00:00"}, ("ended 2026-11-01",)),
        (Layer.TLS, {"openssl": ["wrong version number"]}, ("wrong version number",)),
        (Layer.TLS, {"ocsp": {"status": "revoked"}, "version": "TLSv1.3"}, ("OCSP: revoked", "TLSv1.3")),
        (Layer.TLS, {"ocsp": {"status": "good", "error": "stale"}}, ("OCSP: stale",)),
        (Layer.TLS, {"ocsp": {"status": "good"}}, ()),
        (Layer.TLS, {"starttls": {"protocol": "smtp", "waiting_for": "greeting"}}, ("no greeting",)),
        (Layer.HTTP, {"status": 301, "location": "https://x/"}, ("301", "to https://x/", "first byte 15.0 ms")),
        (Layer.GRPC, {"status": "SERVING", "service": "pay.V1"}, ("SERVING", "pay.V1")),
        (Layer.GRPC, {"grpc_status": "UNAVAILABLE", "message": "no"}, ("UNAVAILABLE", "no")),
        (Layer.TCP, {"budget": 0.002}, ("budget 2.0 ms",)),
        (Layer.TCP, {"detail": "why"}, ("why",)),
        (Layer.TLS, {"retransmits": 1, "out_of_order": 2}, ("1 segment sent again", "2 segments out of order")),
        (Layer.GRPC, {"unacknowledged": 1}, ("1 segment not acknowledged",)),
        (Layer.HTTP, {}, ("first byte 15.0 ms",)),
    ],
)  # fmt: skip
def test_the_facts_of_a_layer(layer: Layer, evidence: Evidence, facts: tuple[str, ...]) -> None:
    assert highlights(RUN, Outcome(layer, Result.OK, 0.001, None, evidence)) == facts


def test_a_dns_probe_shows_the_answer_itself() -> None:
    outcome = Outcome(Layer.DNS, Result.OK, 0.001, None, {"answers": ["a", "b", "c", "d", "e"]})
    assert highlights(DNS_RUN, outcome) == ("a, b, c +2",)


@pytest.mark.parametrize(("reason", "evidence", "fact"), [
    (Reason.SKIPPED_BELOW, {}, "not reached"),
    (Reason.LITERAL, {}, "literal address"),
    (Reason.LITERAL, {"endpoints": 1}, "1 ready endpoint"),
])  # fmt: skip
def test_a_skipped_layer_says_why(reason: Reason, evidence: Evidence, fact: str) -> None:
    assert highlights(RUN, Outcome(Layer.DNS, Result.SKIPPED, None, reason, evidence)) == (fact,)


def failed(layer: Layer, reason: Reason) -> Run:
    return replace(RUN, ok=False, blame=Blame(layer, reason))


@pytest.mark.parametrize(("runs", "code"), [
    ([], 0),
    ([RUN], 0),
    ([RUN, failed(Layer.TCP, Reason.REFUSED)], 1),
    ([RUN, failed(Layer.ICMP, Reason.NOT_PERMITTED)], 3),
    ([failed(Layer.TCP, Reason.REFUSED), failed(Layer.TLS, Reason.INTERNAL)], 3),
    ([failed(Layer.TCP, Reason.NO_LOCAL_PORT)], 3),
    ([failed(Layer.TCP, Reason.CANCELLED)], 3),
])  # fmt: skip
def test_what_this_place_cannot_do_outweighs_what_targets_do(runs: Any, code: int) -> None:
    assert exit_code(runs) == code


def test_a_good_run_says_nothing_against_this_place() -> None:
    assert not unfit(RUN)


def test_time_that_the_front_end_does_not_account_for_is_told_beside_the_first_byte() -> None:
    run = replace(RUN, phases={"request": 0.0, "first_byte": 0.015, "upstream": 0.012, "network": 0.003})
    facts = highlights(run, Outcome(Layer.HTTP, Result.OK, 0.016, None, {}))
    assert facts == ("first byte 15.0 ms", "3.0 ms of it network and queues")
