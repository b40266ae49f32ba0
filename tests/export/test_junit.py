"""Runs as JUnit XML: what CI systems count."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from xml.etree import ElementTree

from prober.engine.climb import internal
from prober.export.junit import junit
from prober.export.repeats import Repeats
from prober.model import Blame, Outcome, Run, Vantage
from prober.reasons import Kind, Layer, Reason, Result
from tests.support.cells import make_cell

CELL = replace(make_cell(Kind.TCP, "tcp", "192.0.2.7", 5432), probe="db", target="orders", path="external")
HERE = Vantage("node-a")
GOOD = Run(CELL, datetime.now(UTC), 0.0015, (Outcome(Layer.TCP, Result.OK, 0.001),), True, None, "192.0.2.7", 5432)


def failed(**evidence: str) -> Run:
    outcome = Outcome(Layer.TCP, Result.FAILED, 0.001, Reason.REFUSED, dict(evidence))
    return replace(GOOD, ok=False, outcomes=(outcome,), blame=Blame(Layer.TCP, Reason.REFUSED))


def alone(*runs: Run) -> list[Repeats]:
    return [Repeats((run,)) for run in runs]


def test_suites_count_failures_of_targets_and_errors_of_ours_apart() -> None:
    root = ElementTree.fromstring(junit(alone(GOOD, failed(), internal(CELL, "ValueError: boom")), HERE))
    assert root.attrib == {"name": "prober", "tests": "3", "failures": "1", "errors": "1", "time": "0.003000"}
    [suite] = root
    assert (suite.get("name"), suite.get("hostname")) == ("db", "node-a")
    assert [[child.tag for child in case] for case in suite] == [[], ["failure"], ["error"]]


def test_a_case_is_named_by_target_path_family_and_address() -> None:
    case = ElementTree.fromstring(junit(alone(GOOD), HERE))[0][0]
    assert case.attrib == {"classname": "db.orders", "name": "external ipv4 192.0.2.7:5432", "time": "0.001500"}


def test_a_failure_tells_all_that_is_known() -> None:
    failure = ElementTree.fromstring(junit(alone(failed(errno="ECONNREFUSED")), HERE))[0][0][0]
    assert failure.get("message") == "192.0.2.7:5432 answers with a RST: nobody listens there."
    for words in ("next: ", "ruled out: ", "by hand: nc -vz -w 2 192.0.2.7 5432", '{"errno": "ECONNREFUSED"}'):
        assert words in (failure.text or "")


def test_text_from_the_peer_cannot_break_the_document() -> None:
    document = junit(alone(failed(said="</failure>\x00\x1b[31m & ]]>")), HERE)
    assert "</failure>\\u0000" in (ElementTree.fromstring(document)[0][0][0].text or "")


def test_repeats_are_one_case_that_fails_with_the_first_of_them_and_says_how_many_did() -> None:
    ours = internal(CELL, "ValueError: boom")
    root = ElementTree.fromstring(junit([Repeats((GOOD, failed(), GOOD, failed(), ours)), Repeats((GOOD, ours))], HERE))
    assert root.attrib == {"name": "prober", "tests": "2", "failures": "1", "errors": "1", "time": "0.007500"}
    [failure], [error] = root[0]
    assert (failure.tag, failure.get("type"), error.tag) == ("failure", "tcp.refused", "error")
    assert failure.get("message") == "3 of 5 runs failed: 192.0.2.7:5432 answers with a RST: nobody listens there."
    for words in ("2 of 5 runs: 192.0.2.7:5432 answers", "1 of 5 runs: The prober itself failed"):
        assert words in (failure.text or "")


def test_a_case_of_several_addresses_names_each_of_them() -> None:
    other = replace(failed(), address="192.0.2.8")
    [case] = ElementTree.fromstring(junit([Repeats((GOOD, other, GOOD, other))], HERE))[0]
    assert case.get("name") == "external ipv4"
    assert "climbed to: 192.0.2.7:5432 2/2 ok, 192.0.2.8:5432 0/2 ok" in (case[0].text or "")


def filtered() -> tuple[Repeats, Repeats]:
    """An echo that is not answered, and the port of the same address that is."""
    echo = replace(make_cell(Kind.ICMP, "icmp", "192.0.2.7"), probe="ping", target="orders", path="external")
    silent = Outcome(Layer.ICMP, Result.FAILED, 2.0, Reason.TIMEOUT, {"sent": 1})
    run = replace(GOOD, cell=echo, ok=False, outcomes=(silent,), blame=Blame(Layer.ICMP, Reason.TIMEOUT))
    return Repeats((run,)), Repeats((GOOD,))


def test_advice_is_a_failure_and_says_so() -> None:
    root = ElementTree.fromstring(junit(filtered(), HERE))
    assert (root.get("failures"), root.get("skipped")) == ("1", None)
    assert (root[0][0][0].get("message") or "").startswith("ICMP is filtered, the service works: ")


def test_to_the_lenient_advice_is_a_case_that_was_skipped() -> None:
    root = ElementTree.fromstring(junit(filtered(), HERE, lenient=True))
    assert (root.get("tests"), root.get("failures"), root.get("skipped")) == ("2", "0", "1")
    assert root[0][0][0].tag == "skipped"
