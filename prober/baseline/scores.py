"""The scores of one block of many series at once. Pure.

A block is the sparse histogram of ten minutes: which bin of which row was met how often. Rows are those of a `Bank`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from prober.baseline.fit import Fit
from prober.baseline.season import waves
from prober.baseline.sketch import BINS, WIDTH, Bools, Floats, Ints, bins_of
from prober.baseline.tables import logs
from prober.baseline.values import BLOCK


@dataclass(frozen=True, slots=True)
class Block:
    """Ten minutes of many series: entries of equal length, and failures by row and reason."""

    start: int
    """Unix seconds, a multiple of 600."""
    rows: Ints
    bins: Ints
    counts: Ints
    failed: Mapping[tuple[int, str], int] = field(default_factory=dict)

    @classmethod
    def of(cls, start: int, rows: Ints, seconds: Floats, failed: Mapping[tuple[int, str], int] | None = None) -> Block:
        """From latencies in any order, each with its row."""
        keys, counts = np.unique(np.asarray(rows, np.int64) * BINS + bins_of(seconds), return_counts=True)
        return cls(start, keys // BINS, keys % BINS, counts, failed or {})

    def joined(self, earlier: Block) -> Block:
        """With the entries of an earlier block as well; what they failed for is of this one alone."""
        rows, bins, counts = [np.concatenate(pair) for pair in ((earlier.rows, self.rows), (earlier.bins, self.bins),
                                                   (earlier.counts, self.counts))]  # fmt: skip
        return Block(self.start, rows, bins, counts, self.failed)

    def only(self, keep: Bools) -> Block:
        """The entries for which `keep` (bool, one for each entry) is true, without failures."""
        return Block(self.start, self.rows[keep], self.bins[keep], self.counts[keep])

    def held(self, size: int) -> Floats:
        """Latencies of each row, of shape (size,)."""
        return np.bincount(self.rows, self.counts, size)


class Scorer:
    """The tables of many fits, one row each, in as little memory as they fit into (2.4 kB a row)."""

    def __init__(self, fits: Sequence[Fit]) -> None:
        self._psi = _stacked([fit.tables.psi for fit in fits])
        self._rank = _stacked([fit.tables.rank for fit in fits])
        self._tail = _stacked([fit.tables.tail for fit in fits])
        self._slopes = np.array([(fit.tables.psi_slope, fit.tables.rank_slope) for fit in fits]).reshape(-1, 2)
        self._means = np.array([(fit.psi_mean, fit.rank_mean) for fit in fits]).reshape(-1, 2)
        self.bounds = np.array([fit.response.bounds for fit in fits]).reshape(-1, 2)
        """See `Response.bounds`, of shape (rows, 2)."""
        self._centres = np.array([(fit.tables.centre, fit.log_mean) for fit in fits]).reshape(-1, 2)
        self._marks = np.array([fit.response.marks for fit in fits]).reshape(len(fits), -1)
        self._season = np.array([fit.season.coefficients for fit in fits]).reshape(len(fits), -1)

    @property
    def nbytes(self) -> int:
        """Bytes of all tables."""
        tables = (self._psi, self._rank, self._tail)
        others = (self._slopes, self._means, self.bounds, self._centres, self._marks, self._season)
        return sum(array.nbytes for array in (*tables, *others))

    def score(self, block: Block, held: Floats, level: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Of each row: the mean shift by psi and by rank (log seconds, 0 where nothing was held), of shape (rows,
        2); that by log; the summed tail score, as if the whole had not risen to its `level`; and how many latencies
        lie beyond each mark of the tail, of shape (rows, MARKS). `held` and `level` have the shape (rows,)."""
        season = self._season @ waves(block.start + BLOCK / 2)
        places = block.bins - season[block.rows] / WIDTH
        index, part = _between(block, places)
        sums = np.empty((len(held), 2))
        sums[:, 0] = _summed(self._psi, block, index, part, len(held))
        sums[:, 1] = _summed(self._rank, block, index, part, len(held))
        shift = sums / np.maximum(held, 1.0)[:, None] / self._slopes - self._means
        shift[held == 0] = 0.0
        centre, mean = self._centres.T
        by_log = np.bincount(block.rows, block.counts * logs(places, centre[block.rows]), len(held))
        by_log = np.where(held > 0, by_log / np.maximum(held, 1.0) - mean, 0.0)
        if (risen := np.maximum(level, 0.0)).any():
            index, part = _between(block, places - risen[block.rows] / WIDTH)
        tail = _summed(self._tail, block, index, part, len(held))
        return shift, by_log, tail, self._beyond(block, places + 0.5)

    def _beyond(self, block: Block, places: Floats) -> Floats:
        passed = (places[:, None] > self._marks[block.rows]).sum(axis=1)
        columns = self._marks.shape[1] + 1
        counted = np.bincount(block.rows * columns + passed, block.counts, len(self._marks) * columns)
        found: Floats = counted.reshape(-1, columns)[:, :0:-1].cumsum(axis=1)[:, ::-1]
        return found


def _between(block: Block, places: Floats) -> tuple[Ints, Floats]:
    """Where in a flat table each entry's place lies, and how far beyond it."""
    low = np.floor(places)
    index = block.rows * _STRIDE + np.minimum(np.maximum(low, -1), BINS - 1).astype(np.int64) + 1
    return index, places - low


def _summed(table: Floats, block: Block, index: Ints, part: Floats, rows: int) -> Floats:
    low = table[index].astype(np.float64)
    return np.bincount(block.rows, block.counts * (low + part * (table[index + 1] - low)), rows)


#: Of a row in a flat table: its bins, and one more on each side that is like the last.
_STRIDE = BINS + 2


def _stacked(tables: Sequence[Floats]) -> Floats:
    """The tables one behind another."""
    return np.pad(np.array(tables, np.float16).reshape(-1, BINS), ((0, 0), (1, 1)), mode="edge").ravel()
