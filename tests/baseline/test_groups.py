"""Groups: what both sides share cancels, what one side has alone shows early."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from prober.baseline.fit import fit
from prober.baseline.grouped import worse_sides
from prober.baseline.grouping import groups_of
from prober.baseline.groups import Group, GroupBank, Pool
from prober.baseline.members import hourly_of, seasonal_of, weights_of
from prober.baseline.season import waves
from prober.baseline.sketch import Floats
from prober.baseline.values import BLOCKS, Direction, Level, SeriesKey
from tests.baseline.made import DAY, KEY, MONDAY, hours, latencies, starts

SIZE = 8
KEYS = [replace(KEY, target=f"t{number}") for number in range(2 * SIZE)]
CHANGED, CONTROL = tuple(KEYS[:SIZE]), tuple(KEYS[SIZE:])
COMMON = np.random.default_rng(5).normal(0, 0.05, 96 * BLOCKS)


def shared(seed: int) -> list[Floats]:
    """Four days of a series that has its own noise, and a larger one that all have."""
    return [x * np.exp(by) for x, by in zip(latencies(seed, 96 * BLOCKS), COMMON, strict=True)]


@pytest.fixture(scope="module")
def fleet() -> tuple[dict[SeriesKey, Floats], Pool, GroupBank]:
    """The shifts of two days of each series, watched after two days of baseline, and the bank that knows these."""
    fits, watched = {}, {}
    for number, key in enumerate(KEYS):
        blocks = shared(100 + number)
        half = 48 * BLOCKS
        fits[key] = fit(hours(blocks[:half]))
        watched[key] = np.array([float(np.mean(np.log(x)) - np.log(fits[key].p50)) for x in blocks[half:]])
        watched[key] -= watched[key].mean()
    groups = [Group("changed minus control", "tcp", CHANGED, CONTROL), Group("all", "tcp", CHANGED)]
    pool = Pool(groups, weights_of(fits))
    return watched, pool, GroupBank(pool, pool.learned(hourly_of(fits)), "healthy v1")


def watch(fleet: tuple[dict[SeriesKey, Floats], Pool, GroupBank], blocks: int, by: float, at: int = 0) -> GroupBank:
    watched, pool, bank = fleet
    bank = GroupBank(pool, bank.learned, bank.baseline)
    for number, start in enumerate(starts(blocks, MONDAY + 2 * DAY)):
        more = np.log(by) if number >= at else 0.0
        bank.end_block(start, {key: watched[key][number] + (more if key in CHANGED else 0.0) for key in KEYS})
    return bank


def test_three_percent_on_the_changed_side_are_confirmed_within_a_day_and_sized(
    fleet: tuple[dict[SeriesKey, Floats], Pool, GroupBank],
) -> None:
    bank = watch(fleet, 168, 1.03, at=24)
    found = {r.subject: r for r in bank.regressions() if r.direction is Direction.REGRESSED}
    assert set(found) == {"tcp changed minus control"}
    told = found["tcp changed minus control"]
    assert told.level is Level.CONFIRMED
    assert told.size is not None
    assert told.size.lower < 1.03 < told.size.upper
    assert abs(told.onset - (MONDAY + 2 * DAY + 24 * 600)) <= 6 * 3600
    assert worse_sides([bank], bank.regressions()) == dict.fromkeys(CHANGED, told)
    assert worse_sides([bank], [replace(told, level=Level.SUSPECT)]) == {}
    assert worse_sides([bank], [replace(told, direction=Direction.IMPROVED)]) == {}


def test_what_all_have_in_common_alarms_nobody(fleet: tuple[dict[SeriesKey, Floats], Pool, GroupBank]) -> None:
    assert list(watch(fleet, 48 * BLOCKS, 1.0).regressions()) == []


def test_a_side_that_is_not_there_is_no_evidence(fleet: tuple[dict[SeriesKey, Floats], Pool, GroupBank]) -> None:
    _, pool, bank = fleet
    bank = GroupBank(pool, bank.learned)
    for start in starts(50, MONDAY):
        bank.end_block(start, dict.fromkeys(CHANGED[:3], 0.5))
    assert bank.sums.max() == 0.0
    assert np.isnan(pool.shifts(dict.fromkeys(CHANGED, 0.5))[0])


def test_what_the_learned_swings_of_both_sides_differ_by_is_allowed_for() -> None:
    """Watched with no noise at all, but for the swings that were learned from the noise of a day."""
    one, other = KEYS[:2]
    fits = {key: fit(hours(latencies(seed, 24 * BLOCKS))) for seed, key in ((7, one), (8, other))}
    groups = [Group("one minus other", "tcp", (one,), (other,)), Group("the same", "tcp", (one,), (one,))]
    pool = Pool(groups, weights_of(fits))
    learned = pool.learned(hourly_of(fits))
    allowed = seasonal_of(pool, fits)
    assert (allowed[0] > 0).all()
    assert (allowed[1] == 0).all()

    def evidence(seasonal: Floats | None) -> float:
        bank = GroupBank(pool, [replace(told, mean=0.0) if told else None for told in learned], seasonal=seasonal)
        most = 0.0
        for start in starts(5 * 24 * BLOCKS, MONDAY + DAY):
            now = waves(start)
            bank.end_block(start, {key: -float(now @ fits[key].season.coefficients) for key in (one, other)})
            most = max(most, float(bank.evidence()[0].max()))
        return most

    assert evidence(allowed) == 0.0 < evidence(None)


def test_weights_shift_the_mean_to_the_quiet_members() -> None:
    pool = Pool([Group("all", "tcp", ("loud", "quiet"))], {"loud": 1.0, "quiet": 9.0})
    assert pool.shifts({"loud": 1.0, "quiet": 0.0}) == pytest.approx([0.1])
    assert pool.shifts({"quiet": 0.2}) == pytest.approx([0.2])


def test_groups_are_pools_paths_families_and_nodes() -> None:
    keys = [SeriesKey("web", "web-api", path, family, layer)
            for path in ("pod", "service") for family in ("ipv4", "ipv6") for layer in ("tcp", "http")]  # fmt: skip
    keys += [replace(keys[0], node=node) for node in ("a", "b", "c")]
    told = {(str(group), len(group.members), len(group.against)) for group in groups_of(keys)}
    assert {
        ("tcp all", 4, 0),
        ("tcp service minus pod web/web-api/ipv4", 1, 1),
        ("tcp ipv6 minus ipv4 web/web-api/service", 1, 1),
        ("tcp node a minus others", 1, 2),
    } <= told
    assert not [name for name, *_ in told if "target" in name]  # there is but one
