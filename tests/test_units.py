"""Quantities as people read them: the table."""

from __future__ import annotations

import pytest

from prober.units import host_port, human_bytes, human_seconds, human_span


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


def test_an_ipv6_address_stands_in_brackets_before_a_port() -> None:
    assert (host_port("192.0.2.1", 80), host_port("::1", 80)) == ("192.0.2.1:80", "[::1]:80")
