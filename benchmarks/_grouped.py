"""Two halves of a simulated fleet: the nodes that were changed minus those that were not."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benchmarks._detector import hours_of
from benchmarks._scored import blocks_of, joined
from benchmarks._simulated import DAY, fleet
from prober.baseline.fit import Fit, fit
from prober.baseline.groups import Group, GroupBank, Pool
from prober.baseline.members import coarse_of, hourly_of, seasonal_of, weights_of
from prober.baseline.scores import Scorer
from prober.baseline.values import BLOCK, Direction

SIZE = 50
BY = 0.03
#: Seconds within which a change has to be seen.
HORIZON = 4 * DAY


class Grouped(NamedTuple):
    """What became of one fleet."""

    changed: bool
    weeks: float
    hours: float | None
    """From the change to the first alarm."""
    false: int
    """Alarms of a fleet that did not change."""


def grouped(asked: tuple[int, int, int, bool]) -> Grouped:
    """A fleet of `SIZE` series; seed and whether its first half became slower by `BY`."""
    *seed, changed = asked
    series = fleet(int(np.random.SeedSequence(seed).generate_state(1)[0]), SIZE, "step" if changed else "", BY)
    fits = dict(enumerate(fit(hours_of(*one.between(0, one.watched))) for one in series))
    members = tuple(fits)
    known: dict[object, Fit] = {**fits}
    pool = Pool([Group("changed minus control", "tcp", members[: SIZE // 2], members[SIZE // 2 :])], weights_of(known))
    bank = GroupBank(pool, pool.learned(hourly_of(known), coarse_of(known)), "", seasonal_of(pool, known))
    scorer = Scorer(list(fits.values()))
    start, count = series[0].watched, int((series[0].t[-1] - series[0].watched) // BLOCK)
    prepared = [blocks_of(one, count) for one in series]
    alarms: list[float] = []
    firing = False
    for number in range(count):
        block = joined(prepared, number, int(start) + number * BLOCK)
        held = block.held(SIZE)
        shifts = scorer.score(block, held, np.zeros(SIZE))[0][:, 0]
        bank.end_block(block.start, {row: float(shifts[row]) for row in members if held[row] > 0})
        now = any(key.direction is Direction.REGRESSED for key in bank.alarms)
        if now and not firing:
            alarms.append(start + (number + 1) * BLOCK)
        firing = now
    late = [at - series[0].change for at in alarms if 0 <= at - series[0].change <= HORIZON]
    return Grouped(changed, count * BLOCK / (7 * DAY), late[0] / 3600 if late else None, 0 if changed else len(alarms))
