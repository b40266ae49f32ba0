"""Fault on, first failed run, fault off, first good run: each within one interval, and nothing else said meanwhile.

What "within one interval" means exactly: the first run that shows a fault begins at most one interval after the fault
is there, for every cell is due once in each interval; and it is known as soon as it has ended, at most the probe's
timeout later. The same holds for the first good run. A run that was under way when the fault came or went may show
either. Nothing waits for anything else: the timeout is shorter than the interval, so no run keeps the next one out.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import Any, Literal

from prober.reasons import Family, Layer, Reason
from tests.network import peer
from tests.network.lab import plan
from tests.network.lab.process import LabProcess
from tests.network.watched import Helper, PodProber, helper, prober_in_pod

INTERVAL, TIMEOUT = 1.0, 0.6
#: Seconds by which a run may begin or be told late on a machine that is busy with other tests.
LATE = 0.3
BOTH = tuple(Family)
By = Literal["rules", "status", "kill"]


@dataclass(frozen=True)
class Case:
    """A probe, and the fault that is to break it: a rule in the path to its port, or what its server does."""

    name: str
    url: str
    layer: Layer
    reason: Reason
    rule: str = ""
    by: By = "rules"
    pod: plan.Pod = plan.WEB2

    @property
    def kind(self) -> str:
        """The scheme says it."""
        return self.url.partition(":")[0]

    def cell(self, family: Family) -> str:
        """A name for its cell."""
        return f"{self.name}/{family}"


L, R = Layer, Reason
CASES = (
    Case("dropped", "tcp://{}:7001", L.TCP, R.TIMEOUT, "tcp dport 7001 drop"),
    Case("prohibited", "tcp://{}:7002", L.TCP, R.PROHIBITED, "tcp dport 7002 reject with icmpx type admin-prohibited"),
    Case("rejected", "tcp://{}:7003", L.TCP, R.REJECTED, "tcp dport 7003 reject with icmpx type port-unreachable"),
    Case(
        "unreachable", "tcp://{}:7004", L.TCP, R.UNREACHABLE, "tcp dport 7004 reject with icmpx type host-unreachable"
    ),
    Case("reset", "tcp://{}:7005", L.TCP, R.REFUSED, "tcp dport 7005 reject with tcp reset"),
    Case("swallowed", "http://{}:7006/", L.HTTP, R.TIMEOUT, "tcp dport 7006 meta length > 120 drop"),
    Case("silent", f"dns://{{}}:{peer.NAMES}/{peer.NAME}", L.DNS, R.TIMEOUT, f"udp dport {peer.NAMES} drop"),
    Case("unanswered", "icmp://{}", L.ICMP, R.TIMEOUT, "meta l4proto {icmp} {icmp} type echo-request drop"),
    Case("erring", f"http://{{}}:{peer.MOODY}/", L.HTTP, R.STATUS, by="status"),
    Case("killed", "tcp://{}:7001", L.TCP, R.REFUSED, by="kill", pod=plan.WEB1),
)


def _config() -> str:
    """A target and a probe for each case, a path for each family."""
    targets, probes = {}, []
    for case in CASES:
        hosts = {family: case.pod.address(family) for family in BOTH}
        urls = {family: case.url.format(f"[{host}]" if ":" in host else host) for family, host in hosts.items()}
        targets[case.name] = {"paths": {family.value: {"url": url} for family, url in urls.items()}}
        probes.append({"name": case.name, "kind": case.kind, "targets": [case.name]})
    defaults = {"interval": f"{INTERVAL:g}s", "timeout": f"{TIMEOUT:g}s"}
    return json.dumps({"defaults": defaults, "targets": targets, "probes": probes})  # JSON is YAML


#: From when (wall clock) something was being switched until it was done.
Span = tuple[float, float]


class Faults:
    """The faults of all cases, switched together."""

    def __init__(self, lab: LabProcess, web2: Helper) -> None:
        self._lab, self._web2 = lab, web2
        self._web1 = Helper(lab, "web1", "tests.network.peer")
        self._web1.said.wait_for(lambda line: line == "ready")

    def on(self, families: Sequence[Family]) -> dict[By, Span]:
        """Rules for these families, and if they are both what servers do; when each came."""
        rules = _timed(lambda: [self._lab.run("node2", "nft", _table(family)) for family in families])
        if len(families) == 1:
            return {"rules": rules}
        return {
            "rules": rules,
            "status": _timed(lambda: self._web2.ask("status 503")),
            "kill": _timed(self._web1.kill),
        }

    def off(self, families: Sequence[Family]) -> dict[By, Span]:
        """When each of them went."""
        tables = [f"delete table inet broken-{family}" for family in families]
        rules = _timed(lambda: [self._lab.run("node2", "nft", table) for table in tables])
        if len(families) == 1:
            return {"rules": rules}
        return {"rules": rules, "status": _timed(lambda: self._web2.ask("status 200")), "kill": _timed(self._revive)}

    def _revive(self) -> None:
        self._web1 = Helper(self._lab, "web1", "tests.network.peer")
        self._web1.said.wait_for(lambda line: line == "ready")

    def close(self) -> None:
        """End the server that can be killed."""
        self._web1.close()


def _timed(switch: Callable[[], object]) -> Span:
    began = time.time()
    switch()
    return began, time.time()


def _table(family: Family) -> str:
    to = f"{'ip' if family is plan.V4 else 'ip6'} daddr {plan.WEB2.address(family)}"
    icmp = "icmp" if family is plan.V4 else "icmpv6"
    rules = "; ".join(f"{to} {case.rule.format(icmp=icmp)}" for case in CASES if case.by == "rules")
    return f"table inet broken-{family} {{ chain f {{ type filter hook forward priority -5; {rules}; }}; }}"


@dataclass(frozen=True)
class Round:
    """One time that faults were there for `families`: when each sort came and when it went."""

    families: tuple[Family, ...]
    came: Mapping[By, Span]
    went: Mapping[By, Span]


@dataclass(frozen=True)
class Seen:
    """A run of one cell as the event log has it, on the wall clock."""

    began: float
    ended: float
    ok: bool
    blame: dict[str, str] | None


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _runs_by_cell(events: Sequence[Mapping[str, Any]]) -> dict[str, list[Seen]]:
    found: dict[str, list[Seen]] = {}
    for event in events:
        if event["event"] == "run":
            run, began = event["run"], _moment(event["run"]["started_at"])
            seen = Seen(began, began + run["seconds"], run["ok"], run["blame"])
            found.setdefault(_name(run), []).append(seen)
    return found


def _name(labels: Mapping[str, Any]) -> str:
    """The name of the cell with these labels, or of this run's."""
    return f"{labels['probe']}/{labels['family']}"


@contextmanager
def _watched(lab: LabProcess, folder: Path) -> Iterator[tuple[PodProber, Faults]]:
    """The prober in its Pod with every cell climbed once, and the faults that it will meet."""
    path = folder / "probes.yaml"
    path.write_text(_config(), encoding="utf-8")
    with helper(lab, "web2", "tests.network.peer") as web2:
        web2.said.wait_for(lambda line: line == "ready")
        faults = Faults(lab, web2)
        try:
            with prober_in_pod(lab, path, "--events", "all") as prober:
                for case, family in product(CASES, BOTH):
                    _await(prober, "run", case.cell(family))
                yield prober, faults
        finally:
            faults.close()


def _await(prober: PodProber, event: str, cell: str, start: int = 0) -> dict[str, Any]:
    """The first such event of the cell from line `start` on, once it is there."""

    def found(line: str) -> dict[str, Any] | None:
        said: dict[str, Any] = json.loads(line)
        return said if said["event"] == event and _name(said["run"]) == cell else None

    said: dict[str, Any] = prober.stdout.wait_for(found, start)
    return said


def _hit(families: Sequence[Family]) -> list[tuple[Case, Family]]:
    """The cells that break where faults are there for `families`."""
    return [(case, family) for case, family in product(CASES, families) if case.by == "rules" or len(families) > 1]


def test_every_fault_is_seen_within_one_interval_and_so_is_its_end(lab: LabProcess, tmp_path: Path) -> None:
    """In both families at once, and in one of them while the other one stays well."""
    rounds = []
    with _watched(lab, tmp_path) as (prober, faults):
        for families in (BOTH, (plan.V6,), (plan.V4,)):
            start = len(prober.stdout.seen)
            came = faults.on(families)
            failed = {(case, family): _await(prober, "cell_failed", case.cell(family), start)
                      for case, family in _hit(families)}  # fmt: skip
            _compare_with_board(prober, failed)
            start = len(prober.stdout.seen)
            went = faults.off(families)
            rounds.append(Round(families, came, went))
            for (case, family), failure in failed.items():
                recovered = _await(prober, "cell_recovered", case.cell(family), start)
                assert recovered["failed_since"] == failure["since"]
                assert recovered["since"] == recovered["run"]["started_at"]
            _compare_with_board(prober, {})
        assert prober.samples("prober_runs_missed_total") == dict.fromkeys(_CAUSES, 0.0)
        runs = _runs_by_cell(prober.events())
    problems = [
        f"{case.cell(family)}: {problem}"
        for case, family in product(CASES, BOTH)
        for problem in _judged(runs[case.cell(family)], case, family, rounds)
    ]
    assert problems == []


_CAUSES = tuple(f'cause="{cause}"' for cause in ("overrun", "saturated", "misfire", "draining"))


def _compare_with_board(prober: PodProber, failed: Mapping[tuple[Case, Family], Mapping[str, Any]]) -> None:
    """API and metrics say of every cell what the event log has said: which fail, for what and since when."""
    cells, up = prober.cells(), prober.samples("prober_up")
    by_cell = {case.cell(family): (case, event) for (case, family), event in failed.items()}
    for cell in cells.values():
        name = _name(cell["labels"])
        assert cell["state"] == ("failed" if name in by_cell else "ok"), name
        [value] = [value for labels, value in up.items() if _labels(cell) <= set(labels.split(","))]
        assert value == (name not in by_cell), name
        if name in by_cell:
            case, event = by_cell[name]
            assert cell["since"] == event["since"] == event["run"]["started_at"], name
            assert (cell["verdict"]["layer"], cell["verdict"]["reason"]) == (case.layer, case.reason), name
        else:
            assert cell["verdict"] is None, name


def _labels(cell: Mapping[str, Any]) -> set[str]:
    return {f'{name}="{value}"' for name, value in cell["labels"].items()}


def _judged(runs: Sequence[Seen], case: Case, family: Family, rounds: Sequence[Round]) -> Iterator[str]:
    """What is wrong with the runs of one cell, given when it was broken."""
    well_from = 0.0
    blame = {"layer": case.layer, "reason": case.reason}
    for each in rounds:
        if (case, family) not in _hit(each.families):
            continue
        came, went = each.came[case.by], each.went[case.by]
        yield from _all_good([run for run in runs if well_from <= run.began and run.ended < came[0]])
        broken = [run for run in runs if came[1] <= run.began and run.ended < went[0]]
        yield from (f"blamed {run.blame} at {run.began}" for run in broken if run.blame != blame)
        first = next(run for run in runs if not run.ok and run.ended >= came[0])
        yield from _in_time("failed", first, came[1])
        good = next(run for run in runs if run.ok and run.ended >= went[0] and run.began > first.began)
        yield from _in_time("good", good, went[1])
        well_from = went[1]
    yield from _all_good([run for run in runs if well_from <= run.began])


def _all_good(runs: Sequence[Seen]) -> Iterator[str]:
    yield from (f"failed with {run.blame} at {run.began}, though nothing was wrong" for run in runs if not run.ok)


def _in_time(what: str, run: Seen, since: float) -> Iterator[str]:
    """The run began within one interval from `since`, and was over within its timeout."""
    print(f"first {what} run: begun {run.began - since:.3f} s after the switch, known after {run.ended - since:.3f} s")
    if run.began > since + INTERVAL + LATE:
        yield f"the first {what} run began {run.began - since:.3f} s after the switch"
    if run.ended > run.began + TIMEOUT + LATE:
        yield f"the first {what} run took {run.ended - run.began:.3f} s"
