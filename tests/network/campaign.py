"""Every fault tried on a few labs at once: the shipped command line in the vantage, its runs kept for the tests.

A lab tries one fault at a time; labs share nothing. The tests wait for the result they are about.
"""

from __future__ import annotations

import json
import queue
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from prober.reasons import Family
from tests.network.judge import Run, complaints
from tests.network.lab.faults import FAULTS
from tests.network.lab.faults.fault import Fault
from tests.network.lab.probes import CONFIG_FILE, file_of
from tests.network.lab.process import LabProcess

#: Labs at once: most of the time of most faults is waiting for a deadline.
LABS = 4
_JOBS = 16
#: Seconds for which a lab may be held up. Beyond that it is a slow server, and its faults are not those on trial.
_HELD_UP, _TRIES = 0.15, 3
#: Exit codes: all well, a probe failed, and where the vantage itself is what is broken, unfit.
_HAS_CLIMBED = (0, 1, 3)
Trial = tuple[str, tuple[Family, ...]]
"""A fault, and the families it is switched on for."""


def trial_of(fault: Fault, family: Family) -> Trial:
    """What has to be tried for `family` to be judged: a fault that only both families can have is tried once."""
    return (fault.name, (family,) if fault.per_family else fault.families)


class Campaign:
    """A context manager: inside it the trials run, in their order, and `runs` waits for those of one."""

    def __init__(self, trials: Iterable[Trial]) -> None:
        self._trials = list(trials)
        self._free: queue.SimpleQueue[LabProcess] = queue.SimpleQueue()
        self._stack = ExitStack()
        self.tried_again: list[Trial] = []
        """Each time that a trial was not as it has to be."""

    def __enter__(self) -> Self:
        pool = ThreadPoolExecutor(LABS)
        self._results = {trial: pool.submit(self._try, trial) for trial in self._trials}
        self._stack.callback(pool.shutdown, cancel_futures=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def runs(self, trial: Trial, timeout: float) -> list[Run]:
        """The runs of this trial, once there are any."""
        return self._results[trial].result(timeout)

    def _try(self, trial: Trial) -> list[Run]:
        try:
            lab = self._free.get_nowait()
        except queue.Empty:  # a thread has at most one
            lab = LabProcess().__enter__()
            self._stack.push(lab.__exit__)
        try:
            return self._try_in(lab, trial)
        finally:
            self._free.put(lab)

    def _try_in(self, lab: LabProcess, trial: Trial) -> list[Run]:
        """What a fault does, it does each time: what is complained of once, on a busy machine, is tried again."""
        fault = FAULTS[trial[0]]
        for _ in range(_TRIES):
            runs = try_out(lab, trial)
            if not any(complaint for family in trial[1] for complaint in complaints(fault, runs, family, trial[1])):
                break
            self.tried_again.append(trial)
        return runs


def try_out(lab: LabProcess, trial: Trial) -> list[Run]:
    """Switch the fault on, climb every cell, switch it off; again where meanwhile the lab did not get the processor."""
    for _ in range(_TRIES):
        runs, held_up = _try_once(lab, *trial)
        if held_up < _HELD_UP:
            break
    return runs


def _try_once(lab: LabProcess, name: str, families: Sequence[Family]) -> tuple[list[Run], float]:
    fault = FAULTS[name]
    lab.ask(fault=name, on=True, families=list(families))
    try:
        runs = climb_all(lab, fault.runs, file_of(fault.path, slow="S" in fault.signature))
    finally:
        answer = lab.ask(fault=name, on=False)
    return runs, answer["held_up"]


def climb_all(lab: LabProcess, count: int = 1, config: Path = CONFIG_FILE) -> list[Run]:
    """`prober once` in the vantage: every cell, `count` times. RuntimeError where it could not."""
    done = lab.prober("once", "-c", str(config), "-o", "ndjson", "--jobs", str(_JOBS), "--count", str(count),
                      timeout=120)  # fmt: skip
    if done.returncode not in _HAS_CLIMBED:
        raise RuntimeError(f"prober once ended with {done.returncode}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]
