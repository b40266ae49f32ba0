"""When which cell is climbed. The only module that knows APScheduler.

Theory of operation. A cell's phase is a hash of its id, as a share of its interval, rounded down to a grid of
slots; one APScheduler job per (interval, slot) fires all cells of that slot. Slots are anchored to the Unix epoch,
so the schedule survives restarts and reloads, and adding a cell moves no other. There is no jitter.

Why slots, and why 50 ms: waking up is what costs. Measured on two cores with 10,000 tcp cells at 10 s, CPU per run was
298 µs with slots of 10 ms, 199 µs with 50 ms and 196 µs with 100 ms; with 1,000 cells 728, 424 and 277 µs. A slot's
burst keeps the loop busy for the slot's width times the loop's utilisation, which is the lag of its last run: 5 ms,
15 ms and 31 ms at p99. 50 ms is the widest slot that keeps the lag under 50 ms at any load that a loop can carry.
Up to 200 runs a second a loop is half idle whatever the cells are, and slots are of 100 ms, for that third of the CPU:
a cell is then due at most 50 ms earlier, and moves once if a reload crosses that line.

Why the runs of a slot begin one per turn of the loop: started all at once, each waits for all the others before its
answer is read (a loopback connect read 4.1 ms at p50 and 9.0 ms at p99). One per turn, it reads 0.45 and 0.9 ms,
whatever the slot's width, for the same CPU.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic_ns, time_ns
from typing import Any, Literal, Protocol

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED
from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from prober.engine.slots import SLOT_WIDTH, Lane, Slot, slot_of, width_for
from prober.model import Cell

log = logging.getLogger(__name__)

#: Runs in flight at once, unless the service knows better.
MAX_IN_FLIGHT = 4096
#: For each so many runs that wait for their start the loop begins one more per turn: lag is worse than noise.
PILE = 100
#: A change of the wall clock against the monotonic one that is a step and not a slew, in seconds.
CLOCK_STEP = 0.5
#: How long cancelled runs may take to end, in seconds.
CANCEL_GRACE = 1.0

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Fire = Callable[[Cell, int], Awaitable[None]]
#: Why a run did not take place: the one before it still went on; too many were under way, or the loop too busy to
#: begin it; its slot's firing never came.
Cause = Literal["overrun", "saturated", "misfire"]


class SchedulerMetrics(Protocol):
    """What the scheduler tells about itself."""

    def lag(self, seconds: float) -> None:
        """One run began `seconds` after its slot was due."""

    def missed(self, cause: Cause, runs: int = 1) -> None:
        """`runs` runs that were due did not take place."""


class _SlotTrigger(BaseTrigger):  # type: ignore[misc]  # APScheduler ships no types
    """Due at `phase` plus whole intervals since the epoch. Never catches up: the next time is always ahead."""

    def __init__(self, interval: int, phase: int) -> None:
        self.interval, self.phase = interval, phase

    def get_next_fire_time(self, previous_fire_time: datetime, now: datetime) -> datetime:
        """The first due time after now and after the one before."""
        past = ((max(now, previous_fire_time) - _EPOCH) // _MICROSECOND - self.phase) // self.interval
        return _EPOCH + timedelta(microseconds=(past + 1) * self.interval + self.phase)


class _Jobs(AsyncIOScheduler):  # type: ignore[misc]  # APScheduler ships no types
    """Goes by its timer alone. APScheduler's own wakes the loop a second time, as if from another thread."""

    def _start_timer(self, wait_seconds: float | None) -> None:
        self._stop_timer()
        if wait_seconds is not None:
            self._timeout = self._eventloop.call_later(wait_seconds, self._on_time)

    def _on_time(self) -> None:
        self._stop_timer()
        self._start_timer(self._process_jobs())


def _now() -> int:
    """The wall clock in microseconds, as APScheduler reads it."""
    return time_ns() // 1000


def _wall_ahead() -> int:
    """How far the wall clock is ahead of the monotonic one, in microseconds."""
    return (time_ns() - monotonic_ns()) // 1000


class Scheduler:
    """Calls `fire(cell, turn)` for every cell at its slot; `turn` counts the cell's runs from 0.

    Never two runs of one cell at once, never more than `max_in_flight` at all; what does not take place is counted
    by cause. All methods belong to the event loop's thread.
    """

    def __init__(self, fire: Fire, metrics: SchedulerMetrics, *, max_in_flight: int = MAX_IN_FLIGHT) -> None:
        self._fire = fire
        self._metrics = metrics
        self._max_in_flight = max_in_flight
        self._width = SLOT_WIDTH
        self._lanes: dict[str, Lane] = {}
        self._slots: dict[tuple[int, int], Slot] = {}
        self._queue: deque[Lane] = deque()
        self._starting = False
        self._running: dict[str, asyncio.Task[None]] = {}
        self._ahead = _wall_ahead()
        self._jobs: _Jobs | None = None

    @property
    def in_flight(self) -> int:
        """Runs under way."""
        return len(self._running)

    @property
    def cells(self) -> int:
        """Cells on schedule."""
        return len(self._lanes)

    def set_cells(self, cells: Sequence[Cell]) -> None:
        """Take on a new matrix: equal cells keep slot, turn and the run under way; runs of others end by themselves."""
        before, now = self._lanes, _now()
        self._lanes = {}
        width, self._width = self._width, width_for(cells)
        slots: dict[tuple[int, int], Slot] = {}
        for cell in cells:
            cell_id = cell.id
            lane = before.get(cell_id)
            if lane is None or (lane.cell is not cell and lane.cell != cell):
                lane = Lane(cell_id, cell, slot_of(cell_id, cell.interval, self._width))
            elif width != self._width:
                lane.slot = slot_of(cell_id, cell.interval, self._width)
            self._lanes[cell_id] = lane
            slot = slots.get(lane.slot)
            if slot is None:
                known = self._slots.get(lane.slot)
                slot = slots[lane.slot] = Slot(*lane.slot, last=0)
                slot.last = slot.index(now) if known is None else known.last
            slot.lanes.append(lane)
        self._queue = deque(lane for lane in self._queue if self._lanes.get(lane.id) is lane)
        self._slots = slots
        if self._jobs is not None:
            self._set_jobs(self._jobs)

    def start(self) -> None:
        """Begin to fire; needs the running loop. Slots that were due before now are not made up for."""
        logging.getLogger("apscheduler").setLevel(logging.ERROR)  # a line per firing otherwise; misses are counted here
        jobs = _Jobs(
            timezone=UTC,
            executors={"default": DebugExecutor()},  # calls at once, on the loop: no task and no thread per firing
            job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1},
        )
        jobs.add_listener(self._on_event, EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES | EVENT_JOB_ERROR)
        self._loop = asyncio.get_running_loop()
        now, self._ahead = _now(), _wall_ahead()
        for slot in self._slots.values():
            slot.last = slot.index(now)
        jobs.start(paused=True)
        self._jobs = jobs
        self._set_jobs(jobs)

    async def drain(self, timeout: float) -> int:
        """Fire no more, give runs under way `timeout` seconds to end, cancel the rest; how many that were."""
        if self._jobs is not None:
            self._jobs.pause()
            self._jobs.shutdown(wait=False)
            self._jobs = None
        self._queue.clear()
        if self._running:
            await asyncio.wait(self._running.values(), timeout=timeout)
        late = list(self._running.values())
        for task in late:
            task.cancel()
        if late:
            _, stuck = await asyncio.wait(late, timeout=CANCEL_GRACE)
            log.warning("cancelled %d runs that did not end within %g s; %d still hang", len(late), timeout, len(stuck))
        self._running.clear()
        return len(late)

    def check_clock(self) -> None:
        """Notice a step of the wall clock (or a suspended machine): slots are set anew and nothing counts as missed.

        To be called often: after a step backwards no slot would fire until the clock has caught up.
        """
        ahead = _wall_ahead()
        step, self._ahead = ahead - self._ahead, ahead
        if self._jobs is None or abs(step) < CLOCK_STEP * 1e6:
            return
        log.warning("the wall clock stepped by %.1f s: the schedule is set anew", step / 1e6)
        now = _now()
        for slot in self._slots.values():
            slot.last = slot.index(now)
        self._jobs.remove_all_jobs()
        self._set_jobs(self._jobs)

    def _set_jobs(self, jobs: _Jobs) -> None:
        """One job per slot. Paused meanwhile: APScheduler would wake up for each of them."""
        jobs.pause()
        wanted = {slot.name: slot for slot in self._slots.values()}
        present = {job.id for job in jobs.get_jobs()}
        for job_id in present - wanted.keys():
            jobs.remove_job(job_id)
        for job_id in wanted.keys() - present:
            slot = wanted[job_id]
            key = (slot.interval, slot.phase)
            # from the last firing on, and not from now: a slot that falls due in between fires at once
            first = _EPOCH + timedelta(microseconds=slot.due(slot.last + 1))
            jobs.add_job(self._fire_slot, _SlotTrigger(*key), args=key, id=job_id, name=job_id, next_run_time=first)
        jobs.resume()

    def _fire_slot(self, interval: int, phase: int) -> None:
        """APScheduler's call: queue the slot's cells, and count the firings since the last one that never came."""
        self.check_clock()
        slot, now = self._slots[interval, phase], _now()
        index = slot.index(now)
        if index <= slot.last:
            return  # the clock stepped: this firing is not due
        self._misfire(slot, index - slot.last - 1)
        slot.last = index
        due = slot.due(index)
        first = index % len(slot.lanes)  # each cell comes first in turn: were it saturated, none would starve
        overrun = saturated = 0
        for lane in (*slot.lanes[first:], *slot.lanes[:first]):
            if lane.id in self._running:
                overrun += 1
            elif lane.queued:
                saturated += 1  # the loop did not even come to begin the run before
            else:
                lane.due, lane.queued = due, True
                self._queue.append(lane)
        if self._queue and not self._starting:
            self._starting = True
            self._loop.call_soon(self._start_next)
        if overrun:
            self._metrics.missed("overrun", overrun)
        if saturated:
            self._metrics.missed("saturated", saturated)

    def _start_next(self) -> None:
        """Begin one run, and come back in the loop's next turn for the next; begin more where they pile up."""
        if not self._queue:
            self._starting = False
            return
        self._loop.call_soon(self._start_next)  # first of all: nothing below may break the chain
        for _ in range(1 + len(self._queue) // PILE):
            self._start(self._queue.popleft())

    def _start(self, lane: Lane) -> None:
        lane.queued = False
        if lane.id in self._running:
            self._metrics.missed("overrun")  # a cell that a reload has changed, still climbed as it was
        elif len(self._running) >= self._max_in_flight:
            self._metrics.missed("saturated")
        else:
            self._running[lane.id] = self._loop.create_task(self._run(lane))

    async def _run(self, lane: Lane) -> None:
        turn, lane.turn = lane.turn, lane.turn + 1
        self._metrics.lag((_now() - lane.due) / 1e6)
        try:
            await self._fire(lane.cell, turn)
        except Exception:
            log.exception("internal error around the climb of %s", lane.id)
        finally:
            self._running.pop(lane.id, None)

    def _misfire(self, slot: Slot, firings: int) -> None:
        if firings > 0:
            self._metrics.missed("misfire", firings * len(slot.lanes))

    def _on_event(self, event: Any) -> None:
        """A firing that APScheduler dropped, or that broke here. None is expected with the settings above."""
        slot = next((s for s in self._slots.values() if s.name == event.job_id), None)
        if slot is None:
            return
        if event.code == EVENT_JOB_ERROR:
            self._misfire(slot, 1)
            return
        for due in _run_times(event):
            index = slot.index((due - _EPOCH) // _MICROSECOND)
            self._misfire(slot, index - slot.last)
            slot.last = max(slot.last, index)


def _run_times(event: Any) -> Iterable[datetime]:
    """The due times that a job event is about: it carries one, a submission event a list."""
    times: Iterable[datetime] = getattr(event, "scheduled_run_times", None) or (event.scheduled_run_time,)
    return times
