"""A regression in words and as JSON: for the event log, the API and people. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from prober.baseline.values import Channel, Direction, Regression, SeriesKey
from prober.units import human_seconds, rfc3339


def sentence(one: Regression, now: float) -> str:
    """What has changed, by how much and since when, in the time zone UTC.

    `web/web-api/service/ipv4: tls 18 % slower since 14:20 (95 %: 12 to 24 %), 4.0 ms were usual in cilium-1.17.3 v1`
    """
    where = one.subject.cell if isinstance(one.subject, SeriesKey) else one.subject
    on = f" on {one.subject.node}" if isinstance(one.subject, SeriesKey) and one.subject.node else ""
    what = f"{where}: {one.layer}{on} {_change(one)} since {_when(one.onset, now)}"
    sure = "" if one.level.value == "confirmed" else "it is suspected that "
    return f"{sure}{what}{_interval(one)}, {_usual(one)}"


def as_dict(one: Regression, now: float) -> dict[str, Any]:
    """As plain JSON values: times in RFC 3339, durations in seconds."""
    subject = one.subject
    series = None if isinstance(subject, str) else {
        "probe": subject.probe, "target": subject.target, "path": subject.path, "family": subject.family,
        "layer": subject.layer, "node": subject.node,
    }  # fmt: skip
    size = one.size
    return {
        "subject": str(subject),
        "series": series,
        "layer": one.layer,
        "channel": one.channel.value,
        "level": one.level.value,
        "direction": one.direction.value,
        "reason": one.reason or None,
        "onset": _time(one.onset),
        "since": _time(one.since),
        "cleared": None if one.cleared is None else _time(one.cleared),
        "evidence": round(one.evidence, 3),
        "size": None if size is None else {"change": size.change, "lower": size.lower, "upper": size.upper},
        "was": one.was,
        "now": one.now,
        "baseline": one.baseline,
        "says": sentence(one, now),
    }


def _change(one: Regression) -> str:
    if one.channel is Channel.FAILURE:
        what = f"fails with {one.reason}" if one.reason else "fails"
        return f"{what} in {_percent(one.now)} of the runs"
    way = "slower" if one.direction is Direction.REGRESSED else "faster"
    way = f"p99 {way}" if one.channel is Channel.TAIL else way
    return way if one.size is None else f"{_percent(abs(one.size.change - 1))} {way}"


def _interval(one: Regression) -> str:
    if one.size is None:
        return ""
    low, high = one.size.lower, one.size.upper
    if one.channel is not Channel.FAILURE:
        low, high = low - 1, high - 1
        if one.direction is Direction.IMPROVED:
            low, high = -high, -low
    return f" (95 %: {_percent(low)} to {_percent(high)})"


def _usual(one: Regression) -> str:
    usual = _percent(one.was) if one.channel is Channel.FAILURE else human_seconds(one.was)
    return f"{usual} usual in {one.baseline}" if one.baseline else f"{usual} usual"


def _percent(share: float) -> str:
    """`18 %`, `0.4 %`."""
    return f"{100 * share:.0f} %" if abs(share) >= 0.0995 else f"{100 * share:.1f} %"


def _when(seconds: float, now: float) -> str:
    then, today = (datetime.fromtimestamp(moment, UTC) for moment in (seconds, now))
    return f"{then:%H:%M}" if then.date() == today.date() else f"{then:%Y-%m-%d %H:%M}"


def _time(seconds: float) -> str:
    return rfc3339(datetime.fromtimestamp(seconds, UTC))
