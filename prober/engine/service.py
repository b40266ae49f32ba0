"""The composition root: configuration → matrix → scheduler → climb → board, metrics and event log.

Nothing is decided here; the parts are put together, started and stopped in the right order.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prober import __version__
from prober.diagnosis.beside import explain_beside
from prober.engine import garbage
from prober.engine.baselines.seat import Seat
from prober.engine.board import Board, State
from prober.engine.climb import climb, internal
from prober.engine.endpoints import Endpoints, Unknown
from prober.engine.loading import Matrix
from prober.engine.reload import POLL, Reloader, ReloadResult
from prober.engine.scheduler import MAX_IN_FLIGHT, Scheduler
from prober.engine.warm import fill
from prober.export.cells import CellMetrics
from prober.export.events import EventLog
from prober.export.exposition import Exposition
from prober.export.pace import Pace
from prober.export.selfmetrics import Cause, SelfMetrics
from prober.layers.base import Kit
from prober.model import Cell, Run, Vantage, Verdict
from prober.wire.limits import raise_open_files

if TYPE_CHECKING:
    from prober.baseline.values import Recording
    from prober.engine.baselines.tracker import Tracker
    from prober.kubernetes.api import ApiAccess

log = logging.getLogger(__name__)

#: Seconds between two beats of the loop's watcher.
HEARTBEAT = 0.25
#: Seconds between two parts of a reload: a slot's runs have begun by then.
BREATH = 0.05
#: Seconds without a beat after which the service calls itself unhealthy.
STALL = 10.0
#: Descriptors that are not for probes: the web server, files, the API server.
_RESERVED_FILES = 256


class Service:
    """Everything that runs for `prober run` but its web server: start it, look at it, stop it. Lives on one event loop.

    Implements what the web application wants of it (`prober.web.view.ServiceView`).
    """

    def __init__(
        self,
        config: Path,
        vantage: Vantage,
        *,
        events: EventLog | None = None,
        poll: float = POLL,
        api: ApiAccess | None = None,
        data: Path | None = None,
        baseline: Recording | None = None,
    ) -> None:
        self.vantage = vantage
        self.board = Board()
        self._itself = SelfMetrics(vantage)
        self._metrics = CellMetrics(vantage, self._explain)
        self.exposition = Exposition(self._metrics, self._itself)
        self._events = events or EventLog(None, vantage)
        self._kit = Kit()
        self._endpoints = Endpoints(api)
        self._seat = Seat(
            vantage, self._events, self._endpoints, self.exposition, data=data, accepted=baseline, access=api
        )
        self._reloader = Reloader(config, vantage, self._take, self._refuse)
        self._poll = poll
        self._scheduler: Scheduler | None = None
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._probing = False
        self._idle = "the configuration is not loaded yet"
        self._beat = time.monotonic()

    @property
    def cells(self) -> int:
        """Cells of the running configuration."""
        return len(self._reloader.matrix.cells)

    @property
    def tracker(self) -> Tracker | None:
        """Baselines and budgets on quantiles; None where the configuration asks for neither."""
        return self._seat.tracker

    def ready(self) -> tuple[bool, str]:
        """Probing: a configuration is in force and the service is not about to stop."""
        return (True, f"probing {self.cells} cells") if self._probing else (False, self._idle)

    def healthy(self) -> tuple[bool, str]:
        """The loop's watcher beats and nothing that keeps the service going has ended by itself."""
        if any(task.done() for task in self._tasks):
            return False, "a task of the service has ended"
        late = time.monotonic() - self._beat
        if self._probing and late > HEARTBEAT + STALL:
            return False, f"the event loop has not come round for {late:.1f} s"
        return True, "the event loop keeps up"

    async def reload(self) -> ReloadResult:
        """Load the configuration again; a bad one changes nothing and says why."""
        return await self._reloader.reload()

    async def start(self) -> None:
        """Load the configuration and begin to probe. Raises ConfigError before anything runs."""
        limit = min(MAX_IN_FLIGHT, max(16, (raise_open_files() - _RESERVED_FILES) // 2))  # a run may hold two sockets
        self._scheduler = Scheduler(self._fire, self, max_in_flight=limit)
        await self._reloader.first()
        await self._endpoints.start()
        fill(self._kit, self._reloader.matrix.cells)
        self._scheduler.start()
        self._tasks = (asyncio.create_task(self._watch_loop()), asyncio.create_task(self._reloader.watch(self._poll)))
        self._probing = True
        self._events.started(version=__version__, config=self._reloader.matrix.hash, cells=self.cells)

    async def stop(self, drain: float) -> None:
        """Fire no more, give the runs under way `drain` seconds, then end everything. `ready` is False from now on."""
        self._probing, self._idle = False, "stopping"
        tasks, self._tasks = self._tasks, ()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        cancelled = 0 if self._scheduler is None else await self._scheduler.drain(drain)
        self.missed("draining", cancelled)
        await self._seat.close()
        await self._endpoints.close()
        await self._kit.close()
        self._events.stopped(cancelled=cancelled)
        self._events.close()
        garbage.unsettle()

    def lag(self, seconds: float) -> None:
        """See SchedulerMetrics."""
        self._itself.lag(seconds)

    def missed(self, cause: Cause, runs: int = 1) -> None:
        """See SchedulerMetrics: counted as a metric, and summed up in the event log."""
        if runs:
            self._itself.missed(cause, runs)
            self._events.missed(cause, runs)

    async def _take(self, matrix: Matrix) -> None:
        """Put a matrix in force. The parts leave alone what they do not know: so the runs that wait for one part to be
        done (some ms with thousands of cells) may begin before the next."""
        before, pace = self._reloader.matrix.cells, Pace()
        for _ in self._metrics.prepare(matrix.cells):
            if pace.due and self._probing:
                await pace.rest()
        for part in (self.board, self._metrics, self._endpoints, self._scheduler):
            if part is not None:
                part.set_cells(matrix.cells)
                await asyncio.sleep(BREATH if self._probing else 0)
        await self._seat.take(matrix)
        self._itself.cells(len(matrix.cells))
        self._itself.reloaded(True, matrix.hash, time.time())
        garbage.settle()
        if self._probing:
            self._events.reloaded(config=matrix.hash, cells=len(matrix.cells), **_differences(before, matrix.cells))

    def _refuse(self, errors: Sequence[str]) -> None:
        self._itself.reloaded(False, "", time.time())
        self._events.reload_failed(errors)

    async def _fire(self, cell: Cell, turn: int) -> None:
        """One firing of the scheduler: climb, then tell everyone."""
        try:
            runs = await climb(cell, self._kit, turn=turn, found=self._endpoints.of(cell))
        except Unknown as error:
            runs = (internal(cell, str(error)),)
        except Exception as error:
            log.exception("internal error while climbing %s", cell.id)
            runs = (internal(cell, f"{type(error).__name__}: {error}"),)
        self._post(cell, runs)

    def _post(self, cell: Cell, runs: tuple[Run, ...]) -> None:
        """Board, then metrics, then baselines, then events: each may rely on the one before."""
        entry = self.board.entry(cell.id)
        since = None if entry is None else entry.since
        change = self.board.post(cell, runs)
        if entry is None or change is None:
            return  # the cell has left the matrix while it was climbed
        self._metrics.record(cell, runs)
        for run in runs:
            self._itself.climbed(run)
        shown = entry.worst
        if change.before is not change.after and shown is not None:
            if change.after is State.FAILED:
                self._events.failed(shown, entry.since)
            elif change.before is State.FAILED:
                self._events.recovered(shown, entry.since, since)
        self._seat.record(cell, runs)
        self._events.runs(runs)

    def _explain(self, run: Run) -> Verdict | None:
        """What a failed run says, beside those of its target's other cells."""
        entry = self.board.entry(run.cell.id)
        return explain_beside(run, () if entry is None else self.board.beside(entry))

    async def _watch_loop(self) -> None:
        """A timer whose lateness is the loop's lag; what has to be done now and then hangs on it."""
        loop = asyncio.get_running_loop()
        scheduler = self._scheduler
        while scheduler is not None:
            due = loop.time() + HEARTBEAT
            await asyncio.sleep(HEARTBEAT)
            self._beat = time.monotonic()
            self._itself.loop_lag(max(0.0, loop.time() - due))
            self._itself.in_flight(scheduler.in_flight)
            scheduler.check_clock()
            self._seat.tick()
            self._events.tick()
            self._itself.events_dropped(self._events.newly_dropped())


def _differences(before: Sequence[Cell], after: Sequence[Cell]) -> dict[str, int]:
    """How many cells were added, removed and changed; equal ones are the same object."""
    old, new = {cell.id: cell for cell in before}, {cell.id: cell for cell in after}
    kept = old.keys() & new.keys()
    changed = sum(old[cell_id] is not new[cell_id] for cell_id in kept)
    return {"added": len(new) - len(kept), "removed": len(old) - len(kept), "changed": changed}
