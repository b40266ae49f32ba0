"""How small a change a baseline lets be seen, held against what is seen."""

from __future__ import annotations

import math

import numpy as np
import pytest

from prober.baseline.bank import Bank
from prober.baseline.fit import fit
from prober.baseline.scores import Block
from prober.baseline.sight import smallest_seen
from prober.baseline.values import BLOCKS, Channel, Direction
from tests.baseline.made import DAY, KEY, MONDAY, hours, latencies, starts

BASELINE = fit(hours(latencies(11, 48 * BLOCKS)))


@pytest.mark.parametrize(("factor", "seen"), [(1.3, True), (0.5, False)])
def test_a_little_more_than_it_is_suspected_within_a_day_and_half_of_it_is_not(factor: float, seen: bool) -> None:
    by = math.exp(factor * math.log(smallest_seen(BASELINE)))
    bank = Bank([KEY], [BASELINE])
    blocks = latencies(12, 24 * BLOCKS)
    for start, seconds in zip(starts(len(blocks), MONDAY + 2 * DAY), blocks, strict=True):
        bank.end_block(Block.of(start, np.zeros(len(seconds), np.int64), seconds * by))
    slower = [one for one in bank.regressions() if one.channel in (Channel.LOCATION, Channel.RANK)]
    assert [one for one in slower if one.direction is Direction.REGRESSED] != [] if seen else slower == []


def test_a_restless_series_lets_less_be_seen_and_less_time_does() -> None:
    restless = fit(hours([x * (1 + 0.3 * (n // 18 % 2)) for n, x in enumerate(latencies(11, 48 * BLOCKS))]))
    assert smallest_seen(restless) > smallest_seen(BASELINE)
    assert smallest_seen(BASELINE, BLOCKS) > smallest_seen(BASELINE)
    assert math.isinf(smallest_seen(restless, 1))
