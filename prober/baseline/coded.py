"""Sketches as bytes: of each bin that is not empty the gap to the one before and the count, as LEB128 numbers.

Some 2 bytes for each such bin. Many are written and read at once: that is ten times as fast as one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np

from prober.baseline.sketch import BINS, Sketch

#: Bytes of a number: 63 bits.
_LONGEST = 9
_AT_ONCE = 256
T = TypeVar("T")


def to_bytes(sketches: Sequence[Sketch]) -> list[bytes]:
    """Each of them as bytes."""
    return [data for part in _parts(sketches) for data in _to_bytes(part)]


def from_bytes(blobs: Sequence[bytes]) -> list[Sketch]:
    """The sketches of which `to_bytes` gave these bytes. ValueError: one of them is something else."""
    return [sketch for part in _parts(blobs) for sketch in _from_bytes(part)]


def _parts(whole: Sequence[T]) -> Iterator[Sequence[T]]:
    """In parts of a millisecond or two each: numpy holds the interpreter while it copies."""
    return (whole[at : at + _AT_ONCE] for at in range(0, len(whole), _AT_ONCE))


def _to_bytes(sketches: Sequence[Sketch]) -> list[bytes]:
    ends = np.cumsum([len(sketch.bins) for sketch in sketches])
    if not len(ends) or not ends[-1]:
        return [b""] * len(sketches)
    bins = np.concatenate([sketch.bins for sketch in sketches])
    firsts = (ends - np.diff(ends, prepend=0))[np.diff(ends, prepend=0) > 0]
    numbers = np.empty(2 * len(bins), np.int64)
    numbers[::2] = np.diff(bins, prepend=0)
    numbers[2 * firsts] = bins[firsts]
    numbers[1::2] = np.concatenate([sketch.counts for sketch in sketches])
    # LEB128: seven bits to the byte, the lowest first; the eighth says that more follow.
    sevens = numbers[:, None] >> np.arange(0, int(numbers.max()).bit_length(), 7)
    there = sevens > 0
    there[:, 0] = True
    data = (sevens & 0x7F | (sevens > 0x7F) << 7)[there].astype(np.uint8).tobytes()
    cuts = [0, *np.concatenate(([0], np.cumsum(there.sum(axis=1))))[2 * ends].tolist()]
    return [data[at:end] for at, end in pairwise(cuts)]


def _from_bytes(blobs: Sequence[bytes]) -> list[Sketch]:
    ends = np.cumsum([len(blob) for blob in blobs])
    if not len(ends) or not ends[-1]:
        return [Sketch.empty() for _ in blobs]
    octets = np.frombuffer(b"".join(blobs), np.uint8)
    lasts = np.flatnonzero(octets < 0x80)
    if (octets[ends[ends > 0] - 1] >= 0x80).any():
        raise ValueError("a sketch that ends within a number")
    lengths = np.diff(lasts, prepend=-1)
    if lengths.max() > _LONGEST:
        raise ValueError("a number of a sketch is too large")
    starts = lasts - lengths + 1
    places = np.arange(len(octets)) - np.repeat(starts, lengths)
    numbers = np.add.reduceat((octets & 0x7F).astype(np.int64) << 7 * places, starts)
    cuts = np.concatenate(([0], np.searchsorted(lasts, ends)))
    if (cuts % 2).any():
        raise ValueError("a sketch of odd length")
    gaps, counts, cuts = numbers[::2], numbers[1::2], cuts // 2
    filled = np.flatnonzero(np.diff(cuts))
    firsts = cuts[filled]
    later = np.ones(len(gaps), bool)
    later[firsts] = False
    if (gaps >= BINS).any() or not gaps[later].all() or not counts.all():
        raise ValueError("a sketch with bins that cannot be")
    sums = np.cumsum(gaps)
    bins = sums - np.repeat(sums[firsts] - gaps[firsts], np.diff(cuts)[filled])
    if (bins >= BINS).any():
        raise ValueError("a sketch with bins that cannot be")
    return [Sketch(bins[at:end], counts[at:end]) for at, end in pairwise(cuts.tolist())]
