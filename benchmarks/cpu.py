"""CPU per probe, layer by layer: `prober run` and blackbox_exporter side by side, in one run, on one core.

Both probe the same servers 100 times a second (open loop, a fresh connection each), the prober's 100 cells by its own
schedule with all that comes with it (board, metrics, event log, a scrape every 15 s), blackbox_exporter as it is meant
to be used: each scrape of `/probe` makes a probe. Servers and load are on the other core. In each round the prober is
measured while the exporter idles, then the exporter while the prober idles: CPU time of the whole process, by the
kernel's clock, less that of the idle process. Printed are medians of all rounds, in µs.

Run: `python benchmarks/cpu.py [--kinds tcp,tls] [--rounds 5] [--seconds 3]`; 5 minutes as it stands.
Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import subprocess
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from benchmarks._services import BLACKBOX, KINDS, RATE, SCRAPES, Blackbox, Prober, blackbox, find_blackbox, prober
from benchmarks._targets import Targets, serve

#: What each kind may cost of what it costs blackbox_exporter.
GOALS = {"icmp": 0.15, "tcp": 0.25, "dns": 0.40, "http/1.1": 0.40, "tls": 0.80, "https h2": 0.80, "grpc": 0.80}
#: Seconds after a reload until every cell has been climbed.
_SETTLE = 1.2
#: Seconds after a reload until what came with it is over.
_REST = 0.3


@dataclass(slots=True)
class Round:
    """CPU seconds: of a probe, of a scrape of the prober, and of the idle prober in a second."""

    ours: float
    scrape: float
    idle: float
    theirs: float | None


async def measure(service: Prober, peer: Blackbox | None, kind: str, seconds: float) -> Round:
    """One round: the prober, then the exporter."""
    await service.switch(busy=True)
    await service.runs()  # the first scrape of a configuration renders everything, once
    await asyncio.sleep(_SETTLE)
    began, cpu_began = time.perf_counter(), service.cpu
    runs_before = await service.runs()
    scraped, cpu_scraped = time.perf_counter(), service.cpu
    await asyncio.sleep(seconds)
    ended, cpu_ended = time.perf_counter(), service.cpu
    runs = await service.runs() - runs_before
    busy = (cpu_ended - cpu_scraped) / (ended - scraped)
    scrape = cpu_scraped - cpu_began - busy * (scraped - began)
    rate = runs / (ended - began)  # from scrape to scrape
    await service.switch(busy=False)
    await asyncio.sleep(_REST)
    began, cpu_began = time.perf_counter(), service.cpu
    theirs = None
    if peer is None:
        await asyncio.sleep(seconds)
    else:
        before = peer.cpu
        probes = await peer.probe(kind, seconds)
        theirs = (peer.cpu - before) / probes
    idle = (service.cpu - cpu_began) / (time.perf_counter() - began)
    return Round((busy - idle) / rate + scrape / SCRAPES / RATE, scrape, idle, theirs)


def show(kind: str, rounds: list[Round]) -> None:
    """One row of the table."""
    ours = median(each.ours for each in rounds) * 1e6
    row = f"| {kind} | {ours:.0f} |"
    theirs = [each.theirs for each in rounds if each.theirs is not None]
    if theirs:
        ratio = median(each.ours / each.theirs for each in rounds if each.theirs is not None)
        held = "reached" if ratio <= GOALS[kind] else "missed"
        row += f" {median(theirs) * 1e6:.0f} | {ratio:.2f} | ≤ {GOALS[kind]:.2f} | {held} |"
    else:
        row += f" – | – | ≤ {GOALS[kind]:.2f} | – |"
    spread = f"{min(each.ours for each in rounds) * 1e6:.0f}–{max(each.ours for each in rounds) * 1e6:.0f}"
    scrape, idle = (median(values) for values in zip(*((each.scrape, each.idle) for each in rounds), strict=True))
    print(f"{row} {spread} | {scrape / SCRAPES / RATE * 1e6:.1f} | {idle * 1e6:.0f} |", flush=True)


async def bench(program: str | None, targets: Targets, files: Path, core: int, options: argparse.Namespace) -> None:
    """Every kind, one after the other."""
    print("\n| kind | prober µs | blackbox_exporter µs | ratio | goal | | prober, all rounds µs"
          " | of it scrapes µs | idle prober µs/s |\n|---|---|---|---|---|---|---|---|---|", flush=True)  # fmt: skip
    async with AsyncExitStack() as stack:
        peer = None if program is None else await stack.enter_async_context(blackbox(program, targets, files, core))
        for kind in options.kinds:
            if peer is not None:
                await peer.probe(kind, 1.0)  # warm
            async with prober(kind, targets, files, core) as service:
                show(kind, [await measure(service, peer, kind, options.seconds) for _ in range(options.rounds)])


def _kinds(text: str) -> list[str]:
    kinds = text.split(",")
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not among {', '.join(KINDS)}")
    return kinds


def main() -> None:
    """Both services on one core, servers and load on another."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", type=_kinds, default=list(KINDS), metavar="A,B", help=f"of {', '.join(KINDS)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each service in each round")
    parser.add_argument("--alone", action="store_true", help="leave blackbox_exporter out")
    options = parser.parse_args()
    if platform.system() != "Linux":
        raise SystemExit("this benchmark reads Linux's CPU clocks of other processes")
    cores = sorted(os.sched_getaffinity(0))
    measured, far = cores[0], cores[-1]
    os.sched_setaffinity(0, {far})
    print(f"{datetime.now(UTC):%F %H:%M} UTC, {platform.platform()}, {len(cores)} cores,"
          f" Python {platform.python_version()}")  # fmt: skip
    program = None if options.alone else find_blackbox()
    if program is None:
        print("the peer is left out:", "as asked" if options.alone else f"none of {', '.join(BLACKBOX)} is installed")
    else:
        version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
        print((version.stdout or version.stderr).splitlines()[0])
    with tempfile.TemporaryDirectory() as directory, serve(Path(directory), far) as targets:
        asyncio.run(bench(program, targets, Path(directory), measured, options))


if __name__ == "__main__":
    main()
