"""Hours packed into one blob for each series: the same again, whole or refused."""

from __future__ import annotations

import zlib

import pytest

from prober.baseline.packed import PackedSeries, blobs_of, pack, payload, unpack
from tests.support.hours import HOUR, START, hour, key, recording

HOURS = (hour(START), hour(START + 5 * HOUR, 0, covered=1))
WHOLE = payload(pack(HOURS))


def test_a_series_is_unpacked_when_it_is_asked_for_and_equal_to_what_was_packed() -> None:
    told = recording(series=3, hours=2).series
    packed = PackedSeries(dict(blobs_of(told)))
    assert packed == told
    assert key(1) in packed
    assert key(9) not in packed
    assert unpack(pack(HOURS)) == HOURS
    assert unpack(pack(())) == ()


@pytest.mark.parametrize(
    ("blob", "why"),
    [
        (b"", "version"),
        (b"\x02" + zlib.compress(WHOLE), "version"),
        (b"\x01" + zlib.compress(WHOLE)[:-1], "damaged"),
        (b"\x01" + zlib.compress(WHOLE[:5]), "end within an hour"),
        (b"\x01" + zlib.compress(WHOLE[:20]), "end within an hour"),
    ],
)
def test_a_damaged_blob_is_refused(blob: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        unpack(blob)
