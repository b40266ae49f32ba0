"""What a baseline knows of one series: its scores, season, noise and failures, learned from its hours. Pure.

A function of the hourly sketches alone: the order of blocks within an hour changes nothing, and to scale all latencies
moves the places of things and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prober.baseline.response import Response
from prober.baseline.season import Season, fit_season, waves
from prober.baseline.sketch import WIDTH, Floats, Ints, Sketch
from prober.baseline.tables import Tables, looked_up, shared, tables_of
from prober.baseline.values import BLOCKS, HOUR, LEAST_COVERED, LEAST_HELD, LEAST_WINDOW, Hour

#: An hour with fewer of them says nothing about its own shift.
_FEW = 12
_PASSES = 3
#: Shifts of one hour beyond this are an incident, not noise.
_INCIDENT = 0.5
#: Lags (hours) that the long-run deviation looks at.
_LAGS = 3
#: Hours whose mean tells of slow noise.
_SLOW = 6
#: The share of the slow noise by which the level of a baseline of two days (in blocks) may be wrong.
SLOW_ERROR = 0.52
TWO_DAYS = 48 * BLOCKS
#: The least share of failures that is taken for usual, and how much more of them has to be told apart from it.
USUAL_FAILURES = 0.001
TIMES = 4.0
MORE = 0.012


class NotEnough(ValueError):
    """Too little was recorded for a baseline; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Noise:
    """How restless a mean score is when nothing happens."""

    deviation: float
    """Long-run standard deviation of a block's shift: of n blocks' mean it is this by sqrt(n)."""
    slow: float
    """Standard deviation of the means of six hours."""


def level_error(noise: Noise, blocks: float) -> float:
    """What the level of a baseline of so many blocks may be wrong by (log seconds)."""
    blocks = max(blocks, 1.0)
    return noise.deviation / math.sqrt(blocks) + SLOW_ERROR * noise.slow * math.sqrt(TWO_DAYS / blocks)


@dataclass(frozen=True, slots=True)
class Fit:
    """One series of one baseline, ready to judge others by."""

    tables: Tables
    response: Response
    season: Season
    psi_mean: float
    rank_mean: float
    log_mean: float
    """Mean shifts of the baseline's own hours by the scores: what is left when the season is out."""
    psi: Noise
    rank: Noise
    log: Noise
    blocks: int
    held: int
    failures: Mapping[str, int]
    p50: float
    p99: float
    """Seconds, over the whole recording."""
    starts: tuple[int, ...]
    """The hours (Unix seconds) whose shifts are known …"""
    shifts: Floats
    """… and these, by psi with the season taken out, of shape (len(starts),): for the noise of groups."""

    @property
    def runs(self) -> int:
        """Runs that reached the layer."""
        return self.held + sum(self.failures.values())

    def failure_rates(self, reason: str = "") -> tuple[float, float]:
        """The share of failures that is still usual, and the one told apart from it; of one `reason`, or ("") of
        all."""
        failed = self.failures.get(reason, 0) if reason else sum(self.failures.values())
        usual = max(wilson(failed, self.runs)[1], USUAL_FAILURES)
        return usual, min(max(TIMES * usual, usual + MORE), 0.9)


def wilson(failed: float, runs: float, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson, JASA 22 (1927) 209)."""
    if runs <= 0:
        return 0.0, 1.0
    p, zz = failed / runs, z * z
    middle, half = p + zz / (2 * runs), z * math.sqrt(p * (1 - p) / runs + zz / (4 * runs * runs))
    return max(0.0, (middle - half) / (1 + zz / runs)), min(1.0, (middle + half) / (1 + zz / runs))


def fit(hours: Sequence[Hour]) -> Fit:
    """The fit of a series over these hours. NotEnough where they are too few."""
    covered = [hour.covered.bit_count() for hour in hours]
    held = sum(hour.sketch.total for hour in hours)
    if sum(covered) * HOUR / BLOCKS < LEAST_COVERED * LEAST_WINDOW:
        raise NotEnough(f"{sum(covered) / BLOCKS:.1f} h were measured, a baseline needs 24 h")
    if held < LEAST_HELD:
        raise NotEnough(f"the layer held in {held} runs, a baseline needs {LEAST_HELD}")
    known = [(hour, blocks) for hour, blocks in zip(hours, covered, strict=True) if hour.sketch.total >= _FEW]
    entries = Entries.of([hour for hour, _ in known])
    blocks = np.array([number for _, number in known], np.float64)
    season, tables, density = _seasonal(entries, blocks)
    at = waves(entries.middles) @ season.coefficients
    psi, rank = entries.shifts(at, tables)
    log = entries.logs(at, tables)
    failures: dict[str, int] = {}
    for hour in hours:
        for reason, number in hour.failed.items():
            failures[reason] = failures.get(reason, 0) + number
    whole = Sketch.merged(hour.sketch for hour in hours)
    return Fit(
        tables, Response.of(density, tables), season, float(psi.mean()), float(rank.mean()), float(log.mean()),
        noise_of(psi, blocks), noise_of(rank, blocks), noise_of(log, blocks), sum(covered), held, failures,
        whole.quantile(0.5), whole.quantile(0.99), tuple(entries.starts.tolist()),
        (psi - psi.mean()).astype(np.float32),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entries:
    """Hours as one sparse histogram: the bins that each of them has met."""

    starts: Ints
    """Of the hours, Unix seconds."""
    hours: Ints
    """Of each entry, the number of its hour."""
    bins: Ints
    counts: Floats
    totals: Floats
    """Of each hour, at least 1."""

    @classmethod
    def of(cls, hours: Sequence[Hour]) -> Entries:
        """Of these hours, at least one."""
        sketches = [hour.sketch for hour in hours]
        numbers = np.repeat(np.arange(len(hours)), [len(sketch.bins) for sketch in sketches])
        counts = np.concatenate([sketch.counts for sketch in sketches]).astype(np.float64)
        totals = np.maximum(np.bincount(numbers, counts, len(hours)), 1.0)
        starts = np.array([hour.start for hour in hours], np.int64)
        return cls(starts, numbers, np.concatenate([sketch.bins for sketch in sketches]), counts, totals)

    @property
    def middles(self) -> Floats:
        """Of the hours, Unix seconds."""
        return self.starts + HOUR / 2

    def places(self, season: Floats) -> Floats:
        """The bin of each entry, and parts of one, with the `season` of its hour (log seconds) taken out."""
        found: Floats = self.bins - season[self.hours] / WIDTH
        return found

    def summed(self, table: Floats, places: Floats) -> Floats:
        """The scores of each hour, summed up."""
        return np.bincount(self.hours, self.counts * looked_up(table, places), len(self.starts))

    def shifts(self, season: Floats, tables: Tables) -> tuple[Floats, Floats]:
        """The shift of each hour by psi and by rank (log seconds)."""
        places = self.places(season)
        return (
            self.summed(tables.psi, places) / self.totals / tables.psi_slope,
            self.summed(tables.rank, places) / self.totals / tables.rank_slope,
        )

    def logs(self, season: Floats, tables: Tables) -> Floats:
        """The mean log score of each hour (log seconds)."""
        scores = self.counts * tables.logs(self.places(season))
        found: Floats = np.bincount(self.hours, scores, len(self.starts)) / self.totals
        return found

    def density(self, season: Floats) -> Floats:
        """All hours together, each with its season taken out, of shape (BINS,)."""
        return shared(self.counts, self.places(season))


def _seasonal(entries: Entries, blocks: Floats) -> tuple[Season, Tables, Floats]:
    """Season and tables, each from what the other leaves: three passes are enough."""
    at = np.zeros(len(entries.starts))
    for _ in range(_PASSES):
        tables = tables_of(entries.density(at))
        shifts = np.clip(entries.shifts(at, tables)[0], -_INCIDENT, _INCIDENT)
        season = fit_season(entries.middles, at + shifts, entries.totals, blocks)
        at = waves(entries.middles) @ season.coefficients
    density = entries.density(at)
    return season, tables_of(density), density


def noise_of(shifts: Floats, blocks: Floats) -> Noise:
    """The long-run deviation of a block (over lags of an hour, as Newey and West 1987), and the slow one."""
    x = shifts - shifts.mean()
    n = len(x)
    lags = min(_LAGS, n - 1)
    covariance = [float(x[lag:] @ x[: n - lag]) / n for lag in range(lags + 1)]
    long_run = covariance[0] + 2 * sum((1 - lag / (lags + 1)) * covariance[lag] for lag in range(1, lags + 1))
    long_run = max(long_run, 0.3 * covariance[0], 1e-10) * float(blocks.mean())
    whole = n // _SLOW * _SLOW
    slow = float(np.sqrt(np.mean(x[:whole].reshape(-1, _SLOW).mean(axis=1) ** 2))) if whole else 0.0
    return Noise(math.sqrt(long_run), slow)
