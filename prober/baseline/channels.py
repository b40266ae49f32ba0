"""Cumulative sums: how the scores of one block after another become evidence of a change. Pure.

Page's CUSUM (Biometrika 41 (1954) 100) for each series and each column of `COLUMNS`: a sum that is floored at
nothing and grows by what a block's score has beyond an allowance. What one block may add is capped, so that no
incident of ten minutes ever alarms: up/down alerts own those. The thresholds grow with the long-run variance of the
series, as they have to for correlated noise: the chance to pass h falls as exp(-2 k h / sd²).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from prober.baseline.fit import Fit, level_error
from prober.baseline.season import Season
from prober.baseline.sketch import Bools, Floats, Ints
from prober.baseline.values import Channel, Direction

Some = Floats | float
#: Evidence from which a change is suspected, and from which it is confirmed.
SUSPECT: Final = 1.0
CONFIRMED: Final = 2.0
#: Evidence from which one of the two scores of a shift confirms it alone; below, the other one has to suspect it as
#: well.
ALONE: Final = 3.0
#: Successes that a block needs to say something about location.
LEAST: Final = 5


@dataclass(frozen=True, slots=True)
class Column:
    """One sum: of what, which way, with which allowance, cap and threshold."""

    channel: Channel
    direction: Direction
    cap: float
    """At most so much of a block counts, before the allowance (log seconds; of tail and failure: log-likelihood)."""
    drift: float = 0.0
    """What is always allowed, beside the margin of the series."""
    least: float = 0.0
    """The least threshold."""
    noise: float = 0.0
    """The threshold is also at least this times sd² / (2 drift)."""


def _pair(channel: Channel, direction: Direction) -> tuple[Column, Column]:
    """A slow column for small changes that last, and a fast one for large ones."""
    return (
        Column(channel, direction, cap=0.20, drift=0.0275, least=2.7, noise=10.5),
        Column(channel, direction, cap=0.40, drift=0.12, least=1.1, noise=10.0),
    )


COLUMNS: Final = (
    *_pair(Channel.LOCATION, Direction.REGRESSED),
    *_pair(Channel.RANK, Direction.REGRESSED),
    *_pair(Channel.LOCATION, Direction.IMPROVED),
    *_pair(Channel.RANK, Direction.IMPROVED),
    Column(Channel.TAIL, Direction.REGRESSED, cap=2.0, least=12.0),
    Column(Channel.FAILURE, Direction.REGRESSED, cap=2.0, least=13.0),
)
SHIFTING: Final = 8
"""The first columns are about shifts."""
TAIL: Final = 8
FAILURE: Final = 9
_CAPS: Floats = np.array([column.cap for column in COLUMNS])
_DRIFTS: Floats = np.array([column.drift for column in COLUMNS])
#: Which of the scores of a block a column takes (0 psi, 1 rank), and with which sign.
_SCORE: Ints = np.array([int(column.channel is Channel.RANK) for column in COLUMNS[:SHIFTING]])
_SIGN: Floats = np.array([-1.0 if column.direction is Direction.IMPROVED else 1.0 for column in COLUMNS[:SHIFTING]])


def thresholds_of(psi_deviation: float, rank_deviation: float) -> Floats:
    """The threshold of each column for a series with these long-run deviations."""
    found = []
    for column in COLUMNS:
        deviation = rank_deviation if column.channel is Channel.RANK else psi_deviation
        spread = column.noise * deviation**2 / (2 * column.drift) if column.drift else 0.0
        found.append(max(column.least, spread))
    return np.array(found)


def margins_of(fit: Fit) -> Floats:
    """What the level of psi and of rank may be wrong by: of shape (2,)."""
    return np.array([level_error(noise, fit.blocks) for noise in (fit.psi, fit.rank)])


def seasonal_margins(season: Season) -> Floats:
    """Of shape (2, 2): on a working day and at a week-end × regressed and improved."""
    return np.array([[season.margin(day, improving=way) for way in (False, True)] for day in (False, True)])


def step(sums: Floats, scores: Floats, margins: Floats, seasonal: Floats, enough: Bools) -> None:
    """Add one block's scores to `sums`, in place.

    sums: (S, columns). scores: (S, 4) of psi and rank (log seconds), tail and failure (log-likelihood). margins: (S,
    2) of psi and rank. seasonal: (S, 2) of regressed and improved. enough: (S,); a row that has not enough
    adds nothing to its shifting columns.
    """
    shift = scores[:, _SCORE] * _SIGN
    allowed = margins[:, _SCORE] + seasonal[:, (_SIGN < 0).astype(np.int64)] + _DRIFTS[:SHIFTING]
    gain = np.minimum(shift, _CAPS[:SHIFTING]) - allowed
    sums[:, :SHIFTING] += np.where(enough[:, None], gain, 0.0)
    sums[:, SHIFTING:] += np.minimum(scores[:, 2:], _CAPS[SHIFTING:])
    np.maximum(sums, 0.0, out=sums)


def likelihood(failed: Some, held: Some, usual: Some, more: Some) -> Floats:
    """log-likelihood of a share of failures `more` against `usual`, all of shape (S,), or of one row."""
    return np.asarray(failed * np.log(more / usual) + held * np.log((1 - more) / (1 - usual)))
