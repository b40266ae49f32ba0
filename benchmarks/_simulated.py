"""Series of probe latencies as a cluster gives them, drawn from a seed: correlated, seasonal, heavy-tailed mixtures.

What is in a healthy series (every number drawn once for each):

- latencies of one to four back ends, log-normal; for three series of ten the back end stays for some ten probes;
- the first packet's neighbour resolution (0-1 % of probes, + 0.8 ms), a Pareto tail (1-3 %, more of it under load),
  retransmissions (+ 0.2 s or 1 s, 1 in 5,000);
- a daily swing of 5-15 % each way, 30 % less of it at week-ends, its height a little different every day;
- noise that lasts: 1.5-5 % over 10-90 minutes and 1 % over a day; the shares of tail and failures drift as well;
- two incidents a week of 2-10 minutes (x 1.3-4, failures up to 20 %), which are no regression;
- failures: 0.01-0.5 %.

`hard` is worse weather: ten incidents a week, drifts of 35 and 50 %, slow noise of 2 %. No cluster was asked; the
lab's own traces are another matter (tests/network/test_baselines.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Random = np.random.Generator

DAY = 86_400.0
#: A Monday, 00:00 UTC.
MONDAY = 1_767_571_200.0
#: Seconds between two probes, and after which one fails.
EVERY = 15.0
TIMEOUT = 5.0
#: Profile → milliseconds, spread and share of each back end.
PROFILES = {
    "tcp, one zone": ([0.5], [0.20], [1.0]),
    "tcp, three zones": ([0.15, 0.40, 0.95], [0.15, 0.18, 0.15], [0.25, 0.45, 0.30]),
    "dns, cached": ([0.28, 9.0], [0.22, 0.45], [0.86, 0.14]),
    "dns, outside": ([0.6, 14.0, 38.0], [0.25, 0.25, 0.35], [0.35, 0.45, 0.20]),
    "tls": ([3.6, 4.6], [0.10, 0.12], [0.6, 0.4]),
    "http": ([5.0, 7.0, 12.0], [0.22, 0.25, 0.3], [0.4, 0.35, 0.25]),
    "icmp": ([0.16], [0.15], [1.0]),
}
SEVERAL = ("tcp, three zones", "dns, outside", "http", "tls")


@dataclass(frozen=True)
class Character:
    """What one series is like."""

    middles: Array
    spreads: Array
    shares: Array
    sticky: bool
    neighbours: float
    tail: float
    weight: float
    swing: float
    noise: float
    lasting: float
    failures: float
    first_day: int
    phase: float
    days_seed: int
    """Of what is different every day: the same for series that share a cluster."""


@dataclass(frozen=True)
class Weather:
    """How healthy series are disturbed."""

    incidents: float = 2.0
    tail_drift: float = 0.20
    failure_drift: float = 0.30
    slow: float = 0.01


FAIR, HARD = Weather(), Weather(10.0, 0.35, 0.5, 0.02)


@dataclass(frozen=True)
class Series:
    """Unix seconds, seconds (NaN where the probe failed), whether it held; the change, and where the baseline ends."""

    t: Array
    seconds: Array
    ok: npt.NDArray[np.bool_]
    change: float
    watched: float

    def between(self, since: float, until: float) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
        """The samples from `since` to before `until`."""
        inside = slice(*np.searchsorted(self.t, [since, until]))
        return self.t[inside], self.seconds[inside], self.ok[inside]


def character(random: Random, profile: str | None = None) -> Character:
    """Draw what a series is like."""
    means, spreads, shares = PROFILES[profile or str(random.choice(list(PROFILES)))]
    count = len(means)
    return Character(
        middles=np.log(np.array(means) / 1e3) + random.normal(0, 0.12, count) + random.normal(0, 0.3),
        spreads=np.array(spreads) * random.uniform(0.8, 1.5, count),
        shares=random.dirichlet(np.array(shares) * 40) if count > 1 else np.ones(1),
        sticky=bool(random.random() < 0.3),
        neighbours=random.uniform(0, 0.01),
        tail=random.uniform(0.01, 0.03),
        weight=random.uniform(1.5, 2.5),
        swing=random.uniform(0.05, 0.15),
        noise=random.uniform(0.015, 0.05),
        lasting=float(np.exp(random.uniform(np.log(600), np.log(5400)))),
        failures=float(np.exp(random.uniform(np.log(1e-4), np.log(5e-3)))),
        first_day=int(random.integers(7)),
        phase=float(random.uniform(-2, 2)),
        days_seed=int(random.integers(2**31)),
    )


def wander(random: Random, count: int, step: float, deviation: float, lasting: float) -> Array:
    """An Ornstein-Uhlenbeck path on a grid of `step` seconds."""
    keep = math.exp(-step / lasting)
    shocks = random.normal(0, deviation * math.sqrt(1 - keep * keep), count)
    length = max(1, min(count, int(4 / max(step / lasting, 1e-4))))
    powers = keep ** np.arange(1, length + 1)
    path, last = np.empty(count), float(random.normal(0, deviation))
    for start in range(0, count, length):
        part = shocks[start : start + length]
        use = powers[: len(part)]
        path[start : start + len(part)] = use * (last + np.cumsum(part / use))
        last = float(path[start + len(part) - 1])
    return path


def load(who: Character, t: Array) -> Array:
    """How busy the cluster is, from 0 to about 1.2."""
    hours = (t / 3600 - who.phase) % 24
    curve = 0.5 - 0.5 * np.cos(2 * np.pi * (hours - 4) / 24) + 0.12 * np.sin(4 * np.pi * (hours - 7) / 24)
    days = ((t - (4 + who.phase) * 3600) // DAY).clip(0).astype(np.int64)
    count = int(days.max()) + 1
    height = 1 + 0.10 * np.clip(np.random.default_rng(who.days_seed).normal(0, 1, count), -2, 2)
    height *= np.where((np.arange(count) + who.first_day) % 7 >= 5, 0.7, 1.0)
    return np.clip(curve * height[days], 0, 1.2)


def simulate(
    random: Random, change: str = "", by: float = 0.0, *, baseline: float = 2.0, watched: float = 7.0,
    weather: Weather = FAIR, who: Character | None = None, common: Array | None = None, at: float | None = None,
    first_day: int | None = None,
) -> Series:  # fmt: skip
    """One series: `baseline` days that are healthy, then `watched` days in which `change` begins (two to three days
    on).

    Changes: `step` (all latencies x 1 + by), `creep` (the same over three days), `tail` (p99 x by), `mode` (the back
    end nearest a third x 1 + by), `fail` (a share `by` of failures). `common` is noise of the whole cluster, every
    60 s.
    """
    who = who or character(random, SEVERAL[int(random.integers(4))] if change == "mode" else None)
    who = replace(who, failures=0.005) if change == "fail" else who
    who = who if first_day is None else replace(who, first_day=first_day)
    count = int((baseline + watched) * DAY / EVERY)
    t = (np.arange(count) + random.uniform(-0.1, 0.1, count)) * EVERY + EVERY
    moment = baseline * DAY + random.uniform(2, 3) * DAY if at is None else at
    moment = moment if change else math.inf
    after, grid = t >= moment, np.arange(0, t[-1] + 120, 60.0)
    busy = load(who, t)

    def drift(deviation: float) -> Array:
        path = wander(random, len(grid[::10]), 600.0, deviation, 6 * 3600.0)
        return np.interp(t, grid[::10], np.exp(path))

    back_end, x = _healthy(random, who, busy, drift(weather.tail_drift))
    if change == "mode":
        slow = back_end == int(np.argmin(np.abs(who.shares - 1 / 3)))
        x = np.where(after & slow, x * (1 + by), x)
    if change == "tail":
        known = np.sort(_healthy(random, who, np.full(100_000, 0.5), np.ones(100_000))[1])
        rank = np.searchsorted(known, x) / len(known)
        x = np.where(after, x * (1 + np.clip((rank - 0.97) / 0.02, 0, 1) * (by - 1)), x)
    x = x + np.where(random.random(count) < 2e-4, random.choice([0.2, 1.0], count), 0.0)
    noise = wander(random, len(grid), 60.0, who.noise, who.lasting) + wander(random, len(grid), 60.0, weather.slow, DAY)
    level = 2 * who.swing * (busy - 0.5) + np.interp(t, grid, noise if common is None else noise + common[: len(grid)])
    if change in ("step", "creep"):
        share = after if change == "step" else np.clip((t - moment) / (3 * DAY), 0, 1)
        level = level + math.log1p(by) * share
    failing = np.where(after, by, who.failures) if change == "fail" else np.full(count, who.failures)
    x, failing = _incidents(random, weather, t, x * np.exp(level), failing * drift(weather.failure_drift))
    ok = (random.random(count) >= failing) & (x < TIMEOUT)
    start = MONDAY + who.first_day * DAY
    return Series(t + start, np.where(ok, x, np.nan), ok, moment + start, baseline * DAY + start)


def _healthy(random: Random, who: Character, busy: Array, drift: Array) -> tuple[npt.NDArray[np.int64], Array]:
    """Which back end answered, and how fast, without what lasts."""
    count = len(busy)
    chosen = random.choice(len(who.shares), count, p=who.shares)
    if who.sticky:
        anew = np.where(random.random(count) < 0.9, 0, np.arange(count))
        chosen = chosen[np.maximum.accumulate(anew)]
    x = np.exp(who.middles[chosen] + who.spreads[chosen] * random.normal(0, 1, count))
    x = x + np.where(random.random(count) < who.neighbours, random.exponential(0.8e-3, count), 0.0)
    tail = random.random(count) < who.tail * (0.6 + 0.8 * busy) * drift
    return chosen, x * np.where(tail, 1 + random.pareto(who.weight, count), 1.0)


def _incidents(random: Random, weather: Weather, t: Array, x: Array, failing: Array) -> tuple[Array, Array]:
    """Ten minutes now and then that are bad, and nobody's regression."""
    for _ in range(random.poisson(weather.incidents * (t[-1] - t[0]) / (7 * DAY))):
        since = random.uniform(t[0], t[-1])
        inside = (t >= since) & (t < since + random.uniform(120, 600))
        x = np.where(inside, x * random.uniform(1.3, 4), x)
        failing = np.where(inside, np.maximum(failing, random.uniform(0, 0.2)), failing)
    return x, failing


def fleet(
    seed: int, count: int, change: str = "", by: float = 0.0, *, share: float = 0.5, weather: Weather = FAIR
) -> list[Series]:
    """`count` series of one cluster, of which the first `share` changes; they have the days and a noise in common."""
    random = np.random.default_rng(seed)
    common = wander(random, int(9 * DAY // 60) + 4, 60.0, 0.02, 3600.0)
    first_day, phase, days_seed = int(random.integers(7)), float(random.uniform(-2, 2)), int(random.integers(2**31))
    moment = (2 + random.uniform(2, 3)) * DAY
    found = []
    for number in range(count):
        who = replace(character(random), first_day=first_day, phase=phase, days_seed=days_seed)
        mine = change if number < share * count else ""
        found.append(simulate(random, mine, by, who=who, common=common, at=moment, weather=weather))
    return found
