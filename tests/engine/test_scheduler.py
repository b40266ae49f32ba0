"""The scheduler with a real APScheduler and short intervals: what fires, what is missed, and how that is counted."""

from __future__ import annotations

import asyncio
import time

import pytest

from prober.engine.scheduler import Cause
from prober.engine.slots import WIDE_SLOT, slot_of
from prober.model import Cell
from tests.support.scheduling import Log, Metrics, cell, scheduled, until


async def test_every_cell_fires_at_its_own_phase_once_per_interval() -> None:
    cells = [cell(f"cell-{n}", 0.2) for n in range(8)]
    began: dict[str, list[float]] = {c.probe: [] for c in cells}

    async def fire(fired: Cell, _turn: int) -> None:
        began[fired.probe].append(time.time())

    async with scheduled(fire, Metrics(), *cells):
        await until(lambda: all(len(times) >= 4 for times in began.values()))
    for c in cells:
        interval, phase = slot_of(c.id, c.interval, WIDE_SLOT)
        firings = [int((t * 1e6 - phase) // interval) for t in began[c.probe]]
        assert firings == sorted(set(firings)), f"{c.probe} was fired twice in one interval"


async def test_turns_count_the_runs_of_a_cell_from_zero() -> None:
    log = Log()
    async with scheduled(log, Metrics(), cell("a", 0.05)):
        await log.until(lambda: len(log.fired) >= 4)
    assert log.turns("a")[:4] == [0, 1, 2, 3]


async def test_a_cell_that_is_still_running_is_not_run_again_and_counts_as_overrun() -> None:
    log, metrics = Log(held=True), Metrics()
    async with scheduled(log, metrics, cell("slow", 0.05), cell("other", 0.05)):
        await until(lambda: metrics.misses["overrun"] >= 6)
        assert log.most == {"slow": 1, "other": 1}
        assert log.fired.count(("slow", 0)) == 1
        log.hold.set()
        await log.until(lambda: len(log.turns("slow")) >= 2)
    assert log.turns("slow")[:2] == [0, 1], "turns count runs, not firings"
    assert metrics.misses["saturated"] == 0


async def test_more_runs_than_allowed_in_flight_count_as_saturated() -> None:
    log, metrics = Log(held=True), Metrics()
    cells = [cell(f"cell-{n}", 0.1) for n in range(5)]
    async with scheduled(log, metrics, *cells, max_in_flight=3) as scheduler:
        await until(lambda: metrics.misses["saturated"] >= 2)
        assert scheduler.in_flight == 3
    assert len(log.fired) == 3


async def test_a_blocked_loop_gives_misfires_that_are_counted_exactly() -> None:
    log, metrics = Log(), Metrics()
    cells = [cell(f"cell-{n}", 0.05) for n in range(3)]  # one slot: all three fire together
    async with scheduled(log, metrics, *cells) as scheduler:
        await log.until(lambda: len(log.fired) >= 3)
        (slot,) = scheduler._slots.values()
        first, fired, missed = slot.last, len(log.fired), metrics.misses["misfire"]
        time.sleep(0.32)  # noqa: ASYNC251 - blocking the loop is the point
        await log.until(lambda: len(log.fired) >= fired + 3)
        due = (slot.last - first) * len(cells)
    assert metrics.misses["misfire"] - missed == due - (len(log.fired) - fired)
    assert metrics.misses["misfire"] - missed >= 5 * len(cells)
    assert set(metrics.misses) == {"misfire"}


async def test_firings_and_misses_together_are_what_was_due() -> None:
    """Whatever happens, nothing is dropped silently: fired + missed = due, for every cell."""
    log, metrics = Log(), Metrics()
    async with scheduled(log, metrics, cell("a", 0.05)) as scheduler:
        (slot,) = scheduler._slots.values()
        began = slot.last
        for _ in range(5):
            fired = len(log.fired)
            await log.until(lambda fired=fired: len(log.fired) > fired)  # type: ignore[misc]  # mypy has no lambda defaults
            time.sleep(0.13)  # noqa: ASYNC251 - blocking the loop is the point
        fired = len(log.fired)
        await log.until(lambda: len(log.fired) > fired)
        ended = slot.last
    assert len(log.fired) + metrics.misses["misfire"] == ended - began


async def test_a_start_with_many_slots_misses_none_of_them() -> None:
    """Adding the jobs takes a while: what falls due meanwhile is fired late, not forgotten until the next round."""
    log, metrics = Log(), Metrics()
    cells = [cell(f"cell-{n}", 2.0) for n in range(1000)]
    async with scheduled(log, metrics, *cells, max_in_flight=1000):
        await log.until(lambda: len(log.fired) >= 2000)
    assert metrics.misses == {}


async def test_the_lag_of_each_run_is_told() -> None:
    log, metrics = Log(), Metrics()
    async with scheduled(log, metrics, cell("a", 0.05), cell("b", 0.05)):
        await log.until(lambda: len(log.fired) >= 6)
        assert len(metrics.lags) == len(log.fired)
    assert all(0 <= lag < 0.2 for lag in metrics.lags)


async def test_a_fire_function_that_raises_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    fired: list[str] = []

    async def fire(fired_cell: Cell, _turn: int) -> None:
        fired.append(fired_cell.probe)
        if fired_cell.probe == "bad":
            raise RuntimeError("a bug of ours")

    async with scheduled(fire, Metrics(), cell("bad", 0.05), cell("good", 0.05)) as scheduler:
        await until(lambda: fired.count("bad") >= 3 and fired.count("good") >= 3)
        await until(lambda: scheduler.in_flight == 0)
    assert "internal error around the climb of bad/" in caplog.text


@pytest.mark.parametrize("blocks", [1, 3])
async def test_metrics_that_raise_do_not_break_the_chain_of_starts(blocks: int) -> None:
    log = Log(held=True)

    class Broken(Metrics):
        def missed(self, cause: Cause, runs: int = 1) -> None:
            super().missed(cause, runs)
            raise RuntimeError("a bug of ours")

    metrics = Broken()
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    cells = [cell(f"cell-{n}", 0.1) for n in range(4)]
    async with scheduled(log, metrics, *cells, max_in_flight=blocks):
        await until(lambda: metrics.misses["saturated"] >= 4)
        log.hold.set()
        await log.until(lambda: len({name for name, _ in log.fired}) == 4)
