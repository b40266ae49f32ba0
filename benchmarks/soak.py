"""Runs without end: every kind and path of the embedded lab, its faults switched on and off, and nothing that grows.

Each run goes the whole way: climb, board, metrics, verdict, reproducer line, JSON. Printed is what the process holds
once the caches are warm, in the middle and at the end, with no climb under way: resident memory, open descriptors,
tasks, objects that Python counts. Exit code 1 if one of them has grown.

Run: `python benchmarks/soak.py [--runs N] [--seed S] [--kind K]`; two minutes as it stands, `--runs 200000` for the
whole.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks._goals import show_table
from benchmarks._machine import resident, say_machine
from prober.config.load import load_text
from prober.config.matrix import expand
from prober.diagnosis.run import explain
from prober.engine.board import Board
from prober.engine.climb import climb
from prober.engine.endpoints import Endpoints
from prober.export.cells import CellMetrics
from prober.export.reproduce import reproduce
from prober.export.runs import run_as_dict
from prober.kubernetes.api import ApiAccess
from prober.kubernetes.vantage import find_vantage, loopback_families
from prober.lab.faults import FAULTS
from prober.lab.process import LabProcess
from prober.layers.base import Kit
from prober.model import Cell
from prober.reasons import Kind

DESCRIPTORS = Path("/proc/self/fd")
#: Climbs under way at once.
AT_ONCE = 12
#: Seconds of a climb: short, so that faults that hang do not take the day.
TIMEOUT = 0.4
#: Changes of the faults in one soak.
CHANGES = 100
#: Share of the runs after which the caches count as warm: every fault was on by then.
WARM = 0.35
#: What may grow between the middle and the end: a share of the memory, and a number of the others.
MEMORY, OTHERS = 0.03, {"descriptors": 4, "tasks": 4}
#: Objects, as a share: the board holds runs of different sizes at different times.
OBJECTS = 0.05


@dataclass(frozen=True, slots=True)
class Held:
    """What the process holds at one moment; memory in MB."""

    memory: float
    descriptors: int
    tasks: int
    objects: int

    @classmethod
    def now(cls) -> Held:
        """Once everything that is no longer used has been let go."""
        gc.collect()
        return cls(resident(), sum(1 for _ in DESCRIPTORS.iterdir()), len(asyncio.all_tasks()), len(gc.get_objects()))


def grown(middle: Held, end: Held) -> list[str]:
    """What has grown from the middle to the end, in words; nothing where all is flat."""
    found = []
    if end.memory > middle.memory * (1 + MEMORY):
        found.append(f"memory by {end.memory - middle.memory:.1f} MB")
    if end.objects > middle.objects * (1 + OBJECTS):
        found.append(f"objects by {end.objects - middle.objects}")
    for what, most in OTHERS.items():
        if (more := getattr(end, what) - getattr(middle, what)) > most:
            found.append(f"{what} by {more}")
    return found


def faults_in_turn(seed: int) -> Iterator[tuple[str, ...]]:
    """Sets of faults to be on, without end: one or two of different layers, each once before any a second time."""
    dice = random.Random(seed)
    while True:
        left = list(FAULTS)
        dice.shuffle(left)
        while left:
            first = left.pop()
            other = next((name for name in left if FAULTS[name].layer is not FAULTS[first].layer), None)
            if other is not None:
                left.remove(other)
            yield (first,) if other is None else (first, other)


class Soak:
    """The lab, the cells that probe it, and all that a run goes through."""

    def __init__(self, lab: LabProcess, cells: Sequence[Cell], endpoints: Endpoints) -> None:
        self._lab, self._cells, self._endpoints = lab, cells, endpoints
        self._vantage = replace(find_vantage(), families=loopback_families())
        self._board, self._metrics, self._kit = Board(), CellMetrics(self._vantage, explain), Kit()
        self._board.set_cells(cells)
        self._metrics.set_cells(cells)
        self.runs = 0
        self.results: Counter[str] = Counter()

    async def go(self, runs: int) -> None:
        """So many runs more, the cells in turn."""
        goal = self.runs + runs

        async def climb_on() -> None:
            while self.runs < goal:
                self.runs += 1
                await self._one(self._cells[self.runs % len(self._cells)])

        await asyncio.gather(*(climb_on() for _ in range(AT_ONCE)))

    async def _one(self, cell: Cell) -> None:
        runs = await climb(cell, self._kit, turn=self.runs, found=self._endpoints.of(cell))
        self._board.post(cell, runs)
        self._metrics.record(cell, runs)
        for run in runs:
            explain(run)
            json.dumps([run_as_dict(run, self._vantage), reproduce(run)])
            self.results["good" if run.blame is None else f"{run.blame.layer} {run.blame.reason}"] += 1

    async def switch(self, on: Sequence[str]) -> None:
        """Have these faults on and no others."""
        for fault in self._lab.faults:
            name = str(fault["name"])
            if fault["on"] != (name in on) and name not in self._lab.unavailable:
                await self._lab.set_fault(name, name in on)

    async def close(self) -> None:
        """Let go of everything."""
        await self._kit.close()


async def soak(runs: int, seed: int, kinds: Sequence[Kind]) -> int:
    """Print what is held and what the runs came to; the exit code."""
    lab = await LabProcess.start()
    endpoints = Endpoints(ApiAccess.of(lab.kubernetes))
    vantage = replace(find_vantage(), families=loopback_families(), resolver_families=loopback_families())
    config = load_text(lab.config_text, "probes.yaml", {})
    cells = [replace(cell, timeout=TIMEOUT) for cell in expand(config, vantage) if cell.kind in kinds]
    endpoints.set_cells(cells)
    await endpoints.start()
    going = Soak(lab, cells, endpoints)
    held, began = dict[str, Held](), time.monotonic()
    turns = faults_in_turn(seed)
    try:
        for change in range(CHANGES):
            await going.switch(next(turns))
            await going.go(runs // CHANGES)
            for name, share in (("warm", WARM), ("middle", (1 + WARM) / 2), ("end", 1.0)):
                if change + 1 == int(CHANGES * share):
                    held[name] = Held.now()
    finally:
        took = time.monotonic() - began
        await going.close()
        await endpoints.close()
        await lab.stop()
    return report(going, held, took)


def report(going: Soak, held: dict[str, Held], took: float) -> int:
    """Print it all; 1 where something has grown, or a run failed through the prober itself."""
    rows = [[name, f"{one.memory:.1f}", *map(str, (one.descriptors, one.tasks, one.objects))]
            for name, one in held.items()]  # fmt: skip
    show_table(["", "resident MB", "descriptors", "tasks", "objects"], rows)
    good = going.results["good"]
    failed = going.results - Counter(good=good)
    most = ", ".join(f"{count} {what}" for what, count in failed.most_common(5))
    print(
        f"\n{going.runs} runs in {took:.0f} s: {good} good, {failed.total()} failed for {len(failed)} reasons of their"
    )
    print(f"layers, most of all {most}")
    ours = {what: count for what, count in going.results.items() if what.endswith((" internal", " cancelled"))}
    faults = [*grown(held["middle"], held["end"]), *(f"{count} × {what}" for what, count in ours.items())]
    print(f"NOT FLAT: {', '.join(faults)}" if faults else "flat")
    return 1 if faults else 0


def main() -> int:
    """Parse the command line and soak."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", action="append", choices=[*Kind], help="these alone: to find which one leaks")
    options = parser.parse_args()
    say_machine()
    return asyncio.run(soak(max(options.runs, CHANGES), options.seed, options.kind or [*Kind]))


if __name__ == "__main__":
    sys.exit(main())
