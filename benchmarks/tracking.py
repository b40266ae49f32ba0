"""What watching costs the process that measures: each sample on its way, and each block at its end.

Cells of kind tcp every 15 s, two series each (dns and tcp), all of them with a baseline, in a store in memory. A block
is the real one: samples, merging, banks, groups, state, store. Its figures are CPU seconds of all threads; how long it
holds up the loop is the longest turn of it in CPU seconds of the loop's thread, so that other work on the machine does
not count. The first block, which also makes the banks, is told by itself.

Run: `python benchmarks/tracking.py [--cells 5000] [--blocks 6]`; half a minute as it stands.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import resource
import time
from dataclasses import replace
from statistics import median

import numpy as np

from benchmarks._goals import Goals, show_table
from benchmarks._machine import say_machine
from prober.baseline.fit import fit
from prober.baseline.fitted import VERSION, pack_fit
from prober.baseline.store import Store
from prober.baseline.values import BLOCK
from prober.model import Cell
from tests.support.runs import good_run
from tests.support.tracking import HEALTHY, WATCHED, Turned, baseline, tcp, watched
from tests.support.turns import turns

#: CPU seconds of one sample; share of a block's seconds; seconds of the loop's longest turn.
SAMPLE, SHARE, HELD = 1e-6, 0.002, 0.02


def sampled(turned: Turned, cells: list[Cell]) -> float:
    """CPU seconds of one sample, on its way from a run."""
    runs = [(cell, (good_run(cell),)) for cell in cells[:200]]
    best = float("inf")
    for _ in range(30):
        began = time.thread_time()
        for cell, its in runs:
            turned.tracker.record(cell, its)
        best = min(best, (time.thread_time() - began) / len(runs) / len(cells[0].ladder))
    return best


async def block(turned: Turned, random: np.random.Generator) -> tuple[float, float]:
    """CPU seconds of a block in all threads, and of the longest turn of the loop."""
    turned.fill(random)
    gc.collect()
    gc.freeze()
    turned.now += BLOCK
    turned.up += BLOCK
    with turns() as told:
        began = time.process_time()
        turned.tracker.tick()
        await turned.tracker.idle()
        spent = time.process_time() - began
    return spent, max(told)


async def measure(size: int, blocks: int) -> tuple[float, list[tuple[float, float]]]:
    """CPU seconds of a sample, and of each block with its longest turn."""
    cells = [watched(f"t{number}") for number in range(size)]
    keys = [key for cell in cells for key in (tcp(cell), replace(tcp(cell), layer="dns"))]
    store = Store.open(None)
    store.put(replace(baseline(*cells), series=dict.fromkeys(keys, HEALTHY))).result()
    store.activate("healthy").result()
    store.keep_fits("healthy", 1, dict.fromkeys(keys, pack_fit(fit(HEALTHY))), VERSION).result()
    turned = Turned(store, now=WATCHED)
    await turned.take(*cells)
    random = np.random.default_rng(1)
    each = sampled(turned, cells)
    found = [await block(turned, random) for _ in range(blocks)]
    await turned.tracker.close()
    return each, found


def main() -> None:
    """Measure, print, compare with the goals."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--cells", type=int, default=5000)
    options.add_argument("--blocks", type=int, default=6)
    given = options.parse_args()
    say_machine()
    each, blocks = asyncio.run(measure(given.cells, given.blocks))
    first, *others = blocks
    spent, held = median(cpu for cpu, _ in others), max(turn for _, turn in others)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    show_table(("", "CPU", "longest turn"), [
        ("first block", f"{first[0]:.2f} s", f"{first[1] * 1e3:.1f} ms"),
        ("later ones", f"{spent:.2f} s", f"{held * 1e3:.1f} ms"),
    ])  # fmt: skip
    print(f"{2 * given.cells} series, {memory:.0f} MB in all, the store's memory and this program's own among them")
    goals = Goals()
    goals.add("a sample", each * 1e6, SAMPLE * 1e6, "µs")
    goals.add("share of a core that blocks take", 100 * spent / BLOCK, 100 * SHARE, "%")
    goals.add("longest turn of the loop", max(first[1], held) * 1e3, HELD * 1e3, "ms")
    goals.show()


if __name__ == "__main__":
    main()
