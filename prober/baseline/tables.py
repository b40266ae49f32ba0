"""Scores of latencies: for each bin what it says about a shift, by likelihood, by rank and about the tail. Pure.

All are sums over a histogram, so a block is scored by looking its bins up. With z the natural logarithm of
seconds and f its smoothed density in the baseline:

- psi = -f'/f, the score of a shift (the most powerful one against small shifts; Le Cam), bounded as Huber's is, and
  nothing where the baseline has no latencies to speak of;
- rank = F - 1/2, Wilcoxon's: bounded by nature, it still sees a jump from one mode onto another;
- log = ln x itself, from the median and cut off far away: the least sensitive one, and the one whose mean is the
  size of a change, whatever part of the latencies it is that changed;
- tail = log-likelihood of "p99 x 1.8" against "p99 x 1.25" for latencies above p95: the reference is a tail that is a
  little heavier than the baseline's, so that one which merely drifts scores below nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prober.baseline.sketch import BINS, WIDTH, Floats, Ints

#: Bins that the smoothing kernel is wide (standard deviation), with 10,000 latencies.
SMOOTH = 1.5
#: The share of the latencies whose psi is not cut.
UNCUT = 0.95
#: Log seconds from the median beyond which a latency is no more than that far away.
LOG_CUT = 2.0
#: Latencies per bin from which the density counts as known.
_KNOWN = 2.0
#: Bins by which a slope is taken.
_STEP = 2
#: The tail begins here, and its two hypotheses move its latencies by these factors.
TAIL_FROM = 0.95
HEAVIER = 1.8
USUAL = 1.25
#: Bins that the kernel is wide there.
TAIL_SMOOTH = 4.0
#: By how much the mean score of the baseline's tail has to be below nothing, per latency: so far the tail may drift.
SLACK = 0.005
#: A density below which nothing is told apart.
_RARE = 1e-6


@dataclass(frozen=True, slots=True)
class Tables:
    """The scores of each bin, float32 of shape (BINS,), and by how much the first two rise with a shift of 1."""

    psi: Floats
    rank: Floats
    tail: Floats
    psi_slope: float
    rank_slope: float
    centre: float
    """The place of the median, in bins."""

    def logs(self, at: Floats) -> Floats:
        """The log score of latencies at these places (bins), log seconds."""
        return logs(at, self.centre)


def tables_of(counts: Floats) -> Tables:
    """The tables of a baseline with so many latencies in each bin (season taken out). ValueError for one without
    any."""
    n = float(counts.sum())
    if n <= 0:
        raise ValueError("no latencies to score by")
    f = smoothed(counts, SMOOTH * (10_000 / n) ** (1 / 7)) / n
    psi, rank = _psi(f, n), np.cumsum(f) - f / 2 - 0.5
    centre = float(np.interp(0.5, np.cumsum(f) - f / 2, np.arange(BINS)))
    return Tables(_kept(psi), _kept(rank), _kept(_tail(counts / n, f)), _slope(psi, f), _slope(rank, f), centre)


def logs(at: Floats, centre: Floats | float) -> Floats:
    """The log score at these places, of baselines with their medians at `centre` (both in bins), log seconds."""
    found: Floats = np.clip((at - centre) * WIDTH, -LOG_CUT, LOG_CUT)
    return found


def smoothed(counts: Floats, bins: float) -> Floats:
    """`counts` smoothed by a normal kernel of that standard deviation; what would leave at an end stays there."""
    reach = int(np.ceil(4 * bins))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / bins) ** 2)
    kernel /= kernel.sum()
    full = np.convolve(counts, kernel)
    inner = full[reach : reach + BINS].copy()
    inner[0] += full[:reach].sum()
    inner[-1] += full[reach + BINS :].sum()
    return inner


def _psi(f: Floats, n: float) -> Floats:
    """-f'/f, shrunk to nothing where few latencies are, cut, and without a mean."""
    known = f * n / (f * n + _KNOWN)
    log = np.log(f + 1e-12)
    psi = -np.gradient(log, WIDTH) * known
    order = np.argsort(np.abs(psi))
    share = np.cumsum(f[order])
    cut = float(np.abs(psi)[order][min(int(np.searchsorted(share, UNCUT)), BINS - 1)])
    psi = np.clip(psi, -cut, cut)
    centred: Floats = psi - float(f @ psi)
    return centred


def _tail(raw: Floats, f: Floats) -> Floats:
    """log p(z | heavier) - log p(z | usual) from p95 on, nothing below; without a positive mean in the baseline.

    Far out there are few latencies, so the density is smoothed more widely there.
    """
    sums = np.cumsum(f)
    wide = smoothed(raw, TAIL_SMOOTH)
    share = np.clip((sums - 0.90) / 0.07, 0.0, 1.0)
    f = (1 - share) * f + share * wide
    f /= f.sum()
    heavy, usual = (smoothed(stretched(f, factor), 2.0) for factor in (HEAVIER, USUAL))
    table = np.clip(np.log((heavy + _RARE) / (usual + _RARE)), -3.0, 3.0)
    table[: int(np.searchsorted(np.cumsum(raw), TAIL_FROM))] = 0.0
    return table - max(0.0, float(raw @ table) + SLACK)


def stretched(f: Floats, factor: float) -> Floats:
    """The density `f` with p99 times `factor`: nothing at p96 and below, all of it from p99 on, in between in
    proportion."""
    at = np.arange(BINS) + np.clip((np.cumsum(f) - f / 2 - 0.96) / 0.03, 0.0, 1.0) * np.log(factor) / WIDTH
    return shared(f, at)


def looked_up(table: Floats, at: Floats) -> Floats:
    """The values of a table at places between its bins."""
    whole: Ints = np.floor(at).astype(np.int64)
    part = at - whole
    low, high = np.clip(whole, 0, BINS - 1), np.clip(whole + 1, 0, BINS - 1)
    found: Floats = table[low] * (1 - part) + table[high] * part
    return found


def shared(f: Floats, at: Floats) -> Floats:
    """`f`, each of it at its place `at` (in bins), shared out between the two bins that it falls between: (BINS,)."""
    whole: Ints = np.floor(at).astype(np.int64)
    part = at - whole
    low, high = np.clip(whole, 0, BINS - 1), np.clip(whole + 1, 0, BINS - 1)
    out: Floats = np.bincount(low, f * (1 - part), BINS) + np.bincount(high, f * part, BINS)
    return out


def _slope(table: Floats, f: Floats) -> float:
    """By how much the mean score of the baseline rises when all its latencies are e times as long."""
    up, down = table[np.minimum(np.arange(BINS) + _STEP, BINS - 1)], table[np.maximum(np.arange(BINS) - _STEP, 0)]
    return float(f @ (up - down)) / (2 * _STEP * WIDTH)


def _kept(table: Floats) -> Floats:
    return table.astype(np.float32)
