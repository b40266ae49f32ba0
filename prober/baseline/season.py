"""The daily and weekly swing of a series: what the hour of the day and the kind of day make of a latency. Pure.

A ridge regression of each hour's shift on one and two waves a day, and on the week-end where both kinds of days were
recorded. What was not recorded is not guessed: it widens the margin instead (`Season.margin`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prober.baseline.sketch import Floats
from prober.baseline.values import BLOCKS

_DAY = 86400.0
#: Hours' worth of evidence against any season.
RIDGE = 2.0
#: Columns: cosine and sine of one wave a day, of two waves a day, and the week-end.
TERMS = 5
#: Blocks of a kind of day from which it counts as recorded.
_COVERED = 120
#: Blocks from which both kinds of days, if recorded, are known well: two days and a bit.
_WELL = 300
#: What the margin has of the daily swing: always, on a kind of day that was recorded but once, and on one that never
#: was.
ALWAYS = 0.05
ONCE = 0.08
NEVER = 0.70


def waves(t: Floats | float) -> Floats:
    """The columns of the regression at these times (Unix seconds, UTC), of shape (len(t), TERMS); of one, (TERMS,)."""
    turn = 2 * np.pi * t / _DAY
    return np.stack([np.cos(turn), np.sin(turn), np.cos(2 * turn), np.sin(2 * turn), weekend(t)], axis=-1)


def weekend(t: Floats | float) -> Floats:
    """1 on Saturdays and Sundays (UTC), 0 on other days; 1970-01-01 was a Thursday."""
    found: Floats = np.asarray((t // _DAY + 3) % 7 >= 5, np.float64)
    return found


#: The columns that repeat every day, of each of its blocks.
_DAILY = waves(np.arange(24 * BLOCKS) * _DAY / (24 * BLOCKS))[:, : TERMS - 1]


@dataclass(frozen=True, slots=True)
class Season:
    """The fitted swing of one series: `coefficients` of shape (TERMS,), in natural logarithms of seconds."""

    coefficients: Floats
    swing: float
    """From the lowest to the highest hour of a day."""
    weekdays: bool
    weekends: bool
    """Which kinds of days were recorded."""
    well: bool
    """Both were, and for more than two days: else what is known of one is one day's."""

    def margin(self, at_weekend: bool, *, improving: bool = False) -> float:
        """What a shift may be for the season's sake. On week-ends most things are faster: that regressions may be
        overlooked then does no harm; but a week-end's baseline makes working days look slow, and the other way
        round."""
        share = ALWAYS
        if self.weekdays and self.weekends:
            share += 0.0 if self.well else ONCE
        elif at_weekend is improving and (self.weekends is not at_weekend):
            share += NEVER
        return share * self.swing

    def margin_over(self, weekends: float, *, improving: bool) -> float:
        """The mean of it over a time of which the share `weekends` is week-end."""
        of_days = ((True, weekends), (False, 1 - weekends))
        return sum(share * self.margin(day, improving=improving) for day, share in of_days)


def amplitude(coefficients: Floats) -> float:
    """The most that a swing of these coefficients (TERMS,) is away from its mean at any hour of a day, log seconds."""
    return float(np.abs(_DAILY @ coefficients[: TERMS - 1]).max())


def kinds_of_days(starts: Floats, blocks: Floats) -> tuple[bool, bool]:
    """Whether enough blocks were recorded on working days, and on week-ends."""
    at_weekend = weekend(starts) > 0
    return bool(blocks[~at_weekend].sum() >= _COVERED), bool(blocks[at_weekend].sum() >= _COVERED)


def fit_season(middles: Floats, shifts: Floats, weights: Floats, blocks: Floats) -> Season:
    """The season of hours with these middles (Unix seconds), shifts (log seconds), weights and numbers of blocks."""
    weekdays, weekends = kinds_of_days(middles, blocks)
    used = TERMS if weekdays and weekends else TERMS - 1
    columns = np.column_stack([np.ones(len(middles)), waves(middles)[:, :used]])
    ridge = np.diag([0.0, *[RIDGE] * used])
    weighted = columns * (weights / weights.mean())[:, None]
    solved = np.linalg.solve(columns.T @ weighted + ridge, weighted.T @ shifts)
    coefficients = np.zeros(TERMS)
    coefficients[:used] = solved[1:]
    day = _DAILY @ coefficients[: TERMS - 1]
    well = weekdays and weekends and float(blocks.sum()) > _WELL
    return Season(coefficients, float(np.ptp(day)), weekdays, weekends, well)
