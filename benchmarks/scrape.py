"""What a scrape costs: 10,000 cells of which 1,000 have changed since the last one, and for how long the loop is held.

Run: `python -m benchmarks.scrape [--cells N] [--changed N]`. Prints, for each form of the exposition: time, CPU time,
bytes, the longest time that a heartbeat on the same event loop was late, and what one recorded run costs. What scrapes
add to the lag of runs under load is in `schedule.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from statistics import median
from time import perf_counter, process_time
from typing import Any

from benchmarks._goals import Goals
from benchmarks._machine import cores, pin, resident, say_machine
from prober.export.cells import CellMetrics
from prober.export.exposition import Exposition
from prober.export.selfmetrics import SelfMetrics
from prober.export.series import series_count
from prober.model import Cell, Endpoint, Outcome, Run, Vantage
from prober.reasons import Family, Kind, Result

VANTAGE = Vantage("node-a", "node-a", "eu-1a", "eu-1")
FORMS = (("text, gzip", "", "gzip"), ("OpenMetrics, gzip", "application/openmetrics-text; version=1.0.0", "gzip"),
         ("text, plain", "", ""))  # fmt: skip
BEAT = 0.001


def make_cells(count: int) -> list[Cell]:
    """Three quarters tcp, one quarter https; both families."""
    return [
        Cell(
            probe=f"probe-{n % 20}",
            kind=Kind.HTTP if n % 4 == 0 else Kind.TCP,
            target=f"target-{n // 2}",
            path="service",
            family=Family.IPV6 if n % 2 else Family.IPV4,
            endpoint=Endpoint("https", f"host-{n}.example", 443),
            interval=10.0,
            timeout=3.0,
        )
        for n in range(count)
    ]


def a_run(cell: Cell) -> Run:
    """A good run with random times."""
    outcomes = tuple(
        Outcome(layer, Result.OK, random.lognormvariate(-6, 1), None, {"queries": 2}) for layer in cell.ladder
    )
    phases = {"request": 1e-4, "first_byte": 2e-3, "transfer": 1e-4} if cell.kind is Kind.HTTP else {}
    return Run(cell, datetime.now(UTC), sum(o.seconds or 0 for o in outcomes), outcomes, True, phases=phases)


@asynccontextmanager
async def heartbeat() -> AsyncIterator[list[float]]:
    """How late each beat of a timer was, in seconds."""
    late: list[float] = []

    async def beat() -> None:
        while True:
            began = perf_counter()
            await asyncio.sleep(BEAT)
            late.append(perf_counter() - began - BEAT)

    task = asyncio.create_task(beat())
    await asyncio.sleep(10 * BEAT)
    try:
        yield late
    finally:
        task.cancel()


async def scrape(exposition: Exposition, accept: str, encoding: str) -> tuple[float, float, int, float]:
    """Seconds, CPU seconds, bytes, and the latest heartbeat (seconds) of one scrape."""
    async with heartbeat() as late:
        began, worked = perf_counter(), process_time()
        _, body = await exposition.render(accept, encoding)
        size = 0
        async for chunk in body:
            size += len(chunk)
        took, cpu = perf_counter() - began, process_time() - worked
        await asyncio.sleep(2 * BEAT)
    return took, cpu, size, max(late)


def record(metrics: CellMetrics, cells: Sequence[Cell]) -> float:
    """Record one run of each cell; seconds for each."""
    runs = [(cell, (a_run(cell),)) for cell in cells]
    began = perf_counter()
    for cell, of_cell in runs:
        metrics.record(cell, of_cell)
    return (perf_counter() - began) / len(runs)


async def measure(count: int, changed: int) -> None:
    """Print all figures."""
    cells = make_cells(count)
    metrics = CellMetrics(VANTAGE, lambda _: None)
    exposition = Exposition(metrics, SelfMetrics(VANTAGE))
    began = perf_counter()
    metrics.set_cells(cells)
    print(f"{count} cells, {series_count(cells)} samples; set_cells {perf_counter() - began:.3f} s")
    print(f"record: {record(metrics, cells) * 1e6:.1f} µs a run")
    gc.collect()
    gc.freeze()  # as the service does once it is up
    show("first scrape", [await scrape(exposition, "", "gzip")])
    goals = Goals()
    for name, accept, encoding in FORMS:
        rounds = []
        for _ in range(5):
            record(metrics, random.sample(cells, changed))
            rounds.append(await scrape(exposition, accept, encoding))
        show(f"{changed} changed: {name}", rounds)
        if encoding:
            what = f"{count} cells, {changed} changed: {name}"
            goals.add(f"{what}, median", median(took for took, *_ in rounds) * 1e3, 250, "ms")
            goals.add(f"{what}, longest that the loop was held", max(late for *_, late in rounds) * 1e3, 20, "ms")
    show("nothing changed: text, gzip", [await scrape(exposition, "", "gzip")])
    print(f"resident at most: {resident(what='VmHWM'):.0f} MB")
    goals.show()


def show(name: str, rounds: list[tuple[float, float, int, float]]) -> None:
    """Medians of time, CPU time and size; the worst of the heartbeats."""
    took, cpu, size, late = zip(*rounds, strict=True)
    print(
        f"{name:32} {median(took) * 1e3:7.1f} ms (worst {max(took) * 1e3:6.1f}, CPU {median(cpu) * 1e3:6.1f})"
        f" {median(size) / 1e6:7.2f} MB  loop held for {max(late) * 1e3:5.2f} ms at most"
    )


def main(arguments: Any = None) -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--changed", type=int, default=1_000)
    options = parser.parse_args(arguments)
    random.seed(1)
    say_machine("prometheus-client")
    pin(cores().near)
    asyncio.run(measure(options.cells, options.changed))


if __name__ == "__main__":
    main()
