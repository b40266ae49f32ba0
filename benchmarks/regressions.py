"""Latency baselines: what is seen of small and large changes, how soon, and how often nothing is taken for something.

Simulated series (`_simulated.py`; seeds drawn anew at each run, or `--seed`) go through the bank, groups and
comparison that the prober itself runs. A false alarm is any alarm of a series that did not change; a change counts
as seen if an alarm comes within four days. Delays are in samples, one every 15 s. `--week` only watches a healthy
fleet for a week and prints every false alarm.

`Detector`, `Confirmed` and `compare` are the same code behind the interface of a scorer of single series (fit,
update), so that anyone can score them with series of their own.

Run: `python benchmarks/regressions.py [--null 1000] [--changed 100] [--seed N] [--week SERIES]`; some 6 minutes on
two cores.
"""

from __future__ import annotations

import argparse
import math
import os
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

import numpy as np

from benchmarks._compared import Window, compared
from benchmarks._detector import Confirmed, Detector, compare
from benchmarks._goals import Goals, show_table
from benchmarks._grouped import Grouped, grouped
from benchmarks._machine import say_machine
from benchmarks._scored import Cost, Seen, watch
from benchmarks._simulated import FAIR, HARD, Weather, simulate
from prober.baseline.values import Channel, Level

__all__ = ["Confirmed", "Detector", "compare"]

#: Series in one bank, and in the one whose cost is told: as many as the prober itself takes.
BATCH = 40
FULL = 256


class Case(NamedTuple):
    """A change, and the goals: the least share that is seen and the most samples (median), by days of baseline."""

    change: str
    by: float
    says: str
    goals: dict[float, tuple[float, float]]


CASES = (
    Case("step", 0.05, "+5 %", {2: (0.42, math.inf), 7: (0.45, math.inf)}),
    Case("step", 0.10, "+10 %", {2: (0.92, 4300), 7: (0.97, 2800)}),
    Case("step", 0.20, "+20 %", {2: (0.99, 1300), 7: (0.99, 1300)}),
    Case("step", 0.50, "+50 %", {2: (0.99, 400), 7: (0.99, 400)}),
    Case("creep", 0.10, "creep to +10 % over 3 days", {2: (0.88, 16_000), 7: (0.95, math.inf)}),
    Case("tail", 2.0, "p99 × 2, median unchanged", {2: (0.98, 1500), 7: (0.98, 1500)}),
    Case("fail", 0.03, "failures 0.5 % → 3 %", {2: (0.99, 750), 7: (0.99, 750)}),
    Case("mode", 0.5, "one back end of several +50 %", {2: (0.85, 3500), 7: (0.88, 2500)}),
)
#: False alarms per series-week: days of baseline, weather, level → at most.
FALSE = (
    (2.0, FAIR, Level.SUSPECT, 0.035), (7.0, FAIR, Level.SUSPECT, 0.015), (2.0, FAIR, Level.CONFIRMED, 0.001),
    (7.0, FAIR, Level.CONFIRMED, 0.001), (2.0, HARD, Level.SUSPECT, 0.12), (7.0, HARD, Level.SUSPECT, 0.10),
)  # fmt: skip


@dataclass(frozen=True)
class Job:
    """A batch of series that all changed in the same way, or not at all."""

    seed: tuple[int, ...]
    change: str = ""
    by: float = 0.0
    baseline: float = 2.0
    weather: Weather = FAIR
    count: int = BATCH


def run(job: Job) -> tuple[Job, list[Seen], Cost]:
    """Simulate and watch."""
    random = np.random.default_rng(job.seed)
    day = int(random.integers(7))
    series = [simulate(random, job.change, job.by, baseline=job.baseline, weather=job.weather, first_day=day)
              for _ in range(job.count)]  # fmt: skip
    return (job, *watch(series))


def jobs(seed: int, null: int, changed: int) -> Iterator[Job]:
    """All batches: healthy ones, and those of each case. A batch shares its first day, so changed ones come in
    sevens."""
    for number, (baseline, weather) in enumerate(((2.0, FAIR), (7.0, FAIR), (2.0, HARD), (7.0, HARD))):
        for batch in range(math.ceil(null / BATCH)):
            yield Job((seed, 1, number, batch), baseline=baseline, weather=weather)
    for number, case in enumerate(CASES):
        for baseline in case.goals:
            for batch in range(7):
                count = math.ceil(changed / 7)
                yield Job((seed, 2, number, int(baseline), batch), case.change, case.by, baseline, FAIR, count)


def show_false(found: Sequence[tuple[Job, list[Seen]]], goals: Goals) -> None:
    """False alarms per series-week."""
    rows = []
    for baseline, weather, level, most in FALSE:
        seen = [one for job, batch in found if not job.change and (job.baseline, job.weather) == (baseline, weather)
                for one in batch]  # fmt: skip
        weeks, alarms = sum(one.weeks for one in seen), Counter(c for one in seen for _, c in one.alarms[level])
        rate = sum(alarms.values()) / weeks
        name = f"{level} alarms per series-week, baseline {baseline:g} d{', hard' if weather is HARD else ''}"
        goals.add(name, rate, most)
        by = ", ".join(f"{channel} {count}" for channel, count in sorted(alarms.items())) or "none"
        rows.append([name, f"{weeks:.0f}", f"{rate:.4f}", by])
    show_table(["healthy series", "weeks", "false alarms a week", "which"], rows)


def show_changes(found: Sequence[tuple[Job, list[Seen]]], goals: Goals) -> None:
    """What was seen, and how soon."""
    rows = []
    for case in CASES:
        for baseline, (least, most) in case.goals.items():
            seen = [one for job, batch in found for one in batch
                    if (job.change, job.by, job.baseline) == (case.change, case.by, baseline)]  # fmt: skip
            delays = [delay for one in seen if (delay := one.delay(Level.SUSPECT)) is not None]
            sure = sum(one.delay(Level.CONFIRMED) is not None for one in seen) / len(seen)
            share, late = len(delays) / len(seen), median(delays) if delays else math.inf
            goals.add(f"{case.says}, baseline {baseline:g} d: seen", share, least, at_least=True)
            if math.isfinite(most):
                goals.add(f"{case.says}, baseline {baseline:g} d: samples until then", late, most)
            rows.append([case.says, f"{baseline:g} d", f"{len(seen)}", f"{share:.2f}", f"{late:.0f}", f"{sure:.2f}"])
    show_table(["change", "baseline", "series", "seen", "after samples", "confirmed"], rows)


def show_sizes(found: Sequence[tuple[Job, list[Seen]]], goals: Goals) -> None:
    """Whether the intervals hold what they say."""
    inside = []
    for job, batch in found:
        if job.change == "step":
            inside += [low <= 1 + job.by <= high for one in batch for channel, low, _, high in one.sizes
                       if channel in (Channel.LOCATION, Channel.RANK)]  # fmt: skip
    share = sum(inside) / max(len(inside), 1)
    print(f"\nsizes a day after the change: {len(inside)} intervals of 95 %, {share:.3f} have the true change in them")
    goals.add("intervals of 95 % that have the true change in them", share, 0.95, at_least=True)


def show_groups(found: Sequence[Grouped], goals: Goals) -> None:
    """Changed minus control."""
    changed, healthy = [one for one in found if one.changed], [one for one in found if not one.changed]
    hours = [one.hours for one in changed if one.hours is not None]
    false, weeks = sum(one.false for one in healthy), sum(one.weeks for one in healthy)
    print(f"\n25 changed minus 25 control, +3 %: seen in {len(hours)} of {len(changed)} fleets, after"
          f" {median(hours) if hours else math.inf:.1f} h (longest {max(hours, default=math.inf):.1f} h);"
          f" {false} false in {weeks:.0f} group-weeks")  # fmt: skip
    goals.add("25 against 25, +3 %: seen", len(hours) / max(len(changed), 1), 1.0, at_least=True)
    goals.add("25 against 25, +3 %: hours until then (median)", median(hours) if hours else math.inf, 10, "h")
    goals.add("false group alarms in 60 group-weeks", 60 * false / max(weeks, 1e-9), 1.0)


def show_compared(found: Sequence[Window], goals: Goals) -> None:
    """Before against after, at once."""
    rows = []
    for change in dict.fromkeys(one.change for one in found):
        of = [one for one in found if one.change == change]
        rates = {hours: sum(hours in one.regressed for one in of) / len(of) for hours in of[0].windows}
        rows.append([change or "nothing", str(len(of)), *(f"{rate:.3f}" for rate in rates.values())])
        if not change:
            for hours, rate in rates.items():
                goals.add(f"compare, {hours:g} h after: false", rate, 0.02)
    show_table(["compared", "series", *(f"{hours:g} h after" for hours in found[0].windows)], rows)


def show_cost(cost: Cost, goals: Goals) -> None:
    """CPU and memory."""
    goals.add(f"a sample, in a bank of {FULL}", 1e6 * cost.watching / cost.samples, 2.0, "µs")
    goals.add("a fit", 1e3 * cost.fitting / cost.fits, 5.0, "ms")
    goals.add("a series", cost.bytes, 5000, "bytes")


def show_week(seed: int, count: int, workers: int) -> None:
    """A healthy fleet for a week: every alarm that it gave."""
    batches = [Job((seed, 3, number), count=BATCH) for number in range(math.ceil(count / BATCH))]
    with ProcessPoolExecutor(workers) as pool:
        seen = [one for _, batch, _ in pool.map(run, batches) for one in batch]
    for number, one in enumerate(seen):
        for level, alarms in one.alarms.items():
            for at, channel in alarms:
                print(f"series {number}: {level} {channel} at {np.datetime64(int(at), 's')}Z")
    for level in Level:
        alarms = sum(len(one.alarms[level]) for one in seen)
        print(f"{level}: {alarms} false alarms in {sum(one.weeks for one in seen):.0f} series-weeks")
    print(f"improved: {sum(one.improved for one in seen)}")


def main() -> None:
    """Everything, or a week."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--null", type=int, default=1000, help="healthy series of each kind")
    parser.add_argument("--changed", type=int, default=100, help="series of each change")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--week", type=int, metavar="SERIES", help="only watch so many healthy series for a week")
    args = parser.parse_args()
    seed, workers = args.seed if args.seed is not None else secrets.randbits(32), len(os.sched_getaffinity(0))
    say_machine()
    print(f"seed {seed}\n")
    if args.week:
        show_week(seed, args.week, workers)
        return
    goals = Goals()
    with ProcessPoolExecutor(workers) as pool:
        watched = list(pool.map(run, jobs(seed, args.null, args.changed)))
        fleets = [*((seed, 4, n, True) for n in range(max(4, args.changed // 8))),
                  *((seed, 5, n, False) for n in range(max(4, args.null // 16)))]  # fmt: skip
        groups = list(pool.map(grouped, fleets))
        *_, cost = pool.submit(run, Job((seed, 7), count=FULL)).result()
        windows = [
            one
            for part in pool.map(compared, [(seed, 6, n, args.null, args.changed) for n in range(8)])
            for one in part
        ]
    found = [(job, seen) for job, seen, _ in watched]
    show_false(found, goals)
    print()
    show_changes(found, goals)
    show_sizes(found, goals)
    show_groups(groups, goals)
    print()
    show_compared(windows, goals)
    show_cost(cost, goals)
    goals.show()


if __name__ == "__main__":
    main()
