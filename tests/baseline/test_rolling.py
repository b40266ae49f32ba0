"""Changed minus control while nodes move: what a move may not do, and what has to be found all the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from prober.baseline.groups import LEAST_HOURS
from prober.baseline.rolling import Member, NotKnown, Reading, Rolling, Share, Standing, View
from prober.baseline.sketch import Floats
from prober.baseline.values import BLOCK, BLOCKS, HOUR, Direction, Level
from tests.baseline.made import KEY, MONDAY

NODES = 12
HOURS = 48
LIVE = 120
NAMES = [f"n{number:02}" for number in range(NODES)]
MEMBERS = [Member(name, name, KEY) for name in NAMES]


def noise(seed: int) -> Floats:
    """Of shape (blocks, nodes): each has its own level and noise, and all a larger one in common."""
    random = np.random.default_rng(seed)
    blocks = HOURS * BLOCKS + LIVE
    found = random.normal(0, 0.3, NODES) + np.zeros((blocks, 1))
    own, common = np.zeros(NODES), 0.0
    for number in range(blocks):
        own, common = 0.85 * own + random.normal(0, 0.012, NODES), 0.95 * common + random.normal(0, 0.02)
        found[number] += own + common + random.normal(0, 0.02, NODES)
    return found


def history(shifts: Floats, hours: int = HOURS, members: list[Member] = MEMBERS) -> dict[Member, dict[int, float]]:
    return {
        member: {MONDAY + hour * HOUR: float(shifts[hour * BLOCKS : (hour + 1) * BLOCKS, at].mean())
                 for hour in range(hours)}
        for at, member in enumerate(members)
    }  # fmt: skip


def watch(
    shifts: Floats, effect: float, *, pace: int = 0, blocks: int = LIVE, rolling: Rolling | None = None
) -> Rolling:
    """Every `pace` blocks one more node is changed; 0 is half of them from the beginning."""
    rolling = rolling or Rolling(history(shifts))
    for number in range(blocks):
        changed = min(NODES - 1, 1 + number // pace) if pace else NODES // 2
        block = shifts[HOURS * BLOCKS + number] + np.log(effect) * (np.arange(NODES) < changed)
        told = {member: Reading(float(shift), 40, 0) for member, shift in zip(MEMBERS, block, strict=True)}
        start = MONDAY + HOURS * HOUR + number * BLOCK
        rolling.end_block(start, told, frozenset(NAMES[:changed]), frozenset(NAMES[changed:]))
    return rolling


def layer(rolling: Rolling) -> Standing:
    return rolling.standings()[0]


@pytest.mark.parametrize("pace", [0, 3, 20])
@pytest.mark.parametrize("seed", range(4))
def test_nodes_of_unlike_levels_that_change_sides_alarm_nobody(seed: int, pace: int) -> None:
    told = layer(watch(noise(seed), 1.0, pace=pace))
    assert told.found is None
    assert told.difference is not None
    assert told.difference.lower < 1.0 < told.difference.upper


@pytest.mark.parametrize("pace", [0, 8])
def test_what_changed_nodes_have_is_confirmed_and_sized_while_they_become_more(pace: int) -> None:
    told = layer(watch(noise(5), 1.05, pace=pace))
    assert told.found is not None
    assert (told.found.level, told.found.direction) == (Level.CONFIRMED, Direction.REGRESSED)
    assert told.difference is not None
    assert told.difference.lower < 1.05 < told.difference.upper
    assert told.found.onset - (MONDAY + HOURS * HOUR) <= 4 * HOUR


def test_a_move_keeps_what_was_known_before_it() -> None:
    shifts = noise(6)
    before = layer(watch(shifts, 1.06, blocks=60))
    rolling = watch(shifts, 1.06, blocks=60)
    start = MONDAY + HOURS * HOUR + 60 * BLOCK
    rolling.end_block(start, {}, frozenset(NAMES[:7]), frozenset(NAMES[7:]))
    after = layer(rolling)
    assert before.found is not None
    assert after.found == before.found
    assert (after.blocks, after.changed, after.control) == (before.blocks, before.changed, before.control)


def test_faster_is_told_as_such() -> None:
    told = layer(watch(noise(7), 0.93))
    assert told.found is not None
    assert told.found.direction is Direction.IMPROVED
    assert told.difference is not None
    assert told.difference.upper < 1.0


def test_what_all_nodes_have_is_no_difference() -> None:
    shifts = noise(8)
    shifts[HOURS * BLOCKS :] += 0.2
    told = layer(watch(shifts, 1.0))
    assert told.found is None
    assert told.changed > 1.15
    assert told.control > 1.15


def test_with_the_last_node_changed_nothing_is_compared_any_more_and_what_is_known_stays() -> None:
    shifts = noise(9)
    rolling = watch(shifts, 1.06, blocks=80)
    known = layer(rolling)
    for number in range(10):
        block = {member: Reading(0.5, 40, 0) for member in MEMBERS}
        rolling.end_block(MONDAY + (HOURS + 40) * HOUR + number * BLOCK, block, frozenset(NAMES), frozenset())
    assert layer(rolling).found == known.found is not None
    assert (layer(rolling).blocks, layer(rolling).difference) == (known.blocks, known.difference)
    assert layer(rolling).failed[0].runs == known.failed[0].runs + 10 * 40 * NODES


def test_the_more_is_measured_the_less_has_to_differ() -> None:
    shifts = noise(10)
    early, late = (layer(watch(shifts, 1.0, blocks=blocks)).smallest for blocks in (30, 120))
    assert 1.01 < late < early < 1.2
    assert layer(watch(shifts, 1.0, blocks=1)).smallest == float("inf")


def test_runs_are_counted_by_side() -> None:
    rolling = Rolling(history(noise(11)))
    told = {member: Reading(float("nan"), 40, at) for at, member in enumerate(MEMBERS)}
    rolling.end_block(MONDAY + HOURS * HOUR, told, frozenset(NAMES[:2]), frozenset(NAMES[2:4]))
    assert layer(rolling).failed == (Share(1, 80), Share(5, 80))
    assert layer(rolling).blocks == 0
    low, high = Share(1, 80).interval
    assert low < 1 / 80 < high < 0.07


def test_parts_are_told_where_there_are_several_and_ways_to_nodes_apart_from_those_from_them() -> None:
    keys = [KEY, replace(KEY, path="pod"), replace(KEY, node="n03"), replace(KEY, layer="dns")]
    members = [Member("n01", key.node or "n01", key) for key in keys]
    rolling = Rolling(history(noise(12), members=members))
    assert {one.view for one in rolling.standings()} == {
        View("tcp", False), View("tcp", True), View("dns", False), View("tcp", False, "path", "pod"),
        View("tcp", False, "path", "service"),
    }  # fmt: skip
    assert [bool(one.view.part) for one in rolling.standings()] == [False, False, False, True, True]


def test_a_past_that_is_too_short_is_refused_and_a_series_with_one_left_out() -> None:
    shifts = noise(13)
    with pytest.raises(NotKnown, match=r"^11 h of shifts before the change, 12 are needed$"):
        Rolling(history(shifts, LEAST_HOURS - 1))
    with pytest.raises(NotKnown, match=r"^no shifts before the change$"):
        Rolling({})
    told = history(shifts)
    told[MEMBERS[3]] = dict(list(told[MEMBERS[3]].items())[:5])
    rolling = Rolling(told)
    assert rolling.left_out == {MEMBERS[3]}
    assert MEMBERS[3] not in rolling.members
