"""Runs of a cell taken together: what held, what failed for which causes, and where."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prober.export.repeats import Repeats, repeats
from prober.model import Blame, Run
from prober.reasons import Family, Layer, Reason
from tests.cli.samples import expired, good, silent

V4 = Family.IPV4


@pytest.mark.parametrize(("runs", "partly", "counted"), [
    ((good(V4),), False, "1/1 ok"),
    ((good(V4), silent(V4)), True, "1/2 ok"),
    ((silent(V4),), False, "0/1 ok"),
])  # fmt: skip
def test_of_several_runs_some_may_have_failed(runs: tuple[Run, ...], partly: bool, counted: str) -> None:
    assert (Repeats(runs).partly, Repeats(runs).counted) == (partly, counted)


def test_causes_are_told_by_the_first_run_of_each_the_most_frequent_one_first() -> None:
    first, second = silent(V4), replace(silent(V4), seconds=9.0)
    causes = Repeats((expired(V4), first, good(V4), second)).causes()
    assert [(run.blame, times) for run, times in causes] == [
        (Blame(Layer.TCP, Reason.TIMEOUT), 2),
        (Blame(Layer.TLS, Reason.EXPIRED), 1),
    ]
    assert causes[0][0] is first


def test_places_are_told_where_there_are_several() -> None:
    here, there = good(V4), replace(silent(V4), address="203.0.113.11")
    assert Repeats((here, here)).places() == []
    assert Repeats((here, there, here)).places() == ["203.0.113.10:443 2/2 ok", "203.0.113.11:443 0/1 ok"]


def test_runs_are_taken_together_by_cell_in_the_order_of_the_configuration() -> None:
    four, six = good(V4), good(Family.IPV6)
    assert [each.runs for each in repeats([six, four, six], [four.cell, six.cell])] == [(four,), (six, six)]


def test_with_all_addresses_each_address_stands_for_itself() -> None:
    cell = replace(good(V4).cell, endpoint=replace(good(V4).cell.endpoint, addresses="all"))
    first, second = (_at(replace(good(V4), cell=cell), f"203.0.113.{number}") for number in (10, 11))
    assert [each.runs for each in repeats([first, second, first], [cell])] == [(first, first), (second,)]


def _at(run: Run, address: str) -> Run:
    return replace(run, address=address)
