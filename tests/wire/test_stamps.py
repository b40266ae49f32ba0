"""Kernel stamps are trusted only where no clock was stepped."""

from __future__ import annotations

import struct

import pytest

from prober.wire.stamps import Instant, elapsed, kernel_stamp

MS = 1_000_000
SENT = Instant(wall_ns=1_000 * MS, monotonic=50.0)


@pytest.mark.parametrize(
    ("seen", "stamp", "seconds", "kernel"),
    [
        (Instant(1_010 * MS, 50.010), 1_002 * MS, 0.002, True),  # the loop was busy for 8 ms: not the network's
        (Instant(1_010 * MS, 50.010), None, 0.010, False),
        (Instant(1_010 * MS, 50.010), 999 * MS, 0.010, False),  # before it was sent
        (Instant(1_010 * MS, 50.010), 1_011 * MS, 0.010, False),  # after it was read
        (Instant(4_610 * MS, 50.010), 1_002 * MS, 0.010, False),  # the wall clock was set forward
        (Instant(500 * MS, 50.010), 492 * MS, 0.010, False),  # and back
        (Instant(1_010 * MS + 900_000, 50.010), 1_002 * MS, 0.002, True),  # slewed by less than a millisecond
    ],
)
def test_the_stamp_counts_unless_a_clock_was_stepped(
    seen: Instant, stamp: int | None, seconds: float, kernel: bool
) -> None:
    assert elapsed(SENT, seen, stamp) == (pytest.approx(seconds, abs=1e-9), kernel)


@pytest.mark.parametrize(
    ("left", "seconds"),
    [
        (1_001 * MS, 0.001),  # what sendto, the device's queue or a neighbour took before is not the network's
        (None, 0.002),
        (999 * MS, 0.002),  # before it was handed over
        (1_003 * MS, 0.002),  # after the answer
    ],
)
def test_the_stamp_of_leaving_counts_where_it_lies_between(left: int | None, seconds: float) -> None:
    span = elapsed(SENT, Instant(1_010 * MS, 50.010), 1_002 * MS, left)
    assert span == (pytest.approx(seconds, abs=1e-9), True)
    stepped = elapsed(SENT, Instant(4_610 * MS, 50.010), 1_002 * MS, left)
    assert stepped == (pytest.approx(0.010, abs=1e-9), False)


def test_the_stamp_is_found_among_control_messages() -> None:
    timespec = struct.pack("@ll", 12, 34)
    assert kernel_stamp([(0, 2, b"\x40\0\0\0"), (1, 35, timespec)]) == 12_000_000_034
    assert kernel_stamp([(1, 37, timespec + b"\0" * 32)]) == 12_000_000_034
    assert kernel_stamp([(1, 37, b"\0" * 48)]) is None, "the hardware's alone"
    assert kernel_stamp([(1, 35, b"short")]) is None
    assert kernel_stamp([]) is None


def test_an_instant_whose_clocks_were_read_apart_is_no_step_of_a_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The core was lost for 8 ms between the two readings: first of what was seen, then of the look at the clocks."""
    sent = Instant.now()
    stamp = sent.wall_ns + 1
    torn = Instant(sent.wall_ns + 2 * MS, sent.monotonic + 0.010)
    assert elapsed(sent, torn, stamp) == (pytest.approx(1e-9), True)
    true, read = Instant.now, []

    def apart() -> Instant:
        read.append(true())
        return Instant(read[-1].wall_ns, read[-1].monotonic + (0.008 if len(read) == 1 else 0.0))

    monkeypatch.setattr(Instant, "now", apart)
    assert Instant.surely() == read[1]
