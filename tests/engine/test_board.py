"""The board: what the latest runs of a cell say, since when, and what a reload leaves of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prober.engine.board import MEMORY, Board, Change, State
from prober.model import Run
from prober.reasons import Family, Kind, Layer, Reason
from tests.support.runs import failed_run, good_run, named

CELL = named(Kind.TCP, "tcp", "l4/web/service")


def good(after: float = 0.0) -> Run:
    return good_run(CELL, after=after)


def bad(after: float = 0.0) -> Run:
    return failed_run(CELL, Layer.TCP, Reason.REFUSED, after=after)


def ours(after: float = 0.0) -> Run:
    return failed_run(CELL, Layer.TCP, Reason.INTERNAL, after=after)


def board() -> Board:
    board = Board()
    board.set_cells([CELL])
    return board


def test_a_new_cell_is_unknown_until_its_first_run() -> None:
    entry = board().entry(CELL.id)
    assert entry is not None
    assert (entry.state, entry.since, entry.worst) == (State.UNKNOWN, None, None)


def test_a_change_of_state_dates_from_the_run_that_brought_it() -> None:
    b = board()
    changes = [b.post(CELL, (run,)) for run in (good(0), good(10), bad(20), bad(30), bad(40), good(50))]
    U, O, F = State.UNKNOWN, State.OK, State.FAILED  # noqa: N806, E741 - a table of states reads better in letters
    assert changes == [Change(U, O), Change(O, O), Change(O, F), Change(F, F), Change(F, F), Change(F, O)]
    entry = b.entry(CELL.id)
    assert entry is not None
    assert (entry.since, entry.streak) == (good(50).started_at, 1)


def test_a_streak_counts_firings_in_the_present_state() -> None:
    b = board()
    for run in (good(0), bad(10), bad(20), bad(30)):
        b.post(CELL, (run,))
    entry = b.entry(CELL.id)
    assert entry is not None
    assert (entry.state, entry.since, entry.streak) == (State.FAILED, bad(10).started_at, 3)


def test_a_run_that_failed_through_ourselves_changes_no_state() -> None:
    b = board()
    b.post(CELL, (good(0),))
    assert b.post(CELL, (ours(10),)) == Change(State.OK, State.OK)
    entry = b.entry(CELL.id)
    assert entry is not None
    assert (entry.state, entry.streak, entry.since) == (State.OK, 1, good(0).started_at)
    assert entry.latest == (ours(10),), "but it is shown"


def test_one_failed_address_of_several_makes_the_firing_a_failure() -> None:
    b = board()
    assert b.post(CELL, (good(), bad(), good())) == Change(State.UNKNOWN, State.FAILED)
    entry = b.entry(CELL.id)
    assert entry is not None
    assert entry.worst == bad()


def test_only_the_last_runs_are_remembered() -> None:
    b = board()
    for number in range(MEMORY + 5):
        b.post(CELL, (good(number),))
    entry = b.entry(CELL.id)
    assert entry is not None
    assert [run.started_at for run in entry.recent] == [good(n).started_at for n in range(5, MEMORY + 5)]


@pytest.mark.parametrize(("cells", "runs"), [(1, 20), (2000, 20), (10_000, 4), (20_000, 2)])
def test_many_cells_remember_fewer_runs_each(cells: int, runs: int) -> None:
    b = board()
    for number in range(MEMORY):
        b.post(CELL, (good(number),))
    b.set_cells([CELL, *(named(Kind.TCP, "tcp", f"l4/more-{n}/service") for n in range(cells - 1))])
    entry = b.entry(CELL.id)
    assert entry is not None
    assert [run.started_at for run in entry.recent] == [good(n).started_at for n in range(MEMORY - runs, MEMORY)]


def test_equal_cells_keep_their_entry_over_a_reload_and_changed_ones_start_anew() -> None:
    other, changed = named(Kind.TCP, "tcp", "l4/db/service"), replace(CELL, timeout=CELL.timeout + 1)
    b = board()
    b.post(CELL, (bad(),))
    b.set_cells([other, replace(CELL)])
    assert [entry.cell.id for entry in b.entries()] == [other.id, CELL.id]
    assert [entry.state for entry in b.entries()] == [State.UNKNOWN, State.FAILED]
    b.set_cells([changed])
    assert [(entry.cell, entry.state) for entry in b.entries()] == [(changed, State.UNKNOWN)]


def test_runs_of_cells_that_are_gone_or_changed_are_not_posted() -> None:
    b = board()
    assert b.post(named(Kind.TCP, "tcp", "l4/gone/service"), (good(),)) is None
    b.set_cells([replace(CELL, timeout=CELL.timeout + 1)])
    assert b.post(CELL, (good(),)) is None
    assert b.post(replace(CELL, timeout=CELL.timeout + 1), ()) is None


def test_beside_a_failing_cell_are_the_runs_of_its_target_and_to_its_address_since_it_fails() -> None:
    """An older run proves nothing of what works in spite of the failure."""
    pod, old = named(Kind.HTTP, "http", "web/web/pod"), named(Kind.HTTP, "http", "old/web/pod")
    other, six = named(Kind.TCP, "tcp", "l4/other/service"), named(Kind.TCP, "tcp", "l4/web/six", family=Family.IPV6)
    board = Board()
    board.set_cells([CELL, pod, old, other, six])
    board.post(CELL, (bad(10),))
    board.post(CELL, (bad(20),))
    entry = board.entry(CELL.id)
    assert entry is not None
    assert list(board.beside(entry)) == []
    runs = [
        replace(good_run(pod, after=11), address="192.0.2.8"), good_run(old, after=9), good_run(other, after=12),
        replace(good_run(six, after=12), address="2001:db8::7"),
    ]  # fmt: skip
    for run in runs:
        board.post(run.cell, (run,))
    assert sorted(board.beside(entry), key=runs.index) == [runs[0], runs[2]]
    board.post(other, (replace(good_run(other, after=22), address="192.0.2.9"),))
    assert list(board.beside(entry)) == [runs[0]]
    board.set_cells([CELL, other])
    assert list(board.beside(entry)) == []
