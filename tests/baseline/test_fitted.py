"""Fits as bytes, and the process that makes many."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from prober.baseline.fit import fit
from prober.baseline.fitted import fit_packed, join_frames, pack_fit, read_frames, split_frames, unpack_fit
from prober.baseline.packed import pack
from prober.baseline.values import BLOCKS
from tests.baseline.made import hours, latencies

HOURS = hours(latencies(11, 24 * BLOCKS), failed=1)


def test_a_fit_comes_back_whole() -> None:
    one = fit(HOURS)
    again = unpack_fit(pack_fit(one))
    assert pack_fit(again) == pack_fit(one)
    assert (again.failures, again.starts, again.season.weekends) == (one.failures, one.starts, one.season.weekends)
    assert again.tables.psi.tolist() == one.tables.psi.astype("float16").tolist()
    assert again.response.rank.tolist() == one.response.rank.tolist()


@pytest.mark.parametrize("cut", [0, 3, 50, 2000, -1])
def test_bytes_that_are_no_fit_are_refused(cut: int) -> None:
    with pytest.raises(ValueError, match="no fit"):
        unpack_fit(pack_fit(fit(HOURS))[:cut])


def test_a_process_answers_for_each_series() -> None:
    asked = join_frames(pack(HOURS), pack(HOURS[:5]), b"damaged")
    done = subprocess.run(
        [sys.executable, "-m", "prober.baseline.fitted"], input=asked, capture_output=True, check=True
    )
    fits = split_frames(done.stdout)
    assert fits[0::2] == [fit_packed(pack(HOURS))[0], b"", b""]
    assert [why.decode() for why in fits[1::2]] == [
        "", "5.0 h were measured, a baseline needs 24 h", fit_packed(b"damaged")[1],
    ]  # fmt: skip
    assert "damaged" in fit_packed(b"damaged")[1]


def test_frames_that_are_cut_are_noticed() -> None:
    whole = join_frames(b"one", b"", b"three")
    assert split_frames(whole) == [b"one", b"", b"three"]
    for end in (2, 5, len(whole) - 1):
        with pytest.raises(ValueError, match="cut"):
            list(read_frames(io.BytesIO(whole[:end])))
