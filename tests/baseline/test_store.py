"""The store on a disk: what is written is there when it is opened again; what cannot be written takes nothing down."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from prober.baseline.store import Block, Retention, State, StoreFailed
from prober.baseline.store.opening import connect
from prober.baseline.values import BLOCK, HOUR, Channel, Level, Size
from tests.support.hours import (
    DAY,
    KEYS,
    ORIGIN,
    START,
    block,
    filled,
    hour,
    key,
    no_more_than,
    opened,
    recording,
    regression,
    shifts,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "baseline.db"


def test_a_block_is_there_after_the_file_was_opened_again(path: Path) -> None:
    told = block(shifts=shifts(START, KEYS), state=State(3, b"\0state"), regressions=(regression(KEYS[0], START),))
    with opened(path) as store:
        assert store.persistent
        assert store.says == f"baselines are kept in {path}"
        store.save_block(told).result()
    with opened(path) as store:
        assert store.hours_of_current(START).result() == told.hours
        assert store.load_state().result() == (START, told.state)
        assert store.regressions().result() == told.regressions
        (found,) = store.shifts(START, START + 1).result()
        assert found.series == tuple(KEYS)
        assert told.shifts is not None
        for name in ("runs", "failed", "d", "r"):
            np.testing.assert_array_equal(getattr(found, name), getattr(told.shifts, name))
            assert getattr(found, name).dtype == getattr(told.shifts, name).dtype


def test_memory_keeps_the_same_until_it_is_closed() -> None:
    with opened(None) as store:
        assert not store.persistent
        assert store.path is None
        assert "kept in memory alone" in store.says
        store.save_block(block()).result()
        assert store.hours_of_current(START).result() == block().hours


def test_the_hour_so_far_takes_the_place_of_what_it_was_a_block_before(path: Path) -> None:
    first, second = hour(START, 10, covered=1), hour(START, 30, covered=3)
    with opened(path) as store:
        store.save_block(Block(START, {KEYS[0]: first, KEYS[1]: first})).result()
        store.save_block(Block(START + BLOCK, {KEYS[0]: second})).result()
        assert store.hours_of_current(START).result() == {KEYS[0]: second, KEYS[1]: first}


def test_a_committed_block_is_synced_and_the_log_is_ours_alone(path: Path) -> None:
    connection = connect(path)
    ask = {n: connection.execute(f"PRAGMA {n}").fetchone()[0] for n in ("synchronous", "journal_mode", "foreign_keys")}
    connection.close()
    assert ask == {"synchronous": 2, "journal_mode": "wal", "foreign_keys": 1}
    assert sorted(p.name for p in path.parent.iterdir()) == ["baseline.db"]


def test_shifts_are_given_of_the_series_that_are_asked_for_with_nan_where_nothing_is_known(path: Path) -> None:
    told = shifts(START, KEYS)
    told.d[1] = math.nan
    with opened(path) as store:
        store.save_block(block(shifts=told)).result()
        store.save_block(block(START + BLOCK, shifts=shifts(START + BLOCK, reversed(KEYS)))).result()
        found = store.shifts(START, START + 2 * BLOCK, KEYS[1:3]).result()
    assert [(one.start, one.series) for one in found] == [
        (START, (KEYS[1], KEYS[2])),
        (START + BLOCK, (KEYS[1], KEYS[2])),
    ]
    assert math.isnan(found[0].d[0])
    assert found[1].d[0] == shifts(START + BLOCK, reversed(KEYS)).d[3]


def test_a_regression_that_grows_is_one_and_the_next_one_is_another(path: Path) -> None:
    first = regression(KEYS[0], START, size=Size(1.18, 1.1, math.inf), was=0.001, now=0.00118)
    grown = replace(first, level=Level.CONFIRMED, evidence=2.4)
    cleared = replace(grown, cleared=START + DAY)
    again = regression(KEYS[0], START + 2 * DAY)
    beside = regression(KEYS[0], START, channel=Channel.FAILURE, reason="timeout", was=math.nan)
    group = regression("tcp service-pod web-api ipv4", START + 5)
    with opened(path) as store:
        store.save_block(block(regressions=(first, group))).result()
        store.save_block(block(regressions=(grown,))).result()
        assert store.regressions().result() == (grown, group)
        store.save_block(block(regressions=(cleared, again, cleared))).result()
        assert store.regressions().result() == (cleared, group, again)
        assert store.regressions(since=START + DAY).result() == (group, again)
        assert store.regressions(until=START + DAY).result() == (cleared, group)
        store.save_block(block(regressions=(beside,))).result()
        assert math.isnan(store.regressions(until=START + 1).result()[1].was)


# What fails later


def test_blocks_that_find_the_disk_full_are_told_counted_and_written_when_there_is_room(path: Path) -> None:
    told: list[str] = []
    with opened(path, on_failure=told.append) as store:
        store.save_block(block()).result()
        room = (path.parent / "baseline.db-wal").stat().st_size
        with no_more_than(room):
            for at in (1, 2):
                with pytest.raises(StoreFailed):
                    store.save_block(
                        block(START + at * BLOCK, shifts=shifts(START + at * BLOCK, [*KEYS, key(9)]))
                    ).result()
            assert (store.failures, store.lost, len(told)) == (2, 0, 2)
            assert "2 blocks could not be written yet" in store.says
            assert store.hours_of_current(START).result() == block().hours
        store.save_block(block(START + 3 * BLOCK)).result()
        assert store.says == f"baselines are kept in {path}"
    with opened(path) as store:
        assert [one.start for one in store.shifts(0, math.inf).result()] == [START + BLOCK, START + 2 * BLOCK]
        assert store.shifts(0, math.inf).result()[0].series == (*KEYS, key(9))


def test_blocks_wait_six_hours_for_room_and_are_lost_then(path: Path) -> None:
    with opened(path) as store:
        store.save_block(block()).result()
        with no_more_than((path.parent / "baseline.db-wal").stat().st_size):
            for at in range(1, 41):
                store.save_block(block(START + at * BLOCK, shifts=shifts(START + at * BLOCK, KEYS))).exception()
        store.save_block(block(START + 41 * BLOCK)).result()
        kept = [one.start for one in store.shifts(0, math.inf).result()]
        assert kept == [START + at * BLOCK for at in range(5, 41)]
        assert store.lost == 4


def test_blocks_that_wait_are_written_at_the_end_if_there_is_room_by_then(path: Path) -> None:
    with opened(path) as store:
        with no_more_than(0):
            store.save_block(block()).exception()
        store.close()
    assert store.lost == 0
    with opened(path) as store:
        assert store.hours_of_current(START).result() == block().hours
        with no_more_than(0):
            store.save_block(block(START + BLOCK)).exception()
            store.close()
    assert (store.lost, store.failures) == (1, 2)


def test_a_block_that_no_disk_would_take_is_given_up_and_does_not_hold_up_the_next(path: Path) -> None:
    told: list[str] = []
    with opened(path, on_failure=told.append) as store:
        bad = regression(KEYS[0], START, reason=None)
        with pytest.raises(StoreFailed, match="a block was given up: IntegrityError"):
            store.save_block(block(regressions=(bad,))).result()
        assert (store.failures, store.lost, len(told)) == (1, 1, 1)
        assert store.hours_of_current(START).result() == {}
        store.save_block(block()).result()
        assert store.hours_of_current(START).result() == block().hours


@pytest.mark.parametrize("statement", ["UPDATE hours SET sketch = x'80'", "UPDATE shifts SET arrays = x'01ff'"])
def test_a_row_that_cannot_be_read_is_told_and_counted(path: Path, statement: str) -> None:
    with opened(path) as store:
        store.save_block(block(shifts=shifts(START, KEYS))).result()
        store._ask(lambda db: db.execute(statement)).result()
        asked = store.hours_of_current(START) if "hours" in statement else store.shifts(0, math.inf)
        with pytest.raises(StoreFailed, match="damaged"):
            asked.result()
        assert store.failures == 1


# Retention


def test_what_is_too_old_goes_and_baselines_stay(path: Path) -> None:
    retention = Retention(hours=2 * DAY, shifts=DAY, regressions=3 * DAY)
    recorded = recording(series=3)
    gone, old = key(7), key(8)
    with opened(path, retention=retention) as store:
        store.save_block(Block(START, {gone: hour(START), old: hour(START)}, shifts(START, [gone]))).result()
        store.save_block(Block(START, {}, regressions=(regression(old, START, cleared=START + 9.0),))).result()
        filled(store, recorded)
        store.record("healthy", START, START + 2 * DAY, ORIGIN, {}).result()
        for at in (2 * DAY + HOUR, 2 * DAY + 4 * HOUR, 4 * DAY):
            store.save_block(Block(START + at, {KEYS[0]: hour(START + at)})).result()
        assert store.hours_of_current(START + DAY).result() == {}
        assert store.shifts(0, math.inf).result() == ()
        assert len(store.regressions().result()) == 0
        assert store.get("healthy").result().series == recorded.series
        ids = store._db.ids
        assert gone not in ids
        assert set(recorded.series) <= ids.keys()


def test_the_file_shrinks_when_there_is_less_to_keep(path: Path) -> None:
    with opened(path, retention=Retention(hours=DAY)) as store:
        filled(store, recording(series=60, hours=24))
        before = store.size().result()
        store.save_block(Block(START + 4 * DAY, {})).result()
        assert store.size().result() < before / 2
    assert path.stat().st_size < before / 2
