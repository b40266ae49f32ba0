"""Samples → blocks of banks and hours of series, held against the slow way to the same."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prober.baseline.gathering import HourSoFar, Samples, measured, shared_out, sketches, without
from prober.baseline.scores import Block
from prober.baseline.sketch import Sketch, bins_of
from prober.baseline.values import BLOCK, HOUR, Hour
from tests.baseline.made import KEY, MONDAY

#: Rows and seconds.
SAMPLES = st.lists(st.tuples(st.integers(0, 9), st.sampled_from([1e-6, 0.001, 0.0011, 0.02, 70.0])), max_size=60)


def gathered(samples: list[tuple[int, float]], *, fold_at: int = 7, start: int = MONDAY) -> Block:
    found = Samples()
    for number, (row, seconds) in enumerate(samples):
        found.rows.append(row)
        found.seconds.append(seconds)
        if number % fold_at == 0:
            found.fold(1)
    found.failed = {(row, "timeout"): 2 for row in range(0, 10, 3)}
    return found.block(start)


def counted(block: Block) -> Counter[tuple[int, int]]:
    entries = zip(block.rows.tolist(), block.bins.tolist(), strict=True)
    return Counter(dict(zip(entries, block.counts.tolist(), strict=True)))


@given(SAMPLES)
def test_a_block_counts_each_sample_once(samples: list[tuple[int, float]]) -> None:
    block = gathered(samples)
    assert counted(block) == Counter((row, int(bins_of(seconds))) for row, seconds in samples)
    assert measured(block) == {row for row, _ in samples} | {0, 3, 6, 9}


@given(SAMPLES, st.lists(st.integers(0, 12), unique=True), st.integers(1, 4))
def test_each_bank_gets_its_rows_and_no_others(
    samples: list[tuple[int, float]], order: list[int], size: int
) -> None:  # fmt: skip
    block = gathered(samples)
    banks = [order[at : at + size] for at in range(0, len(order), size)]
    for rows, part in zip(banks, shared_out(block, banks), strict=True):
        assert counted(part) == {(rows.index(r), b): n for (r, b), n in counted(block).items() if r in rows}
        assert part.failed == {(rows.index(r), why): n for (r, why), n in block.failed.items() if r in rows}


@given(SAMPLES, st.sets(st.integers(0, 9)))
def test_rows_are_left_out_with_their_failures(samples: list[tuple[int, float]], gone: set[int]) -> None:
    block = without(gathered(samples), gone)
    assert measured(block).isdisjoint(gone)
    assert counted(block) == counted(gathered([(row, s) for row, s in samples if row not in gone]))


@given(SAMPLES, SAMPLES)
def test_an_hour_is_its_blocks_merged(first: list[tuple[int, float]], second: list[tuple[int, float]]) -> None:
    keys = dict.fromkeys(range(10), KEY) | dict.fromkeys(range(10), KEY)
    so_far = HourSoFar(MONDAY)
    for number, samples in enumerate((first, second)):
        so_far.add(gathered(samples, start=MONDAY + number * BLOCK), range(10))
    for row in range(10):
        (hour,) = so_far.hours({row: keys[row]}).values()
        assert hour.sketch == Sketch.of([s for r, s in first + second if r == row])
        assert (hour.covered, dict(hour.failed)) == (0b11, {"timeout": 4} if row % 3 == 0 else {})


def test_an_hour_goes_on_from_what_is_known_of_it() -> None:
    known = Hour(MONDAY, Sketch.of([0.001, 0.002]), {"refused": 1}, 0b100)
    so_far = HourSoFar.of(MONDAY, {5: known})
    assert so_far.hours({5: KEY}) == {KEY: known}
    assert so_far.has(MONDAY + 2 * BLOCK, (4, 5)) == {5}
    assert so_far.has(MONDAY, (4, 5)) == set()
    so_far.add(gathered([(5, 0.001)]), (5,))
    (hour,) = so_far.hours({5: KEY}).values()
    assert (hour.sketch.total, hour.covered, hour.failed) == (3, 0b101, {"refused": 1})


def test_a_block_of_another_hour_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="another hour"):
        HourSoFar(MONDAY).add(gathered([], start=MONDAY + HOUR), ())


def test_the_sketches_of_some_rows() -> None:
    found = sketches(gathered([(1, 0.001), (1, 0.02), (7, 0.001)]), (1, 2))
    assert found == {1: Sketch.of([0.001, 0.02])}


def test_a_number_of_many_digits_is_no_trouble() -> None:
    """Rows are never used twice: after years of comings and goings they are large."""
    samples = Samples()
    samples.rows.append(2**31)
    samples.seconds.append(0.001)
    assert samples.block(MONDAY).rows.tolist() == [2**31]
    assert np.array(samples.rows).size == 0
