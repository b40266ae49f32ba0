"""Latencies as a histogram on a logarithmic scale: exact to merge, small to keep, and the same for everyone.

25 bins to the e-fold (each 4 % wide) from 10 µs to 60 s; what lies outside counts in the first or last one. Two
sketches of the same samples are equal, whatever the order in which the samples came or the parts were merged.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

#: Arrays of one kind or the other; numpy's own types lose the kind in too many places to check it.
Floats = npt.NDArray[Any]
Ints = npt.NDArray[Any]
Bools = npt.NDArray[Any]

#: Bins to the e-fold.
PER_E = 25
#: The width of a bin, in natural logarithms of seconds.
WIDTH = 1.0 / PER_E
#: Seconds, the lower end of the first bin and the upper end of the last one.
LOWEST = 10e-6
HIGHEST = 60.0
BOTTOM = math.log(LOWEST)
BINS = math.ceil(math.log(HIGHEST / LOWEST) * PER_E)
#: The middle of each bin, in natural logarithms of seconds.
MIDDLES: Floats = BOTTOM + (np.arange(BINS, dtype=np.float64) + 0.5) * WIDTH


def bins_of(seconds: npt.ArrayLike) -> Ints:
    """The bin of each of these latencies (seconds, > 0)."""
    z = np.log(np.maximum(np.asarray(seconds, dtype=np.float64), LOWEST))
    return np.clip((z - BOTTOM) * PER_E, 0, BINS - 1).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Sketch:
    """How many latencies fell into each bin: `bins` in rising order, and their `counts` (both int64, 1-d, all > 0)."""

    bins: Ints
    counts: Ints

    @classmethod
    def empty(cls) -> Self:
        """Of no latency at all."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int64))

    @classmethod
    def of(cls, seconds: npt.ArrayLike) -> Self:
        """Of these latencies, in seconds."""
        bins, counts = np.unique(bins_of(seconds), return_counts=True)
        return cls(bins, counts.astype(np.int64))

    @classmethod
    def from_dense(cls, dense: npt.NDArray[np.integer]) -> Self:
        """From a count for each of the `BINS` bins."""
        bins = np.flatnonzero(dense)
        return cls(bins, dense[bins].astype(np.int64))

    @classmethod
    def merged(cls, sketches: Iterable[Sketch]) -> Self:
        """Of all latencies of all of them."""
        dense = np.zeros(BINS, np.int64)
        for sketch in sketches:
            dense[sketch.bins] += sketch.counts
        return cls.from_dense(dense)

    @property
    def total(self) -> int:
        """How many latencies there are."""
        return int(self.counts.sum())

    def dense(self) -> Ints:
        """A count for each of the `BINS` bins."""
        dense = np.zeros(BINS, np.int64)
        dense[self.bins] = self.counts
        return dense

    def quantile(self, q: float) -> float:
        """Seconds below which the share `q` (0 to 1) of the latencies lies, interpolated within a bin; NaN of none."""
        if not len(self.bins):
            return math.nan
        sums = np.cumsum(self.counts)
        rank = min(max(q, 0.0), 1.0) * float(sums[-1])
        at = min(int(np.searchsorted(sums, rank)), len(sums) - 1)
        inside = (rank - float(sums[at] - self.counts[at])) / float(self.counts[at])
        return math.exp(BOTTOM + (float(self.bins[at]) + min(max(inside, 0.0), 1.0)) * WIDTH)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sketch):
            return NotImplemented
        return np.array_equal(self.bins, other.bins) and np.array_equal(self.counts, other.counts)

    def __hash__(self) -> int:
        return hash((*self.bins.tolist(), *self.counts.tolist()))
