"""Healthy controls: every kind on every path in both families, hundreds of times in a row without one failure.

What says that something is broken where nothing is cannot be believed when something is.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import product

import pytest

from prober.reasons import Family, Kind, Reason
from tests.network.judge import named
from tests.network.lab.plan import VANTAGE
from tests.network.lab.probes import CONFIG_FILE
from tests.network.lab.process import PROBER, LabProcess

#: How often each cell has to hold; CONTROLS=500 asks for as many as docs/performance.md tells of.
IN_A_ROW = int(os.environ.get("CONTROLS", "250"))
#: Two probers share the work, for two cores: these probes, and all others.
_SHARES = (("http",), ("icmp", "tcp", "tls", "grpc", "dns", "kubernetes"))
#: Climbs at once of each: no run waits long for its turn.
_JOBS = 2
_CELL = re.compile(r'"probe":"(.+?)","kind":"(.+?)","target":"(.+?)","path":"(.+?)","family":"(.+?)"')
_GOOD = '"ok":true'
#: Where so many processes want each core, servers that wait for theirs do answer late.
_CROWD = 2.5


@dataclass
class Count:
    """How often each cell (probe, kind, target, path, family) held, and the other runs; those only late are apart."""

    good: Counter[tuple[str, ...]] = field(default_factory=Counter)
    bad: Counter[str] = field(default_factory=Counter)
    late: Counter[str] = field(default_factory=Counter)

    def add(self, line: str) -> None:
        """One run as JSON; only one that failed is read as a whole."""
        found = _CELL.search(line)
        assert found is not None, line
        if _GOOD in line:
            self.good[found.groups()] += 1
            return
        run = json.loads(line)
        layer = next(each for each in run["layers"] if each["layer"] == run["blame"]["layer"])
        failures = self.late if layer["reason"] == Reason.OVER_BUDGET else self.bad
        failures[f"{named(run)}: {layer}"] += 1


@pytest.mark.timeout(400)
def test_every_path_is_green_hundreds_of_times_in_a_row(lab: LabProcess) -> None:
    total, began = Count(), time.time()
    with ThreadPoolExecutor(len(_SHARES)) as pool:
        for count in pool.map(lambda probes: _climb(lab, probes), _SHARES):
            total.good += count.good
            total.bad += count.bad
            total.late += count.late
    crowded = os.getloadavg()[0] > _CROWD * (os.cpu_count() or 1)
    assert total.bad == {}
    assert total.late == {} or crowded
    assert {(kind, family) for _, kind, _, _, family in total.good} == set(product(Kind, Family))
    assert total.good.total() + total.late.total() == IN_A_ROW * len(total.good)
    late = total.late.total()
    print(f"{len(total.good)} cells, {total.good.total()} good runs, {late} late, {time.time() - began:.0f} s")


def _climb(lab: LabProcess, probes: Sequence[str]) -> Count:
    """`prober once` in the vantage, again and again: what its runs came to."""
    count = Count()
    command = ["once", "-c", str(CONFIG_FILE), "-o", "ndjson", "--count", str(IN_A_ROW), "--jobs", str(_JOBS)]
    command += [word for probe in probes for word in ("--probe", probe)]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE}
    with lab.start("client", *PROBER, *command, env=VANTAGE, **pipes) as process:
        assert process.stdout is not None
        for line in process.stdout:
            count.add(line)
    assert process.returncode in (0, 1)
    return count
