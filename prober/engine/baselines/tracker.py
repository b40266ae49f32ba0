"""The live part of baselines and budgets: a sink of runs, and what happens every ten minutes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from prober.baseline.budget import Standing, sentence
from prober.baseline.gathering import Samples, sketches
from prober.baseline.ledger import Ledger
from prober.baseline.scores import Block
from prober.baseline.store import Retention, Store
from prober.baseline.values import BLOCK, HOUR, Recording
from prober.engine.baselines.baselines import About, Baselines
from prober.engine.baselines.clock import BlockClock, Ended, Skipped
from prober.engine.baselines.meter import Meter
from prober.engine.baselines.sampling import NodeOf, Sampler
from prober.engine.baselines.surroundings import Surroundings
from prober.export.events import EventLog
from prober.export.pace import Pace
from prober.model import Cell, Run, Vantage
from prober.options import BaselineSettings

log = logging.getLogger(__name__)


async def _nobody_looks() -> None: ...


OpenStore = Callable[[Retention], Store]
"""Opens the store; blocks."""


class Tracker:
    """Samples runs; at the end of each block judges budgets, and baselines where they are enabled.

    Of the event loop's thread. `clock` is Unix seconds, `monotonic` is never set.
    """

    def __init__(
        self,
        vantage: Vantage,
        events: EventLog,
        *,
        open_store: OpenStore,
        node_of: NodeOf,
        about: About,
        surroundings: Surroundings | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._vantage, self._events, self._about = vantage, events, about
        self._open_store, self._clock, self._monotonic = open_store, clock, monotonic
        self._sampler = Sampler(node_of)
        self._blocks = BlockClock(clock(), monotonic())
        self._meter = Meter()
        self._ends: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._hour = 0
        self.ledger = Ledger()
        """How cells stand to their budgets on quantiles."""
        self.baselines: Baselines | None = None
        """None where baselines are not enabled."""
        self.skipped: Counter[Skipped] = Counter()
        """Blocks that say nothing, by cause."""
        self.lacking = 0
        """Series that were left out of a block, for their cell was new or fewer than half of its runs took place."""
        self.surroundings = surroundings or Surroundings()
        """What is known of the nodes of endpoints."""
        self.show: Callable[[], Awaitable[None]] = _nobody_looks
        """Shows what is known now to whoever looks at metrics. Called whenever a block was judged."""

    @property
    def now(self) -> float:
        """Unix seconds, by the clock that blocks go by."""
        return self._clock()

    @property
    def cpu_seconds(self) -> float:
        """What blocks have cost so far, of both cores and without the store."""
        return self._meter.seconds

    def record(self, cell: Cell, runs: Iterable[Run]) -> None:
        """The runs of one firing."""
        self._sampler.record(cell, runs)

    async def set_cells(
        self, cells: Sequence[Cell], settings: BaselineSettings, accepted: Recording | None = None
    ) -> None:
        """Take on a matrix. `accepted` is the active baseline from the start."""
        retention = Retention(hours=settings.retention)
        if settings.enabled and self.baselines is None:
            store = await asyncio.to_thread(self._open_store, retention)
            here = self._vantage, self._about, self.surroundings
            self.baselines = Baselines(store, self._events, self._meter, *here)
            self.baselines.show = self._show
            await self.baselines.start(int(self._clock()), accepted)
        elif not settings.enabled and self.baselines is not None:
            baselines, self.baselines = self.baselines, None
            await self._ended()
            await baselines.close()
        now = self._clock()
        pace = Pace()
        for _ in self._sampler.set_cells(cells, enabled=settings.enabled, late=not self._blocks.just_begun(now)):
            if pace.due:
                await pace.rest()
        self.ledger.set_cells(cells)
        if self.baselines is not None:
            self.baselines.first = settings.record
            self.baselines.store.keep_for(retention)
            self.baselines.watch(self._sampler.live)

    def tick(self) -> None:
        """To be called a few times a second: ends the block when it is time."""
        with self._meter:
            self._sampler.samples.fold()
        ended = self._blocks.tick(self._clock(), self._monotonic())
        if ended is not None:
            samples, lacking = self._sampler.take()
            before = self._ends
            self._ends = asyncio.create_task(self._end(before, ended, samples, lacking), name="baselines: end of block")

    async def idle(self) -> None:
        """Wait until every block that is over was judged and written, and all baselines are ready."""
        while self._ends is not None and not self._ends.done():
            await self._ends
        if self.baselines is not None:
            await self.baselines.settled()

    async def close(self) -> None:
        """End. The block in progress is lost; the one before, if it is being judged, is judged to its end."""
        await self._ended()
        if self.baselines is not None:
            await self.baselines.close()
        await self.surroundings.close()

    async def _ended(self) -> None:
        """The block that is being judged is."""
        if self._ends is not None:
            await asyncio.gather(self._ends, return_exceptions=True)

    async def _end(self, before: asyncio.Task[None] | None, ended: Ended, samples: Samples, lacking: set[int]) -> None:
        if before is not None:
            await asyncio.gather(before, return_exceptions=True)
        try:
            await self._end_block(ended, samples, lacking)
            await self.show()
        except Exception:
            log.exception("internal error at the end of a block")

    async def _end_block(self, ended: Ended, samples: Samples, lacking: set[int]) -> None:
        block = await asyncio.to_thread(self._block, samples, ended.start)
        await self._judge_budgets(block)
        baselines = self.baselines
        if baselines is None:
            return
        baselines.watch(self._sampler.live)  # endpoints may have come to new nodes
        live = self._sampler.live.keys
        cut = ended.cut or ("missed" if live and lacking.issuperset(live) else None)
        if cut is not None:
            self.skipped[cut] += 1
        else:
            self.lacking += len(lacking)
            await baselines.end_block(block, lacking)
        if ended.start // HOUR != self._hour:
            self._hour = ended.start // HOUR
            self._sampler.forget()

    async def _show(self) -> None:
        await self.show()

    def _block(self, samples: Samples, start: int) -> Block:
        with self._meter:
            return samples.block(start)

    async def _judge_budgets(self, block: Block) -> None:
        rows = self._sampler.budget_rows()
        if not rows:
            return
        with self._meter:
            found = {rows[row]: sketch for row, sketch in sketches(block, rows).items()}
        pace = Pace()
        for standings, changed in self.ledger.end_block(block.start, found):
            for one in changed:
                self._tell(one, standings, block.start + BLOCK)
            if pace.due:
                await pace.rest()

    def _tell(self, one: Standing, standings: Sequence[Standing], now: int) -> None:
        """A budget that is broken, or kept again."""
        what: dict[str, Any] = {
            "cell": one.series.cell,
            "layer": one.series.layer,
            "quantile": one.quantile,
            "budget": one.budget,
            "measured": one.measured,
        }
        if one.breached:
            self._events.budget("budget_broken", {**what, "says": sentence(standings, now)})
        else:
            self._events.budget("budget_kept", what)
