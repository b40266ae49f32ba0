"""Many series watched at once: a row each, a block of all of them at a time. Pure.

The state of a row is what its columns have summed up (`channels`), since when, and what was met meanwhile. Alarms
are few and kept apart: each stays until its sum has been nothing to speak of for six
hours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prober.baseline.alarms import Alarm, AlarmKey, Alarms, Evidence
from prober.baseline.channels import (
    ALONE,
    COLUMNS,
    FAILURE,
    LEAST,
    SHIFTING,
    SUSPECT,
    TAIL,
    likelihood,
    margins_of,
    seasonal_margins,
    step,
    thresholds_of,
)
from prober.baseline.excursions import Excursions
from prober.baseline.fit import Fit
from prober.baseline.response import LARGEST, MARKS, unbounded
from prober.baseline.scores import Block, Scorer
from prober.baseline.season import weekend
from prober.baseline.sizes import LARGE, Sized, size_of, tail_of
from prober.baseline.sketch import Bools, Floats, Ints
from prober.baseline.values import BLOCKS, Channel, Direction, Regression, SeriesKey

#: How much of a block the level takes on: that of an hour's moving average.
_PACE = 1 - float(np.exp(-1 / BLOCKS))
#: The mean of so many blocks is as sure as a level.
LEVEL_BLOCKS = (2 - _PACE) / _PACE
#: Blocks for which a row that met too little waits for more.
_WAIT = BLOCKS
_NO_ROWS: Ints = np.zeros(0, np.int64)


@dataclass(slots=True)
class State:
    """What a bank remembers, by row and column: all that has to survive a restart, but for alarms and reasons."""

    sums: Floats
    onset: Ints
    """The start of the block after the sum last was nothing (Unix seconds)."""
    seen: Floats
    """What was met since then, of shape (rows, columns, 4): sums of psi and of rank shifts, blocks, and the sum of
    log shifts; of the tail nothing, and latencies; of failures failed runs, nothing, and runs."""
    beyond: Floats
    """Of the tail's latencies since then: how many lay beyond each of its marks, of shape (rows, MARKS)."""
    level: Floats
    """By row the moving averages of the shifts by psi, by rank and by log (log seconds), of shape (rows, 3)."""
    last: int = 0
    """The start of the last block."""

    @classmethod
    def new(cls, rows: int) -> State:
        """Nothing has happened yet."""
        shape = rows, len(COLUMNS)
        return cls(
            np.zeros(shape),
            np.zeros(shape, np.int64),
            np.zeros((*shape, 4)),
            np.zeros((rows, MARKS)),
            np.zeros((rows, 3)),
        )


@dataclass(frozen=True, slots=True)
class Shifts:
    """What a block said of each row: for groups, and to look back."""

    start: int
    held: Ints
    failed: Ints
    shift: Floats
    """Of shape (rows, 2): by psi and by rank, log seconds; NaN where too little was met. Psi is bounded: where it is
    large, the shift by log stands in its place, as far as `LARGEST`."""


class Bank:
    """The rows of some series: `keys` and `fits` in the same order. `baseline` names where the fits come from."""

    def __init__(self, keys: Sequence[SeriesKey], fits: Sequence[Fit], baseline: str = "") -> None:
        self.keys, self.fits, self.baseline = keys, fits, baseline
        self._scorer = Scorer(fits)
        self._margins = np.array([margins_of(fit) for fit in fits]).reshape(-1, 2)
        self._seasonal = np.array([seasonal_margins(fit.season) for fit in fits]).reshape(-1, 2, 2)
        noise = [thresholds_of(fit.psi.deviation, fit.rank.deviation) for fit in fits]
        self._thresholds = np.array(noise).reshape(-1, len(COLUMNS))
        self._rates = np.array([fit.failure_rates() for fit in fits]).reshape(-1, 2)
        self.waiting = Block(0, _NO_ROWS, _NO_ROWS, _NO_ROWS)
        """What rows have met that had too little of it yet …"""
        self.waited: Ints = np.zeros(len(keys), np.int64)
        """… and for how many blocks each has waited, of shape (rows,)."""
        self.state = State.new(len(keys))
        self.reasons = Excursions(fits)
        self.alarms = Alarms()
        self.skipped = 0
        """Blocks of rows that met too little to be judged."""

    @property
    def nbytes(self) -> int:
        """Bytes of all tables and state, but for alarms."""
        state = (self.state.sums, self.state.onset, self.state.seen, self.state.beyond, self.state.level)
        own = (self._margins, self._seasonal, self._thresholds, self._rates, self.waited)
        return self._scorer.nbytes + sum(array.nbytes for array in (*state, *own))

    def __len__(self) -> int:
        return len(self.keys)

    def end_block(self, block: Block) -> Shifts:
        """Judge one block of all rows. Blocks come in the order of time; one that is missing is no evidence."""
        whole = self._with_waiting(block)
        held, now_held = whole.held(len(self)), block.held(len(self))
        failed = np.zeros(len(self))
        for (row, _), number in block.failed.items():
            failed[row] += number
        shift, log, tail, beyond = self._scorer.score(whole, held, self.state.level[:, :2].min(axis=1))
        usual, more = self._rates.T
        strong = unbounded(shift, log, self._scorer.bounds)
        scores = np.column_stack([strong, tail, likelihood(failed, now_held, usual, more)])
        enough = held >= LEAST
        self._see(block.start, np.column_stack([shift, np.ones(len(self)), log]), enough)
        self._see_others(held, beyond, failed, failed + now_held)
        at_weekend = int(weekend(block.start))
        step(self.state.sums, scores, self._margins, self._seasonal[:, at_weekend], enough)
        level = self.state.level
        level += np.where(enough[:, None], _PACE * (np.column_stack([strong, log]) - level), 0.0)
        self.state.last = block.start
        self.reasons.end_block(block.start, block.failed, now_held + failed)
        self._alarm(block.start)
        told = np.where(enough[:, None], strong, np.nan)
        large = enough & (np.abs(strong).max(axis=1) > LARGE)
        told[large, 0] = np.clip(log[large], -LARGEST, LARGEST)
        return Shifts(block.start, now_held.astype(np.int64), failed.astype(np.int64), told)

    def regressions(self) -> Iterator[Regression]:
        """Every alarm that lasts."""
        for key, alarm in self.alarms.items():
            yield self._told(key, alarm)

    def evidence(self) -> Mapping[tuple[Channel, Direction], Floats]:
        """The evidence of each row, 1 is the threshold of `suspect`: of shape (rows,) for each channel and
        direction."""
        share = self.state.sums / self._thresholds
        found: dict[tuple[Channel, Direction], Floats] = {}
        for number, column in enumerate(COLUMNS):
            key = column.channel, column.direction
            found[key] = np.maximum(found[key], share[:, number]) if key in found else share[:, number]
        return found

    def _with_waiting(self, block: Block) -> Block:
        """The block with what its rows have waited with; rows that still have too little wait on, for an hour at
        most."""
        whole = block.joined(self.waiting) if len(self.waiting.rows) else block
        held = whole.held(len(self))
        short = (held > 0) & (held < LEAST)
        self.waited = np.where(short, self.waited + 1, 0)
        lost = short & (self.waited >= _WAIT)
        self.skipped += int(lost.sum())
        self.waited[lost] = 0
        self.waiting = whole.only((short & ~lost)[whole.rows])
        return whole.only(~short[whole.rows]) if short.any() else whole

    def _see(self, start: int, shifts: Floats, enough: Bools) -> None:
        """Columns that begin from nothing forget what they have seen; those of shifts see this block's."""
        state = self.state
        fresh = state.sums == 0.0
        state.onset[fresh] = start
        state.seen[fresh] = 0.0
        state.beyond[fresh[:, TAIL]] = 0.0
        met = np.where(enough[:, None], shifts, 0.0)
        state.seen[:, :SHIFTING] += met[:, None, :]

    def _see_others(self, held: Floats, beyond: Floats, failed: Floats, runs: Floats) -> None:
        """The columns of tail and failure see this block."""
        seen = self.state.seen
        self.state.beyond += beyond
        seen[:, TAIL, 2] += held
        seen[:, FAILURE, 0] += failed
        seen[:, FAILURE, 2] += runs

    def _alarm(self, start: int) -> None:
        share = self.state.sums / self._thresholds
        found: dict[AlarmKey, Evidence] = {}
        rows = set(np.flatnonzero((share >= 1.0).any(axis=1)).tolist()) | {key.row for key in self.alarms}
        for row in rows:
            for number, column in enumerate(COLUMNS):
                key = AlarmKey(row, column.channel, column.direction)
                told = Evidence(float(share[row, number]), int(self.state.onset[row, number]), number)
                if key not in found or told.evidence > found[key].evidence:
                    found[key] = told
            for way in Direction:
                self._agree(found, AlarmKey(row, Channel.LOCATION, way), AlarmKey(row, Channel.RANK, way))
        for (row, reason), excursion in self.reasons.items():
            key = AlarmKey(row, Channel.FAILURE, Direction.REGRESSED, reason)
            found[key] = Evidence(excursion.evidence, excursion.onset, FAILURE)
        self.alarms.follow(start, found, self._sized)

    @staticmethod
    def _agree(found: dict[AlarmKey, Evidence], *keys: AlarmKey) -> None:
        """Both scores of a shift are about the same thing: one alone confirms it only with more evidence."""
        for key, other in (keys, reversed(keys)):
            told = found[key]
            found[key] = told._replace(sure=told.evidence >= ALONE or found[other].evidence >= SUSPECT)

    def _sized(self, key: AlarmKey, evidence: Evidence) -> Sized:
        fit = self.fits[key.row]
        if key.reason:
            excursion = self.reasons[key.row, key.reason]
            return size_of(fit, key.channel, np.array([excursion.failed, 0.0, excursion.runs]), key.reason)
        if key.channel is Channel.TAIL:
            return tail_of(fit, self.state.beyond[key.row], float(self.state.seen[key.row, TAIL, 2]))
        return size_of(fit, key.channel, self.state.seen[key.row, evidence.column])

    def _told(self, key: AlarmKey, alarm: Alarm) -> Regression:
        subject = self.keys[key.row]
        return Regression(
            subject, subject.layer, key.channel, alarm.level, key.direction, alarm.onset, alarm.since, alarm.evidence,
            alarm.sized.size, self.baseline, key.reason, alarm.sized.was, alarm.sized.now,
        )  # fmt: skip
