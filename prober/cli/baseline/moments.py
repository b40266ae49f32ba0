"""Moments as they are written on a command line, and as they are told. Local time, unless a zone is written."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta

from prober.options import parse_duration
from prober.units import human_span

_FORMS = "2026-11-26T14:20:00Z, 14:20 (today, local time), -2h or now"


def moment(text: str) -> float:
    """Unix seconds of what was written, as argparse wants it read: see `parsed`."""
    try:
        return parsed(text, datetime.now(UTC))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def parsed(text: str, now: datetime) -> float:
    """Unix seconds of RFC 3339 (without a zone: local time), `14:20` (today, local time), `-2h` or `now`.

    ValueError, for people: none of these, or still to come.
    """
    found = _parsed(text.strip(), now)
    if found > now:
        said = told(found.timestamp())
        hint = f": was {told((found - timedelta(days=1)).timestamp())} meant?" if _is_clock(text.strip()) else ""
        raise ValueError(f"{text} is {said}, still to come{hint}")
    return found.timestamp()


def _parsed(text: str, now: datetime) -> datetime:
    if text == "now":
        return now
    try:
        if text.startswith("-"):
            return now - timedelta(seconds=parse_duration(text[1:]))
        if _is_clock(text):
            return datetime.fromisoformat(f"{now.astimezone():%Y-%m-%d}T{text}").astimezone()
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not a moment: write {_FORMS}") from None


def _is_clock(text: str) -> bool:
    return ":" in text and "-" not in text


def told(at: float) -> str:
    """`26 Nov 14:20`, local time."""
    return f"{_local(at):%-d %b %H:%M}"


def told_clock(at: float) -> str:
    """`14:20`, local time."""
    return f"{_local(at):%H:%M}"


def told_hour(at: float) -> str:
    """`Thu 14h`, local time: which hour of a week."""
    return f"{_local(at):%a %Hh}"


def told_span(since: float, until: float) -> str:
    """`24 Nov 14:20 – 26 Nov 14:20 2026`, local time; the year of each where they have two."""
    years = [f"{_local(at):%Y}" for at in (since, until)]
    first = "" if years[0] == years[1] else f" {years[0]}"
    return f"{told(since)}{first} – {told(until)} {years[1]}"


def told_zone(at: float) -> str:
    """What local time is at that moment: `UTC`, `UTC+01:00`."""
    minutes = int((_local(at).utcoffset() or timedelta()).total_seconds() // 60)
    return f"UTC{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}" if minutes else "UTC"


def length(since: float, until: float) -> str:
    """`48 h`, `7 days`."""
    return human_span(until - since)


def from_rfc3339(text: str) -> float:
    """Unix seconds. ValueError: no RFC 3339."""
    return datetime.fromisoformat(text).timestamp()


def _local(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC).astimezone()
