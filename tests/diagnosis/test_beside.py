"""Echo that fails alone is advice: what its neighbours have to show for it, and what speaks against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from prober.diagnosis.beside import ADVICE, Together, explain_beside
from prober.diagnosis.codes import Code
from prober.engine.climb import internal
from prober.model import Cell, Evidence, Run
from prober.reasons import Family, Kind, Reason
from tests.diagnosis.test_run import HELD, a_run
from tests.support.cells import make_cell

HERE, THERE = "10.96.12.7", "10.96.12.8"
HOST = "web.app"


def at(cell: Cell, target: str = "web", path: str = "service") -> Cell:
    return replace(cell, target=target, path=path)


ECHO = at(make_cell(Kind.ICMP, "icmp", HOST))
HTTP = at(make_cell(Kind.HTTP, "http", HOST, 8080))
TCP = at(make_cell(Kind.TCP, "tcp", HOST, 5432))
DNS = at(make_cell(Kind.DNS, "dns", HERE, 53, resource="x."))
POD, OTHER = at(HTTP, path="pod"), at(HTTP, target="other")
REFUSED = (Reason.REFUSED, {})


def echo(reason: Reason | None = Reason.TIMEOUT, **evidence: Any) -> Run:
    return a_run(ECHO, address=HERE, dns=HELD, icmp=(reason, {"sent": 1, **evidence}))


def http(address: str | None = HERE, cell: Cell = HTTP, **layers: tuple[Reason | None, Evidence]) -> Run:
    return a_run(cell, address=address, **({"dns": HELD, "tcp": HELD, "http": HELD} | layers))


def tcp(*what: Any) -> Run:
    return a_run(TCP, address=HERE, dns=HELD, tcp=what or HELD)


ALARM = Code.PING_SILENT
ADVISED = Code.ICMP_FILTERED


@pytest.mark.parametrize(("beside", "code"), [
    # what shows that the address works
    ([http()], ADVISED),
    ([tcp(), http()], ADVISED),
    ([a_run(DNS, address=HERE, dns=HELD)], ADVISED),
    ([http(cell=POD)], ADVISED),
    ([http(), http(THERE, POD, tcp=REFUSED)], ADVISED),
    # so does another target there, be it well or not
    ([http(cell=OTHER)], ADVISED),
    ([http(cell=OTHER, http=(Reason.STATUS, {"status": 503}))], ADVISED),
    ([http(), http(THERE, OTHER, tcp=REFUSED)], ADVISED),
    ([http(), http(cell=OTHER, tcp=(Reason.TIMEOUT, {}))], ALARM),
    # nothing does
    ([], ALARM),
    ([http(THERE)], ALARM),
    ([echo()], ALARM),
    ([internal(HTTP, "a bug")], ALARM),
    # something there is amiss as well
    ([tcp(), http(http=(Reason.STATUS, {"status": 503}))], ALARM),
    ([http(), tcp(Reason.TIMEOUT, {})], ALARM),
    ([http(), tcp(Reason.REFUSED, {})], ALARM),
    ([tcp(), http(None, dns=(Reason.SERVER_FAILURE, {}))], ALARM),
    ([http(tcp=(None, {"retransmits": 1}))], ALARM),
    ([http(), http(THERE, tcp=(Reason.TIMEOUT, {}))], ALARM),
    # other echoes are answered: it is loss, or their size
    ([http(), echo(None, received=1)], ALARM),
])  # fmt: skip
def test_silence_is_advice_where_everything_else_at_the_address_holds(beside: Sequence[Run], code: Code) -> None:
    verdict = explain_beside(echo(), beside)
    assert verdict is not None
    assert (verdict.code, verdict.advisory) == (code, code is ADVISED)


@pytest.mark.parametrize(("reason", "evidence", "words"), [
    (Reason.TIMEOUT, {}, "no echo reply from 10.96.12.7 within 1.1 ms, while"),
    (Reason.PROHIBITED, {"from": "10.0.0.1", "icmp": "3/13"}, "10.0.0.1 prohibits echo to 10.96.12.7 (ICMP 3/13)"),
    (Reason.UNREACHABLE, {"from": "10.0.0.1", "icmp": "3/0"}, "10.0.0.1 rejects echo to 10.96.12.7 (ICMP 3/0)"),
    (Reason.UNREACHABLE, {"from": "10.0.0.1", "icmp": "3/1"}, "10.0.0.1 rejects echo to 10.96.12.7 (ICMP 3/1)"),
])  # fmt: skip
def test_advice_says_that_the_service_works_and_by_what_one_knows(
    reason: Reason, evidence: Evidence, words: str
) -> None:
    verdict = explain_beside(echo(reason, **evidence), [http(), tcp()])
    assert verdict is not None
    assert verdict.says.startswith("ICMP is filtered, the service works: ")
    assert words in verdict.says
    assert "HTTP to 10.96.12.7:8080 (30.0 ms) holds." in verdict.ruled_out
    assert "TCP to 10.96.12.7:5432 (30.0 ms) holds." in verdict.ruled_out


@pytest.mark.parametrize(("reason", "evidence"), [
    (Reason.TIMEOUT, {"sent": 20, "received": 17}),
    (Reason.TOO_BIG, {"icmp": "3/4", "mtu": 1400}),
    (Reason.NOT_PERMITTED, {}),
    (Reason.OVER_BUDGET, {"budget": 0.001}),
    (Reason.INTERNAL, {}),
    (Reason.UNREACHABLE, {"icmp": "11/0", "from": "10.0.0.1"}),
])  # fmt: skip
def test_what_is_more_than_a_filter_stays_what_it_is(reason: Reason, evidence: Evidence) -> None:
    verdict = explain_beside(echo(reason, **evidence), [http()])
    assert verdict is not None
    assert not verdict.advisory
    assert verdict.code != Code.ICMP_FILTERED


def test_other_layers_and_good_runs_are_explained_as_ever() -> None:
    broken = tcp(Reason.REFUSED, {})
    verdict = explain_beside(broken, [http()])
    assert verdict is not None
    assert (verdict.code, verdict.advisory) == (Code.PORT_CLOSED, False)
    assert explain_beside(http(), [broken]) is None


def test_neighbours_are_those_at_the_address_and_of_the_target() -> None:
    six = replace(echo(), cell=replace(ECHO, family=Family.IPV6), address="2001:db8::7")
    other = replace(echo(), cell=at(ECHO, target="other"))
    together = Together([echo(), http(), six, other])
    assert [together.advisory(run) for run in (echo(), six, other, http())] == [True, False, True, False]


def test_secrets_stay_hidden_in_advice() -> None:
    cell = replace(ECHO, hidden={HERE: "${ADDRESS}"})
    verdict = explain_beside(replace(echo(), cell=cell), [http()])
    assert verdict is not None
    assert HERE not in verdict.says + " ".join(verdict.ruled_out)


def test_every_advice_is_for_echo_and_calls_it_filtered() -> None:
    assert {(row.layer, row.code) for row in ADVICE.values()} == {(ECHO.ladder[-1], Code.ICMP_FILTERED)}
