"""Verdicts on names whose server cannot be asked: closed, prohibited, without a way, or not named at all."""

from __future__ import annotations

from typing import Any

import pytest

from prober.diagnosis.codes import Code
from prober.model import Cell
from prober.reasons import Kind, Reason
from tests.diagnosis.test_run import verdict
from tests.support.cells import make_cell

EDGE = make_cell(Kind.HTTP, "https", "api.example.com")
QUESTION = make_cell(Kind.DNS, "dns", "", resource="api.example.com.")
SET = make_cell(Kind.HTTP, "https", "api.example.com", options={"resolver": {"servers": ["127.0.0.1"]}})
ASKED = make_cell(Kind.DNS, "dns", "127.0.0.1", resource="api.example.com.")
CLUSTER = "10.96.0.10"


def _said(cell: Cell, server: str, detail: str) -> tuple[str, str]:
    evidence: dict[str, Any] = {"server": server, "detail": detail}
    found = verdict(cell, address=None, dns=(Reason.UNREACHABLE, evidence))
    return found.code, f"{found.says} {found.next_check}"


@pytest.mark.parametrize(
    ("detail", "code", "words"),
    [
        ("Connection refused (ICMP 3/3 from 10.42.1.1)", Code.DNS_PORT_CLOSED, "the Service rejects"),
        ("No route to host (ICMP 3/13 from 10.42.1.1)", Code.PATH_PROHIBITED, "an egress policy of this Pod"),
        ("No route to host (ICMP 3/10 from 10.42.1.1)", Code.PATH_PROHIBITED, "an egress policy of this Pod"),
        ("Permission denied (ICMP 1/1 from fd42::1)", Code.PATH_PROHIBITED, "an egress policy of this Pod"),
        ("Permission denied", Code.PATH_PROHIBITED, "an egress policy of this Pod"),
        ("No route to host (ICMP 3/1 from 10.42.1.1)", Code.DNS_UNREACHABLE, "The network has no way"),
        ("Network is unreachable (ICMP 1/0 from fd42::1)", Code.DNS_UNREACHABLE, "The network has no way"),
        ("Network is unreachable", Code.DNS_UNREACHABLE, "this Pod's resolv.conf"),
    ],
)
@pytest.mark.parametrize("cell", [EDGE, QUESTION], ids=["name", "question"])
def test_it_is_told_who_keeps_us_from_the_server(cell: Cell, detail: str, code: Code, words: str) -> None:
    """Whatever the family of the cell: a name may be asked for by the other one."""
    found, text = _said(cell, CLUSTER, detail)
    assert found == code
    assert words in text


@pytest.mark.parametrize(("reason", "code"), [("truncated", Code.DNS_TRUNCATED), ("name_not_found", Code.DNS_SILENT)])
def test_a_server_that_has_answered_over_udp_is_not_called_silent(reason: str, code: Code) -> None:
    """The deadline came while TCP was tried."""
    evidence: dict[str, Any] = {"server": CLUSTER, "queries": 2, "steps": [{"reason": reason, "transport": "udp"}]}
    found = verdict(QUESTION, address=None, dns=(Reason.TIMEOUT, evidence))
    assert found.code == code
    assert ("over TCP it is silent" in found.says) is (code is Code.DNS_TRUNCATED)


@pytest.mark.parametrize(("size", "told"), [(None, False), (512, False), (1232, True), (4096, True)])
def test_silence_after_a_question_for_a_large_datagram_may_be_its_size(size: int | None, told: bool) -> None:
    options = {"dns": {} if size is None else {"edns_size": size}}
    cell = make_cell(Kind.DNS, "dns", CLUSTER, resource="api.example.com.", options=options)
    found = verdict(cell, address=CLUSTER, dns=(Reason.TIMEOUT, {}))
    assert found.code == Code.DNS_SILENT
    assert ("edns_size: 512" in found.next_check) is told


def test_an_address_that_begins_a_sentence_stays_as_it_is() -> None:
    found = verdict(EDGE, address=None, dns=(Reason.TIMEOUT, {"server": "fd96::10", "lost": {"race": True}}))
    assert found.ruled_out == ("fd96::10 answers both types.",)


@pytest.mark.parametrize("cell", [EDGE, QUESTION], ids=["name", "question"])
def test_a_server_in_this_place_that_nobody_has_named_is_that_of_an_empty_resolv_conf(cell: Cell) -> None:
    refused = "Connection refused (ICMP 3/3 from 127.0.0.1)"
    code, text = _said(cell, "127.0.0.1", refused)
    assert code == Code.DNS_PORT_CLOSED
    assert "names no server means 127.0.0.1" in text
    for by_hand in (SET, ASKED):
        assert "resolv.conf" not in _said(by_hand, "127.0.0.1", refused)[1]
