"""The schedule under load: lag, misses and CPU per run with 100 and with 10,000 cells at 10 s.

`no-op` fires nothing but the scheduler; `tcp` is the whole service (climb, board, metrics) against listeners in another
process, on another core. The 10,000 cells are scraped and reloaded meanwhile; every second reload changes one cell in
a hundred. Lags are of single runs: start minus the slot's due time. Those of runs that began while a scrape (or a
reload) was under way, or within 50 ms of it, are shown apart.

Run: `python benchmarks/schedule.py`, some 3 minutes; `--long` is the goal's own 10 minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks._far import listen_on_many
from benchmarks._goals import Goals, percentile, show_table
from benchmarks._machine import cores, pin, resident, say_machine
from prober.engine.scheduler import Scheduler
from prober.engine.service import Service
from prober.model import Cell, Endpoint, Vantage
from prober.reasons import Family, Kind

INTERVAL = 10.0
#: Seconds that a case runs before it is measured: the first runs pay for imports.
WARM_UP = 2.0
#: Seconds before and after a disturbance that count as part of it: a slot.
AROUND = 0.05
SCRAPES, RELOADS = 15.0, 2
HEAD = ("case", "cells", "runs", "lag p50 (ms)", "p99", "max", "missed", "CPU (µs/run)", "resident (MB)")


@dataclass(slots=True)
class Figures:
    """What the scheduler tells of itself, kept exactly: each run's start (monotonic) and lag, in seconds; the misses;
    and when what was done beside it began and ended."""

    runs: list[tuple[float, float]] = field(default_factory=list)
    misses: Counter[str] = field(default_factory=Counter)
    scrapes: list[tuple[float, float]] = field(default_factory=list)
    reloads: list[tuple[float, float]] = field(default_factory=list)
    cpu: float = 0.0

    def lag(self, seconds: float) -> None:
        """See SchedulerMetrics."""
        self.runs.append((time.monotonic(), seconds))

    def missed(self, cause: str, runs: int = 1) -> None:
        """See SchedulerMetrics."""
        self.misses[cause] += runs

    def lags(self) -> list[float]:
        """All lags."""
        return [lag for _, lag in self.runs]

    def beside(self, spans: Iterable[tuple[float, float]], *, inside: bool = True) -> list[float]:
        """The lags of the runs that began during one of `spans`; during none of them if not `inside`."""
        spans = [(begin - AROUND, end + AROUND) for begin, end in spans]
        return [lag for at, lag in self.runs if any(begin <= at <= end for begin, end in spans) is inside]


class Measured(Service):
    """The service, with its lags and misses kept exactly as well."""

    def __init__(self, config: Path, figures: Figures) -> None:
        super().__init__(config, Vantage("bench"))
        self.figures = figures

    def lag(self, seconds: float) -> None:
        """See Figures."""
        super().lag(seconds)
        self.figures.lag(seconds)

    def missed(self, cause: str, runs: int = 1) -> None:  # type: ignore[override]  # the words are a closed list there
        """See Figures."""
        super().missed(cause, runs)  # type: ignore[arg-type]  # the same
        self.figures.misses[cause] += runs


def configure(path: Path, cells: int, ports: list[int], *, other: bool = False) -> Path:
    """A configuration of `cells` tcp cells, spread over the listeners; the `other` one has every hundredth changed."""
    lines = [f"defaults: {{interval: {INTERVAL:g}s, timeout: 3s, families: [ipv4]}}", "targets:"]
    names = [f"t{number}" for number in range(cells)]
    usual, last = ports[:-1], ports[-1]
    for number, name in enumerate(names):
        port = last if other and number % 100 == 7 else usual[number % len(usual)]
        lines.append(f"  {name}: {{paths: {{direct: {{url: 'tcp://127.0.0.1:{port}'}}}}}}")
    lines += ["probes:", f"  - {{name: bench, kind: tcp, targets: [{', '.join(names)}]}}"]
    path.write_text("\n".join(lines))
    return path


async def settle(figures: Figures, seconds: float) -> None:
    """Let it run a little, then measure for `seconds`."""
    await asyncio.sleep(WARM_UP)
    figures.runs.clear()
    figures.misses.clear()
    began = time.process_time()
    await asyncio.sleep(seconds)
    figures.cpu = time.process_time() - began


async def noop(cells: int, seconds: float) -> Figures:
    """The scheduler alone."""
    figures = Figures()

    async def fire(_cell: Cell, _turn: int) -> None: ...

    scheduler = Scheduler(fire, figures)
    endpoint = Endpoint("tcp", "127.0.0.1", 1)
    scheduler.set_cells(
        [Cell(f"p{n}", Kind.TCP, "t", "direct", Family.IPV4, endpoint, INTERVAL, 1.0) for n in range(cells)]
    )
    scheduler.start()
    await settle(figures, seconds)
    await scheduler.drain(1)
    return figures


async def scrape(service: Measured, every: float) -> None:
    """Scrape now and then."""
    while True:
        await asyncio.sleep(every)
        began = time.monotonic()
        _, body = await service.exposition.render("", "gzip")
        async for _ in body:
            pass
        service.figures.scrapes.append((began, time.monotonic()))


async def reload(service: Measured, configs: Iterable[str], config: Path, every: float) -> None:
    """Reload each of `configs`."""
    for text in configs:
        await asyncio.sleep(every)
        await asyncio.to_thread(config.write_text, text)
        began = time.monotonic()
        await service.reload()
        service.figures.reloads.append((began, time.monotonic()))


async def tcp(cells: int, seconds: float, ports: list[int], *, scrapes: float = 0, reloads: int = 0) -> Figures:
    """The whole service, connecting; scraped every so many seconds, and reloaded so often, evenly spread."""
    figures = Figures()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "probes.yaml"
        texts = [configure(path, cells, ports, other=other).read_text() for other in (True, False)]
        service = Measured(path, figures)
        await service.start()
        every = (WARM_UP + seconds) / (reloads + 1)
        beside = [asyncio.create_task(reload(service, (texts[n % 2] for n in range(reloads)), path, every))]
        if scrapes:
            beside.append(asyncio.create_task(scrape(service, scrapes)))
        await settle(figures, seconds)
        for task in beside:
            task.cancel()
        bad = sum(entry.worst is not None and not entry.worst.ok for entry in service.board.entries())
        if bad:
            print(f"{bad} cells failed: the figures are not worth much")
        await service.stop(5)
    return figures


def row(name: str, cells: int, figures: Figures) -> list[str]:
    """One line of figures."""
    lags = figures.lags() or [float("nan")]
    shown = (f"{lag * 1e3:.1f}" for lag in (percentile(lags, 0.5), percentile(lags, 0.99), max(lags)))
    return [name, str(cells), str(len(lags)), *shown, str(dict(+figures.misses) or 0),
            f"{figures.cpu / len(lags) * 1e6:.0f}", f"{resident():.0f}"]  # fmt: skip


def show_beside(name: str, figures: Figures, spans: list[tuple[float, float]]) -> None:
    """What the runs beside `spans` had to wait."""
    if not spans or not (lags := figures.beside(spans)):
        return
    took = ", ".join(f"{end - begin:.2f}" for begin, end in spans)
    print(f"{len(spans)} {name} took {took} s; the {len(lags)} runs beside them: "
          f"lag p99 {percentile(lags, 0.99) * 1e3:.1f} ms, max {max(lags) * 1e3:.1f} ms")  # fmt: skip


def judge(few: Figures, many: Figures, cells: int) -> Goals:
    """The figures beside their goals."""
    goals = Goals()
    goals.add(f"{cells} cells at {INTERVAL:g} s, lag p99", percentile(many.lags(), 0.99) * 1e3, 50, "ms")
    goals.add(f"{cells} cells, runs missed", sum(many.misses.values()), 0)
    ratio = (many.cpu / len(many.runs)) / (few.cpu / len(few.runs))
    goals.add(f"CPU per run with {cells} cells as a share of that with 100, scrapes and reloads included", ratio, 1.3)
    quiet = many.beside([*many.scrapes, *many.reloads], inside=False)
    for name, spans, limit in (("scrape", many.scrapes, 20), ("reload", many.reloads, 50)):
        beside = many.beside(spans)
        if beside and quiet:
            goals.add(f"what a {name} adds to the lag of the latest run", (max(beside) - max(quiet)) * 1e3, limit, "ms")
    return goals


def main() -> None:
    """Measure each case in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="of the case with many cells; half of it the others"
    )
    parser.add_argument("--long", action="store_true", help="600 seconds")
    parser.add_argument("--cells", type=int, default=10_000)
    options = parser.parse_args()
    seconds = 600.0 if options.long else options.seconds
    say_machine("apscheduler", "prometheus-client")
    at = cores()
    pin(at.near)
    with listen_on_many(at.far) as ports:
        rows = [row("no-op", options.cells, asyncio.run(noop(options.cells, min(15.0, seconds / 2))))]
        few = asyncio.run(tcp(100, min(60.0, seconds / 2), ports))
        rows.append(row("tcp", 100, few))
        many = asyncio.run(tcp(options.cells, seconds, ports, scrapes=min(SCRAPES, seconds / 3), reloads=RELOADS))
        rows.append(row("tcp", options.cells, many))
    show_table(HEAD, rows)
    show_beside("scrapes", many, many.scrapes)
    show_beside("reloads", many, many.reloads)
    judge(few, many, options.cells).show()


if __name__ == "__main__":
    main()
