"""Groups of series watched as one: pooled, or one side minus another. Pure.

What two sides share (the fabric, the hour of the day, a busy node under both) cancels in their difference, so a
change is seen that is far below the noise of each: changed nodes minus nodes that were not, the Service minus the
Pod behind it, IPv6 minus IPv4, the edge minus the origin. The noise of a difference is that of the same difference
while the baseline was recorded, so nothing has to be independent of anything.

A member is whatever its shifts are told by: a `SeriesKey`, or a pair of a vantage and one.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prober.baseline.alarms import AlarmKey, Alarms, Evidence
from prober.baseline.fit import Noise, level_error, noise_of
from prober.baseline.season import weekend
from prober.baseline.sizes import Sized, Z
from prober.baseline.sketch import Bools, Floats
from prober.baseline.values import BLOCKS, Channel, Direction, Regression, Size

#: Below so many hours that both sides have, a difference has no noise that is known.
LEAST_HOURS = 12
#: The least deviation that a weight is made of (log seconds).
_QUIETEST = 1e-3
#: The share of a side's weight that has to be there for a block to count.
PRESENT = 0.5
#: The cap of a block, the drift that is allowed and the least threshold (log seconds): pooled, and of a difference.
CAP = 0.2
_DRIFT = {False: 0.0245, True: 0.01}
_LEAST = {False: 2.0, True: 0.6}
_NOISE = 10.0
#: Of the difference of two fitted seasons at most so much is the fit's noise, in deviations by sqrt(blocks): twice the
#: standard deviation of a wave's height. The rest is known, and taken out of the shifts.
_FITTED = 4.0


@dataclass(frozen=True, slots=True)
class Group:
    """Some series as one; with `against`, what they have beyond those."""

    name: str
    """For people and labels: `changed minus control`, `service minus pod`, `path ingress`."""
    layer: str
    members: tuple[Hashable, ...]
    against: tuple[Hashable, ...] = ()
    scope: str = ""
    """What the group is within, if not the whole: a target, for one."""

    @property
    def differential(self) -> bool:
        """It is a difference."""
        return bool(self.against)

    def __str__(self) -> str:
        return " ".join(part for part in (self.layer, self.name, self.scope) if part)


@dataclass(frozen=True, slots=True)
class Learned:
    """What a baseline knows of a group."""

    noise: Noise
    blocks: float
    mean: float
    coarse: float = 0.0
    """What its shift is uncertain by since latencies are known to a bin, log seconds."""


@dataclass(frozen=True, slots=True)
class Side:
    """The weights of one side: by row of a group, columns are all members."""

    weights: Floats

    def mean(self, shifts: Floats) -> Floats:
        """The weighted mean of `shifts` (members, or members × times; NaN is absent); NaN where too few are there."""
        there = np.isfinite(shifts)
        weight = self.weights @ there
        least = PRESENT * self.weights.sum(axis=1)
        least = least if weight.ndim == 1 else least[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            found: Floats = np.where(
                (weight >= least) & (weight > 0), self.weights @ np.where(there, shifts, 0) / weight, np.nan
            )
        return found

    def spread(self, deviations: Floats) -> Floats:
        """The standard deviation of the weighted mean of members that are independent and have these."""
        found: Floats = np.sqrt(self.weights**2 @ deviations**2) / np.maximum(self.weights.sum(axis=1), 1e-12)
        return found


class Pool:
    """The groups over one list of members, and their pooled shifts."""

    def __init__(self, groups: Sequence[Group], weights: Mapping[Hashable, float]) -> None:
        """`weights`: of each member that is known, 1 / variance. A group of which a side is unknown stays silent."""
        self.groups = groups
        self.members = tuple(dict.fromkeys(m for group in groups for m in (*group.members, *group.against)))
        at = {member: number for number, member in enumerate(self.members)}
        plus, minus = np.zeros((2, len(groups), len(self.members)))
        for row, group in enumerate(groups):
            for side, members in ((plus, group.members), (minus, group.against)):
                for member in members:
                    side[row, at[member]] = weights.get(member, 0.0)
        self._plus, self._minus = Side(plus), Side(minus)
        self._differential: Bools = np.array([group.differential for group in groups], bool)

    def shifts(self, by_member: Mapping[Hashable, float]) -> Floats:
        """The shift of each group in one block, of shape (groups,); NaN where a side is not there."""
        return self.pooled(self._told(by_member))

    def sides(self, by_member: Mapping[Hashable, float]) -> tuple[Floats, Floats]:
        """The shifts of members and of those they are held against, each of shape (groups,); NaN likewise."""
        told = self._told(by_member)
        return self._plus.mean(told), self._minus.mean(told)

    def _told(self, by_member: Mapping[Hashable, float]) -> Floats:
        return np.array([by_member.get(member, np.nan) for member in self.members])

    def pooled(self, shifts: Floats) -> Floats:
        """The shifts of the groups from an array (members,) or (members, times)."""
        plus, minus = self._plus.mean(shifts), self._minus.mean(shifts)
        differential = self._differential if plus.ndim == 1 else self._differential[:, None]
        found: Floats = np.where(differential, plus - minus, plus)
        return found

    def learned(
        self, hourly: Mapping[Hashable, Mapping[int, float]], coarse: Mapping[Hashable, float] | None = None
    ) -> list[Learned | None]:
        """What the hours of a baseline tell: `hourly` has the shift of each member by the start of the hour, `coarse`
        what it is uncertain by since latencies are known to a bin (`Response.coarse`)."""
        starts = sorted({start for of in hourly.values() for start in of})
        told = np.array([[hourly.get(m, {}).get(start, np.nan) for start in starts] for m in self.members])
        pooled = self.pooled(told.reshape(len(self.members), len(starts)))
        each = np.array([(coarse or {}).get(member, 0.0) for member in self.members])
        wide = np.hypot(self._plus.spread(each), self._minus.spread(each)).tolist()
        return [_learned(row[np.isfinite(row)], by) for row, by in zip(pooled, wide, strict=True)]


def _learned(shifts: Floats, coarse: float) -> Learned | None:
    if len(shifts) < LEAST_HOURS:
        return None
    noise = noise_of(shifts, np.full(len(shifts), BLOCKS))
    return Learned(noise, len(shifts) * BLOCKS, float(shifts.mean()), coarse)


class GroupBank:
    """Watches groups, block by block; `learned` in the order of the pool's groups, None for those that stay silent."""

    def __init__(
        self, pool: Pool, learned: Sequence[Learned | None], baseline: str = "", seasonal: Floats | None = None
    ) -> None:
        """`seasonal`: what to allow for the season, as `seasonal_of` tells; None where there is nothing but
        differences."""
        self.pool, self.baseline, self.learned = pool, baseline, learned
        self._seasonal = np.zeros((len(pool.groups), 2, 2)) if seasonal is None else seasonal
        known = [one or Learned(Noise(math.inf, 0.0), 1.0, 0.0) for one in learned]
        self._silent = np.array([one is None for one in learned], bool)
        self._deviation: Floats = np.array([one.noise.deviation for one in known])
        self._means = np.array([one.mean for one in known])
        self._margins = np.array([margin(one) for one in known])
        differential = [group.differential for group in pool.groups]
        self._drift = np.array([_DRIFT[one] for one in differential])
        least = np.array([_LEAST[one] for one in differential])
        self._thresholds: Floats = np.maximum(least, _NOISE * self._deviation**2 / (2 * self._drift))
        fitted = _FITTED * self._deviation / np.sqrt(np.maximum([one.blocks for one in known], 1.0))
        noise = np.minimum(self._seasonal, fitted[:, None, None])
        self._seasonal = np.where(np.array(differential, bool)[:, None, None], noise, self._seasonal)
        rows = len(pool.groups)
        self.sums = np.zeros((rows, 2))
        """Evidence of slower and of faster, of shape (groups, 2), not yet by threshold."""
        self.onset = np.zeros((rows, 2), np.int64)
        self.seen = np.zeros((rows, 2, 2))
        """Since then: sum of shifts, and blocks."""
        self.alarms = Alarms()

    def end_block(self, start: int, by_member: Mapping[Hashable, float]) -> None:
        """Judge a block, given the shift (log seconds, by psi) of each member that met enough."""
        shifts = self.pool.shifts(by_member) - self._means
        there = np.isfinite(shifts) & ~self._silent
        shift = np.where(there, shifts, 0.0)
        fresh = self.sums == 0.0
        self.onset[fresh] = start
        self.seen[fresh] = 0.0
        self.seen += np.where(there, np.stack([shift, np.ones_like(shift)]), 0.0).T[:, None, :]
        at_weekend = int(weekend(start))
        for way, sign in enumerate((1.0, -1.0)):
            allowed = self._margins + self._drift + self._seasonal[:, at_weekend, way]
            gain = np.where(there, np.minimum(sign * shift, CAP) - allowed, 0.0)
            self.sums[:, way] = np.maximum(self.sums[:, way] + gain, 0.0)
        self._alarm(start)

    def go_on_from(self, earlier: GroupBank) -> None:
        """Go on from where a bank of the same groups is, in the same order, whose sides had other members.

        Evidence is kept as a share of the threshold, for it is as rare by chance under either noise. What was seen
        weighs as many blocks of the new noise as tell as much. A group that is silent now keeps what it had.
        """
        still = self._silent
        for name in ("_deviation", "_means", "_margins", "_thresholds"):
            getattr(self, name)[still] = getattr(earlier, name)[still]
        self.learned = [one or before for one, before in zip(self.learned, earlier.learned, strict=True)]
        self.sums = earlier.sums * _ratio(self._thresholds, earlier.thresholds)[:, None]
        self.seen = earlier.seen * (_ratio(self._deviation, earlier.deviation) ** 2)[:, None, None]
        self.onset, self.alarms = earlier.onset.copy(), earlier.alarms

    @property
    def silent(self) -> Bools:
        """Which groups have no noise that is known, of shape (groups,)."""
        return self._silent

    @property
    def deviation(self) -> Floats:
        """The long-run deviation of a block of each group, log seconds."""
        return self._deviation

    @property
    def thresholds(self) -> Floats:
        """The sum from which each group is suspected, log seconds."""
        return self._thresholds

    @property
    def allowed(self) -> Floats:
        """What of a block's shift counts for nothing, the season aside, log seconds."""
        found: Floats = self._margins + self._drift
        return found

    def evidence(self) -> Floats:
        """Of shape (groups, 2), slower and faster: 1 is the threshold of `suspect`."""
        found: Floats = self.sums / self._thresholds[:, None]
        return found

    def size(self, row: int, way: int) -> Size:
        """How much slower (0) or faster (1) a group is since its onset, as ratio."""
        total, blocks = self.seen[row, way].tolist()
        return self.sized(row, total / max(blocks, 1.0), blocks)

    def sized(self, row: int, shift: float, blocks: float) -> Size:
        """A mean shift (log seconds) of a group over so many blocks, as ratio with its interval."""
        told = self.learned[row]
        half = Z * error(told, blocks) if told is not None else math.inf
        return Size(*(math.exp(min(shift + by * half, 50.0)) for by in (0, -1, 1)))

    def regressions(self) -> Iterator[Regression]:
        """Every alarm that lasts."""
        for key, alarm in self.alarms.items():
            group = self.pool.groups[key.row]
            yield Regression(
                str(group), group.layer, key.channel, alarm.level, key.direction, alarm.onset, alarm.since,
                alarm.evidence, alarm.sized.size, self.baseline,
            )  # fmt: skip

    def _alarm(self, start: int) -> None:
        share = self.evidence()
        rows = {*np.flatnonzero((share >= 1.0).any(axis=1)).tolist(), *(key.row for key in self.alarms)}
        ways = (Direction.REGRESSED, Direction.IMPROVED)
        found = {
            AlarmKey(row, Channel.LOCATION, ways[way]): Evidence(float(share[row, way]), int(self.onset[row, way]), way)
            for row in rows
            for way in (0, 1)
        }
        self.alarms.follow(start, found, lambda key, told: Sized(self.size(key.row, told.column), 0.0, 0.0))


def _ratio(one: Floats, other: Floats) -> Floats:
    """One by the other; nothing where either is infinite."""
    there = np.isfinite(one) & np.isfinite(other)
    found: Floats = np.where(there, one, 0.0) / np.where(there, other, 1.0)
    return found


def weight_of(deviation: float) -> float:
    """The weight of a series whose blocks have this long-run deviation (log seconds): the quiet ones tell more."""
    return 1.0 / max(deviation, _QUIETEST) ** 2


def margin(learned: Learned) -> float:
    """What the level of a group may be wrong by, log seconds."""
    return level_error(learned.noise, learned.blocks)


def error(learned: Learned, blocks: float) -> float:
    """The standard error of the mean shift of a group over so many blocks, log seconds."""
    noise = learned.noise
    share = 1 / max(blocks, 1.0) + 1 / max(learned.blocks, 1.0)
    return math.sqrt(noise.deviation**2 * share + noise.slow**2 + learned.coarse**2)
