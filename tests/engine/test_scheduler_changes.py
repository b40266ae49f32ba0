"""The scheduler when something changes under it: the matrix, the clock, the end."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from prober.engine.scheduler import Scheduler
from prober.engine.slots import WIDE_SLOT, slot_of
from prober.model import Cell
from tests.support.scheduling import Log, Metrics, cell, scheduled, until


async def test_an_equal_cell_keeps_its_turns_over_a_reload() -> None:
    log = Log()
    async with scheduled(log, Metrics(), cell("a", 0.05)) as scheduler:
        await log.until(lambda: len(log.turns("a")) >= 3)
        scheduler.set_cells([cell("a", 0.05), cell("b", 0.05)])
        await log.until(lambda: len(log.turns("a")) >= 5 and len(log.turns("b")) >= 2)
    assert log.turns("a") == list(range(len(log.turns("a"))))
    assert log.turns("b")[:2] == [0, 1]


async def test_a_run_under_way_goes_on_over_a_reload_and_is_not_doubled() -> None:
    log, metrics = Log(held=True), Metrics()
    before = cell("a", 0.05)
    async with scheduled(log, metrics, before) as scheduler:
        await log.until(lambda: len(log.fired) == 1)
        scheduler.set_cells([replace(before, timeout=before.timeout + 1)])  # another cell of the same id
        await until(lambda: metrics.misses["overrun"] >= 3)
        assert log.most == {"a": 1}
        log.hold.set()
        await log.until(lambda: len(log.fired) >= 2)
    assert log.turns("a")[1] == 0, "a changed cell starts anew"


async def test_a_removed_cell_fires_no_more_and_its_run_ends_by_itself() -> None:
    log = Log(held=True)
    async with scheduled(log, Metrics(), cell("gone", 0.05), cell("stays", 0.05)) as scheduler:
        await log.until(lambda: len(log.fired) == 2)
        scheduler.set_cells([cell("stays", 0.05)])
        assert scheduler.in_flight == 2
        log.hold.set()
        await log.until(lambda: len(log.turns("stays")) >= 4)
    assert log.turns("gone") == [0]


async def test_adding_cells_does_not_move_the_others() -> None:
    began: list[float] = []

    async def fire(fired: Cell, _turn: int) -> None:
        if fired.probe == "a":
            began.append(time.time())

    a = cell("a", 0.1)
    interval, phase = slot_of(a.id, a.interval, WIDE_SLOT)
    metrics = Metrics()
    async with scheduled(fire, metrics, a) as scheduler:
        for number in range(4):
            await until(lambda number=number: len(began) > 2 * number)  # type: ignore[misc]  # mypy has no lambda defaults
            scheduler.set_cells([a, *(cell(f"more-{n}", 0.1) for n in range(number * 5))])
        await until(lambda: len(began) >= 10)
    firings = [int((t * 1e6 - phase) // interval) for t in began]
    assert firings == sorted(set(firings))
    missed = firings[-1] - firings[0] + 1 - len(firings)
    assert missed <= metrics.misses["misfire"], "a firing was dropped silently"


async def test_a_scheduler_without_cells_starts_and_takes_some_later() -> None:
    log = Log()
    async with scheduled(log, Metrics()) as scheduler:
        assert scheduler.cells == 0
        scheduler.set_cells([cell("a", 0.05)])
        await log.until(lambda: len(log.fired) >= 1)
        assert scheduler.cells == 1


async def test_drain_lets_runs_end_within_its_bound() -> None:
    log = Log(held=True)
    async with scheduled(log, Metrics(), cell("a", 0.05)) as scheduler:
        await log.until(lambda: len(log.fired) == 1)
        draining = asyncio.create_task(scheduler.drain(10))
        await asyncio.sleep(0)
        log.hold.set()
        assert await asyncio.wait_for(draining, 5) == 0
    assert len(log.fired) == 1, "nothing fires while draining"


async def test_drain_cancels_what_does_not_end_and_says_how_many() -> None:
    log = Log(held=True)
    cells = [cell(f"cell-{n}", 0.05) for n in range(3)]
    async with scheduled(log, Metrics(), *cells) as scheduler:
        await log.until(lambda: len(log.fired) == 3)
        began = time.monotonic()
        assert await scheduler.drain(0.1) == 3
        assert 0.1 <= time.monotonic() - began < 2
        assert scheduler.in_flight == 0
    assert sum(log.under_way.values()) == 0


async def test_drain_is_bounded_even_by_a_run_that_refuses_to_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prober.engine.scheduler.CANCEL_GRACE", 0.1)
    release, started = asyncio.Event(), asyncio.Event()

    async def stubborn(_cell: Cell, _turn: int) -> None:
        started.set()
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    async with scheduled(stubborn, Metrics(), cell("a", 0.05)) as scheduler:
        await asyncio.wait_for(started.wait(), 10)
        tasks = list(scheduler._running.values())
        assert await asyncio.wait_for(scheduler.drain(0.05), 5) == 1
        release.set()
        await asyncio.wait(tasks)


async def test_a_step_of_the_clock_counts_nothing_as_missed_and_firing_goes_on() -> None:
    """After a step back the jobs are due far ahead: as if the clock had been an hour ahead until now."""
    log, metrics = Log(), Metrics()
    async with scheduled(log, metrics, cell("a", 0.05)) as scheduler:
        await log.until(lambda: len(log.fired) >= 2)
        hour = timedelta(hours=1)
        assert scheduler._jobs is not None
        for job in scheduler._jobs.get_jobs():
            scheduler._jobs.modify_job(job.id, next_run_time=datetime.now(UTC) + hour)
        for slot in scheduler._slots.values():
            slot.last += int(hour / timedelta(milliseconds=50))
        scheduler._ahead += 3_600_000_000
        scheduler.check_clock()
        fired = len(log.fired)
        await log.until(lambda: len(log.fired) >= fired + 3)
    assert metrics.misses["misfire"] < 1000, "an hour has 72,000 firings"


async def test_a_step_forward_that_a_firing_notices_counts_nothing_as_missed() -> None:
    log, metrics = Log(), Metrics()
    async with scheduled(log, metrics, cell("a", 0.05)) as scheduler:
        await log.until(lambda: len(log.fired) >= 2)
        for slot in scheduler._slots.values():
            slot.last -= 72_000
        scheduler._ahead -= 3_600_000_000
        fired = len(log.fired)
        await log.until(lambda: len(log.fired) >= fired + 3)
    assert metrics.misses["misfire"] < 1000, "an hour has 72,000 firings"


async def test_a_firing_that_apscheduler_drops_is_counted_once() -> None:
    """Its grace time is off; were it on, its event would be counted, and the next firing would not count it again."""
    log, metrics = Log(), Metrics()
    async with scheduled(log, metrics, cell("a", 0.05)) as scheduler:
        (slot,) = scheduler._slots.values()
        began = slot.last
        await log.until(lambda: len(log.fired) >= 1)
        assert scheduler._jobs is not None
        for job in scheduler._jobs.get_jobs():
            scheduler._jobs.modify_job(job.id, misfire_grace_time=1)
        fired = len(log.fired)
        time.sleep(1.2)  # noqa: ASYNC251 - blocking the loop is the point
        await until(lambda: metrics.misses["misfire"] > 0)
        assert len(log.fired) == fired, "the late firing was dropped"
        await log.until(lambda: len(log.fired) > fired)
        ended = slot.last
    assert len(log.fired) + metrics.misses["misfire"] == ended - began


async def test_a_scheduler_that_never_started_drains_at_once() -> None:
    async def fire(_cell: Cell, _turn: int) -> None: ...

    assert await Scheduler(fire, Metrics()).drain(10) == 0


async def test_cells_keep_their_turns_when_a_reload_makes_the_slots_narrower() -> None:
    log, metrics = Log(), Metrics()
    few = [cell(f"few-{n}", 0.2) for n in range(8)]
    async with scheduled(log, metrics, *few) as scheduler:
        await log.until(lambda: len(log.fired) >= 16)
        scheduler.set_cells([*few, *(cell(f"more-{n}", 0.2) for n in range(40))])
        await log.until(lambda: all(len(log.turns(each.probe)) >= 4 for each in few))
    assert all(log.turns(each.probe) == list(range(len(log.turns(each.probe)))) for each in few)
