"""The service through faults of the catalogue, one after another: seen and gone within one interval, blamed as ever.

Here the timeout is as long as the interval. So a run that waits for its deadline may keep the next one out (overrun).
The first good run then begins within one interval of the end of the run that was under way when the fault went.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from tests.network.conftest import require_lab
from tests.network.judge import BEHIND_FRONTS, Run, complaints, named
from tests.network.lab.faults import FAULTS
from tests.network.lab.faults.fault import Fault
from tests.network.lab.probes import CONFIG_FILE, INTERVAL
from tests.network.lab.process import LabProcess
from tests.network.watched import PodProber, prober_in_pod
from tests.support.process import PATIENCE

#: One of each sort; `RECOVER=all` in the environment, or names there, for a run by hand.
SOME = ("l3-drop", "l3-v6-broken", "cni-vxlan-peer-lost", "mtu-blackhole", "pol-ingress-deny", "pol-reject-admin",
        "svc-wrong-targetport", "svc-kubeproxy-absent", "tls-expired", "grpc-hang", "dns-timeout",
        "api-hang")  # fmt: skip
#: A fault that was complained of on a busy machine is tried once more.
_TRIALS = 2
#: Seconds by which a run may begin late on a machine that is busy with other tests.
LATE = 0.5
#: Faults that show partly, or as slow, are for runs that are counted and timed.
_OTHERS = re.compile("[PS]")


def _wanted() -> list[Fault]:
    asked = os.environ.get("RECOVER", "").split()
    names = FAULTS if asked == ["all"] else asked or SOME
    return [FAULTS[name] for name in names if not _OTHERS.search(FAULTS[name].signature)]


@dataclass
class Log:
    """The runs of the event log by cell, read as they come; each with its moments on the wall clock."""

    prober: PodProber
    runs: dict[str, list[Run]] = field(default_factory=dict)
    _read: int = 0

    def wait(self, for_all: Callable[[Sequence[Run]], bool]) -> None:
        """Until `for_all` holds for the runs of every cell."""
        ends = time.monotonic() + PATIENCE
        while self._catch_up() or not self.runs or not all(map(for_all, self.runs.values())):
            waited_for = {cell: runs[-1]["blame"] for cell, runs in self.runs.items() if not for_all(runs)}
            assert time.monotonic() < ends, waited_for
            time.sleep(0.02)

    def _catch_up(self) -> bool:
        lines = self.prober.stdout.seen[self._read :]
        self._read += len(lines)
        for line in lines:
            event = json.loads(line)
            if event["event"] == "run":
                run = event["run"]
                began = datetime.fromisoformat(run["started_at"]).timestamp()
                self.runs.setdefault(named(run), []).append({**run, "began": began, "ended": began + run["seconds"]})
        return bool(lines)


@dataclass(frozen=True)
class Spell:
    """A fault that was there: when (wall clock) it came and when it went, each from … to."""

    fault: Fault
    came: tuple[float, float]
    went: tuple[float, float]


@pytest.mark.timeout(1200)
def test_each_fault_is_blamed_while_it_is_there_and_forgotten_within_one_interval(tmp_path: Path) -> None:
    """Budgets are left out: what is slow is for a quiet machine. The lab is its own, for squid's memory is long."""
    require_lab()
    path = tmp_path / "probes.yaml"
    faults = _wanted()
    with LabProcess() as lab:
        path.write_text(re.sub(r"\n    budget: .*", "", lab.file(CONFIG_FILE.name).read_text("utf-8")), "utf-8")
        for _ in range(_TRIALS):
            log, spells = _through_all(lab, path, faults)
            problems = [(spell.fault, problem) for spell in spells for problem in _judged(spell, log.runs)]
            faults = [fault for fault in faults if any(fault is complained for complained, _ in problems)]
            if not faults:
                return
            print("\n".join(problem for _, problem in problems))
    pytest.fail("\n".join(problem for _, problem in problems))


def _through_all(lab: LabProcess, config: Path, faults: Sequence[Fault]) -> tuple[Log, list[Spell]]:
    """`prober run` through one fault after another."""
    with prober_in_pod(lab, config, "--events", "all") as prober:
        log = Log(prober)
        log.wait(lambda runs: runs[-1]["ok"] and len(runs) > 1)  # by its second run every other cell has had its first
        return log, [_spell(lab, log, fault) for fault in faults]


def _spell(lab: LabProcess, log: Log, fault: Fault) -> Spell:
    """The fault, until every cell was climbed to the end meanwhile, and the time after it, until all are well."""
    came = _switched(lab, fault, on=True)
    try:
        log.wait(lambda runs: runs[-1]["began"] >= came[1])
    finally:
        went = _switched(lab, fault, on=False)
    log.wait(lambda runs: _keeps_memories(runs[-1]) or (runs[-1]["ok"] and runs[-1]["began"] >= went[1]))
    return Spell(fault, came, went)


def _keeps_memories(run: Run) -> bool:
    """Whether there is a front end in its way: squid, for one, believes for a minute that a name can't be resolved."""
    return run["path"] in BEHIND_FRONTS


def _switched(lab: LabProcess, fault: Fault, *, on: bool) -> tuple[float, float]:
    began = time.time()
    lab.ask(fault=fault.name, on=on, families=list(fault.families))
    return began, time.time()


def _judged(spell: Spell, runs: Mapping[str, Sequence[Run]]) -> Iterator[str]:
    """What is wrong with what was seen of a fault."""
    fault, came, went = spell.fault, spell.came, spell.went
    meanwhile = [
        run for of_one in runs.values() for run in of_one if run["began"] >= came[1] and run["ended"] < went[0]
    ]
    for family in fault.families:
        yield from (f"{fault.name}: {each}" for each in complaints(fault, meanwhile, family, fault.families))
    for cell, of_one in runs.items():
        if _keeps_memories(of_one[-1]):
            continue
        since = [run for run in of_one if run["ended"] >= came[0]]
        yield from (f"{fault.name}: {cell} {each}" for each in _in_time(since, came[1], went))


def _in_time(runs: Sequence[Run], came: float, went: tuple[float, float]) -> Iterator[str]:
    """The first run to show the fault, and the first one to be good again, began when they had to."""
    meanwhile = [run for run in runs if run["began"] < went[1]]
    failed = [run for run in meanwhile if not run["ok"]]
    if not failed:
        return
    partly = any(run["ok"] and came <= run["began"] and run["ended"] < went[0] for run in meanwhile)
    if not partly and failed[0]["began"] > came + INTERVAL + LATE:
        yield f"failed first {failed[0]['began'] - came:.3f} s after the fault came"
    good = next(run for run in runs if run["ok"] and run["began"] > failed[-1]["began"])
    free = max(went[1], failed[-1]["ended"])
    if good["began"] > free + INTERVAL + LATE:
        yield f"was good again only {good['began'] - went[1]:.3f} s after the fault went"
