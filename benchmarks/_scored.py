"""Simulated series through the prober's own bank, many rows at once: what alarms, when, and how large it was said to
be."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from benchmarks._detector import hours_of
from benchmarks._simulated import DAY, EVERY, Series
from prober.baseline.bank import Bank
from prober.baseline.fit import fit
from prober.baseline.scores import Block
from prober.baseline.sketch import BINS, bins_of
from prober.baseline.values import BLOCK, Channel, Direction, Level, SeriesKey

#: Seconds for which a series that has alarmed is not counted again.
MUTE = 6 * 3600.0
#: Seconds after a change within which it has to be seen, and after which its size is asked for.
HORIZON = 4 * DAY
LATER = DAY
_REASON = "timeout"


@dataclass
class Seen:
    """What became of one series: its alarms (Unix seconds, channel) by level, and the sizes a day after the change."""

    weeks: float
    change: float
    alarms: dict[Level, list[tuple[float, str]]] = field(default_factory=lambda: {level: [] for level in Level})
    sizes: list[tuple[Channel, float, float, float]] = field(default_factory=list)
    """Channel, lower end, size, upper end."""
    improved: int = 0

    def delay(self, level: Level) -> float | None:
        """Samples from the change to the first alarm; None if it was not seen in time."""
        late = [at for at, _ in self.alarms[level] if self.change <= at <= self.change + HORIZON]
        return (late[0] - self.change) / EVERY if late else None


@dataclass
class Cost:
    """Seconds of CPU, and for what."""

    fits: int = 0
    fitting: float = 0.0
    samples: int = 0
    watching: float = 0.0
    bytes: float = 0.0
    """Of one row of a bank."""


def watch(series: Sequence[Series]) -> tuple[list[Seen], Cost]:
    """Learn the baseline of each, then judge block after block. All have the same days."""
    cost = Cost(fits=len(series))
    known = [hours_of(*one.between(-math.inf, one.watched)) for one in series]
    began = time.process_time()
    fits = [fit(hours) for hours in known]
    cost.fitting = time.process_time() - began
    keys = [SeriesKey("simulated", str(number), "pod", "ipv4", "tcp") for number in range(len(series))]
    bank = Bank(keys, fits)
    cost.bytes = bank.nbytes / len(series)
    seen = [Seen((one.t[-1] - one.watched) / (7 * DAY), one.change) for one in series]
    start = series[0].watched
    blocks = int((series[0].t[-1] - series[0].watched) // BLOCK)
    prepared = [blocks_of(one, blocks) for one in series]
    notes = _Notes(seen)
    for number in range(blocks):
        block = joined(prepared, number, int(start) + number * BLOCK)
        began = time.process_time()
        bank.end_block(block)
        cost.watching += time.process_time() - began
        cost.samples += int(block.counts.sum()) + sum(block.failed.values())
        notes.take(bank, start + (number + 1) * BLOCK)
    return seen, cost


class _Notes:
    """Writes down what a bank says after each block."""

    def __init__(self, seen: Sequence[Seen]) -> None:
        self._seen = seen
        self._muted = {level: np.full(len(seen), -math.inf) for level in Level}
        self._firing: dict[Level, set[int]] = {level: set() for level in Level}
        self._improving: set[int] = set()

    def take(self, bank: Bank, now: float) -> None:
        """After the block that ended at `now`."""
        for level in Level:
            firing = {}
            for key, alarm in bank.alarms.items():
                if key.direction is Direction.REGRESSED and (level is Level.SUSPECT or alarm.level is level):
                    firing[key.row] = key.channel
            for row, channel in firing.items():
                if row not in self._firing[level] and now >= self._muted[level][row]:
                    self._seen[row].alarms[level].append((now, channel.value))
                    self._muted[level][row] = now + MUTE
            self._firing[level] = set(firing)
        better = {key.row for key in bank.alarms if key.direction is Direction.IMPROVED}
        for row in better - self._improving:
            self._seen[row].improved += 1
        self._improving = better
        for key, alarm in bank.alarms.items():
            seen, size = self._seen[key.row], alarm.sized.size
            if 0 < now - seen.change - LATER <= BLOCK and key.direction is Direction.REGRESSED and not key.reason:
                seen.sizes.append((key.channel, size.lower, size.change, size.upper))


def blocks_of(one: Series, count: int) -> tuple[list[np.ndarray], list[int]]:
    """The bins of the latencies of each block, and its failures."""
    edges = np.searchsorted(one.t, one.watched + BLOCK * np.arange(count + 1))
    bins, ok = bins_of(np.where(one.ok, one.seconds, 1.0)), one.ok
    found = [bins[a:b][ok[a:b]] for a, b in pairwise(edges)]
    return found, [int((~ok[a:b]).sum()) for a, b in pairwise(edges)]


def joined(prepared: Sequence[tuple[list[np.ndarray], list[int]]], number: int, start: int) -> Block:
    """Block `number` of all rows."""
    parts = [bins[number] for bins, _ in prepared]
    rows = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    keys, counts = np.unique(rows * BINS + np.concatenate(parts), return_counts=True)
    failed = {(row, _REASON): failures[number] for row, (_, failures) in enumerate(prepared) if failures[number]}
    return Block(start, keys // BINS, keys % BINS, counts, failed)
