"""One block of all series: merged into its hour, judged by the banks, told to the event log and the store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Final

from prober.baseline import grouped
from prober.baseline.apart import Commons
from prober.baseline.bank import Shifts as BankShifts
from prober.baseline.fitted import join_frames, split_frames
from prober.baseline.gathering import HourSoFar, measured, shared_out, without
from prober.baseline.groups import GroupBank
from prober.baseline.memory import VERSION, Remembered, pack, remembered, unpack
from prober.baseline.scores import Block
from prober.baseline.store import Block as Kept
from prober.baseline.store import Shifts, State, Store, StoreFailed
from prober.baseline.telling import as_dict
from prober.baseline.values import BLOCK, HOUR, Hour, Regression, SeriesKey
from prober.engine.baselines.banks import Banks, Known
from prober.engine.baselines.changes import Changes, Openings
from prober.engine.baselines.learning import Learning
from prober.engine.baselines.meter import Meter
from prober.engine.baselines.sampling import Live
from prober.engine.baselines.surroundings import Surroundings
from prober.export.events import EventLog
from prober.export.pace import Pace

log = logging.getLogger(__name__)

#: Seconds for which what was remembered waits for its series: those of endpoints come with their first run.
_WAIT: Final = HOUR


class Judging:
    """The state of all that is judged. One block, or one arrangement of the banks, at a time."""

    def __init__(
        self, store: Store, events: EventLog, learning: Learning, meter: Meter, surroundings: Surroundings
    ) -> None:
        self._store, self._events, self._learning, self._meter = store, events, learning, meter
        self._surroundings = surroundings
        self.banks = Banks()
        self.groups: list[GroupBank] = []
        self.openings = Openings()
        self.last: int | None = None
        """The start of the block that was judged last, before a restart if none was since."""
        self.measured: set[int] = set()
        """The rows that had runs in it."""
        self.judged: set[int] = set()
        """The rows that have a baseline."""
        self.again = 0
        """Series for which a block came a second time: the clock was set back. It was left out."""
        self._hour: HourSoFar | None = None
        self._remembered: Remembered = {}
        self._groups: grouped.Remembered = {}
        """What is remembered of groups, and not in a bank yet."""
        self._waits_until = 0
        self._settled: dict[int, str] = {}
        self._rows: list[list[int]] = []
        """Of each bank."""
        self._arranged: tuple[Live, int] | None = None

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
        self.last = saved[0]
        try:
            rows, groups = split_frames(saved[1].data)
            self._remembered = await asyncio.to_thread(unpack, saved[1].version, rows)
            self._groups = grouped.unpack(groups)
            self._waits_until = now + _WAIT
        except ValueError as error:
            log.warning("detectors begin anew: %s", error)

    @property
    def arranged(self) -> bool:
        """Whether it is known yet which series are judged."""
        return self._arranged is not None

    async def arrange(self, live: Live) -> None:
        """Judge these series from the next block on, each against the baseline that is ready for it."""
        now = live, self._learning.version
        if self._arranged == now:
            return
        await asyncio.to_thread(self._arrange, await self._learning.judged(live), live)
        self._arranged = now

    async def end_block(self, block: Block, live: Live, lacking: Collection[int]) -> None:
        """Judge a block. `live`: the series that are watched; `lacking`: the rows for which it says nothing."""
        hour = await self._hour_of(block.start, live)
        block, hours = await asyncio.to_thread(self._merge, hour, block, live, lacking)
        await self.arrange(live)
        shifts = await self._judge(block)
        await self._judge_groups(shifts)
        self._surroundings.see(live.keys[row] for row in self.measured)
        changes = await self._follow(block.start + BLOCK)
        if block.start + BLOCK >= self._waits_until:
            self._remembered, self._groups = {}, {}
        state = State(VERSION, await asyncio.to_thread(self._state))
        new = await asyncio.to_thread(self._unsettled, live)
        kept = Kept(block.start, hours, shifts, state, tuple(changes.told), new)
        self.last = block.start
        try:
            await asyncio.wrap_future(self._store.save_block(kept))
        except StoreFailed:
            return  # the store has said it, and tries again with the next block
        self._settled |= {row: live.settings[live.keys[row].cell] for row in self.measured}

    async def _hour_of(self, start: int, live: Live) -> HourSoFar:
        """The hour of a block, with what the store has of it already: from before a restart, or a step of the clock."""
        begin = start // HOUR * HOUR
        if self._hour is None or self._hour.start != begin:
            known: dict[SeriesKey, Hour] = {}
            try:
                known = await asyncio.wrap_future(self._store.hours_of_current(begin))
            except (StoreFailed, ValueError) as error:
                log.warning("what was measured of this hour before could not be read: %s", error)
            self._hour = HourSoFar.of(begin, {live.rows[key]: hour for key, hour in known.items() if key in live.rows})
        return self._hour

    def _merge(
        self, hour: HourSoFar, block: Block, live: Live, lacking: Collection[int]
    ) -> tuple[Block, dict[SeriesKey, Hour]]:
        """The block with the rows alone for which it says something, and the hours with it."""
        with self._meter:
            runs = measured(block)
            again = hour.has(block.start, runs & live.keys.keys())
            self.again += len(again)
            rows = runs & live.keys.keys() - again - set(lacking)
            block = without(block, runs - rows)
            hour.add(block, rows)
            self.measured = rows
            return block, hour.hours({row: live.keys[row] for row in rows})

    def _unsettled(self, live: Live) -> dict[str, str]:
        """How those cells are probed of which the store does not know it."""
        cells = ((live.keys[row].cell, row) for row in self.measured)
        return {cell: now for cell, row in cells if self._settled.get(row) != (now := live.settings[cell])}

    async def _judge(self, block: Block) -> Shifts:
        banks = list(self.banks)
        parts = await asyncio.to_thread(shared_out, block, self._rows)
        found: list[tuple[Sequence[SeriesKey], BankShifts]] = []
        pace = Pace()
        for bank, part in zip(banks, parts, strict=True):
            with self._meter:
                found.append((bank.keys, bank.end_block(part)))
            if pace.due:
                await pace.rest()
        return Shifts.joined(block.start, [(keys, s.held, s.failed, s.shift) for keys, s in found])

    async def _follow(self, now: int) -> Changes:
        """Tell what has opened, been confirmed and ended."""
        found = [one for bank in (*self.banks, *self.groups) for one in bank.regressions()]
        changes = self.openings.follow(now, found, self._waits)
        news = (*changes.opened, *changes.confirmed)
        commons = await self._commons(news)
        for one in news:
            self._events.regression("regression", as_dict(one, now, "" if commons is None else commons.of(one)))
        for one in changes.over:
            self._events.regression("regression_over", as_dict(one, now))
        return changes

    async def _commons(self, news: Sequence[Regression]) -> Commons | None:
        """What nodes have in common that changed as these did; None where nothing is known of nodes."""
        all_open = tuple(self.openings.open.values())
        nodes = await self._surroundings.of(all_open) if news else None
        if nodes is None:
            return None
        keys = [key for bank in self.banks for key in bank.keys]
        return await asyncio.to_thread(Commons, all_open, keys, nodes.separates)

    def _waits(self, one: Regression) -> bool:
        """Whether what is remembered of its series is not in a bank yet."""
        if isinstance(one.subject, str):
            return (one.subject, one.baseline) in self._groups
        return (one.subject, one.baseline) in self._remembered

    def _state(self) -> bytes:
        with self._meter:
            rows = pack({**self._remembered, **remembered(self.banks)})
            return join_frames(rows, grouped.pack({**self._groups, **grouped.remembered(self.groups)}))

    def _arrange(self, wanted: Mapping[SeriesKey, Known], live: Live) -> None:
        with self._meter:
            self.banks.arrange(wanted, self._remembered)
            self._rows = [[live.rows[key] for key in bank.keys] for bank in self.banks]
            for bank in self.banks if self._remembered else ():
                for key in bank.keys:
                    self._remembered.pop((key, bank.baseline), None)
            self.judged = {row for rows in self._rows for row in rows}
            self.groups = self._regrouped()

    def _regrouped(self) -> list[GroupBank]:
        """The groups of the banks as they are now; those that were there before go on."""
        known = {**self._groups, **grouped.remembered(self.groups)}
        made = grouped.group_banks(self.banks)
        grouped.restore(made, known)
        for bank in made:
            for group in bank.pool.groups:
                self._groups.pop((str(group), bank.baseline), None)
        return made

    async def _judge_groups(self, shifts: Shifts) -> None:
        by_member = await asyncio.to_thread(_by_member, shifts)
        pace = Pace()
        for bank in self.groups:
            with self._meter:
                bank.end_block(shifts.start, by_member)
            if pace.due:
                await pace.rest()


def _by_member(shifts: Shifts) -> dict[Hashable, float]:
    return dict(zip(shifts.series, shifts.d.tolist(), strict=True))
