"""Baselines of this vantage: what API and metrics are shown of them, and what people may do with them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from typing import Final

from prober.baseline import file
from prober.baseline.bank import Bank
from prober.baseline.grouped import worse_sides
from prober.baseline.groups import GroupBank
from prober.baseline.scores import Block
from prober.baseline.standings import Standing, standings
from prober.baseline.store import BaselineInfo, Recorded, Shifts, Store, StoreFailed, WindowRefused, Wishes
from prober.baseline.values import BLOCK, HOUR, Origin, Recording, Regression, SeriesKey
from prober.engine.baselines.judging import Judging
from prober.engine.baselines.learning import Learning
from prober.engine.baselines.meter import Meter
from prober.engine.baselines.sampling import Live
from prober.engine.baselines.surroundings import Surroundings
from prober.export.events import EventLog
from prober.model import Vantage
from prober.options import RecordOptions
from prober.units import rfc3339_at

log = logging.getLogger(__name__)

#: Seconds that are recorded unless somebody says otherwise.
RECORDED: Final = 48 * HOUR
#: Seconds between two tries to record the first baseline, once it might be there.
_AGAIN: Final = HOUR


async def _nobody_looks() -> None: ...


About = Callable[[], Awaitable[Mapping[str, str]]]
"""What is known of where the prober runs: `kernel`, `kubelet` …"""


class Baselines:
    """Of the event loop's thread alone. Asynchronous methods raise StoreFailed where the disk fails."""

    def __init__(
        self, store: Store, events: EventLog, meter: Meter, vantage: Vantage, about: About, surroundings: Surroundings
    ) -> None:
        self.store = store
        self._vantage, self._events, self._about = vantage, events, about
        self._learning = Learning(store)
        self._judging = Judging(store, events, self._learning, meter, surroundings)
        self._live = Live({}, {}, {})
        self._considered = self._live
        self._stale = True
        self._learner: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._tried = 0
        self._said = False
        self.first: RecordOptions | None = None
        """The baseline that is recorded without being told."""
        self.show: Callable[[], Awaitable[None]] = _nobody_looks
        """Shows what is known, where that is something new and no block is over."""

    # what there is to see

    def regressions(self) -> tuple[Regression, ...]:
        """Those that are open, suspected ones and improvements too."""
        return tuple(self._judging.openings.open.values())

    async def past(self, since: float, until: float) -> tuple[Regression, ...]:
        """Those that were open at some time between the two (Unix seconds), by onset."""
        return await asyncio.wrap_future(self.store.regressions(since, until))

    def banks(self) -> Iterator[Bank]:
        """All banks: `keys`, `evidence()` and `state.level` go by row. Not to be kept over a block's end."""
        return iter(self._judging.banks)

    def groups(self) -> Iterator[GroupBank]:
        """Groups of series, watched as one: `pool.groups`, `evidence()` and `size()` go by row. Not to be kept over a
        block's end."""
        return iter(self._judging.groups)

    def rows(self) -> Iterator[Standing]:
        """Every series that has a baseline, and how it stands to it."""
        for bank in self._judging.banks:
            yield from standings(bank)

    def coverage(self) -> float | None:
        """The share of the series with runs in the last block that have a baseline; None before there is a block."""
        measured = self._judging.measured
        return len(measured & self._judging.judged) / len(measured) if measured else None

    @property
    def series(self) -> int:
        """Series that had runs in the last block."""
        return len(self._judging.measured)

    @property
    def judged(self) -> int:
        """Series that are held against a baseline."""
        return self._judging.banks.size

    @property
    def last_block(self) -> int | None:
        """The start (Unix seconds) of the block that was judged last."""
        return self._judging.last

    @property
    def says(self) -> str:
        """Where baselines are kept, and what is wrong with that."""
        return self.store.says

    @property
    def other_ways(self) -> frozenset[str]:
        """Cells that are probed in another way than when their baseline was recorded: they have none."""
        return frozenset(self._learning.other_ways)

    @property
    def unfit(self) -> Mapping[SeriesKey, str]:
        """Series whose baseline is of no use, and why."""
        return dict(self._learning.unfit)

    @property
    def learning(self) -> bool:
        """Whether baselines are still being read or fitted."""
        return self._learner is not None and not self._learner.done()

    # what people do

    async def baselines(self) -> tuple[BaselineInfo, ...]:
        """All baselines, in the order in which they were recorded."""
        return await asyncio.wrap_future(self.store.list())

    async def get(self, label: str, version: int | None = None) -> Recording:
        """One baseline, its newest version unless one is named. UnknownBaseline."""
        return await asyncio.wrap_future(self.store.get(label, version))

    async def record(
        self, label: str, now: float, since: float | None = None, until: float | None = None,
        about: Mapping[str, str] | None = None, *, regressed: bool = False,
    ) -> Recorded:  # fmt: skip
        """A new version of the baseline `label` from what was measured between the two (Unix seconds): the last 48 h
        unless told. It is the active one for series that have none. Those that had regressed are refused unless
        `regressed`. WindowRefused: nothing was recorded. ValueError:
        the label cannot be one."""
        until = now if until is None else until
        since = until - RECORDED if since is None else since
        origin = await self._origin(about or {})
        worse = {} if regressed else worse_sides(self._judging.groups, await self.past(since, until))
        wishes = Wishes(tuple(self._live.rows), regressed, {key: _refusal(one) for key, one in worse.items()})
        asked = self.store.record(label, since, until, origin, self._live.settings, wishes)
        recorded = await asyncio.wrap_future(asked)
        self._events.baseline("baseline_recorded", _told(recorded.baseline))
        self._learn(refresh=True)
        return recorded

    async def accept(self, label: str, version: int | None = None) -> BaselineInfo:
        """Make it the active one of each of its series, from the next block on. UnknownBaseline."""
        info = await asyncio.wrap_future(self.store.activate(label, version))
        self._events.baseline("baseline_accepted", _told(info))
        self._learn(refresh=True)
        return info

    async def delete(self, label: str, version: int, *, force: bool = False) -> None:
        """Delete one. UnknownBaseline. ValueError: it is an active one, and `force` is not set."""
        await asyncio.wrap_future(self.store.delete(label, version, force=force))
        self._learn(refresh=True)

    async def export(self, label: str, version: int | None = None) -> bytes:
        """One baseline as a file (gzip). UnknownBaseline."""
        return await asyncio.to_thread(file.write, await self.get(label, version))

    async def origin(self) -> Origin:
        """Where this vantage is, and what runs there now."""
        return await self._origin({})

    async def window(self, since: float, until: float) -> Recording:
        """What was measured between the two (Unix seconds), good or bad, as a recording with the label `now`."""
        origin = await self._origin({})
        return await asyncio.wrap_future(self.store.window(since, until, origin, self._live.settings))

    async def export_window(self, since: float, until: float) -> bytes:
        """The same as a file."""
        return await asyncio.to_thread(file.write, await self.window(since, until))

    async def import_(self, data: bytes) -> tuple[BaselineInfo, ...]:
        """Take in the recordings of a file, active for no series. BadFile. ValueError: one cannot be a baseline."""
        recordings = await asyncio.to_thread(file.read_all, data)
        return tuple([await asyncio.wrap_future(self.store.put(one)) for one in recordings])

    async def shifts(
        self, since: float, until: float, series: Iterable[SeriesKey] | None = None
    ) -> tuple[Shifts, ...]:  # fmt: skip
        """Of each block that begins between the two, how series with a baseline did."""
        return await asyncio.wrap_future(self.store.shifts(since, until, series))

    # what the tracker does

    async def start(self, now: int, accepted: Recording | None) -> None:
        """Go on from what is kept. `accepted` is taken in and is the active baseline."""
        if accepted is not None:
            try:
                info = await asyncio.wrap_future(self.store.put(accepted))
                await asyncio.wrap_future(self.store.activate(info.label, info.version))
            except (StoreFailed, ValueError) as error:
                log.error("baseline %s is not the active one: %s", accepted.label, error)
        await self._judging.recall(now)

    def watch(self, live: Live) -> None:
        """These series are measured from now on."""
        self._live = live
        if self._stale or self._considered is not live:
            self._learn(refresh=self._stale)

    async def end_block(self, block: Block, lacking: Collection[int]) -> None:
        """Judge a block; `lacking` are rows for which it says nothing."""
        async with self._turn:
            await self._judging.end_block(block, self._live, lacking)
        await self._record_first(block.start + BLOCK)

    async def settled(self) -> None:
        """Wait until all baselines are read and fitted."""
        while self._learner is not None:
            await self._learner

    async def close(self) -> None:
        """End. What was asked of the store is still done."""
        learner, self._learner = self._learner, None
        if learner is not None:
            learner.cancel()
            await asyncio.gather(learner, return_exceptions=True)
        await asyncio.to_thread(self.store.close)

    def _learn(self, *, refresh: bool) -> None:
        self._stale = self._stale or refresh
        if self._learner is None:
            self._learner = asyncio.create_task(self._learned(), name="baselines: learning")

    async def _learned(self) -> None:
        """Learn until nothing is new; at a failure of the disk until the next block."""
        try:
            while self._stale or self._considered is not self._live:
                live, refresh, self._stale = self._live, self._stale, False
                try:
                    await self._learning.learn(live, refresh=refresh)
                except (StoreFailed, ValueError) as error:
                    log.warning("baselines could not be read: %s", error)
                    self._stale = True
                    return
                self._considered = live
            await self._go_on()
        except Exception:
            log.exception("internal error while baselines were read")
            self._stale = True
        finally:
            self._learner = None

    async def _go_on(self) -> None:
        """After a restart: what was known before it is known, and shown, before the first block is over."""
        if not self._judging.arranged:
            async with self._turn:
                await self._judging.arrange(self._live)
            await self.show()

    async def _record_first(self, now: int) -> None:
        """Record the first baseline by itself, if that is wished for, there is none, and there is enough to."""
        wish = self.first
        if wish is None or self.judged or now < self._tried + _AGAIN:
            return
        try:
            since = await asyncio.wrap_future(self.store.first_hour())
            if since is None or now - since < wish.after or await self.baselines():
                return
            self._tried = now
            recorded = await self.record(wish.label, now, now - wish.after)
        except (WindowRefused, StoreFailed, ValueError) as error:
            level, self._said = logging.DEBUG if self._said else logging.WARNING, True
            log.log(level, "baseline %s is not recorded yet, and tried again each hour: %s", wish.label, error)
            return
        log.info("baseline %s is recorded: %d series, %d refused", recorded.baseline.name, recorded.baseline.series,
                 len(recorded.refused))  # fmt: skip
        for one in recorded.refused:
            log.warning("%s is not in baseline %s: %s", one.series, recorded.baseline.name, one.why)

    async def _origin(self, about: Mapping[str, str]) -> Origin:
        here = self._vantage
        return Origin(here.name, here.node, here.zone, here.region, {**await self._about(), **about})


def _refusal(one: Regression) -> str:
    since = rfc3339_at(one.onset)
    return f"{one.subject} had regressed in the window ({one.level.value}) since {since}"


def _told(info: BaselineInfo) -> dict[str, object]:
    return {"label": info.label, "version": info.version, "series": info.series, "active": info.active}
