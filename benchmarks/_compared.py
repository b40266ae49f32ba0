"""Before against after: a baseline and the first hours after a moment at which something changed, or nothing did."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benchmarks._detector import compare
from benchmarks._simulated import DAY, simulate

WINDOWS = (1.0, 6.0, 24.0)
CHANGES = (("", 0.0), ("step", 0.05), ("step", 0.10), ("step", 0.20), ("step", 0.50), ("tail", 2.0), ("fail", 0.03))


class Window(NamedTuple):
    """One series: what changed, the windows that were asked (hours after the moment), and those that say it got
    worse."""

    change: str
    windows: tuple[float, ...]
    regressed: tuple[float, ...]


def compared(asked: tuple[int, int, int, int, int]) -> list[Window]:
    """The part `asked[2]` of eight of all series: `null` healthy ones and `changed` of each change."""
    *seed, null, changed = asked
    random = np.random.default_rng(seed)
    found = []
    for change, by in CHANGES:
        for _ in range((changed if change else null) // 8):
            one = simulate(random, change, by, watched=5.0)
            moment = one.change if change else one.watched + random.uniform(2, 3) * DAY
            before = one.between(0, one.watched)
            bad = tuple(hours for hours in WINDOWS if compare(before, one.between(moment, moment + 3600 * hours)))
            found.append(Window(f"{change} {by:g}" if change else "", WINDOWS, bad))
    return found
