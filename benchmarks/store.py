"""The store of baselines: what a block costs, for how long it holds up the event loop, and what the file grows to.

Series of 40 runs a block (every 15 s), log-normal, each of a width of its own, with shifts and 60 bytes of state
each. The event loop meanwhile wakes up every millisecond; the longest that a block held it up beyond that is printed
(of all but the worst tenth of the blocks: other work on the machine does the same), beside the same without a store.
Then a day of hours is recorded as a baseline, exported and read again.

Run: `python benchmarks/store.py [--series 10000] [--blocks 12]`; half a minute as it stands.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np

from benchmarks._goals import Goals, percentile, show_table
from benchmarks._machine import say_machine
from prober.baseline.file import read, write
from prober.baseline.sketch import Sketch
from prober.baseline.store import Block, Shifts, State, Store
from prober.baseline.values import BLOCK, HOUR, Hour, Origin, SeriesKey
from prober.engine import garbage

START = 1_795_737_600
DAY = 24 * HOUR
#: Of a block's seconds, those that its writing may take, as CPU; and seconds for which it may hold up the loop.
SHARE, HELD = 0.001, 0.02
#: Bytes that 1,000 series may grow to.
MOST = 100e6
#: Bytes of one series in a baseline.
LARGEST = 5000
#: Blocks before which the loop is watched without any work.
_IDLE = 5
_TICK = 0.001
_RUNS = 40
T = TypeVar("T")


class Fleet:
    """As many series, and their blocks one after another."""

    def __init__(self, series: int) -> None:
        self._draw = np.random.default_rng(series)
        self._widths = self._draw.uniform(0.1, 0.4, series)
        self.keys = tuple(SeriesKey("web", f"target-{n}", "service", "ipv4", "tcp") for n in range(series))
        self._so_far: dict[SeriesKey, Hour] = {}

    def hour(self, start: int, runs: int, covered: int) -> dict[SeriesKey, Hour]:
        """As many runs of each in an hour."""
        times = np.exp(self._draw.normal(np.log(0.001), self._widths, (runs, len(self.keys)))).T
        return {key: Hour(start, Sketch.of(row), {}, covered) for key, row in zip(self.keys, times, strict=True)}

    def block(self, start: int) -> Block:
        """The next one."""
        drawn = self.hour(start // HOUR * HOUR, _RUNS, 1 << start % HOUR // BLOCK)
        if start % HOUR:
            drawn = {key: self._so_far[key].merged(hour) for key, hour in drawn.items()}
        self._so_far = drawn
        size = len(self.keys)
        d, r = self._draw.normal(0, 0.05, (2, size)).astype(np.float32)
        runs = np.full(size, _RUNS)
        return Block(
            start, drawn, Shifts(start, self.keys, runs, 0 * runs, d, r), State(1, self._draw.bytes(60 * size))
        )


async def held_up(work: Future[None] | None) -> float:
    """The longest that the loop was held up while the work was done; for a tenth of a second where there is none."""
    worst, end = 0.0, time.perf_counter() + 100 * _TICK
    waiting = None if work is None else asyncio.wrap_future(work)
    while time.perf_counter() < end if waiting is None else not waiting.done():
        began = time.perf_counter()
        await asyncio.sleep(_TICK)
        worst = max(worst, time.perf_counter() - began - _TICK)
    return worst


def write_blocks(store: Store, fleet: Fleet, count: int) -> tuple[float, float, float, float]:
    """Seconds and CPU seconds of a block (medians), and seconds that the loop was held up: by nine of ten, by none."""
    seconds, cpu, held, idle = [], [], [], []
    for at in range(count):
        block = fleet.block(START + at * BLOCK)
        idle.append(asyncio.run(held_up(None)) if at < _IDLE else 0.0)
        began, cpu_began = time.perf_counter(), time.process_time()
        held.append(asyncio.run(held_up(store.save_block(block))))
        seconds.append(time.perf_counter() - began)
        cpu.append(time.process_time() - cpu_began)
    return median(seconds), median(cpu), percentile(held, 0.9), max(idle)


def timed(what: str, work: Callable[[], T]) -> T:
    """What the work gives, after its seconds were printed."""
    began = time.perf_counter()
    done = work()
    print(f"{what}: {time.perf_counter() - began:.2f} s", flush=True)
    return done


def main() -> None:
    """Measure, print, compare with the goals."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--series", type=int, default=10_000)
    options.add_argument("--blocks", type=int, default=12)
    given = options.parse_args()
    say_machine("numpy")
    goals, rows = Goals(), []
    garbage.settle()  # as the service does
    with tempfile.TemporaryDirectory() as directory:
        for series, blocks in ((1000, DAY // BLOCK), (given.series, given.blocks)):
            path = Path(directory) / f"{series}.db"
            store, fleet = Store.open(path), Fleet(series)
            seconds, cpu, held, idle = write_blocks(store, fleet, blocks)
            rows.append((f"{series:,}", *(f"{1000 * one:.1f} ms" for one in (seconds, cpu, held, idle))))
            goals.add(f"CPU of a block of {series:,} series, as a share of the time", cpu / BLOCK, SHARE)
            goals.add(f"the loop held up by a block of {series:,} series", 1000 * held, 1000 * HELD, "ms")
            if blocks == DAY // BLOCK:
                of_a_day(store, goals)
            store.close()
            timed(f"{path.stat().st_size / 1e6:.1f} MB checked and opened", lambda path=path: Store.open(path).close())
    show_table(("series", "a block", "CPU", "loop held up", "without"), rows)
    goals.show()


def of_a_day(store: Store, goals: Goals) -> None:
    """What the file has grown to in a day, and what a baseline of it takes."""
    size = store.size().result()
    print(f"a day of 1,000 series: {size / 1e6:.1f} MB")
    goals.add("the file with 14 days of 1,000 series, at most", 14 * size / 1e6, MOST / 1e6, "MB")
    made = timed("recorded", store.record("healthy", START, START + DAY, Origin("node-a"), {}).result)
    taken = store.size().result() - size
    goals.add(
        f"of the file, a series of a baseline of 24 h ({made.baseline.series:,})",
        taken / made.baseline.series / 1e3,
        LARGEST / 1e3,
        "kB",
    )
    recording = timed("read", store.get("healthy").result)
    timed("unpacked", lambda: list(recording.series.values()))
    data = timed("exported", lambda: write(recording))
    print(f"the exported file: {len(data) / 1e6:.2f} MB")
    timed("imported", lambda: read(data))


if __name__ == "__main__":
    main()
