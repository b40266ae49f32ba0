"""Watching series: what alarms, what does not, since when and how much."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from prober.baseline.bank import Bank
from prober.baseline.fit import fit
from prober.baseline.scores import Block
from prober.baseline.sketch import Floats
from prober.baseline.values import BLOCKS, Channel, Direction, Level, Regression
from tests.baseline.made import DAY, KEY, MONDAY, hours, latencies, starts

BASELINE = fit(hours(latencies(11, 48 * BLOCKS), failed=1))
WATCHED = MONDAY + 2 * DAY


def watch(blocks: Sequence[Floats], failed: Callable[[int], dict[str, int]] = lambda _: {}) -> Bank:
    bank = Bank([KEY], [BASELINE], "healthy v1")
    for number, (start, seconds) in enumerate(zip(starts(len(blocks), WATCHED), blocks, strict=True)):
        missed = {(0, reason): count for reason, count in failed(number).items()}
        bank.end_block(Block.of(start, np.zeros(len(seconds), np.int64), seconds, missed))
    return bank


def of(bank: Bank, channel: Channel, direction: Direction = Direction.REGRESSED) -> list[Regression]:
    return [r for r in bank.regressions() if r.channel is channel and r.direction is direction]


def test_a_healthy_day_gives_no_alarm() -> None:
    assert list(watch(latencies(12, 24 * BLOCKS)).regressions()) == []


def test_a_step_is_confirmed_with_its_onset_and_its_size() -> None:
    blocks = [x * (1.2 if number >= 30 else 1.0) for number, x in enumerate(latencies(13, 24 * BLOCKS))]
    (found,) = of(watch(blocks), Channel.LOCATION)
    assert found.level is Level.CONFIRMED
    assert abs(found.onset - (WATCHED + 30 * 600)) <= 3 * 600
    assert found.size is not None
    assert found.size.lower < 1.2 < found.size.upper
    assert found.size.change == pytest.approx(1.2, abs=0.04)
    assert found.now / found.was == pytest.approx(found.size.change)
    assert (found.subject, found.layer, found.baseline) == (KEY, "tcp", "healthy v1")


def test_what_became_faster_is_an_improvement() -> None:
    bank = watch([x / 1.2 for x in latencies(14, 12 * BLOCKS)])
    assert of(bank, Channel.LOCATION) == []
    (found,) = of(bank, Channel.LOCATION, Direction.IMPROVED)
    assert found.size is not None
    assert found.size.change == pytest.approx(1 / 1.2, abs=0.04)


@pytest.mark.parametrize("factor", [0.6, 0.8, 0.9, 1.1, 1.2, 1.5])
def test_the_size_is_within_its_interval_where_latencies_hardly_differ(factor: float) -> None:
    """They fill a bin or two, so a large change says that it is large, and not by how much."""
    narrow = fit(hours(latencies(26, 48 * BLOCKS, median=0.01, spread=0.005)))
    bank = Bank([KEY], [narrow])
    for start, seconds in zip(starts(90, WATCHED), latencies(27, 90, median=0.01, spread=0.005), strict=True):
        bank.end_block(Block.of(start, np.zeros(len(seconds), np.int64), seconds * factor))
    direction = Direction.REGRESSED if factor > 1 else Direction.IMPROVED
    sizes = [found.size for channel in (Channel.LOCATION, Channel.RANK) for found in of(bank, channel, direction)]
    assert sizes
    for size in sizes:
        assert size is not None
        assert size.lower < factor < size.upper


def test_where_all_lies_beyond_the_baseline_the_size_is_what_it_is_at_least() -> None:
    narrow = fit(hours(latencies(26, 48 * BLOCKS, median=0.01, spread=0.005)))
    for rank in (1.0, -1.0):
        assert abs(narrow.response.shift(rank)) < 1.0
        assert abs(narrow.response.reach(rank)) > 1.5


def test_ten_minutes_of_four_times_the_latency_never_alarm() -> None:
    blocks = [x * (4.0 if number in (40, 41) else 1.0) for number, x in enumerate(latencies(15, 24 * BLOCKS))]
    bank = watch(blocks, lambda number: {"timeout": 20} if number in (40, 41) else {})
    assert list(bank.regressions()) == []


def test_a_tail_that_doubles_is_seen_while_the_median_stays() -> None:
    def heavier(x: Floats) -> Floats:
        return np.where(x > np.exp(0.4) * 0.001, x * 2, x)

    bank = watch([heavier(x) for x in latencies(16, 48 * BLOCKS)])
    (found,) = of(bank, Channel.TAIL)
    assert found.size is not None
    assert found.size.lower < 2.0 < found.size.upper
    assert found.size.upper < 3.0
    assert found.was == BASELINE.p99


def test_a_p99_between_two_marks_is_at_least_the_first() -> None:
    """Eight of a hundred lie somewhere between 3 and 5 times the old p99, and a few beyond: they may all be at 3."""
    shares = np.array([0.10, 0.09, 0.08, 0.08, 0.08, 0.08, 0.08, 0.08, 0.007, 0.0])
    assert BASELINE.response.p99_least(shares) == pytest.approx(3.0)
    assert BASELINE.response.p99_factor(shares) > 4.0
    assert BASELINE.response.p99_least(np.zeros(10)) < 1.0


def test_more_failures_are_seen_and_sized() -> None:
    bank = watch(latencies(17, 24 * BLOCKS, runs=38), lambda _: {"timeout": 2})
    alarms = of(bank, Channel.FAILURE)
    assert {alarm.reason for alarm in alarms} == {"", "timeout"}
    for found in alarms:
        assert found.size is not None
        assert found.size.lower < 0.05 < found.size.upper


def test_a_new_reason_is_seen_by_itself() -> None:
    bank = watch(latencies(18, 24 * BLOCKS, runs=39), lambda number: {"refused" if number % 2 else "reset": 1})
    assert {"refused", "reset"} <= {alarm.reason for alarm in of(bank, Channel.FAILURE)}


def test_an_alarm_is_over_six_hours_after_its_evidence_is_gone() -> None:
    slow, healthy = latencies(19, 4 * BLOCKS), latencies(20, 30 * BLOCKS)
    bank = watch([*(x * 1.5 for x in slow), *healthy[: 3 * BLOCKS]])
    assert of(bank, Channel.LOCATION)
    bank = watch([*(x * 1.5 for x in slow), *healthy])
    assert of(bank, Channel.LOCATION) == []


def test_rows_do_not_disturb_each_other() -> None:
    """Three at once are judged as each alone."""
    fits = [fit(hours(latencies(seed, 48 * BLOCKS))) for seed in (21, 22, 23)]
    series = [latencies(seed, 60) for seed in (31, 32, 33)]
    together = Bank([KEY] * 3, fits)
    alone = [Bank([KEY], [one]) for one in fits]
    for start, *parts in zip(starts(60, WATCHED), *series, strict=True):
        rows = np.repeat(np.arange(3), [len(part) for part in parts])
        together.end_block(Block.of(start, rows, np.concatenate(parts), {(1, "timeout"): 2}))
        for row, (bank, part) in enumerate(zip(alone, parts, strict=True)):
            bank.end_block(
                Block.of(start, np.zeros(len(part), np.int64), part, {(0, "timeout"): 2} if row == 1 else {})
            )
    for row, bank in enumerate(alone):
        assert np.allclose(together.state.sums[row], bank.state.sums[0])
        assert np.allclose(together.state.seen[row], bank.state.seen[0])


def test_a_layer_that_is_seldom_reached_is_judged_once_enough_came_together() -> None:
    bank = Bank([KEY], [BASELINE])
    for start, seconds in zip(starts(72, WATCHED), latencies(24, 72, runs=2), strict=True):
        bank.end_block(Block.of(start, np.zeros(2, np.int64), seconds * 1.5))
    assert bank.skipped == 0
    assert of(bank, Channel.LOCATION)


def test_blocks_with_nothing_are_no_evidence() -> None:
    bank = watch([*latencies(25, 10), *[np.array([])] * 50])
    assert list(bank.regressions()) == []
    assert bank.state.last == WATCHED + 59 * 600


@pytest.mark.parametrize("by", [0.5, 0.67, 1.05, 1.5, 1.9])
def test_the_shift_of_a_block_is_told_as_large_as_it_is(by: float) -> None:
    bank = Bank([KEY], [BASELINE])
    blocks = [x * by for x in latencies(26, 12, runs=400)]
    told = [bank.end_block(Block.of(start, np.zeros(400, np.int64), x)).shift[0, 0]
            for start, x in zip(starts(12, WATCHED), blocks, strict=True)]  # fmt: skip
    assert np.exp(np.mean(told)) == pytest.approx(by, rel=0.06)


@pytest.mark.parametrize("by", [0.6, 1.3, 1.5, 2.0])
def test_a_large_change_of_a_steady_series_is_told_as_large_as_it_is(by: float) -> None:
    """All latencies lie beyond those of the baseline then, and ranks can say no more than that."""
    steady = fit(hours(latencies(41, 48 * BLOCKS, spread=0.02)))
    bank = Bank([KEY], [steady])
    for start, x in zip(starts(24, WATCHED), latencies(42, 24, spread=0.02), strict=True):
        bank.end_block(Block.of(start, np.zeros(len(x), np.int64), x * by))
    (found,) = of(bank, Channel.LOCATION, Direction.REGRESSED if by > 1 else Direction.IMPROVED)
    assert found.level is Level.CONFIRMED
    assert found.size is not None
    assert found.size.lower < by < found.size.upper
    assert found.size.change == pytest.approx(by, rel=0.04)


def test_a_change_of_a_part_is_told_as_the_mean_over_all() -> None:
    """One back end of three becomes half as slow again: nothing that all latencies did."""
    random = np.random.default_rng(43)
    steady = fit(hours(latencies(44, 48 * BLOCKS, spread=0.05)))
    bank = Bank([KEY], [steady])
    for start, x in zip(starts(300, WATCHED), latencies(45, 300, spread=0.05), strict=True):
        slow = np.where(random.random(len(x)) < 1 / 3, 1.5, 1.0)
        bank.end_block(Block.of(start, np.zeros(len(x), np.int64), x * slow))
    sizes = [r.size for channel in (Channel.LOCATION, Channel.RANK) for r in of(bank, channel) if r.size is not None]
    assert sizes
    for size in sizes:
        assert size.lower < 1.5 ** (1 / 3) < size.upper
