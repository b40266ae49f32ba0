"""Truth in the lab: how far the reported latency of each layer is from what happened to its packets on a node.

The network is that of `tests/network/lab`: the prober is the command line as it is shipped, `prober once`, in a Pod of
one node; the servers are in Pods of the other. On the prober's node the delay tool (`tests/network/lab/delay.py`) holds
every packet for a known time each way, and keeps a record: when each came, by the kernel's stamp, and when it was let
go. What an exchange truly took is read off that record, the server's time and the tool's own error included. What is
left as error holds the Pod's link to its node as well, 10 to 20 µs each way; where a layer makes two exchanges (dns
over TCP: connect and question) it is the error of each.

First each delay on an idle machine, with the tool's own error; then each load beside 5 ms. The loads: `10 %` to `90 %`
is a process that spins for so much of every 10 ms on the prober's core, `neighbour` one that spins there without end.
Servers and tool are on the other core.

The peer is blackbox_exporter in the same Pod, pinned to the same core with the same load beside it, asked one probe
after the other. For tcp what it says is the whole probe, which has no phases.

Run: `python benchmarks/truth_lab.py [--count N]`, climbs of each kind and family for each load; 4 minutes as it stands.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator

from benchmarks._goals import Goals, percentile, show_table
from benchmarks._lab_peer import ASKED
from benchmarks._machine import Cores, burning, cores, pin, say_machine
from benchmarks._peer import find_peer, peer_version
from prober.reasons import Family
from tests.network.lab.delayed import DelayTool
from tests.network.lab.isolation import why_not
from tests.network.lab.process import LabProcess
from tests.network.timed import CASES, PLACE, Timed, climb_held_up, spoken_meanwhile

#: Seconds, each way.
DELAYS = (0.001, 0.005, 0.02, 0.1)
DELAY = 0.005
LOADS = {"idle": 0.0, "10 %": 0.1, "50 %": 0.5, "90 %": 0.9, "neighbour": 1.0}
GOAL, RATIO = 100.0, 0.1
TOOL_P50, TOOL_P99 = 300.0, 1500.0

Errors = dict[str, list[float]]


def label(each: Timed) -> str:
    """The row of a layer: the layer's own word, and for http and dns over what."""
    return each.layer if each.layer in ("tcp", "tls") else each.case


def errors_of(layers: Iterable[Timed]) -> Errors:
    """Absolute errors in µs, by row."""
    errors: Errors = defaultdict(list)
    for each in layers:
        errors[label(each)].append(abs(each.beside) * 1e6 / len(each.exchanges))
    return errors


def pair(errors: list[float]) -> str:
    """p50 / p99."""
    return f"{percentile(errors, 0.5):.0f} / {percentile(errors, 0.99):.0f}" if errors else "-"


def measure_peer(lab: LabProcess, count: int, core: int) -> Errors:
    """The same for the peer."""
    program = [sys.executable, "-m", "benchmarks._lab_peer", str(core), str(count)]
    with DelayTool(lab.command(PLACE)) as tool:
        tool.hold(DELAY)
        done = lab.run("client", *program, env={"BLACKBOX_EXPORTER": str(find_peer())}, timeout=300)
        spoken = spoken_meanwhile(tool.record())
    if done.returncode:
        raise SystemExit(done.stderr)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    if len(said) != len(spoken):
        raise SystemExit(f"the peer made {len(spoken)} connections for {len(said)} probes")
    return errors_of(
        Timed(each["case"], Family(each["family"]), layer, seconds, "user",
              tuple(part.of(conversation) for part in CASES[each["case"]].layers[layer]))
        for each, conversation in zip(said, spoken, strict=True) for layer, seconds in each["layers"].items()
    )  # fmt: skip


def tool_errors(layers: Iterable[Timed]) -> list[float]:
    """By how many µs packets left later than wanted."""
    return [passage.error * 1e6 for each in layers for exchange in each.exchanges for passage in exchange.held]


class Bench:
    """All delays, all loads."""

    def __init__(self, lab: LabProcess, at: Cores, count: int) -> None:
        self.lab, self.at, self.count = lab, at, count
        self.near = ("taskset", "-c", str(at.near))
        self.goals = Goals()
        self.worst: dict[str, tuple[float, str]] = {}
        self.ratios: dict[str, float] = {}

    def run(self) -> None:
        """Measure, print the tables and the goals."""
        print("\nerror of each layer by delay, each way, on an idle machine (µs, p50 / p99); and the tool's own")
        by_delay, tool = {}, {}
        for delay in DELAYS:
            fewer = max(3, round(self.count * min(1.0, DELAY / delay)))
            layers = climb_held_up(self.lab, delay, *self.near, count=fewer)
            by_delay[delay], tool[delay] = errors_of(layers), tool_errors(layers)
            self._note(f"{delay * 1e3:g} ms", by_delay[delay])
            print(f"  {delay * 1e3:g} ms done", file=sys.stderr)
        rows = [[name, *(pair(by_delay[delay][name]) for delay in DELAYS)] for name in by_delay[DELAY]]
        rows.append(["the tool", *(pair(tool[delay]) for delay in DELAYS)])
        show_table(["layer", *(f"{delay * 1e3:g} ms" for delay in DELAYS)], rows)
        print(f"\nerror of each layer by load, {DELAY * 1e3:g} ms each way (µs, p50 / p99)")
        show_table(["load", "layer", "prober", "peer", "ratio p99", "runs"], [*self._loads()])
        every = [error for errors in tool.values() for error in errors]
        self.goals.add("the tool's own error, p50", percentile(every, 0.5), TOOL_P50, "µs")
        self.goals.add("the tool's own error, p99", percentile(every, 0.99), TOOL_P99, "µs")
        for name, (figure, where) in self.worst.items():
            self.goals.add(f"{name}, p99 of the error, at worst ({where})", figure, GOAL, "µs")
        for name, figure in self.ratios.items():
            self.goals.add(f"{name}, p99 of the error as a share of the peer's, both beside a neighbour", figure, RATIO)
        if find_peer() is None:
            self.goals.unknown("the peer's errors", "blackbox_exporter is not installed")
        self.goals.show()

    def _loads(self) -> Iterator[list[str]]:
        for load, share in LOADS.items():
            with burning(self.at.near, share):
                ours = errors_of(climb_held_up(self.lab, DELAY, *self.near, count=self.count))
                theirs = measure_peer(self.lab, self.count, self.at.near) if find_peer() else {}
            self._note(load, ours)
            ratios = {name: percentile(ours[name], 0.99) / percentile(peer, 0.99) for name, peer in theirs.items()}
            if share == 1.0:
                self.ratios = ratios
            for name, errors in ours.items():
                ratio = f"{ratios[name]:.3f}" if name in ratios else "-"
                yield [load, name, pair(errors), pair(theirs.get(name, [])), ratio, str(len(errors))]
            print(f"  {load} done", file=sys.stderr)

    def _note(self, where: str, errors: Errors) -> None:
        for name, of_row in errors.items():
            self.worst[name] = max(self.worst.get(name, (0.0, "")), (percentile(of_row, 0.99), where))


def main() -> None:
    """The lab on one core, prober and peer on the other, where there are two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=25, help="climbs of each kind and family, for each load")
    options = parser.parse_args()
    if (reason := why_not()) is not None:
        raise SystemExit(f"no lab here: {reason}")
    at = cores()
    say_machine("grpcio", "pyOpenSSL", "httpx", "h11", "h2", "dnspython")
    program = find_peer()
    print(f"peer: {'none' if program is None else peer_version(program)}, asked for {', '.join(ASKED)}; cores {at}")
    before = os.sched_getaffinity(0)
    pin(at.far)  # what is started from here stays there, unless it is pinned itself
    with LabProcess() as lab:
        Bench(lab, at, options.count).run()
    os.sched_setaffinity(0, before)


if __name__ == "__main__":
    main()
