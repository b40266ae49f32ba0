"""Quantities as people read them: the table."""

from __future__ import annotations

import pytest

from prober.units import host_port, human_bytes, human_change, human_seconds, human_share, human_span


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 µs"), (0.0000173, "17 µs"), (0.00031, "310 µs"), (0.000999, "999 µs"), (0.0009996, "1.0 ms"),
        (0.0011, "1.1 ms"), (0.0312, "31.2 ms"), (0.09994, "99.9 ms"), (0.09996, "100 ms"), (0.42, "420 ms"),
        (0.9996, "1.00 s"), (3.0, "3.00 s"), (9.994, "9.99 s"), (9.996, "10 s"), (75.2, "75 s"),
    ],
)  # fmt: skip
def test_seconds_have_three_digits_and_the_unit_that_fits(seconds: float, text: str) -> None:
    assert human_seconds(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (999, "999 B"), (1234, "1.2 kB"), (3_400_000, "3.4 MB")])
def test_bytes_have_a_unit(count: int, text: str) -> None:
    assert human_bytes(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (119, "119 s"), (720, "12 min"), (18000, "5 h"), (86400 * 63, "63 days")]
)
def test_spans_are_told_in_the_largest_unit_that_fits_twice(seconds: float, text: str) -> None:
    assert human_span(seconds) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0 %"), (0.00003, "0.003 %"), (0.0002, "0.02 %"), (0.004, "0.4 %"), (0.00949, "0.95 %"), (0.00999, "1 %"),
        (0.0294, "2.9 %"), (0.03, "3 %"), (0.0994, "9.9 %"), (0.0996, "10 %"), (1.0, "100 %"), (-0.012, "-1.2 %"),
    ],
)  # fmt: skip
def test_shares_have_two_digits(share: float, text: str) -> None:
    assert human_share(share) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (1.0, "0 %"), (1.0004, "0 %"), (1.034, "+3.4 %"), (1.18, "+18 %"), (0.88, "-12 %"), (2.99, "+199 %"),
        (3.0, "× 3.0"), (12.4, "× 12"), (0.0, "-100 %"),
    ],
)  # fmt: skip
def test_changes_have_a_sign_and_are_told_as_times_where_they_are_large(ratio: float, text: str) -> None:
    assert human_change(ratio) == text


def test_an_ipv6_address_stands_in_brackets_before_a_port() -> None:
    assert (host_port("192.0.2.1", 80), host_port("::1", 80)) == ("192.0.2.1:80", "[::1]:80")
