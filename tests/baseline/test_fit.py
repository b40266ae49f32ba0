"""What a baseline learns, by property: scaling, shifting, merging, the order of blocks within an hour."""

from __future__ import annotations

import random

import numpy as np
import pytest

from prober.baseline.fit import Fit, NotEnough, fit, wilson
from prober.baseline.sketch import WIDTH, Sketch
from prober.baseline.values import BLOCKS, Hour
from tests.baseline.made import MONDAY, hours, latencies

TWO_DAYS = 48 * BLOCKS


@pytest.fixture(scope="module")
def learned() -> Fit:
    return fit(hours(latencies(1, TWO_DAYS)))


def test_the_order_of_blocks_within_an_hour_changes_nothing(learned: Fit) -> None:
    blocks = latencies(1, TWO_DAYS)
    shuffled = []
    for at in range(0, TWO_DAYS, BLOCKS):
        part = blocks[at : at + BLOCKS]
        random.Random(at).shuffle(part)
        shuffled += part
    again = fit(hours(shuffled))
    assert (again.tables.psi == learned.tables.psi).all()
    assert (again.shifts == learned.shifts).all()


def test_hours_that_were_merged_from_parts_fit_like_whole_ones(learned: Fit) -> None:
    merged = [Hour(hour.start, Sketch.empty(), {}, 0).merged(hour) for hour in hours(latencies(1, TWO_DAYS))]
    assert (fit(merged).tables.tail == learned.tables.tail).all()


def test_scaling_every_latency_moves_the_tables_and_changes_no_score(learned: Fit) -> None:
    by = 17
    scaled = fit(hours([x * np.exp(by * WIDTH) for x in latencies(1, TWO_DAYS)]))
    for name in ("psi", "rank", "tail"):
        before, after = getattr(learned.tables, name), getattr(scaled.tables, name)
        assert np.allclose(after[by:], before[:-by], atol=2e-3), name
    assert scaled.psi.deviation == pytest.approx(learned.psi.deviation, rel=1e-3)
    assert scaled.p50 / learned.p50 == pytest.approx(np.exp(by * WIDTH), rel=1e-6)


def test_a_shift_of_the_hour_is_found_as_large_as_it_was() -> None:
    blocks = latencies(2, TWO_DAYS, spread=0.25)
    late = [x * 1.1 if number >= TWO_DAYS - BLOCKS else x for number, x in enumerate(blocks)]
    before, after = fit(hours(blocks)), fit(hours(late))
    assert after.shifts[-1] - before.shifts[-1] == pytest.approx(np.log(1.1), abs=0.02)


def test_a_daily_swing_is_learned_as_season_and_not_as_noise() -> None:
    blocks = latencies(3, 7 * 24 * BLOCKS)
    swung = [x * np.exp(0.1 * np.cos(2 * np.pi * number / 144)) for number, x in enumerate(blocks)]
    flat, wavy = fit(hours(blocks)), fit(hours(swung))
    assert wavy.season.swing == pytest.approx(0.2, abs=0.03)
    assert wavy.psi.deviation == pytest.approx(flat.psi.deviation, rel=0.25)


def test_a_week_end_is_judged_by_its_own_level_once_both_kinds_of_days_are_known() -> None:
    blocks = latencies(4, 7 * 24 * BLOCKS)
    weekly = [x * (0.9 if number // 144 >= 5 else 1.0) for number, x in enumerate(blocks)]
    season = fit(hours(weekly, MONDAY)).season
    assert season.weekdays
    assert season.weekends
    assert season.coefficients[-1] == pytest.approx(np.log(0.9), abs=0.03)


@pytest.mark.parametrize(
    ("start", "kind", "improving", "wide"),
    [
        (MONDAY, False, False, False),  # working days recorded, a working day judged
        (MONDAY, True, False, False),  # on week-ends things are faster: no false alarm to fear
        (MONDAY, True, True, True),  # but they are no improvement either
        (MONDAY + 5 * 86_400, False, False, True),  # a week-end recorded makes working days look slow
        (MONDAY + 5 * 86_400, True, False, False),
    ],
)
def test_a_kind_of_day_that_was_never_recorded_widens_the_margin(
    start: int, kind: bool, improving: bool, wide: bool
) -> None:
    blocks = [x * np.exp(0.1 * np.cos(2 * np.pi * n / 144)) for n, x in enumerate(latencies(5, TWO_DAYS))]
    season = fit(hours(blocks, start)).season
    assert (season.margin(kind, improving=improving) > 0.3 * season.swing) is wide


@pytest.mark.parametrize(
    ("recorded", "says"),
    [
        (hours(latencies(6, 21 * BLOCKS)), "21.0 h were measured, a baseline needs 24 h"),
        (hours(latencies(6, TWO_DAYS, runs=3)), "held in 864 runs, a baseline needs 1000"),
    ],
)
def test_too_little_is_refused_and_says_what_is_missing(recorded: tuple[Hour, ...], says: str) -> None:
    with pytest.raises(NotEnough, match=says):
        fit(recorded)


def test_one_mode_does_not_hide_between_two() -> None:
    """Between the modes of a mixture psi says nothing, and ranks do."""
    random_ = np.random.default_rng(7)
    blocks = [np.where(random_.random(40) < 0.8, 0.0003, 0.01) * np.exp(random_.normal(0, 0.15, 40))
              for _ in range(TWO_DAYS)]  # fmt: skip
    tables = fit(hours(blocks)).tables
    gap = int((np.log(0.0018) - np.log(10e-6)) / WIDTH)
    assert abs(tables.psi[gap]) < 0.05 * np.abs(tables.psi).max()
    assert tables.rank[gap] == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize(("failed", "runs", "low", "high"), [(0, 100, 0.0, 0.0370), (5, 100, 0.0215, 0.1118)])
def test_wilsons_interval_is_as_published(failed: int, runs: int, low: float, high: float) -> None:
    assert wilson(failed, runs) == pytest.approx((low, high), abs=2e-4)
