"""Real traces for baselines: many climbs by the shipped command line in the vantage, beside what the wire said of them.

The climbs of a cell follow each other as fast as the network lets them. What is scaled is when: climb number n is taken
for the one that a schedule of one in `EVERY` seconds has at its n-th turn, so a day of probing comes from seconds. What
is not scaled, and not touched in any way, is how long anything took, in which order, and whether it failed.

On the node of the vantage the delay tool holds every packet each way. Its record is the wire: what each exchange took,
by the moments at which the packets came and left there. No clock of the prober's is in it.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from prober.baseline.sketch import Floats
from prober.baseline.values import BLOCK, SeriesKey
from prober.reasons import Family
from tests.network.lab import plan, probes
from tests.network.lab.conversation import Conversation, conversations
from tests.network.lab.delayed import DelayTool
from tests.network.lab.isolation import FILES
from tests.network.lab.passage import RST, Passage
from tests.network.lab.process import LabProcess
from tests.network.timed import FIRST, HANDSHAKE, Part

#: Seconds between two climbs of a cell, by the schedule that they are taken for.
EVERY = 120
PER_BLOCK = BLOCK // EVERY
#: Seconds each way that every packet is held in the baseline, on the node of the vantage.
HELD = 0.005
#: Seconds that a recording may take on a busy machine.
PATIENCE = 240.0
CONFIG = "traces.yaml"
#: Climbers that take turns in one series, so that the waiting for the network takes less of the test's time.
COPIES = range(2)
_TIMEOUT = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """A cell of both families: where it leads, and the exchange on the wire that is each layer's time."""

    name: str
    path: str
    server: plan.Pod | plan.Service
    port: int
    layers: Mapping[str, Part]
    tail: str = ""
    options: str = ""

    def url(self, family: Family) -> str:
        """Where it leads."""
        host = self.server.address(family) if family is plan.V4 else f"[{self.server.address(family)}]"
        return f"{self.kind}://{host}{f':{self.port}' if self.port else ''}{self.tail}"

    @property
    def kind(self) -> str:
        """Of the probe."""
        return self.name.partition("-")[0]

    def key(self, family: Family, layer: str) -> SeriesKey:
        """One of its series."""
        return SeriesKey(self.name, self.server.name, self.path, family, layer)


_TCP = {"tcp": HANDSHAKE}
_EDGE = f", tls: {{ca_file: {probes.CA_FILE}, server_name: {probes.EDGE}}}"
_THREE, _KUBE_DNS, _NGINX = (plan.SERVICES[name] for name in ("web-three", "kube-dns", "nginx"))
#: The Service `web-three` has the Pods web1, on the vantage's own node, web2 and web3.
TCP1 = Cell("tcp-1", "pod", plan.WEB1, plan.HTTP, _TCP)
TCP3 = Cell("tcp-3", "pod", plan.WEB3, plan.HTTP, _TCP)
ICMP = Cell("icmp", "pod", plan.WEB2, 0, {"icmp": HANDSHAKE})
DNS = Cell("dns", "service", _KUBE_DNS, 53, {"dns": HANDSHAKE}, "/web.app.svc.cluster.local.")
HTTP = Cell("http", "service", _THREE, 80, {**_TCP, "http": FIRST}, "/health")
TLS = Cell("tls", "service", _NGINX, 443, {**_TCP, "tls": Part(0, until=1)}, options=_EDGE)
_SERVICES = {service.address(family) for service in (_THREE, _KUBE_DNS, _NGINX) for family in Family}
CELLS = (TCP1, TCP3, ICMP, DNS, HTTP, TLS)
Counts = Mapping[tuple[Cell, Family], int]
"""How many climbs of which cell in which family."""


def of_all(count: int) -> Counts:
    """So many of every cell, in both families."""
    return {(cell, family): count for cell in CELLS for family in Family}


@dataclass(frozen=True, slots=True)
class Series:
    """The climbs of one series in their order, and what the wire said."""

    seconds: Sequence[float | None]
    """None where the layer failed or was not reached."""
    reasons: Sequence[str | None]
    wire: Floats
    """Seconds of each exchange that was answered, by the tool's record, in their order."""

    def block(self, number: int) -> tuple[list[float], list[str]]:
        """The times and the reasons of the climbs that fall into a block."""
        part = slice(number * PER_BLOCK, (number + 1) * PER_BLOCK)
        return [s for s in self.seconds[part] if s is not None], [r for r in self.reasons[part] if r is not None]


Trace = Mapping[SeriesKey, Series]


class Recorder:
    """A context manager: inside it every packet of the vantage is held, each family by a tool of its own."""

    def __init__(self, lab: LabProcess) -> None:
        self._lab = lab
        self._stack = ExitStack()
        self._base: dict[Family, DelayTool] = {}

    def __enter__(self) -> Self:
        self._lab.file(CONFIG).write_text(_config(), encoding="ascii")
        self._stack.enter_context(_hurried(self._lab.pid))
        self._base = {family: self._stack.enter_context(self.tool(plan.NODE1, family)) for family in Family}
        for family in Family:
            self._stack.enter_context(_passing(self._lab, family))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def tool(self, node: plan.Node, family: Family, *match: str) -> DelayTool:
        """One on some node. By what it is late stands in its record: it need not spin."""
        queue = 7 + tuple(Family).index(family)
        return DelayTool(self._lab.command(node.name), families=[family], match=match, queue=queue, spin=0.0)

    def record(self, counts: Counts, **held: float) -> Trace:
        """Climb. Each way is held for `HELD` seconds, or for what `held` says of a family."""
        for family, tool in self._base.items():
            tool.hold(held.get(family, HELD))
        parts: dict[int, list[str]] = defaultdict(list)
        for (cell, family), count in counts.items():
            parts[count // len(COPIES)] += [f"{cell.name}-{family}-{copy}" for copy in COPIES]
        with ThreadPoolExecutor() as pool:
            runs = [run for each in pool.map(self._climb, parts.items()) for run in each]
        runs.sort(key=lambda run: run["started_at"])
        spoken = [each for tool in self._base.values() for each in _spoken(tool)]
        return {key: series for cell, family in counts for key, series in _series(cell, family, runs, spoken)}

    def _climb(self, part: tuple[int, Sequence[str]]) -> list[dict[str, Any]]:
        count, names = part
        command = ("once", "-c", str(FILES / CONFIG), "-o", "ndjson", "--jobs", str(len(names)), "--count", str(count))
        done = self._lab.prober(*command, *(f"--probe={name}" for name in names), timeout=PATIENCE)
        assert not done.stderr, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]


def _config() -> str:
    """A probe for each cell, family and copy, named `CELL-FAMILY-COPY`."""
    targets, listed = ["targets:"], ["probes:"]
    for cell, family in of_all(0):
        for copy in COPIES:
            name = f"{cell.name}-{family}-{copy}"
            targets.append(f'  {name}: {{paths: {{{cell.path}: {{url: "{cell.url(family)}"}}}}}}')
            listed.append(f"  - {{name: {name}, kind: {cell.kind}, targets: [{name}]{cell.options}}}")
    return "\n".join([f"defaults: {{interval: {EVERY}s, timeout: {_TIMEOUT:g}s}}", *targets, *listed, ""])


@contextmanager
def _passing(lab: LabProcess, family: Family) -> Iterator[None]:
    """What nobody waits for is not held, since that costs time of the test: bare acknowledgements, and that the vantage
    ends its connection."""
    program, length = ("iptables", 52) if family is plan.V4 else ("ip6tables", 72)
    from_vantage = ("-m", "physdev", "--physdev-in", f"veth-{plan.CLIENT.name}")
    rules = [("-p", "tcp", "--tcp-flags", f"SYN,RST,PSH,ACK{also}", "ACK", "-m", "length", "--length", f":{length}",
              *where, "-j", "ACCEPT") for also, where in ((",FIN", ()), ("", from_vantage))]  # fmt: skip
    for rule in rules:
        done = lab.run(plan.NODE1.name, program, "-w", "-t", "raw", "-I", "PREROUTING", *rule)
        assert done.returncode == 0, done.stderr
    try:
        yield
    finally:
        for rule in rules:
            lab.run(plan.NODE1.name, program, "-w", "-t", "raw", "-D", "PREROUTING", *rule)


@contextmanager
def _hurried(pid: int) -> Iterator[None]:
    """The servers of the lab come before whatever else wants the core, where that is allowed: those of a cluster have
    machines of their own, and what disturbs this one must not read as slow servers."""
    hurried = [int(task.name) for each in _family_of(pid) for task in Path(f"/proc/{each}/task").iterdir()]
    try:
        for task in hurried:
            _schedule(task, os.SCHED_FIFO, 1)
        yield
    finally:
        for task in hurried:
            _schedule(task, os.SCHED_OTHER, 0)


def _schedule(task: int, policy: int, priority: int) -> None:
    with suppress(OSError):  # it may not, or has ended
        os.sched_setscheduler(task, policy, os.sched_param(priority))


def _family_of(pid: int) -> Iterator[int]:
    """A process and all that come from it."""
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text(encoding="ascii").split():
            yield from _family_of(int(child))


def _spoken(tool: DelayTool) -> list[Conversation]:
    """All that the vantage began, in its order. What comes back from a Service comes from a Pod: to whom it belongs,
    the vantage's port says."""
    record = tool.record()
    assert record.lost == 0
    vantage = {plan.CLIENT.address(family) for family in Family}
    asked: dict[tuple[str | int, ...], Passage] = {}
    told = []
    for passage in sorted(record.passages, key=lambda each: each.came):
        header = passage.header
        port = header.protocol, header.destination_port
        if header.source in vantage:
            asked[header.flow] = passage
            if header.destination in _SERVICES:
                asked[header.protocol, header.source_port] = passage
        elif port in asked and (header.back not in asked or asked[header.back].came < asked[port].came):
            one = asked[port].header
            passage = passage._replace(header=header._replace(source=one.destination, source_port=one.destination_port))
        told.append(passage)
    return conversations(told, vantage)


def _series(
    cell: Cell, family: Family, runs: Sequence[dict[str, Any]], spoken: Sequence[Conversation]
) -> Iterator[tuple[SeriesKey, Series]]:
    of_cell = [run for run in runs if run["probe"].startswith(f"{cell.name}-{family}-")]
    on_wire = [each for each in spoken if (each.server, each.port) == (cell.server.address(family), cell.port)]
    for name, part in cell.layers.items():
        wire = [part.of(each).ends for each in on_wire if _answered(each)]
        layers = [next(each for each in run["layers"] if each["layer"] == name) for run in of_cell]
        yield (
            cell.key(family, name),
            Series(
                [layer["seconds"] if layer["result"] == "ok" else None for layer in layers],
                [layer["reason"] if layer["result"] == "failed" else None for layer in layers],
                np.array([ends[0 if part.until is None else -1] for ends in wire if ends]),
            ),
        )


def _answered(spoken: Conversation) -> bool:
    """It was not lost, and not refused."""
    return any(not passage.header.flags & RST for passage in spoken.back)
