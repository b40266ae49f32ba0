"""The memory behind budgets on quantiles: what it keeps, forgets and reports."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prober.baseline.ledger import Ledger, total_of
from prober.baseline.sketch import Sketch
from prober.baseline.values import BLOCK
from prober.model import Cell, Run
from prober.reasons import Kind, Layer, Reason
from tests.support.cells import make_cell
from tests.support.runs import failed_run, good_run, literal_run

START = 1_795_356_000
WEB = replace(make_cell(Kind.HTTP, "http", "web"), quantile_budget={"tcp": {"p99": 0.005}})
PLAIN = replace(WEB, target="other", quantile_budget={})


def feed(ledger: Ledger, *slow: int, first: int = 0, cell: Cell = WEB) -> list[list[bool]]:
    """Blocks of 40 runs, so many of them slow; for each what changed of the standings: whether it is now breached."""
    changes = []
    for n, count in enumerate(slow, first):
        times = Sketch.of([0.001] * (40 - count) + [0.02] * count)
        steps = ledger.end_block(START + n * BLOCK, {(cell.id, "tcp"): times, ("unknown", "tcp"): times})
        changes.append([standing.breached for _, changed in steps for standing in changed])
    return changes


def test_a_change_is_reported_once_and_so_is_its_end() -> None:
    ledger = Ledger()
    ledger.set_cells([PLAIN, WEB])
    assert feed(ledger, 0, 0, 0, 8, 8, 0) == [[], [], [], [True], [], []]
    (standing,) = ledger.standings(WEB.id)
    assert (standing.breached, standing.since) == (True, START + 3 * BLOCK)
    assert feed(ledger, 0, 0, 0, 0, 0, 0, first=6) == [[], [], [], [], [False], []]


def test_cells_without_budgets_want_nothing_and_stand_nowhere() -> None:
    ledger = Ledger()
    ledger.set_cells([PLAIN])
    assert Ledger.wants(PLAIN) == ()
    assert Ledger.wants(WEB) == ("dns", "tcp", "http", "total")
    assert list(ledger.end_block(START, {})) == []
    assert ledger.standings(PLAIN.id) == ledger.standings("unknown") == ()


@pytest.mark.parametrize(
    ("after", "runs"),
    [
        (WEB, 240),
        (replace(WEB, quantile_budget={"tcp": {"p99": 0.5}}), 240),
        (replace(WEB, budget={"tcp": 1.0}, baseline=False), 240),
        (replace(WEB, timeout=1.0), 40),
    ],
)
def test_a_reload_keeps_the_times_of_a_cell_that_is_probed_as_before(after: Cell, runs: int) -> None:
    ledger = Ledger()
    ledger.set_cells([WEB])
    feed(ledger, *[0] * 6)
    ledger.set_cells([replace(after)])
    feed(ledger, 0, first=6)
    (standing,) = ledger.standings(WEB.id)
    assert standing.runs == runs
    assert standing.budget == after.quantile_budget["tcp"]["p99"]
    ledger.set_cells([])
    assert ledger.standings(WEB.id) == ()


def test_no_more_is_kept_than_two_hours_or_what_it_takes_to_know() -> None:
    frequent, rare = Ledger(), Ledger()
    frequent.set_cells([WEB])
    rare.set_cells([replace(WEB, quantile_budget={"tcp": {"p99.9": 0.005}})])
    for ledger in (frequent, rare):
        feed(ledger, *[0] * 200)
    assert len(frequent._accounts[WEB.id].blocks) == 12
    assert len(rare._accounts[WEB.id].blocks) == 25, "a thousand runs"
    silent = Ledger()
    silent.set_cells([WEB])
    for n in range(200):
        list(silent.end_block(START + n * BLOCK, {}))
    assert len(silent._accounts[WEB.id].blocks) == 144, "a day"


HTTP = make_cell(Kind.HTTP, "http", "web")
TOTALS: list[tuple[Run, float | None]] = [
    (good_run(HTTP), 0.003),
    (literal_run(HTTP), 0.002),
    (failed_run(HTTP, Layer.HTTP, Reason.OVER_BUDGET, seconds=0.5), 0.502),
    (failed_run(HTTP, Layer.HTTP, Reason.STATUS), None),
    (failed_run(HTTP, Layer.TCP, Reason.TIMEOUT), None),
    (replace(good_run(HTTP), hops=(good_run(HTTP),)), 0.006),
]


@pytest.mark.parametrize(("run", "seconds"), TOTALS)
def test_the_total_is_that_of_all_layers_and_redirects_where_all_held(run: Run, seconds: float | None) -> None:
    assert total_of(run) == (None if seconds is None else pytest.approx(seconds))
