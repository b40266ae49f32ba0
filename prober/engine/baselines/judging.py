"""One block of all series: merged into its hour, judged by the banks, told to the event log and the store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from prober.baseline.bank import Shifts as BankShifts
from prober.baseline.gathering import HourSoFar, measured, shared_out, without
from prober.baseline.memory import VERSION, Name, Remembered, pack, remembered, unpack
from prober.baseline.scores import Block
from prober.baseline.store import Block as Kept
from prober.baseline.store import Shifts, State, Store, StoreFailed
from prober.baseline.telling import as_dict
from prober.baseline.values import BLOCK, HOUR, Hour, Regression, SeriesKey
from prober.engine.baselines.banks import Banks
from prober.engine.baselines.changes import Changes, Openings
from prober.engine.baselines.learning import Learning
from prober.engine.baselines.meter import Meter
from prober.export.events import EventLog
from prober.export.pace import Pace

log = logging.getLogger(__name__)

#: Seconds for which what was remembered waits for its series: those of endpoints come with their first run.
_WAIT: Final = HOUR


class Judging:
    """The state of all that is judged. One block, or one arrangement of the banks, at a time."""

    def __init__(self, store: Store, events: EventLog, learning: Learning, meter: Meter) -> None:
        self._store, self._events, self._learning, self._meter = store, events, learning, meter
        self.banks = Banks()
        self.openings = Openings()
        self.last: int | None = None
        """The start of the block that was judged last."""
        self.measured: set[SeriesKey] = set()
        """The series that had runs in it."""
        self.again = 0
        """Series for which a block came a second time: the clock was set back. It was left out."""
        self._hour: HourSoFar | None = None
        self._remembered: Remembered = {}
        self._waits_until = 0
        self._settled: dict[SeriesKey, str] = {}

    async def recall(self, now: int) -> None:
        """Go on from what the store has. What it cannot read is left behind, and said."""
        try:
            saved = await asyncio.wrap_future(self._store.load_state())
            regressions = await asyncio.wrap_future(self._store.regressions(now, now))
        except (StoreFailed, ValueError) as error:
            log.warning("what was known of regressions could not be read: %s", error)
            return
        self.openings = Openings(regressions)
        if saved is None:
            return
        try:
            self._remembered = await asyncio.to_thread(unpack, saved[1].version, saved[1].data)
            self._waits_until = now + _WAIT
        except ValueError as error:
            log.warning("detectors begin anew: %s", error)

    async def arrange(self, live: Collection[SeriesKey], settings: Mapping[str, str]) -> None:
        """Judge these series from the next block on, each against the baseline that is ready for it."""
        pace = Pace()
        for _ in self.banks.arrange(self._learning.judged(live, settings), self._remembered):
            if pace.due:
                await pace.rest()
        for bank in self.banks:
            for key in bank.keys:
                self._remembered.pop((key, bank.baseline), None)

    async def end_block(
        self, block: Block, live: Mapping[SeriesKey, int], lacking: Collection[int], settings: Mapping[str, str]
    ) -> None:
        """Judge a block. `live`: the series that are watched, and their rows in it; `lacking`: the rows for which it
        says nothing."""
        keys = {row: key for key, row in live.items()}
        hour = await self._hour_of(block.start, live)
        runs = measured(block)
        again = hour.has(block.start, runs & keys.keys())
        self.again += len(again)
        rows = runs & keys.keys() - again - set(lacking)
        block = await asyncio.to_thread(without, block, runs - rows)
        hours = await asyncio.to_thread(self._merge, hour, block, {row: keys[row] for row in rows})
        self.measured = set(hours)
        await self.arrange(live, settings)
        shifts = await self._judge(block, live)
        changes = self._follow(block.start + BLOCK)
        if block.start + BLOCK >= self._waits_until:
            self._remembered = {}
        state = State(VERSION, await asyncio.to_thread(self._state))
        new = {key.cell: settings[key.cell] for key in hours if self._settled.get(key) != settings.get(key.cell)}
        kept = Kept(block.start, hours, shifts, state, tuple(changes.told), new)
        self.last = block.start
        try:
            await asyncio.wrap_future(self._store.save_block(kept))
        except StoreFailed:
            return  # the store has said it, and tries again with the next block
        self._settled.update((key, settings[key.cell]) for key in hours)

    async def _hour_of(self, start: int, live: Mapping[SeriesKey, int]) -> HourSoFar:
        """The hour of a block, with what the store has of it already: from before a restart, or a step of the clock."""
        begin = start // HOUR * HOUR
        if self._hour is None or self._hour.start != begin:
            known: dict[SeriesKey, Hour] = {}
            try:
                known = await asyncio.wrap_future(self._store.hours_of_current(begin))
            except (StoreFailed, ValueError) as error:
                log.warning("what was measured of this hour before could not be read: %s", error)
            self._hour = HourSoFar.of(begin, {live[key]: hour for key, hour in known.items() if key in live})
        return self._hour

    def _merge(self, hour: HourSoFar, block: Block, keys: Mapping[int, SeriesKey]) -> dict[SeriesKey, Hour]:
        with self._meter:
            hour.add(block, keys)
            return hour.hours(keys)

    async def _judge(self, block: Block, live: Mapping[SeriesKey, int]) -> Shifts:
        banks = list(self.banks)
        rows = [[live[key] for key in bank.keys] for bank in banks]
        parts = await asyncio.to_thread(shared_out, block, rows)
        found: list[tuple[Sequence[SeriesKey], BankShifts]] = []
        pace = Pace()
        for bank, part in zip(banks, parts, strict=True):
            with self._meter:
                found.append((bank.keys, bank.end_block(part)))
            if pace.due:
                await pace.rest()
        return Shifts.joined(block.start, [(keys, s.held, s.failed, s.shift) for keys, s in found])

    def _follow(self, now: int) -> Changes:
        """Tell what has opened, been confirmed and ended."""
        found = [one for bank in self.banks for one in bank.regressions()]
        changes = self.openings.follow(now, found, self._waits)
        for one in (*changes.opened, *changes.confirmed):
            self._events.regression("regression", as_dict(one, now))
        for one in changes.over:
            self._events.regression("regression_over", as_dict(one, now))
        return changes

    def _waits(self, one: Regression) -> bool:
        """Whether what is remembered of its series is not in a bank yet."""
        name: Name | None = None if isinstance(one.subject, str) else (one.subject, one.baseline)
        return name in self._remembered

    def _state(self) -> bytes:
        with self._meter:
            return pack({**self._remembered, **remembered(self.banks)})
