"""Truth under load: how far the reported latency of each layer is from what the server and the wire really took.

Servers on another core answer each flight 5 ms after the kernel gave them the request, and keep what the delay really
was, by the kernel's own stamps (`tests/support/delayed.py`, `late_echo.py`). All of it runs in a network namespace of
its own, where the echo replies come through a TUN device; without one the rest is measured on the loopback.

The loads: `10 %` to `90 %` is a process that spins for so much of every 10 ms on the prober's core, `neighbour` one
that spins there without end. `own 50 %`, `own 90 %` and `own 50 % + neighbour` hold up the prober's own event loop, for
so much of every 10 ms, which the peer has nothing like.

The peer is blackbox_exporter, pinned to the same core, with the same load beside it and before the same servers: asked
one probe after the other, from the other core, over a connection that stays open. What it says: the phase `rtt` of
icmp, `request` of dns, `tls` and `processing` of http, `check` of grpc, and for tcp the whole probe, which has no
phases. Of proxies it tells nothing.

An error is what was said minus what was true, as an absolute value in µs. For tcp the truth is 0: all of the loopback's
own round trip counts as error, on both sides. `stopwatch` is what a clock in user space would have said of our runs.

Run: `python benchmarks/truth.py [--seconds S]`, of each load and kind; 4 minutes as it stands.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from benchmarks._goals import Goals, percentile, show_table
from benchmarks._late import CASES, LOOPBACK, Case
from benchmarks._machine import Cores, burning, cores, pin, say_machine
from benchmarks._peer import Peer, find_peer, peer_version, serve_peer
from prober.engine.climb import climb
from prober.layers.base import Kit
from prober.reasons import Family, Kind
from prober.wire.stamps import StampKeeper
from tests.support.delayed import Delayed, serve_late
from tests.support.netns import enter_namespace, why_not

DELAY = 0.005
PERIOD = 0.01
#: Runs of one kind under one load: at least, however long they take, within four times the seconds asked for.
ENOUGH = 150
GOAL, RATIO = 100.0, 0.1


@dataclass(frozen=True, slots=True)
class Load:
    """A burner beside the prober, and the share of time that its own loop is held up."""

    name: str
    burner: float = 0.0
    own: float = 0.0


LOADS = (Load("10 %", 0.1), Load("50 %", 0.5), Load("90 %", 0.9), Load("neighbour", 1.0), Load("own 50 %", own=0.5),
         Load("own 90 %", own=0.9), Load("own 50 % + neighbour", 1.0, 0.5))  # fmt: skip


@dataclass(slots=True)
class Errors:
    """Of one layer under one load, in µs, by family; how many of ours were on the kernel's clock."""

    reported: dict[Family, list[float]] = field(default_factory=lambda: defaultdict(list))
    stopwatch: list[float] = field(default_factory=list)
    peer: list[float] = field(default_factory=list)
    kernel: int = 0


Found = dict[str, Errors]


@contextlib.asynccontextmanager
async def held_up(share: float) -> AsyncIterator[None]:
    """An event loop with something else to do for `share` of its time."""

    async def work() -> None:
        while share:
            until = perf_counter() + share * PERIOD
            while perf_counter() < until:
                pass
            await asyncio.sleep((1 - share) * PERIOD)

    working = asyncio.create_task(work())
    try:
        yield
    finally:
        working.cancel()


def turns(seconds: float) -> Iterator[int]:
    """0, 1, 2 … for `seconds`, and until there were enough."""
    began, number = perf_counter(), 0
    while (took := perf_counter() - began) < seconds or (number < ENOUGH and took < 4 * seconds):
        yield number
        number += 1


def true_delays(late: Delayed) -> Counter[str]:
    """Seconds by flight, of everything answered since the last call."""
    true = Counter[str]()
    for _, flight, delay in late.delays():
        true[flight] += delay
    return true


async def measure(case: Case, families: list[Family], kit: Kit, late: Delayed, seconds: float, found: Found) -> None:
    """Climb one after the other, the families in turn, and hold each layer against the delays of its own flights."""
    cells = [case.cell(late, family) for family in families]
    late.delays()
    for turn in turns(seconds):
        (run,) = await climb(cells[turn % len(cells)], kit)
        if not run.ok:
            raise SystemExit(f"{case.name}: {run.outcomes}")
        true = true_delays(late)
        for outcome in run.outcomes:
            label = case.labels.get(outcome.layer.value)
            if label is None or outcome.seconds is None:
                continue
            errors, error = found[label], outcome.seconds - true[outcome.layer.value]
            errors.reported[run.cell.family].append(abs(error) * 1e6)
            errors.stopwatch.append(abs(error + outcome.evidence.get("local_seconds", 0.0)) * 1e6)
            errors.kernel += outcome.evidence["clock"] == "kernel"


def measure_peer(case: Case, families: list[Family], peer: Peer, late: Delayed, seconds: float, found: Found) -> None:
    """The same for the peer."""
    cells = [case.cell(late, family) for family in families]
    layer_of = {label: layer for layer, label in case.labels.items()}
    late.delays()
    for turn in turns(seconds):
        target = case.peer_target(cells[turn % len(cells)])
        said = peer.probe(case.name, target)
        if not said.get("probe_success"):
            raise SystemExit(f"the peer's {case.name}: {peer.explain(case.name, target)}")
        true = true_delays(late)
        for label, sample in case.samples.items():
            found[label].peer.append(abs(said[sample] - true[layer_of[label]]) * 1e6)


def pair(errors: list[float]) -> str:
    """p50 / p99."""
    return f"{percentile(errors, 0.5):.0f} / {percentile(errors, 0.99):.0f}" if errors else "-"


def rows(load: Load, found: Found) -> list[list[str]]:
    """A row of the table for each layer."""
    table = []
    for label, errors in found.items():
        ours = [error for of_family in errors.reported.values() for error in of_family]
        ratio = percentile(ours, 0.99) / percentile(errors.peer, 0.99) if errors.peer else None
        table.append([
            load.name, label, *(pair(errors.reported[family]) for family in Family), pair(errors.stopwatch),
            pair(errors.peer), "-" if ratio is None else f"{ratio:.3f}", f"{errors.kernel / len(ours):.0%}",
            str(len(ours)),
        ])  # fmt: skip
    return table


class Bench:
    """All loads, all kinds."""

    def __init__(self, late: Delayed, at: Cores, seconds: float, cases: list[Case], loads: list[Load]) -> None:
        self.late, self.at, self.seconds, self.cases, self.loads = late, at, seconds, cases, loads
        self.families = [family for family in Family if ("http", LOOPBACK[family]) in late.ports]
        self.goals = Goals()
        self.program = find_peer()
        self.worst: dict[str, tuple[float, str]] = {}
        self.ratios: dict[str, tuple[float, str]] = {}

    async def run(self) -> None:
        """Measure, print the table and the goals."""
        kit = Kit()
        kit.get(StampKeeper)
        for case in self.cases:
            for family in self.families:
                await climb(case.cell(self.late, family), kit)
        gc.collect()
        gc.freeze()  # as the service does once it is up
        table = []
        for load in self.loads:
            found: Found = defaultdict(Errors)
            pin(self.at.near)
            with burning(self.at.near, load.burner):
                async with held_up(load.own):
                    for case in self.cases:
                        await measure(case, self.families, kit, self.late, self.seconds, found)
                if self.program and not load.own:
                    self._peer(found)
            table += rows(load, found)
            self._note(load, found)
            print(f"  {load.name} done", file=sys.stderr)
        await kit.close()
        head = ["load", "layer", "ipv4 p50 / p99", "ipv6 p50 / p99", "stopwatch", "peer", "ratio p99", "kernel", "runs"]
        show_table(head, table)
        self._judge()

    def _peer(self, found: Found) -> None:
        """The peer on the near core, its asker on the far one."""
        pin(self.at.far)
        modules = {case.name: module for case in self.cases if (module := case.peer_module(self.late))}
        with serve_peer(str(self.program), modules, self.at.near) as peer:
            for case in self.cases:
                if case.name in modules:
                    families = [family for family in self.families if family in case.peer_families]
                    for family in families:  # the first probe of each is not measured, on either side
                        peer.probe(case.name, case.peer_target(case.cell(self.late, family)))
                    measure_peer(case, families, peer, self.late, self.seconds, found)

    def _note(self, load: Load, found: Found) -> None:
        for label, errors in found.items():
            for family, of_family in errors.reported.items():
                figure = percentile(of_family, 0.99), f"{load.name}, {family}"
                self.worst[label] = max(self.worst.get(label, (0.0, "")), figure)
            if errors.peer:
                ours = [error for of_family in errors.reported.values() for error in of_family]
                ratio = percentile(ours, 0.99) / percentile(errors.peer, 0.99), load.name
                self.ratios[label] = max(self.ratios.get(label, (0.0, "")), ratio)

    def _judge(self) -> None:
        for label, (figure, where) in self.worst.items():
            self.goals.add(f"{label}, p99 of the error, at worst ({where})", figure, GOAL, "µs")
        for label, (figure, where) in self.ratios.items():
            self.goals.add(f"{label}, p99 of the error as a share of the peer's, at worst ({where})", figure, RATIO)
        if self.program is None:
            self.goals.unknown("the peer's errors", "blackbox_exporter is not installed")
        if "icmp" not in self.worst and any(case.kind is Kind.ICMP for case in CASES):
            self.goals.unknown("icmp", why_not(tun=True) or "not asked for")
        self.goals.show()


def main() -> None:
    """Servers on one core, prober and peer on the other, where there are two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each load and kind, on either side")
    parser.add_argument("--only", action="append", help="this kind only; may be given again",
                        choices=[case.name for case in CASES])  # fmt: skip
    parser.add_argument("--load", action="append", help="this load only; may be given again",
                        choices=[load.name for load in LOADS])  # fmt: skip
    options = parser.parse_args()
    inside = enter_namespace()
    if inside:
        Path("/proc/sys/net/ipv4/ping_group_range").write_text("0 2147483647")
    at = cores()
    say_machine("grpcio", "pyOpenSSL", "httpx", "h11", "h2", "dnspython")
    program = find_peer()
    print(f"peer: {'none' if program is None else peer_version(program)}; {DELAY * 1e3:g} ms of delay; cores {at}")
    cases = [case for case in CASES if case.kind is not Kind.ICMP or inside]
    cases = [case for case in cases if not options.only or case.name in options.only]
    loads = [load for load in LOADS if not options.load or load.name in options.load]
    far = at.far if at.far != at.near else None
    addresses = tuple(LOOPBACK.values()) if Path("/proc/net/if_inet6").exists() else (LOOPBACK[Family.IPV4],)
    with (
        tempfile.TemporaryDirectory() as directory,
        serve_late(DELAY, Path(directory), addresses, far, echo=inside) as late,
    ):
        asyncio.run(Bench(late, at, options.seconds, cases, loads).run())


if __name__ == "__main__":
    main()
