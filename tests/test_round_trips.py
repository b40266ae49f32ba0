"""How many round trips a layer has to wait for: tables, from configurations and from what runs have seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from prober.model import Cell, Endpoint, Evidence, Outcome, Run
from prober.reasons import Kind, Layer, Reason, Result
from prober.round_trips import expected, explained, of_distance, of_run, on_the_connection, trips_of
from tests.support.cells import make_cell
from tests.support.runs import failed_run, good_run, literal_run

PROXY = Endpoint("http", "proxy", 3128)
WEB = make_cell(Kind.HTTP, "https", "api.example.com")
NAMES = make_cell(Kind.DNS, "dns", "", resource="web.app")


def cell(kind: Kind, scheme: str, options: dict[str, Any] | None = None, **more: Any) -> Cell:
    return make_cell(kind, scheme, "api.example.com", 1, options=options, **more)


#: Cell → round trips of each layer above dns.
CONFIGURED: list[tuple[Cell, dict[str, int]]] = [
    (cell(Kind.ICMP, "icmp"), {"icmp": 1}),
    (cell(Kind.TCP, "tcp"), {"tcp": 1}),
    (cell(Kind.HTTP, "http"), {"tcp": 1, "http": 1}),
    (cell(Kind.HTTP, "https"), {"tcp": 1, "tls": 1, "http": 1}),
    (cell(Kind.HTTP, "https", proxy=PROXY), {"tcp": 1, "proxy": 1, "tls": 1, "http": 1}),
    (cell(Kind.HTTP, "https", {"tls": {"max_version": "1.2"}}), {"tcp": 1, "tls": 2, "http": 1}),
    (cell(Kind.GRPC, "grpcs"), {"tcp": 1, "tls": 1, "grpc": 1}),
    (cell(Kind.TLS, "tls", {"tls": {"starttls": "smtp"}}), {"tcp": 1, "tls": 1 + 3}),
    (cell(Kind.TLS, "tls", {"tls": {"starttls": "postgres", "max_version": "1.2"}}), {"tcp": 1, "tls": 2 + 1}),
    (NAMES, {}),
]


@pytest.mark.parametrize(("configured", "trips"), CONFIGURED)
def test_what_every_run_of_a_cell_takes_is_known_from_its_configuration(
    configured: Cell, trips: dict[str, int]
) -> None:
    assert {str(t.layer): t.count for t in expected(configured)} == trips


@pytest.mark.parametrize(("steps", "count"), [
    ([{"expect": "^220"}], 2),
    ([{"send": "PING", "expect": "PONG"}], 2),
    ([{"send": "bye"}], 1),
    ([{"expect": "^220"}, {"send": "EHLO x", "expect": "^250"}, {"send": "QUIT"}], 3),
    ([{"send": "a"}, {"send": "b"}, {"expect": "c"}], 2),
    ([{"expect": "first"}, {"expect": "of the same answer"}], 2),
])  # fmt: skip
def test_a_dialogue_takes_a_round_trip_for_each_answer_that_waits_for_a_word(steps: list[Any], count: int) -> None:
    (tcp,) = expected(make_cell(Kind.TCP, "tcp", "db", 1, options={"tcp": {"dialogue": steps}}))
    assert tcp.count == count


def asked(*steps: tuple[str, str] | tuple[str, str, str], **more: Any) -> Evidence:
    """Evidence of a lookup: name, transport and response code of each query (default NXDOMAIN; None: silence)."""
    shown = [
        {"name": name, "transport": transport, "server": "10.96.0.10", "type": "A", "rcode": rcode[0] if rcode else "X"}
        for name, transport, *rcode in steps
    ]
    return {"queries": len(shown), "steps": shown} | more


#: Layer, what it has seen → what is told of it; None: nothing is.
SEEN: list[tuple[Cell, Layer, Evidence, str | None]] = [
    (WEB, Layer.TLS, {"version": "TLSv1.3"}, "1 round trip"),
    (WEB, Layer.TLS, {"version": "TLSv1.2"}, "2 round trips, one more than with TLS 1.3"),
    (WEB, Layer.TLS, {"version": "TLSv1.3", "hello_retry": True}, "2 round trips, one more for a HelloRetryRequest"),
    (cell(Kind.TLS, "tls", {"tls": {"starttls": "imap"}}), Layer.TLS, {"version": "TLSv1.2"},
     "4 round trips, 2 of them STARTTLS, one more than with TLS 1.3"),
    (WEB, Layer.HTTP, {}, "1 round trip"),
    (WEB, Layer.DNS, {"queries": 1}, "1 round trip"),
    (WEB, Layer.DNS, {"queries": 3}, None),
    (WEB, Layer.DNS, {}, None),
    (WEB, Layer.DNS, asked(("a.x.", "udp"), ("a.y.", "udp"), ("a.", "udp")),
     "3 round trips, 2 of them for other names of the search list"),
    (WEB, Layer.DNS, asked(("a.", "udp"), ("a.", "tcp")), "3 round trips"),
    (WEB, Layer.DNS, asked(("a.", "udp", None), ("a.", "udp")), "1 round trip"),  # type: ignore[arg-type]  # silence
    (make_cell(Kind.HTTP, "http", "a", options={"resolver": {"transport": "tcp"}}), Layer.DNS, {"queries": 1},
     "2 round trips"),
    (NAMES, Layer.DNS, {"queries": 1, "transport": "tls", "tls": {"version": "TLSv1.3"}}, "3 round trips"),
    (NAMES, Layer.DNS, {"queries": 1, "transport": "https", "tls": {"version": "TLSv1.2"}}, "4 round trips"),
    (NAMES, Layer.DNS, {"queries": 1, "transport": "udp"}, "1 round trip"),
]  # fmt: skip


@pytest.mark.parametrize(("where", "layer", "evidence", "says"), SEEN)
def test_what_a_layer_has_seen_tells_what_it_took(where: Cell, layer: Layer, evidence: Evidence, says: str) -> None:
    trips = trips_of(good_run(where), Outcome(layer, Result.OK, 0.01, None, evidence))
    assert (None if trips is None else str(trips)) == says


def test_both_questions_of_a_pair_are_one_round_and_over_https_two() -> None:
    for transport, count in (("udp", 1), ("tcp", 2), ("https", 6)):
        pair = asked(("a.", transport), ("a.", transport))
        pair["steps"][1]["type"] = "AAAA"
        trips = trips_of(good_run(NAMES), Outcome(Layer.DNS, Result.OK, 0.01, None, pair))
        assert trips is not None
        assert trips.count == count


def test_musl_asks_every_server_at_once() -> None:
    both = asked(("a.", "udp"), ("a.", "udp"))
    both["steps"][1]["server"] = "10.96.0.11"
    for profile, count in (("musl", 1), ("glibc", 2)):
        where = make_cell(Kind.HTTP, "http", "a", options={"resolver": {"profile": profile}})
        trips = trips_of(good_run(where), Outcome(Layer.DNS, Result.OK, 0.01, None, both))
        assert trips is not None
        assert trips.count == count


def test_a_layer_that_did_not_hold_or_was_skipped_tells_nothing() -> None:
    assert [t.layer for t in of_run(failed_run(WEB, Layer.TLS, Reason.RESET))] == [Layer.TCP]
    assert [t.layer for t in of_run(literal_run(WEB))] == [Layer.TCP, Layer.TLS, Layer.HTTP]


def timed(where: Cell, tcp: float, tls: float, **evidence: Any) -> Run:
    return good_run(where, seconds={Layer.TCP: tcp, Layer.TLS: tls}, evidence={Layer.TCP: evidence})


#: Run, layer → whether the way there is what takes so long.
DISTANCE: list[tuple[Run, Layer, str]] = [
    (timed(WEB, 0.018, 0.02), Layer.TLS, "most of it is the way there: 1 round trip of 18.0 ms"),
    (timed(WEB, 0.0004, 0.02), Layer.TLS, "the way there is only 1 round trip of 400 µs"),
    (timed(WEB, 0.018, 0.02), Layer.TCP, ""),
    (timed(WEB, 0.018, 0.02), Layer.DNS, ""),
    (timed(WEB, 1.018, 0.02, retransmits=1), Layer.TLS, ""),
    (timed(WEB, 0.9, 0.02, connect_seconds=0.001), Layer.TLS, "the way there is only 1 round trip of 1.0 ms"),
    (timed(cell(Kind.HTTP, "https", proxy=PROXY), 0.018, 0.02), Layer.TLS, ""),
    (failed_run(WEB, Layer.TCP, Reason.TIMEOUT), Layer.TCP, ""),
]


@pytest.mark.parametrize(("run", "layer", "says"), DISTANCE)
def test_the_round_trip_of_tcp_says_whether_distance_explains_a_layer(run: Run, layer: Layer, says: str) -> None:
    outcome = run.outcome(layer)
    assert outcome is not None
    assert of_distance(run, outcome) == says


def test_a_layer_over_its_budget_says_whether_it_is_the_way_there() -> None:
    slow = replace(good_run(WEB), outcomes=timed(WEB, 0.018, 0.04).outcomes)
    tls = Outcome(Layer.TLS, Result.FAILED, 0.04, Reason.OVER_BUDGET, {"version": "TLSv1.2", "budget": 0.02})
    assert of_distance(slow, tls) == "most of it is the way there: 2 round trips of 18.0 ms"


def test_half_of_the_time_is_most_of_it() -> None:
    assert explained(2, 0.01, 0.04).startswith("most")
    assert not explained(2, 0.01, 0.041).startswith("most")


def test_only_what_speaks_on_the_connection_is_as_far_away_as_it() -> None:
    assert [on_the_connection(WEB, layer) for layer in ("dns", "tcp", "tls", "http", "total")] == [
        None, None, 1, 1, None
    ]  # fmt: skip
    assert on_the_connection(cell(Kind.HTTP, "https", proxy=PROXY), "http") is None
