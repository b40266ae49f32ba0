"""What `/metrics` is shown of baselines and budgets: after each block, and when a configuration is taken on."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

from prober.baseline.standings import alarmed_groups, group_standings, standings
from prober.baseline.store import StoreFailed
from prober.baseline.values import BLOCK
from prober.engine.baselines.baselines import Baselines
from prober.engine.baselines.clock import Skipped
from prober.export.baselines import ALARMING, BaselineMetrics, Told
from prober.export.pace import Pace
from prober.export.series import Owner
from prober.model import Cell, Vantage
from prober.options import BaselineSettings

if TYPE_CHECKING:
    from prober.engine.baselines.tracker import Tracker


class Showing:
    """Of the event loop's thread."""

    def __init__(self, tracker: Tracker, vantage: Vantage) -> None:
        self.metrics = BaselineMetrics(vantage)
        self._tracker = tracker
        self._least = ALARMING
        self._turn = asyncio.Lock()

    async def set_cells(self, cells: Sequence[Cell], settings: BaselineSettings) -> None:
        """Take on a matrix."""
        self._least = 0.0 if settings.metrics == "all" else ALARMING
        self.metrics.set_cells(cells)
        await self.show()

    async def show(self) -> None:
        """Show what is known now; the event loop goes on meanwhile."""
        async with self._turn:
            told, pace = Told(), Pace()
            if self._tracker.baselines is not None:
                await self._collect(self._tracker.baselines, told, pace)
            for one in self._tracker.ledger.all():
                told.budget(one)
            for _ in self.metrics.show(told):
                if pace.due:
                    await pace.rest()

    async def _collect(self, baselines: Baselines, told: Told, pace: Pace) -> None:
        judged: Counter[str] = Counter()
        for bank in tuple(baselines.banks()):
            judged.update(key.layer for key in bank.keys if not key.node)
            for one in standings(bank, self._least):
                told.series(one)
                if pace.due:
                    await pace.rest()
        for groups in tuple(baselines.groups()):
            for group in group_standings(groups, self._least):
                told.group(group)
                if pace.due:
                    await pace.rest()
        regressions = baselines.regressions()
        told.regressions(regressions, alarmed_groups(baselines.groups()))
        told.layers(judged, regressions)
        told.skipped({cause: self._tracker.skipped[cause] for cause in get_args(Skipped)})
        try:
            for info in await baselines.baselines():
                if info.active:
                    told.baseline(info.label, info.version, info.recorded_at)
        except StoreFailed:
            del told.owners[Owner.BASELINE]  # they are as they were, as far as anybody knows
        last = baselines.last_block
        told.itself(
            coverage=baselines.coverage(),
            last_block=None if last is None else last + BLOCK,
            cpu_seconds=self._tracker.cpu_seconds,
            persistent=baselines.store.persistent,
            failures=baselines.store.failures,
        )
