"""Traces as the hours of a baseline and as what comes after it; and whether an alarm has a reason on the wire."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from prober.baseline.bank import Bank, Shifts
from prober.baseline.fit import Fit
from prober.baseline.scores import Block
from prober.baseline.sketch import Floats, Sketch
from prober.baseline.values import BLOCK, BLOCKS, HOUR, Channel, Direction, Hour, Regression, SeriesKey
from tests.baseline.made import MONDAY
from tests.network.traces import EVERY, PER_BLOCK, Series, Trace

#: Hours of a baseline, and when what comes after it begins.
RECORDED = 34
WATCHED = MONDAY + RECORDED * HOUR
#: What the wire has to have moved by (log seconds; factor on p99) for an alarm to have a reason.
_MOVED, _HEAVIER = 0.02, 1.15
#: Log seconds beyond which an exchange that took long is not longer: means are to be of what is usual.
_FAR = 0.5


def hours(series: Series) -> tuple[Hour, ...]:
    """The hours that a series makes by its schedule."""
    found = []
    for number in range(RECORDED):
        blocks = [series.block(number * BLOCKS + each) for each in range(BLOCKS)]
        failed = Counter(reason for _, reasons in blocks for reason in reasons)
        found.append(Hour(MONDAY + number * HOUR, Sketch.of([s for seconds, _ in blocks for s in seconds]), failed))
    return tuple(found)


class Watched(NamedTuple):
    """What a bank made of a trace."""

    bank: Bank
    shifts: Sequence[Shifts]
    """Block by block."""
    trace: Trace
    before: Trace
    """The baseline's."""

    def alarms(self, key: SeriesKey, *channels: Channel) -> list[Regression]:
        """Those of a series, in all channels or these."""
        return [each for each in self.bank.regressions()
                if each.subject == key and (not channels or each.channel in channels)]  # fmt: skip

    def wire(self, key: SeriesKey, since: float = WATCHED) -> tuple[float, float, float]:
        """By how much the wire of a series has changed, from then on: its median, its mean (of what is usual) and its
        p99, as ratios."""
        now, then = self.trace[key].wire[int(since - WATCHED) // EVERY :], self.before[key].wire
        middle = float(np.median(then))
        mean = _usual(now, middle) - _usual(then, middle)
        return (
            float(np.median(now)) / middle,
            float(np.exp(mean)),
            float(np.quantile(now, 0.99) / np.quantile(then, 0.99)),
        )

    def unfounded(self) -> Iterator[Regression]:
        """Alarms about times that the wire knows no reason for."""
        for alarm in self.bank.regressions():
            assert isinstance(alarm.subject, SeriesKey)
            _, mean, p99 = self.wire(alarm.subject, alarm.onset)
            sign = 1 if alarm.direction is Direction.REGRESSED else -1
            founded = p99 > _HEAVIER if alarm.channel is Channel.TAIL else sign * np.log(mean) > _MOVED
            if alarm.channel is not Channel.FAILURE and not founded:
                yield alarm


def _usual(wire: Floats, middle: float) -> float:
    return float(np.clip(np.log(wire / middle), -_FAR, _FAR).mean())


def watch(fits: Mapping[SeriesKey, Fit], before: Trace, trace: Trace) -> Watched:
    """The trace after the baseline, block by block; a series that has ended is not there any more."""
    bank = Bank(list(trace), [fits[key] for key in trace], "lab v1")
    shifts = []
    for number in range(max(len(series.seconds) for series in trace.values()) // PER_BLOCK):
        rows, seconds, failed = list[int](), list[float](), Counter[tuple[int, str]]()
        for row, series in enumerate(trace.values()):
            took, reasons = series.block(number)
            rows += [row] * len(took)
            seconds += took
            failed.update((row, reason) for reason in reasons)
        shifts.append(bank.end_block(Block.of(WATCHED + number * BLOCK, np.array(rows), np.array(seconds), failed)))
    return Watched(bank, shifts, trace, before)
