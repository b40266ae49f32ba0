"""The rows of a comparison as people read them: was, is, change, interval, verdict, since, slowest hour. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

from prober.baseline.compare import Finding, Row
from prober.baseline.values import Size
from prober.units import human_change, human_seconds, human_share

HEAD: Final = ("was", "is", "change", "95 %", "verdict", "since", "slowest")
VERDICTS: Final = {
    Finding.FAILING: "more failures",
    Finding.SLOWER: "slower",
    Finding.HEAVIER_TAIL: "heavier tail",
    Finding.FASTER: "faster",
    Finding.SAME: "as before",
    Finding.UNKNOWN: "not enough",
}
NOTHING: Final = "–"


class Told(NamedTuple):
    """The columns of one row, in the order of `HEAD`."""

    was: str
    now: str
    change: str
    interval: str
    verdict: str
    since: str
    slowest: str


def told_row(row: Row, when: Callable[[float], str]) -> Told:
    """The columns of `row`: medians, p99 where the tail is what changed, and shares of runs where failures are."""
    verdict = VERDICTS[row.finding] + ("" if row.sure else "?")
    since = NOTHING if row.onset is None else when(row.onset)
    slowest = NOTHING if row.slowest is None else when(row.slowest[0])
    if row.finding is Finding.FAILING:
        was, now = human_share(row.was.failed), human_share(row.now.failed)
        return Told(was, now, NOTHING, NOTHING, verdict, since, slowest)
    if row.finding is Finding.HEAVIER_TAIL and row.tail is not None:
        was, now = f"p99 {_seconds(row.was.p99)}", _seconds(row.now.p99)
        return Told(was, now, human_change(row.tail.change), _interval(row.tail), verdict, since, slowest)
    change = NOTHING if row.change is None or not _known(row.change) else human_change(row.change.change)
    return Told(_seconds(row.was.p50), _seconds(row.now.p50), change, _interval(row.change), verdict, since, slowest)


def _seconds(value: float) -> str:
    return human_seconds(value) if math.isfinite(value) else NOTHING


def _known(size: Size) -> bool:
    return size.lower > 0 and math.isfinite(size.upper)


def _interval(size: Size | None) -> str:
    """`+15..+21 %`; nothing where it is not known."""
    if size is None or not _known(size):
        return NOTHING
    low, high = human_change(size.lower), human_change(size.upper)
    return f"{low.removesuffix(' %')}..{high}" if high.endswith("%") else f"{low}..{high}"
