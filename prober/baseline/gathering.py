"""From samples as they come, a number for each series, to blocks for banks and to the hour so far. Pure.

A series is a row here: a number that stays its own for as long as it is watched, whatever bank it is in.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from prober.baseline.scores import Block
from prober.baseline.sketch import BINS, Ints, Sketch, bins_of
from prober.baseline.values import BLOCK, HOUR, Hour, SeriesKey

#: Samples from which it is worth to bring them to bins: 4 bytes each instead of 12.
_MANY = 1 << 15
#: Rows that fit into 32 bits with their bins.
_NARROW = (1 << 31) // BINS - 1

Failed = Mapping[tuple[int, str], int]


class Samples:
    """What was measured since the last block's end: appended to, some 0.1 µs each."""

    __slots__ = ("_keys", "failed", "rows", "seconds")

    def __init__(self) -> None:
        self.rows = array("L")
        """With each of the `seconds`, its row."""
        self.seconds = array("d")
        self.failed: dict[tuple[int, str], int] = {}
        """Row and reason → runs in which the layer failed."""
        self._keys: list[Ints] = []

    def fold(self, least: int = _MANY) -> None:
        """Bring what was appended to bins, where it is as much as `least`."""
        if len(self.rows) >= max(least, 1):
            rows = np.array(self.rows, np.int64)
            keys = rows * BINS + bins_of(np.array(self.seconds))
            self._keys.append(keys.astype(np.int32) if int(rows.max()) < _NARROW else keys)
            del self.rows[:], self.seconds[:]

    def block(self, start: int) -> Block:
        """All of it as the block that began at `start`; its rows are those that were appended."""
        self.fold(0)
        keys = np.sort(np.concatenate([np.empty(0, np.int32), *self._keys]))
        first = np.flatnonzero(np.diff(keys, prepend=-1))
        counts = np.diff(first, append=len(keys)).astype(np.int64)
        found = keys[first].astype(np.int64)
        return Block(start, found // BINS, found % BINS, counts, self.failed)


def without(block: Block, left_out: Iterable[int]) -> Block:
    """The block without these rows."""
    gone = set(left_out)
    if not gone:
        return block
    kept = block.only(~np.isin(block.rows, list(gone)))
    return Block(
        block.start, kept.rows, kept.bins, kept.counts, {k: n for k, n in block.failed.items() if k[0] not in gone}
    )


def shared_out(block: Block, banks: Sequence[Sequence[int]]) -> list[Block]:
    """The part of each bank, whose rows are given in the order that it has them in; rows of none are left out."""
    size = max([-1, *(max(rows, default=-1) for rows in banks), int(block.rows.max(initial=-1))]) + 1
    place = np.full(size, -1, np.int64)
    ends = np.cumsum([0, *map(len, banks)])
    for rows, begin in zip(banks, ends.tolist(), strict=False):
        place[np.asarray(rows, np.int64)] = begin + np.arange(len(rows))
    at = place[block.rows]
    order = np.argsort(at, kind="stable")
    cuts = np.searchsorted(at[order], ends)
    failed: list[dict[tuple[int, str], int]] = [{} for _ in banks]
    for (row, reason), number in block.failed.items():
        if row < size and (there := int(place[row])) >= 0:
            bank = int(np.searchsorted(ends, there, "right")) - 1
            failed[bank][there - int(ends[bank]), reason] = number
    parts = []
    for number, begin in enumerate(ends[:-1].tolist()):
        mine = order[cuts[number] : cuts[number + 1]]
        parts.append(Block(block.start, at[mine] - begin, block.bins[mine], block.counts[mine], failed[number]))
    return parts


def sketches(block: Block, rows: Iterable[int]) -> dict[int, Sketch]:
    """The latencies of these rows, as far as they have any."""
    found = {}
    for row in rows:
        begin, end = np.searchsorted(block.rows, (row, row + 1)).tolist()
        if end > begin:
            found[row] = Sketch(block.bins[begin:end], block.counts[begin:end])
    return found


@dataclass(slots=True)
class HourSoFar:
    """The blocks of one hour, merged."""

    start: int
    keys: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    """Row × BINS + bin, rising, and how often each was met."""
    counts: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    covered: dict[int, int] = field(default_factory=dict)
    """Row → the blocks of it that were measured, as bits."""
    failed: dict[tuple[int, str], int] = field(default_factory=dict)

    @classmethod
    def of(cls, start: int, hours: Mapping[int, Hour]) -> HourSoFar:
        """Of what is known already: each row's hour."""
        found = cls(start)
        for row, hour in sorted(hours.items()):
            found.covered[row] = hour.covered
            found.failed |= {(row, reason): number for reason, number in hour.failed.items()}
        parts = [row * BINS + hour.sketch.bins for row, hour in sorted(hours.items())]
        counts = [hour.sketch.counts for _, hour in sorted(hours.items())]
        found.keys = np.concatenate([found.keys, *parts])
        found.counts = np.concatenate([found.counts, *counts])
        return found

    def has(self, block: int, rows: Iterable[int]) -> set[int]:
        """Those of the rows for which the block that begins then is in here already."""
        bit = self._bit(block)
        return {row for row in rows if self.covered.get(row, 0) & bit}

    def add(self, block: Block, rows: Iterable[int]) -> None:
        """Take in a block of this hour, which covers these rows."""
        bit = self._bit(block.start)
        for row in rows:
            self.covered[row] = self.covered.get(row, 0) | bit
        for key, number in block.failed.items():
            self.failed[key] = self.failed.get(key, 0) + number
        keys = np.concatenate([self.keys, block.rows * BINS + block.bins])
        counts = np.concatenate([self.counts, block.counts])
        order = np.argsort(keys, kind="stable")
        keys, counts = keys[order], counts[order]
        first = np.flatnonzero(np.diff(keys, prepend=-1))
        self.keys, self.counts = keys[first], np.add.reduceat(counts, first) if len(first) else counts

    def hours(self, keys: Mapping[int, SeriesKey]) -> dict[SeriesKey, Hour]:
        """The hour so far of each of these rows."""
        failed: dict[int, dict[str, int]] = {}
        for (row, reason), number in self.failed.items():
            failed.setdefault(row, {})[reason] = number
        rows = sorted(keys)
        ends: list[list[int]] = (
            np.searchsorted(self.keys, [(row * BINS, row * BINS + BINS) for row in rows]).tolist() if rows else []
        )
        bins = self.keys % BINS
        return {
            keys[row]: Hour(
                self.start, Sketch(bins[a:b], self.counts[a:b]), failed.get(row, {}), self.covered.get(row, 0)
            )
            for row, (a, b) in zip(rows, ends, strict=True)
        }

    def _bit(self, block: int) -> int:
        if not self.start <= block < self.start + HOUR:
            raise ValueError("a block of another hour")
        return 1 << (block - self.start) // BLOCK


def measured(block: Block) -> set[int]:
    """The rows that had runs."""
    return set(np.unique(block.rows).tolist()) | {row for row, _ in block.failed}
