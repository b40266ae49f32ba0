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
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks._goals import Goals, show_table
from benchmarks._machine import cores, pin, say_machine
from benchmarks._peer import find_peer, peer_version, serve_peer
from benchmarks._services import KINDS, RATE, SCRAPES, Blackbox, Prober, modules, prober
from benchmarks._targets import Targets, serve

#: What each kind may cost of what it costs blackbox_exporter.
GOALS = {"icmp": 0.15, "tcp": 0.25, "dns": 0.40, "http/1.1": 0.40, "tls": 0.80, "https h2": 0.80, "grpc": 0.80}
#: Seconds after a reload until every cell has been climbed.
_SETTLE = 1.2
#: Seconds after a reload until what came with it is over.
_REST = 0.3
#: Seconds for which the idle prober is looked at.
_IDLE = 2.0
_HEAD = ("kind", "prober", "of all rounds", "blackbox_exporter", "ratio", "goal", "in it: scrapes", "idle, µs a second")


@dataclass(slots=True)
class Round:
    """CPU seconds of one probe of the prober's, of one scrape of it, and of one probe of the exporter's."""

    ours: float
    scrape: float
    theirs: float | None


async def rest(service: Prober) -> float:
    """CPU seconds of the idle prober in a second."""
    await asyncio.sleep(_REST)
    began, cpu_began = time.perf_counter(), service.cpu
    await asyncio.sleep(_IDLE)
    return (service.cpu - cpu_began) / (time.perf_counter() - began)


async def measure(service: Prober, idle: float, peer: Blackbox | None, kind: str, seconds: float) -> Round:
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
    ours = (busy - idle) / (runs / (ended - began)) + scrape / SCRAPES / RATE  # runs: from scrape to scrape
    await service.switch(busy=False)
    if peer is None:
        return Round(ours, scrape, None)
    await asyncio.sleep(_REST)
    before = peer.cpu
    probes = await peer.probe(kind, seconds)
    return Round(ours, scrape, (peer.cpu - before) / probes)


def row(kind: str, idle: float, rounds: list[Round], goals: Goals) -> list[str]:
    """One row of the table, and its goal."""
    ours = [each.ours * 1e6 for each in rounds]
    theirs = [each.theirs * 1e6 for each in rounds if each.theirs is not None]
    cells = [kind, f"{median(ours):.0f}", f"{min(ours):.0f} to {max(ours):.0f}"]
    if theirs:
        ratio = median(mine / other for mine, other in zip(ours, theirs, strict=True))
        goals.add(f"CPU of a probe, {kind}", ratio, GOALS[kind], "of blackbox_exporter's")
        cells += [f"{median(theirs):.0f}", f"{ratio:.2f}", f"≤ {GOALS[kind]:.2f}"]
    else:
        goals.unknown(f"CPU of a probe, {kind}", "no blackbox_exporter beside it")
        cells += ["-", "-", f"≤ {GOALS[kind]:.2f}"]
    scrape = median(each.scrape for each in rounds) / SCRAPES / RATE
    return [*cells, f"{scrape * 1e6:.0f}", f"{idle * 1e6:.0f}"]


async def bench(program: str | None, targets: Targets, files: Path, core: int, options: argparse.Namespace) -> None:
    """Every kind, one after the other."""
    goals, rows = Goals(), []
    with ExitStack() as stack:
        peer = None
        if program is not None:
            peer = Blackbox(stack.enter_context(serve_peer(program, modules(targets), core)), targets)
            stack.callback(peer.close)
        for kind in options.kinds:
            if peer is not None:
                await peer.probe(kind, 1.0)  # warm
            async with prober(kind, targets, files, core) as service:
                idle = await rest(service)
                rounds = [await measure(service, idle, peer, kind, options.seconds) for _ in range(options.rounds)]
            rows.append(row(kind, idle, rounds, goals))
            print("  ".join(rows[-1]), file=sys.stderr, flush=True)
    print()
    show_table(_HEAD, rows)
    goals.show()


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
    near, far = cores()
    pin(far)
    say_machine("grpcio", "pyopenssl", "httpx", "h11", "h2", "dnspython")
    program = None if options.alone else find_peer()
    print(f"the peer is {peer_version(program)}" if program else "no peer: none was found, or none was wanted")
    print(f"medians of {options.rounds} rounds of {options.seconds:g} s, {RATE:g} probes/s; µs of CPU for each probe")
    with tempfile.TemporaryDirectory() as directory, serve(Path(directory), far) as targets:
        asyncio.run(bench(program, targets, Path(directory), near, options))


if __name__ == "__main__":
    main()
