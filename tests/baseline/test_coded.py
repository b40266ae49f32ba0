"""Sketches as bytes: small, many at once as each by itself, and refused where they cannot be."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prober.baseline.coded import from_bytes, to_bytes
from prober.baseline.sketch import BINS, Sketch
from tests.support.fuzz import fuzzed


def sketch(counts: dict[int, int]) -> Sketch:
    bins = np.array(sorted(counts), np.int64)
    return Sketch(bins, np.array([counts[at] for at in bins.tolist()], np.int64))


SKETCHES = st.lists(
    st.dictionaries(st.integers(0, BINS - 1), st.integers(1, 2**63 - 1), max_size=20).map(sketch), max_size=6
)


@fuzzed(60)
@given(SKETCHES)
def test_what_is_read_is_what_was_written_all_at_once_or_one_by_one(sketches: list[Sketch]) -> None:
    blobs = to_bytes(sketches)
    assert blobs == [to_bytes([one])[0] for one in sketches]
    assert from_bytes(blobs) == sketches
    assert [from_bytes([blob]) for blob in blobs] == [[one] for one in sketches]


def test_each_bin_is_its_gap_and_its_count_in_seven_bits_to_the_byte() -> None:
    told = sketch({0: 1, 127: 127, 255: 128, 256: 2**63 - 1})
    assert to_bytes([Sketch.empty(), told, Sketch.empty()]) == [
        b"",
        bytes([0, 1, 127, 127, 0x80, 1, 0x80, 1, 1, *[0xFF] * 8, 0x7F]),
        b"",
    ]
    assert to_bytes([]) == from_bytes([]) == []


@pytest.mark.parametrize(
    ("blob", "why"),
    [
        (b"\x01", "odd length"),
        (b"\x01\x80", "ends within a number"),
        (b"\x01" + b"\xff" * 9 + b"\x01", "too large"),
        (b"\x01\x00", "cannot be"),
        (b"\x01\x01\x00\x01", "cannot be"),
        (b"\xff\x7f\x01", "cannot be"),
        (b"\x7f\x01" * 4, "cannot be"),
        (bytes([*[0x80] * 8, 0x40, 1] * 2), "cannot be"),  # in 64 bits its two gaps add up to less than nothing
    ],
)
def test_bytes_that_are_no_sketch_are_refused_among_others_too(blob: bytes, why: str) -> None:
    good = b"\x05\x01"
    for blobs in ([blob], [good, blob], [b"", blob, good, b""]):
        with pytest.raises(ValueError, match=why):
            from_bytes(blobs)


@fuzzed(100)
@given(st.lists(st.binary(max_size=12), max_size=4))
def test_whatever_bytes_come_they_are_sketches_or_refused(blobs: list[bytes]) -> None:
    with suppress(ValueError):
        for one in from_bytes(blobs):
            assert (np.diff(one.bins) > 0).all()
            assert (one.counts > 0).all()
            assert ((one.bins >= 0) & (one.bins < BINS)).all()
