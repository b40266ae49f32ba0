"""How large a change is, with an interval that allows for correlated noise. Pure.

The intervals hold what they promise on simulated fleets (`benchmarks/regressions.py` counts it): 95 of 100 have the
true size in them. They are wider than those that take samples for independent by a factor of ten and more.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from prober.baseline.fit import TWO_DAYS, Fit, Noise, wilson
from prober.baseline.sketch import Floats
from prober.baseline.values import Channel, Size

#: Standard deviations in an interval of 95 %: a little more than 1.96, for the noise is itself an estimate.
Z = 2.2
#: Shifts (log seconds) up to which both scores are as good as linear, and their mean is the better estimate.
_SMALL = 0.1
#: Shifts (log seconds) of a block or an hour from which psi tells too little of their size.
LARGE = 0.2
#: Standard errors by which two estimates of one size are apart if it is not one and the same.
_APART = 3.5
#: How much surer the one by logs has to be to be told although the scores say the same.
_SURER = 3.0
#: By how much latencies of the tail hang together more than independent ones.
_CLUMPED = 2.0


class Sized(NamedTuple):
    """A size, and what was and is: seconds (median, p99 for the tail), or shares of failed runs."""

    size: Size
    was: float
    now: float


def size_of(fit: Fit, channel: Channel, seen: Floats, reason: str = "") -> Sized:
    """The size of what a column has seen since its onset: see `bank.State.seen`."""
    if channel is Channel.FAILURE:
        return _failures(fit, float(seen[0]), float(seen[2]), reason)
    blocks = max(float(seen[2]), 1.0)
    shift, below, above = shift_of(fit, seen[:2] / blocks, float(seen[3]) / blocks, blocks)
    size = Size(*(math.exp(each) for each in (shift, shift - below, shift + above)))
    return Sized(size, fit.p50, fit.p50 * math.exp(shift))


def shift_of(fit: Fit, scores: Floats, log: float, blocks: float) -> tuple[float, float, float]:
    """The shift (log seconds) behind mean scores (psi and rank) and log scores over so many blocks, and how far its
    interval reaches below and above.

    What the scores tell holds if all latencies moved alike, and is the more precise then. Where it cannot be, for
    the log scores say something else, or is uncertain, since nearly all latencies lie beyond those of the baseline,
    the mean of the logs is the size: that of the mean over all latencies, moved or not.
    """
    shift, below, above = _by_scores(fit, float(scores[0]), float(scores[1]), blocks)
    by_log = math.hypot(standard_error(fit.log, fit.blocks, blocks), fit.response.coarse)
    by_scores = (below + above) / (2 * Z)
    if _SURER * by_log < by_scores or abs(log - shift) > _APART * math.hypot(by_log, by_scores):
        return log, Z * by_log, Z * by_log
    return shift, below, above


def _by_scores(fit: Fit, psi: float, rank: float, blocks: float) -> tuple[float, float, float]:
    """A small one is taken from both scores, each by its precision; a large one from ranks, through the response."""
    by_rank = fit.response.shift(rank)
    rank_error, psi_error = standard_error(fit.rank, fit.blocks, blocks), standard_error(fit.psi, fit.blocks, blocks)
    if max(abs(psi), abs(by_rank)) > _SMALL:
        bounds = [abs(fit.response.reach(rank + sign * Z * rank_error) - by_rank) for sign in (-1, 1)]
        below, above = (math.hypot(max(bound, Z * rank_error), Z * fit.response.coarse) for bound in bounds)
        return by_rank, below, above
    share = rank_error**2 / (rank_error**2 + psi_error**2)
    half = Z * math.hypot(psi_error, fit.response.coarse)
    return share * psi + (1 - share) * by_rank, half, half


def standard_error(noise: Noise, baseline: float, blocks: float) -> float:
    """The standard error of a mean over `blocks` against one over `baseline` blocks (log seconds). Of less than two
    days the season is hardly known, and what it took along of the slow noise is missing there."""
    short = max(1.0, TWO_DAYS / max(baseline, 1.0))
    return math.sqrt(noise.deviation**2 * (1 / blocks + 1 / max(baseline, 1.0)) + (noise.slow * short) ** 2)


def tail_of(fit: Fit, beyond: Floats, latencies: float) -> Sized:
    """The size of a heavier tail: of p99, from how many of so many latencies lay beyond the marks."""
    n = max(latencies, 1.0) / _CLUMPED
    bounds = np.array([wilson(number / _CLUMPED, n) for number in beyond.tolist()])
    low, high = fit.response.p99_least(bounds[:, 0]), fit.response.p99_factor(bounds[:, 1])
    at = fit.response.p99_factor(beyond / max(latencies, 1.0))
    return Sized(Size(at, min(low, at), max(high, at)), fit.p99, fit.p99 * at)


def _failures(fit: Fit, failed: float, runs: float, reason: str) -> Sized:
    share = failed / max(runs, 1.0)
    was = (fit.failures.get(reason, 0) if reason else sum(fit.failures.values())) / max(fit.runs, 1)
    return Sized(Size(share, *wilson(failed, runs)), was, share)
