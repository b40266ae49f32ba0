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
        self.psi = _stacked([fit.tables.psi for fit in fits])
        self.rank = _stacked([fit.tables.rank for fit in fits])
        self.tail = _stacked([fit.tables.tail for fit in fits])
        self._slopes = np.array([(fit.tables.psi_slope, fit.tables.rank_slope) for fit in fits]).reshape(-1, 2)
        self._means = np.array([(fit.psi_mean, fit.rank_mean) for fit in fits]).reshape(-1, 2)
        self._marks = np.array([fit.response.marks for fit in fits]).reshape(len(fits), -1)
        self._season = np.array([fit.season.coefficients for fit in fits]).reshape(len(fits), -1)

    @property
    def nbytes(self) -> int:
        """Bytes of all tables."""
        arrays = (self.psi, self.rank, self.tail, self._slopes, self._means, self._marks, self._season)
        return sum(array.nbytes for array in arrays)

    def shifts(self, block: Block, held: Floats) -> Floats:
        """The mean shift of each row by psi and by rank (log seconds), of shape (rows, 2); 0 where nothing was held."""
        at = block.bins - self._seasonal(block)
        runs = np.maximum(held, 1.0)[:, None]
        sums = np.stack([self._summed(table, block, at) for table in (self.psi, self.rank)], axis=-1)
        found: Floats = np.where(held[:, None] > 0, sums / runs / self._slopes - self._means, 0.0)
        return found

    def tails(self, block: Block, level: Floats) -> Floats:
        """The summed tail score of each row; latencies count as if the whole had not risen to its `level`."""
        at = block.bins - self._seasonal(block) - np.maximum(level, 0.0)[block.rows] / WIDTH
        return self._summed(self.tail, block, at)

    def beyond(self, block: Block) -> Floats:
        """How many latencies of each row lie beyond each mark of its tail, of shape (rows, MARKS)."""
        at = block.bins + 0.5 - self._seasonal(block)
        return np.stack(
            [
                np.bincount(block.rows, block.counts * (at > marks[block.rows]), len(self._marks))
                for marks in self._marks.T
            ],
            axis=-1,
        )

    def _seasonal(self, block: Block) -> Floats:
        """The season of each entry, in bins."""
        of_rows = self._season @ waves(np.array([block.start + 300.0]))[0]
        found: Floats = of_rows[block.rows] / WIDTH
        return found

    def _summed(self, table: Floats, block: Block, at: Floats) -> Floats:
        whole = np.floor(at).astype(np.int64)
        part = at - whole
        low = table[block.rows, np.clip(whole, 0, BINS - 1)]
        high = table[block.rows, np.clip(whole + 1, 0, BINS - 1)]
        return np.bincount(block.rows, block.counts * (low * (1 - part) + high * part), len(table))


def _stacked(tables: Sequence[Floats]) -> Floats:
    return np.array(tables, np.float16).reshape(-1, BINS)
