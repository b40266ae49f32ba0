"""Climbing many cells now: bounded concurrency, one kit, EndpointSlices where a cell names a Service."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from prober.engine.climb import climb, internal
from prober.engine.endpoints import Endpoints, Unknown
from prober.engine.warm import fill
from prober.layers.base import Kit
from prober.model import Cell, Run

Done = Callable[[Cell, tuple[Run, ...]], None]
#: Climbs at once unless `--jobs` says otherwise: more would wait for each other, and read slower than they are.
JOBS = 8


async def climb_all(cells: Sequence[Cell], *, jobs: int = JOBS, count: int = 1, pause: float = 0.0, done: Done) -> None:
    """Climb each of `cells` `count` times, at most `jobs` cells at a time; `done` gets each climb's runs as they end.

    A cell's climbs follow each other, `pause` seconds after the end of the one before at the earliest; the cells take
    turns. Over several addresses of a name they rotate.
    """
    # A climb's own bug ends up in its evidence; here nobody reads tracebacks.
    logging.getLogger("prober").addHandler(logging.NullHandler())
    kit, endpoints, gate = Kit(), Endpoints(), asyncio.Semaphore(jobs)
    fill(kit, cells)
    endpoints.set_cells(cells)

    async def one(cell: Cell) -> None:
        for turn in range(count):
            if turn and pause:
                await asyncio.sleep(pause)
            async with gate:
                done(cell, await _runs(cell, kit, endpoints, turn))

    tasks: list[asyncio.Task[None]] = []
    try:
        await endpoints.start()
        tasks = [asyncio.create_task(one(cell)) for cell in cells]
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await endpoints.close()
        await kit.close()


async def _runs(cell: Cell, kit: Kit, endpoints: Endpoints, turn: int) -> tuple[Run, ...]:
    try:
        found = endpoints.of(cell)
    except Unknown as unknown:
        return (internal(cell, str(unknown)),)
    return await climb(cell, kit, turn=turn, found=found)
