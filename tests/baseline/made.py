"""Series as a healthy cluster might give them, small and drawn from a seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prober.baseline.sketch import Floats, Sketch
from prober.baseline.values import BLOCK, BLOCKS, HOUR, Hour, SeriesKey

#: A Monday, 00:00 UTC.
MONDAY = 1_767_571_200
KEY = SeriesKey("web", "web-api", "service", "ipv4", "tcp")
DAY = 86_400


def latencies(seed: int, blocks: int, *, runs: int = 40, median: float = 0.001, spread: float = 0.2) -> list[Floats]:
    """Seconds of each of so many blocks: log-normal, with a heavy tail for 2 % and a noise that lasts for an hour."""
    random = np.random.default_rng(seed)
    found, level = [], 0.0
    for _ in range(blocks):
        level = 0.85 * level + random.normal(0, 0.01)
        x = median * np.exp(random.normal(0, spread, runs) + level)
        found.append(x * np.where(random.random(runs) < 0.02, 1 + random.pareto(2.0, runs), 1.0))
    return found


def hours(blocks: Sequence[Floats], start: int = MONDAY, failed: int = 0) -> tuple[Hour, ...]:
    """The hours that these blocks make, with so many timeouts in each."""
    return tuple(
        Hour(start + number * HOUR, Sketch.merged(Sketch.of(block) for block in blocks[at : at + BLOCKS]),
             {"timeout": failed} if failed else {})
        for number, at in enumerate(range(0, len(blocks), BLOCKS))
    )  # fmt: skip


def starts(count: int, start: int) -> range:
    """The starts of so many blocks."""
    return range(start, start + count * BLOCK, BLOCK)
