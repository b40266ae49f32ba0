"""Moments on a command line, and how they are told: in whatever zone this place has."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from prober.cli.baseline.moments import parsed, told, told_span, told_zone
from tests.support.zones import local_time

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An hour before UTC, without the system's table of zones."""
    yield from local_time(monkeypatch, "CET-1CEST,M3.5.0,M10.5.0/3")


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("now", "2026-11-27T12:00:00"),
        ("-2h", "2026-11-27T10:00:00"),
        ("-1.5d", "2026-11-26T00:00:00"),
        ("12:20", "2026-11-27T11:20:00"),
        ("00:00:30", "2026-11-26T23:00:30"),
        ("2026-11-26T14:20:00Z", "2026-11-26T14:20:00"),
        ("2026-11-26T14:20:00+05:30", "2026-11-26T08:50:00"),
        ("2026-11-26T14:20", "2026-11-26T13:20:00"),
        ("2026-07-01 14:20", "2026-07-01T12:20:00"),
        ("2026-11-26", "2026-11-25T23:00:00"),
    ],
)
def test_a_moment_is_what_people_write(text: str, utc: str) -> None:
    """Without a zone it is local time, summer time included."""
    assert datetime.fromtimestamp(parsed(text, NOW), UTC) == datetime.fromisoformat(utc).replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "2h", "-2 hours", "14h20", "25:00", "-9999999d", "1767571200"])
def test_what_is_none_is_told_how_one_is_written(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a moment: write 2026-11-26T14:20:00Z, 14:20 \(today, local time\)"):
        parsed(text, NOW)


def test_what_is_still_to_come_is_refused_with_what_may_have_been_meant() -> None:
    with pytest.raises(ValueError, match=r"14:20 is 27 Nov 14:20, still to come: was 26 Nov 14:20 meant\?"):
        parsed("14:20", NOW)
    with pytest.raises(ValueError, match=r"2027-01-01 is 1 Jan 00:00, still to come$"):
        parsed("2027-01-01", NOW)


def test_times_are_told_as_they_are_here_with_their_zone() -> None:
    at = parsed("2026-11-26T14:20:00Z", NOW)
    assert (told(at), told_zone(at)) == ("26 Nov 15:20", "UTC+01:00")
    assert told_zone(parsed("2026-07-01T00:00Z", NOW)) == "UTC+02:00"


def test_a_span_says_of_which_year_it_is() -> None:
    assert told_span(0, 86400) == "1 Jan 01:00 – 2 Jan 01:00 1970"
    assert told_span(-86400, 86400) == "31 Dec 01:00 1969 – 2 Jan 01:00 1970"


def test_a_place_on_utc_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC0")
    time.tzset()
    assert told_zone(0) == "UTC"
    monkeypatch.setenv("TZ", "NST3:30")
    time.tzset()
    assert told_zone(0) == "UTC-03:30"
