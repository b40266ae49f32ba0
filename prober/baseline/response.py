"""From a mean score to the size of the change behind it: what the scores of a baseline become when it moves. Pure.

Scores are bounded, so a large shift scores less than its size. The mean score of the baseline's own latencies is
known for every shift, and read the other way round.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prober.baseline.sketch import BINS, WIDTH, Floats
from prober.baseline.tables import Tables, looked_up

_NEAR: Floats = np.arange(1, 11) * WIDTH
#: Shifts (log seconds) for which the answer is kept: bin by bin where that of a narrow baseline bends.
SHIFTS: Floats = np.concatenate([[-1.6, -0.8, -0.6], -_NEAR[::-1], [0.0], _NEAR, [0.5, 0.6, 0.8, 1.2, 1.6, 2.4, 3.2]])
#: The share of the largest mean score beyond which the size of a shift is not told by it.
SATURATED = 0.99
#: The share of it beyond which the logs are believed instead, and the largest shift (log seconds) that they then tell.
BEYOND = 0.8
LARGEST = 0.7
#: Where the tail is looked at: quantiles of the baseline, and multiples of its p99.
QUANTILES: Floats = np.array([0.95, 0.97, 0.98, 0.99])
MULTIPLES: Floats = np.array([1.25, 1.5, 2.0, 3.0, 5.0, 10.0])
MARKS = len(QUANTILES) + len(MULTIPLES)
#: The share above p99.
_RARE = 0.01
_LEAST = 1e-9


@dataclass(frozen=True, slots=True)
class Response:
    """Mean rank scores over `SHIFTS`; and the marks of the tail, in bins, of shape (MARKS,)."""

    rank: Floats
    marks: Floats
    coarse: float
    """What a shift is uncertain by (standard deviation, log seconds) since latencies are known to a bin: a baseline
    that fills one alone may lie anywhere in it."""

    @classmethod
    def of(cls, density: Floats, tables: Tables) -> Response:
        """Of a baseline with so many latencies in each bin."""
        f = density / density.sum()
        met = np.flatnonzero(f)
        rank = looked_up(tables.rank, met + SHIFTS[:, None] / WIDTH) @ f[met] / tables.rank_slope
        at = np.interp(QUANTILES, np.cumsum(f), np.arange(BINS) + 1.0)
        marks = np.concatenate([at, at[-1] + np.log(MULTIPLES) / WIDTH])
        coarse = WIDTH / np.sqrt(12) * float(f.max()) ** 2
        return cls(np.maximum.accumulate(rank - rank[SHIFTS == 0.0]), marks, coarse)

    @property
    def bounds(self) -> Floats:
        """The mean rank scores beyond which nearly all latencies lie beyond those of the baseline, of shape (2,)."""
        return BEYOND * self.rank[[0, -1]]

    def shift(self, rank: float) -> float:
        """The shift (log seconds) behind a mean rank score; the least of those that all but the outermost latencies of
        the baseline say nothing about any more."""
        return self.reach(min(max(rank, SATURATED * float(self.rank[0])), SATURATED * float(self.rank[-1])))

    def reach(self, rank: float) -> float:
        """The same where the outermost are believed."""
        return float(np.interp(rank, self.rank, SHIFTS))

    def p99_least(self, shares: Floats) -> float:
        """The factor that p99 has at least where these shares lie beyond the marks: that of the last mark with enough.

        Between two marks everything may lie at the first."""
        enough = np.flatnonzero(shares >= _RARE)
        at = self.marks[enough[-1]] if len(enough) else self.marks[0]
        return float(np.exp((at - self.marks[len(QUANTILES) - 1]) * WIDTH))

    def p99_factor(self, shares: Floats) -> float:
        """The factor on p99 where these shares of the latencies, of shape (MARKS,), lie beyond the marks."""
        rising = np.log(np.maximum.accumulate(np.maximum(shares, _LEAST)[::-1]))
        at = float(np.interp(np.log(_RARE), rising, self.marks[::-1]))
        return float(np.exp((at - self.marks[len(QUANTILES) - 1]) * WIDTH))


def unbounded(shifts: Floats, log: Floats, bounds: Floats) -> Floats:
    """`shifts` by psi and by rank, of shape (n, 2), with the one by `log`, of shape (n,), in place of both where
    nearly all latencies lie beyond those of the baseline (`Response.bounds`, of shape (n, 2) or (2,)): bounded
    scores say how many they are then, and not how far away."""
    rank = shifts[:, 1]
    gone = (rank < bounds[..., 0]) | (rank > bounds[..., 1])
    found: Floats = np.where(gone[:, None], np.clip(log, -LARGEST, LARGEST)[:, None], shifts)
    return found
