"""The place of the tracker in the service: empty until a configuration asks for it, for it needs numpy and SQLite."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from prober.engine.endpoints import Endpoints
from prober.export.events import EventLog
from prober.export.exposition import Exposition
from prober.model import Cell, Run, Vantage

if TYPE_CHECKING:
    from prober.baseline.store import Retention, Store
    from prober.baseline.values import Recording
    from prober.engine.baselines.showing import Showing
    from prober.engine.baselines.tracker import Tracker
    from prober.engine.loading import Matrix
    from prober.kubernetes.api import ApiAccess

log = logging.getLogger(__name__)


class Seat:
    """`tracker` is None where neither baselines nor budgets on quantiles are asked for.

    `data` is the directory of the store, None is memory; `accepted` the baseline that is active from the start.
    """

    def __init__(
        self,
        vantage: Vantage,
        events: EventLog,
        endpoints: Endpoints,
        exposition: Exposition,
        *,
        data: Path | None = None,
        accepted: Recording | None = None,
        access: ApiAccess | None = None,
    ) -> None:
        self._vantage, self._events, self._endpoints = vantage, events, endpoints
        self._exposition = exposition
        self._data, self._accepted, self._access = data, accepted, access
        self.tracker: Tracker | None = None
        self._showing: Showing | None = None

    async def take(self, matrix: Matrix) -> None:
        """Take on a configuration."""
        if self.tracker is None and not wanted(matrix):
            return
        if self.tracker is None or self._showing is None:
            self.tracker, self._showing = self._begin()
        await self.tracker.set_cells(matrix.cells, matrix.baseline, self._accepted)
        self._accepted = None  # a reload does not make it the active one again
        await self._showing.set_cells(matrix.cells, matrix.baseline)

    def record(self, cell: Cell, runs: Iterable[Run]) -> None:
        """The runs of one firing."""
        if self.tracker is not None:
            self.tracker.record(cell, runs)

    def tick(self) -> None:
        """To be called a few times a second."""
        if self.tracker is not None:
            self.tracker.tick()

    async def close(self) -> None:
        """End."""
        if self.tracker is not None:
            await self.tracker.close()

    def _begin(self) -> tuple[Tracker, Showing]:
        from prober.engine.baselines.showing import Showing
        from prober.engine.baselines.surroundings import Surroundings
        from prober.engine.baselines.tracker import Tracker

        tracker = Tracker(
            self._vantage,
            self._events,
            open_store=self._open,
            node_of=self._endpoints.node_of,
            about=self._about,
            surroundings=Surroundings(self._api),
        )
        showing = Showing(tracker, self._vantage)
        tracker.show = showing.show
        self._exposition.add(showing.metrics)
        return tracker, showing

    def _open(self, retention: Retention) -> Store:
        from prober.baseline.store import FILE, Store

        path = None if self._data is None else self._data / FILE
        return Store.open(path, retention=retention, on_failure=_failed)

    def _api(self) -> ApiAccess | None:
        from prober.kubernetes.api import ApiAccess

        return self._access or ApiAccess.in_cluster()

    async def _about(self) -> dict[str, str]:
        from prober.kubernetes.nodes import about_here

        return await about_here(self._vantage.node, self._api())


def wanted(matrix: Matrix) -> bool:
    """Whether a configuration asks for a tracker."""
    return any(
        bool(cell.quantile_budget) or (matrix.baseline.enabled and cell.baseline and cell.expect.failed is None)
        for cell in matrix.cells
    )


def _failed(text: str) -> None:
    log.warning("baselines: the store failed: %s", text)
