"""A scheduler under test: cells that differ in name, a fire function that notes its calls, metrics that count."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from prober.engine.scheduler import Cause, Fire, Scheduler
from prober.model import Cell
from prober.reasons import Kind
from tests.support.cells import make_cell


def cell(name: str, interval: float = 0.1) -> Cell:
    return replace(make_cell(Kind.TCP, "tcp", "127.0.0.1", 1), probe=name, interval=interval)


class Metrics:
    def __init__(self) -> None:
        self.lags: list[float] = []
        self.misses: Counter[str] = Counter()

    def lag(self, seconds: float) -> None:
        self.lags.append(seconds)

    def missed(self, cause: Cause, runs: int = 1) -> None:
        self.misses[cause] += runs


class Log:
    """A fire function that notes what it was called with; `hold` keeps runs from ending until it is set."""

    def __init__(self, *, held: bool = False) -> None:
        self.fired: list[tuple[str, int]] = []
        self.changed = asyncio.Condition()
        self.under_way: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.hold = asyncio.Event()
        if not held:
            self.hold.set()

    async def __call__(self, cell: Cell, turn: int) -> None:
        self.fired.append((cell.probe, turn))
        self.under_way[cell.probe] += 1
        self.most[cell.probe] = max(self.most[cell.probe], self.under_way[cell.probe])
        async with self.changed:
            self.changed.notify_all()
        try:
            await self.hold.wait()
        finally:
            self.under_way[cell.probe] -= 1

    def turns(self, name: str) -> list[int]:
        return [turn for probe, turn in self.fired if probe == name]

    async def until(self, true: Callable[[], bool]) -> None:
        async with self.changed:
            await asyncio.wait_for(self.changed.wait_for(true), 10)


@asynccontextmanager
async def scheduled(fire: Fire, metrics: Metrics, *cells: Cell, max_in_flight: int = 100) -> AsyncIterator[Scheduler]:
    scheduler = Scheduler(fire, metrics, max_in_flight=max_in_flight)
    scheduler.set_cells(cells)
    scheduler.start()
    try:
        yield scheduler
    finally:
        await scheduler.drain(0)


async def until(true: Callable[[], bool]) -> None:
    """Look often, for ten seconds at most."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - counters have no event to wait for
            await asyncio.sleep(0.001)
