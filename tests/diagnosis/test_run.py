"""Verdicts of whole runs: the sentence, what was ruled out, what to check."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from prober.diagnosis.codes import Code
from prober.diagnosis.run import explain
from prober.engine.climb import internal
from prober.engine.judge import judge
from prober.model import Cell, Endpoint, Evidence, Outcome, Run, ServiceRef, Verdict
from prober.options import Expect
from prober.reasons import Family, Kind, Layer, Reason, Result
from tests.support.cells import make_cell

SVC = "web-api.app.svc.cluster.local"


def a_run(cell: Cell, *, address: str | None = "10.96.12.7", **layers: tuple[Reason | None, Evidence]) -> Run:
    """A run from what each layer did: `tcp=(Reason.REJECTED, {...})`; what is not named is skipped."""
    outcomes = []
    for layer in cell.ladder:
        reason, evidence = layers.get(layer.value, (Reason.SKIPPED_BELOW, {}))
        result = Result.OK if reason is None else Result.FAILED
        if reason in (Reason.SKIPPED_BELOW, Reason.LITERAL):
            result = Result.SKIPPED
        outcomes.append(Outcome(layer, result, None if result is Result.SKIPPED else 0.0011, reason, evidence))
    judged, ok, blame = judge(cell, outcomes)
    port = cell.endpoint.first_hop[1] if address else None
    return Run(cell, datetime.now(UTC), 0.03, judged, ok, blame, address, port)


def verdict(cell: Cell, **layers: Any) -> Verdict:
    found = explain(a_run(cell, **layers))
    assert found is not None
    return found


HTTP = make_cell(Kind.HTTP, "http", SVC, 8080, resource="/health")
EDGE = make_cell(Kind.HTTP, "https", "api.example.com", resource="/health")
HELD: tuple[None, Evidence] = (None, {})


def test_a_good_run_has_no_verdict() -> None:
    assert explain(a_run(HTTP, dns=HELD, tcp=HELD, http=HELD)) is None


def test_a_rejected_service_is_one_without_endpoints_and_dns_is_ruled_out() -> None:
    found = verdict(HTTP, dns=HELD, tcp=(Reason.REJECTED, {"icmp": "3/3", "from": "10.42.1.1"}))
    assert found.code == Code.SERVICE_WITHOUT_ENDPOINTS
    assert (
        found.says
        == "The Service at 10.96.12.7:8080 has no ready endpoint: 10.42.1.1 answers ICMP port unreachable (ICMP 3/3)."
    )
    assert found.ruled_out[0] == f"DNS: {SVC} has the A record 10.96.12.7 (1.1 ms)."
    assert "kubectl get endpointslices of Service app/web-api" in found.next_check


def test_an_expired_certificate_is_told_with_its_date_and_tcp_is_ruled_out() -> None:
    evidence: Evidence = {
        "server_name": "api.example.com", "subject": "api.example.com", "not_after": "2026-11-01T00:00:00+00:00",
        "days_left": -21.2, "issuer": "Example CA",
    }  # fmt: skip
    found = verdict(EDGE, address="203.0.113.10", dns=HELD, tcp=HELD, tls=(Reason.EXPIRED, evidence))
    assert found.code == Code.CERTIFICATE_EXPIRED
    assert "valid until 2026-11-01, 21 days ago" in found.says
    assert found.ruled_out == (
        "DNS: api.example.com has the A record 203.0.113.10 (1.1 ms).",
        "TCP to 203.0.113.10:443 (1.1 ms): routing, NetworkPolicy and the listener on it work.",
        "The server answers and owns the key of the certificate that it sent.",
    )


def test_what_tls_proved_stands_below_an_http_failure() -> None:
    tls: Evidence = {"version": "TLSv1.3", "server_name": "api.example.com", "days_left": 63.0}
    found = verdict(
        EDGE, address="203.0.113.10", dns=HELD, tcp=HELD, tls=(None, tls), http=(Reason.STATUS, {"status": 503})
    )
    assert found.code == Code.BACKEND_UNAVAILABLE
    expected = "TLS (1.1 ms): TLSv1.3, a certificate that fits api.example.com and is trusted, valid for 63 more days."
    assert found.ruled_out[2] == expected


@pytest.mark.parametrize(
    ("evidence", "code"),
    [
        ({"status": 401}, Code.ACCESS_DENIED),
        ({"status": 404}, Code.ROUTE_MISSING),
        ({"status": 429}, Code.RATE_LIMITED),
        ({"status": 500}, Code.SERVER_ERROR),
        ({"status": 503}, Code.BACKEND_UNAVAILABLE),
        ({"status": 418}, Code.UNEXPECTED_STATUS),
        ({}, Code.UNEXPECTED_STATUS),
    ],
)
def test_the_status_decides_among_the_rules_of_http(evidence: Evidence, code: Code) -> None:
    assert verdict(HTTP, dns=HELD, tcp=HELD, http=(Reason.STATUS, evidence)).code == code


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (HTTP, "behind the Service"),
        (replace(EDGE, path="pod"), "from the Pod at"),
        (replace(EDGE, kind=Kind.KUBERNETES), "The API server at"),
        (EDGE, "No answer to the SYN from"),
    ],
)
def test_silence_is_told_in_the_words_of_the_place(cell: Cell, words: str) -> None:
    found = verdict(cell, dns=HELD, tcp=(Reason.TIMEOUT, {"retransmits": 2}))
    assert found.code == Code.PATH_SILENT
    assert words in found.says
    assert "with 2 SYNs retransmitted" in found.says


def test_a_service_without_slices_of_a_family_is_told_by_its_name() -> None:
    cell = make_cell(Kind.TCP, "tcp", "", 8080, family=Family.IPV6, service=ServiceRef("app", "web-api", 8080))
    found = verdict(cell, address=None, dns=(Reason.NO_DATA, {"endpoints": 0}))
    assert found.says == "Service app/web-api has no ready IPv6 address in its EndpointSlices."


def test_ready_endpoints_are_ruled_out_where_their_connections_fail() -> None:
    cell = make_cell(Kind.TCP, "tcp", "", 8080, service=ServiceRef("app", "web-api", 8080))
    found = verdict(cell, dns=(Reason.LITERAL, {"endpoints": 2}), tcp=(Reason.REFUSED, {}))
    assert found.ruled_out[0] == "EndpointSlices: 2 ready addresses."


def test_a_policy_canary_that_is_let_through_names_what_was_expected() -> None:
    expect = Expect(failed=Layer.TCP, reason=(Reason.TIMEOUT, Reason.REJECTED))
    cell = make_cell(Kind.TCP, "tcp", "10.0.0.9", 5432, expect=expect)
    found = verdict(cell, address="10.0.0.9", dns=(Reason.LITERAL, {}), tcp=HELD)
    assert found.code == Code.LET_THROUGH
    assert found.says.endswith("though this probe expects tcp to fail (timeout or rejected).")


def test_a_failure_for_another_reason_than_the_expected_one_says_both() -> None:
    cell = make_cell(Kind.TCP, "tcp", "10.0.0.9", 5432, expect=Expect(failed=Layer.TCP, reason=(Reason.TIMEOUT,)))
    found = verdict(cell, address="10.0.0.9", dns=(Reason.LITERAL, {}), tcp=(Reason.REFUSED, {}))
    assert found.code == Code.PORT_CLOSED
    assert found.says.endswith("This probe expects tcp to fail (timeout).")


def test_an_expected_failure_that_was_never_tried_is_no_success() -> None:
    cell = make_cell(Kind.TCP, "tcp", "10.0.0.9", 5432, expect=Expect(failed=Layer.DNS))
    found = verdict(cell, address="10.0.0.9", dns=(Reason.LITERAL, {}), tcp=HELD)
    assert found.code == Code.EXPECTATION_MISSED


def test_a_layer_over_its_budget_is_slow_and_the_layers_below_it_are_fine() -> None:
    cell = make_cell(Kind.TCP, "tcp", "db.example", 5432, budget={"tcp": 0.001})
    found = verdict(cell, address="192.0.2.5", dns=HELD, tcp=(None, {}))
    assert found.code == Code.TOO_SLOW
    assert found.says == ("192.0.2.5:5432 accepts connections, but the handshake takes 1.1 ms: the budget is 1.0 ms.")
    assert len(found.ruled_out) == 1


def test_a_slow_answer_says_how_much_of_it_was_behind_the_front_end_where_that_is_told() -> None:
    cell = make_cell(Kind.HTTP, "http", "api.example", 80, budget={"http": 0.001})
    run = a_run(cell, address="192.0.2.5", dns=HELD, tcp=HELD, http=HELD)
    found = explain(replace(run, phases={"request": 0.0, "first_byte": 0.001, "upstream": 0.0008, "network": 0.0002}))
    assert found is not None
    assert found.says == (
        "192.0.2.5:80 answers GET / well, but takes 1.1 ms (800 µs behind the front end, 200 µs in the network and in "
        "queues; most of it is the way there: 1 round trip of 1.1 ms): the budget is 1.0 ms."
    )


def test_a_run_over_its_whole_budget_blames_the_slowest_layer() -> None:
    cell = make_cell(Kind.TCP, "tcp", "db.example", 5432, budget={"total": 0.002})
    assert "together they took more than 2.0 ms" in verdict(cell, address="192.0.2.5", dns=HELD, tcp=HELD).says


def test_a_proxy_is_ruled_out_by_its_own_name() -> None:
    cell = make_cell(Kind.HTTP, "https", "api.example.com", proxy=Endpoint("http", "proxy", 3128))
    found = verdict(cell, address="10.0.0.3", dns=HELD, tcp=HELD, proxy=HELD, tls=(Reason.TIMEOUT, {}))
    assert found.ruled_out[1:] == (
        "TCP to 10.0.0.3:3128 (1.1 ms): the way to the proxy and its listener work.",
        "Proxy: it lets us through to api.example.com:443 (1.1 ms).",
    )


def test_a_fault_of_our_own_accuses_nobody() -> None:
    found = explain(internal(HTTP, "ValueError: boom"))
    assert found is not None
    assert found.code == Code.PROBER_ERROR
    assert "says nothing about target" in found.says


def test_the_answer_of_a_wrong_zone_shows_what_came_and_what_was_wanted() -> None:
    expect = Expect(answers=("203.0.113.10",))
    cell = make_cell(Kind.DNS, "dns", "10.96.0.10", resource="api.example.com.", expect=expect)
    evidence = {"answers": ["203.0.113.99"], "detail": "expected 203.0.113.10"}
    found = verdict(cell, address="10.96.0.10", dns=(Reason.WRONG_ANSWER, evidence))
    assert found.says == "10.96.0.10:53 answered 203.0.113.99 for api.example.com. (A), not 203.0.113.10."


@pytest.mark.parametrize(
    ("reason", "evidence", "code", "says"),
    [
        (Reason.UNREACHABLE, {"cause": {"layer": "tls", "reason": "expired"}, "detail": "tls expired"},
         Code.DNS_CHANNEL_FAILED,
         "Nothing could be asked of 10.96.0.10:53: its encryption does not hold: tls expired."),
        (Reason.UNREACHABLE, {"cause": {"layer": "tcp", "reason": "refused"}, "detail": "tcp refused"},
         Code.DNS_PORT_CLOSED, "Nobody answers DNS at 10.96.0.10:53: the packet was turned away: tcp refused."),
        (Reason.SERVER_FAILURE, {"cause": {"layer": "http", "reason": "status"}, "detail": "http status: HTTP 503"},
         Code.DNS_CHANNEL_FAILED,
         "10.96.0.10:53 speaks HTTPS, but gave no DNS message for api.example.com.: http status: HTTP 503."),
        (Reason.SERVER_FAILURE, {"rcode": None, "detail": "hung up"},
         Code.DNS_SERVER_FAILED,
         "10.96.0.10:53 took the question about api.example.com. and ended the connection without an answer: hung up."),
        (Reason.SERVER_FAILURE, {"rcode": "SERVFAIL"}, Code.DNS_SERVER_FAILED,
         "10.96.0.10:53 answered SERVFAIL for api.example.com.: it is up, but could not get the answer."),
        (Reason.WRONG_ANSWER, {"answers": ["192.0.2.1"], "detail": "a TTL of 5 s"},
         Code.DNS_WRONG_ANSWER,
         "10.96.0.10:53 answered 192.0.2.1 for api.example.com. (A), which the probe does not take: a TTL of 5 s."),
    ],
)  # fmt: skip
def test_what_broke_below_a_question_is_told_apart(
    reason: Reason, evidence: dict[str, Any], code: Code, says: str
) -> None:
    cell = make_cell(Kind.DNS, "dns", "10.96.0.10", resource="api.example.com.")
    found = verdict(cell, address="10.96.0.10", dns=(reason, evidence))
    assert (found.code, found.says) == (code, says)


def test_what_came_from_the_environment_is_hidden_in_every_sentence() -> None:
    cell = replace(HTTP, endpoint=replace(HTTP.endpoint, host="s3cr3t-host.example", resource="/health?key=s3cr3t-key"))
    cell = replace(cell, hidden={"s3cr3t-host.example": "${HOST}", "s3cr3t-key": "${KEY}"})
    found = verdict(cell, dns=HELD, tcp=HELD, http=(Reason.STATUS, {"status": 500}))
    assert "GET /health?key=${KEY}" in found.says
    assert "s3cr3t" not in repr(found)
    assert "${HOST} has the A record" in found.ruled_out[0]
    for reason in (Reason.NAME_NOT_FOUND, Reason.TIMEOUT, Reason.REFUSED):
        assert "s3cr3t" not in repr(verdict(cell, dns=(reason, {"server": "10.96.0.10:53"})))
