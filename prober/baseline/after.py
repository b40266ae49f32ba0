"""The later side of a comparison: the hours of one series, scored by the fit of the earlier side. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from prober.baseline.channels import likelihood, margins_of
from prober.baseline.fit import Entries, Fit
from prober.baseline.response import unbounded
from prober.baseline.season import waves, weekend
from prober.baseline.sizes import LARGE, Sized, size_of, standard_error, tail_of
from prober.baseline.sketch import WIDTH, Floats, Sketch
from prober.baseline.values import BLOCKS, Channel, Hour

#: Standard errors beyond which a change is no noise, and what is always allowed beside (log seconds).
SURE = 2.1
DRIFT = 0.01
#: log-likelihoods from which tail and failures count as worse: nobody looks as often as the live sums do.
_SURE_TAIL = 7.0
SURE_FAILING = 7.0
#: What one hour may add to them at most.
_HOURS_TAIL = 6.0
_HOURS_FAILURES = 6.0


class Gained(NamedTuple):
    """Evidence by hours: both of shape (hours,), at least one."""

    starts: Floats
    evidence: Floats

    @property
    def whole(self) -> float:
        """All of it."""
        return float(self.evidence.sum())

    @property
    def onset(self) -> float:
        """The hour with which it most likely began: from it to the end there is most evidence."""
        return float(self.starts[int(np.argmax(self.evidence[::-1].cumsum()[::-1]))])


@dataclass(frozen=True, slots=True)
class After:
    """The hours that have latencies: all arrays of shape (hours,)."""

    starts: Floats
    psi: Floats
    rank: Floats
    log: Floats
    """Shifts (log seconds), the season taken out."""
    strong: Floats
    """What is judged of psi and rank, of shape (hours, 2): see `unbounded`."""
    blocks: Floats
    tail: Floats
    """Summed tail scores, as if the whole had not moved."""
    beyond: Floats
    """How many latencies lay beyond each mark of the tail, of shape (MARKS,)."""
    season: float
    """What the season makes of these hours together (log seconds)."""
    sketch: Sketch
    failed: int
    failing: Gained
    """log-likelihood of more failures against the usual share, no hour counting for too much."""

    @property
    def shift(self) -> Floats:
        """The mean shift by psi, by rank and by log, of shape (3,)."""
        return np.array([np.average(of, weights=self.blocks) for of in (self.psi, self.rank, self.log)])

    @property
    def told(self) -> Floats:
        """The shift of each hour: by psi, and by log where that is large."""
        return np.where(np.abs(self.strong).max(axis=1) > LARGE, self.log, self.psi)

    @property
    def length(self) -> float:
        """Blocks."""
        return float(self.blocks.sum())


def look(fit: Fit, hours: Sequence[Hour]) -> After | None:
    """Score `hours`; None where no latency was met."""
    met = [hour for hour in hours if hour.sketch.total]
    if not met:
        return None
    entries = Entries.of(met)
    season = waves(entries.middles) @ fit.season.coefficients
    psi, rank = entries.shifts(season, fit.tables)
    psi, rank = psi - fit.psi_mean, rank - fit.rank_mean
    log = entries.logs(season, fit.tables) - fit.log_mean
    places = entries.places(season)
    strong = unbounded(np.column_stack([psi, rank]), log, fit.response.bounds)
    level = max(0.0, float(np.median(strong.min(axis=1))))
    tail = entries.summed(fit.tables.tail, places - level / WIDTH)
    beyond = np.array([float(entries.counts @ (places + 0.5 > mark)) for mark in fit.response.marks])
    blocks = np.array([max(hour.covered.bit_count(), 1) for hour in met], np.float64)
    return After(
        entries.starts, psi, rank, log, strong, blocks, tail, beyond, float(np.average(season, weights=blocks)),
        Sketch.merged(hour.sketch for hour in met), sum(sum(hour.failed.values()) for hour in hours),
        failing(fit, hours),
    )  # fmt: skip


def failing(fit: Fit, hours: Sequence[Hour]) -> Gained:
    """log-likelihood of more failures in these hours against the usual share, no hour counting for too much."""
    usual, more = np.array(fit.failure_rates())
    failed = np.array([sum(hour.failed.values()) for hour in hours], np.float64)
    held = np.array([hour.sketch.total for hour in hours], np.float64)
    blocks = np.array([max(hour.covered.bit_count(), 1) for hour in hours], np.float64)
    gained = np.minimum(likelihood(failed, held, usual, more), _HOURS_FAILURES * blocks / BLOCKS)
    return Gained(np.array([hour.start for hour in hours], np.float64), gained)


@dataclass(frozen=True, slots=True)
class Judged:
    """What the later side of a series says."""

    location: Sized
    way: int
    """1 slower, -1 faster, 0 as before."""
    tail: Sized | None
    """Where the tail became heavier."""
    failures: Sized | None
    """Where more failed."""
    evidence: float = 0.0
    """That it is worse: see `evidence_of`. Of several things that are, the largest."""
    tail_onset: float = 0.0
    """The hour with which the heavier tail began most likely."""


def judge(fit: Fit, after: After) -> Judged:
    """Compare a series with its own baseline."""
    shift, noise = after.shift, (fit.psi, fit.rank)
    weekends = float(weekend(after.starts).mean())
    strong = np.average(after.strong, axis=0, weights=after.blocks)
    errors = [standard_error(one, fit.blocks, after.length) for one in noise]
    found, evidence = 0, 0.0
    for sign, improving in ((1, False), (-1, True)):
        margins = margins_of(fit) + fit.season.margin_over(weekends, improving=improving) + DRIFT
        beyond = max((sign * strong[n] - margins[n]) / errors[n] for n in (0, 1))
        if beyond > SURE:
            found = sign
            evidence = evidence_of(beyond) if sign > 0 else evidence
    location = size_of(fit, Channel.LOCATION, np.array([*shift[:2], 1.0, shift[2]]) * after.length)
    heavier = tail_of(fit, after.beyond, after.sketch.total)
    tail = Gained(after.starts, np.minimum(after.tail, _HOURS_TAIL * after.blocks / BLOCKS))
    fails, heavy = after.failing.whole > SURE_FAILING, tail.whole > _SURE_TAIL
    runs = after.sketch.total + after.failed
    failures = size_of(fit, Channel.FAILURE, np.array([after.failed, 0.0, runs])) if fails else None
    evidence = max(evidence, tail.whole if heavy else 0.0, after.failing.whole if fails else 0.0)
    return Judged(location, found, heavier if heavy else None, failures, evidence, tail.onset)


def evidence_of(beyond: float) -> float:
    """How much so many standard errors beyond what is allowed tell, as a log-likelihood: how rare that is in normal
    noise."""
    return -math.log(max(math.erfc(beyond / math.sqrt(2)) / 2, 1e-300))


def onset_of(starts: Floats, shifts: Floats, size: float) -> float:
    """The hour with which a shift of `size` (log seconds) began most likely: the likeliest place of a single step."""
    return Gained(starts, (shifts - size / 2) * (1.0 if size > 0 else -1.0)).onset


def slowest_of(starts: Floats, shifts: Floats) -> tuple[float, float]:
    """The hour with the largest shift, and its ratio."""
    at = int(np.argmax(shifts))
    return float(starts[at]), math.exp(float(shifts[at]))
