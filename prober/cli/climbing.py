"""Climbing many cells once: bounded concurrency, one kit, EndpointSlices where a cell names a Service."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

from prober.engine.climb import climb, internal
from prober.engine.endpoints import Endpoints, Unknown
from prober.layers.base import Kit
from prober.layers.rungs import rung_of
from prober.model import Cell, Run
from prober.reasons import Layer
from prober.wire.stamps import StampKeeper

Done = Callable[[Cell, tuple[Run, ...]], None]
#: Climbs at once unless `--jobs` says otherwise: more would wait for each other, and read slower than they are.
JOBS = 8


async def climb_all(cells: Sequence[Cell], *, jobs: int = JOBS, done: Done) -> None:
    """Climb each of `cells` once, at most `jobs` at a time; `done` gets each cell's runs as they end."""
    # A climb's own bug ends up in its evidence; here nobody reads tracebacks.
    logging.getLogger("prober").addHandler(logging.NullHandler())
    kit, endpoints, gate = Kit(), Endpoints(), asyncio.Semaphore(jobs)
    _warm(kit, cells)
    endpoints.set_cells(cells)

    async def one(cell: Cell) -> None:
        async with gate:
            done(cell, await _runs(cell, kit, endpoints))

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


def _warm(kit: Kit, cells: Sequence[Cell]) -> None:
    """Import the layers, make TLS contexts and the HTTP client beforehand: their cost is not the network's."""
    kit.get(StampKeeper)
    layers = {(cell.kind, layer) for cell in cells for layer in cell.ladder}
    for kind, layer in layers:
        rung_of(kind, layer)
    if any(layer is Layer.TLS for _, layer in layers):
        from prober.layers.tls import settings_of
        from prober.wire.tls import Contexts

        for cell in cells:
            if Layer.TLS in cell.ladder:
                with suppress(OSError):  # the climb will say so
                    kit.get(Contexts).get(settings_of(cell))
    if any(layer is Layer.HTTP for _, layer in layers):
        from prober.wire.http import HttpClient

        kit.get(HttpClient)


async def _runs(cell: Cell, kit: Kit, endpoints: Endpoints) -> tuple[Run, ...]:
    try:
        found = endpoints.of(cell)
    except Unknown as unknown:
        return (internal(cell, str(unknown)),)
    return await climb(cell, kit, found=found)
