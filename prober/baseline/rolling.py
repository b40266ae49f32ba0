"""Changed minus control while nodes move from one side to the other, one after another. Pure.

Each series is told by its distance from its own mean before the change, so a node that moves brings no step of its
own along. What the difference of two sides may do by chance is what just these two sides did to each other before the
change: it is learned anew whenever a node moves (`GroupBank.go_on_from` keeps the evidence), so one node against
forty-nine is not taken to be as quiet as twenty-five against twenty-five.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from prober.baseline.channels import SUSPECT
from prober.baseline.fit import noise_of, wilson
from prober.baseline.groups import CAP, LEAST_HOURS, Group, GroupBank, Pool, weight_of
from prober.baseline.sketch import Floats
from prober.baseline.values import BLOCKS, Direction, Level, SeriesKey, Size

_PARTS: Final = ("path", "family", "target")


class Member(NamedTuple):
    """A series, seen from a vantage, and the node that decides which side it is on."""

    vantage: str
    node: str
    key: SeriesKey


class Reading(NamedTuple):
    """A series in one block."""

    shift: float
    """By psi, log seconds; NaN where too little was met."""
    runs: int
    failed: int


@dataclass(frozen=True, slots=True)
class View:
    """What is watched as one: a layer, or a part of it."""

    layer: str
    to_nodes: bool
    """Series of endpoints by their nodes: what is told is the way to these, not from them."""
    part: str = ""
    """`path`, `family` or `target`, and `name` which of them; "" is all of the layer."""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Share:
    """How many runs failed, of how many."""

    failed: int
    runs: int

    @property
    def interval(self) -> tuple[float, float]:
        """Of the share, 95 % for runs that are independent (Wilson)."""
        return wilson(self.failed, self.runs)


@dataclass(frozen=True, slots=True)
class Alarmed:
    """What was found."""

    level: Level
    direction: Direction
    onset: float
    since: float
    """Unix seconds: when this level was reached."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How the two sides of a view stand to each other. Ratios: 1.03 is 3 % slower."""

    view: View
    blocks: int
    """In which both sides were there, since the change."""
    changed: float
    control: float
    """Each side to its own past, over these blocks; NaN where there are none."""
    difference: Size | None
    """Since the onset where something was found, else over all these blocks; None where there are none."""
    found: Alarmed | None
    smallest: float
    """The least that would be suspected by now if it had been there all the time; infinite where nothing would."""
    failed: tuple[Share, Share]
    """On the changed side and on the control side, since the change."""


class NotKnown(ValueError):
    """No view has enough of a past; the text says what there is."""


class Rolling:
    """Watches all views of these members.

    `history` has for each member the mean shift (log seconds) of each hour (Unix seconds) before the change.
    NotKnown: there is no series with enough of it.
    """

    def __init__(self, history: Mapping[Member, Mapping[int, float]]) -> None:
        most = max(map(len, history.values()), default=0)
        kept = {member: told for member, told in history.items() if len(told) >= LEAST_HOURS}
        self.left_out = frozenset(history.keys() - kept.keys())
        """Members whose past is too short."""
        if not kept:
            raise NotKnown(f"{most} h of shifts before the change, {LEAST_HOURS} are needed" if most else
                           "no shifts before the change")  # fmt: skip
        self._members = frozenset(kept)
        self.hours = most
        """Of the longest past."""
        self._means: dict[Hashable, float] = {
            member: float(np.mean(list(told.values()))) for member, told in kept.items()
        }
        self._hourly: dict[Hashable, dict[int, float]] = {
            m: {at: x - self._means[m] for at, x in told.items()} for m, told in kept.items()
        }
        self._weights: dict[Hashable, float] = {
            member: weight_of(_deviation(told)) for member, told in self._hourly.items()
        }
        self._views = _views(sorted(kept))
        self._sides: tuple[AbstractSet[str], AbstractSet[str]] = frozenset(), frozenset()
        self._bank = self._bank_of(*self._sides)
        rows = len(self._views)
        self._sums, self._failed = np.zeros((rows, 5)), np.zeros((rows, 2, 2), np.int64)
        self._blocks = np.zeros(rows, np.int64)
        self._order = sorted(kept)
        at = {member: number for number, member in enumerate(self._order)}
        self._within = np.zeros((rows, len(self._order)))  # view × member
        for row, members in enumerate(self._views.values()):
            self._within[row, [at[member] for member in members]] = 1.0

    @property
    def members(self) -> frozenset[Member]:
        """All that are watched."""
        return self._members

    def end_block(
        self, start: int, told: Mapping[Member, Reading], changed: AbstractSet[str], control: AbstractSet[str]
    ) -> None:
        """Judge a block; the sides are names of nodes. Blocks come in the order of time."""
        if (changed, control) != self._sides:
            self._sides = changed, control
            bank = self._bank_of(changed, control)
            bank.go_on_from(self._bank)
            self._bank = bank
        shifts: dict[Hashable, float] = {m: one.shift - self._means[m] for m, one in told.items() if m in self._means}
        self._bank.end_block(start, shifts)
        self._sum_up(shifts)
        self._count(told)

    def standings(self) -> tuple[Standing, ...]:
        """Every view, layers before their parts, in a stable order."""
        return tuple(self._standing(row, view) for row, view in enumerate(self._views))

    def _bank_of(self, changed: AbstractSet[str], control: AbstractSet[str]) -> GroupBank:
        groups = []
        for view, members in self._views.items():
            sides = (tuple(m for m in members if m.node in side) for side in (changed, control))
            plus, minus = sides
            name = "changed minus control"
            # a group without members on one side is silent: it must not pass for a pool of the other
            groups.append(Group(name, view.layer, plus if minus else (), minus or members, f"{view.part} {view.name}"))
        pool = Pool(groups, self._weights)
        return GroupBank(pool, pool.learned(self._hourly))

    def _sum_up(self, shifts: Mapping[Hashable, float]) -> None:
        """Sums by 1 / variance, so that blocks of few nodes weigh less: weight, changed, control, and for what could
        be seen 1 / threshold and what is allowed by threshold."""
        bank = self._bank
        changed, control = bank.pool.sides(shifts)
        there = np.isfinite(changed) & np.isfinite(control) & ~bank.silent
        weight = np.where(there, 1.0, 0.0) / np.where(there, bank.deviation, 1.0) ** 2
        by_threshold = np.where(there, 1.0, 0.0) / np.where(there, bank.thresholds, 1.0)
        allowed = np.where(there, bank.allowed, 0.0)
        means = (np.where(there, side, 0.0) for side in (changed, control))
        self._sums += np.stack(
            [weight, *(weight * mean for mean in means), by_threshold, by_threshold * allowed], axis=1
        )
        self._blocks += there

    def _count(self, told: Mapping[Member, Reading]) -> None:
        counts = np.zeros((len(self._order), len(self._sides), 2))
        for number, member in enumerate(self._order):
            if (one := told.get(member)) is not None:
                for side, nodes in enumerate(self._sides):
                    if member.node in nodes:
                        counts[number, side] = one.failed, one.runs
        self._failed += np.tensordot(self._within, counts, 1).astype(np.int64)

    def _standing(self, row: int, view: View) -> Standing:
        weight, changed, control, by_threshold, allowed = self._sums[row].tolist()
        blocks = int(self._blocks[row])
        difference = None
        if blocks:
            changed, control = changed / weight, control / weight
            equal = weight * float(self._bank.deviation[row]) ** 2  # blocks of today's noise that tell as much
            difference = self._bank.sized(row, changed - control, equal)
        found, size = self._found(row)
        (failed, runs), (others_failed, others) = self._failed[row].tolist()
        return Standing(
            view, blocks, math.exp(changed) if blocks else math.nan, math.exp(control) if blocks else math.nan,
            size or difference, found, _smallest(by_threshold, allowed),
            (Share(failed, runs), Share(others_failed, others)),
        )  # fmt: skip

    def _found(self, row: int) -> tuple[Alarmed | None, Size | None]:
        """What lasts; of two ways the surer one."""
        alarms = [(alarm.evidence, key.direction, alarm) for key, alarm in self._bank.alarms.items() if key.row == row]
        if not alarms:
            return None, None
        _, direction, alarm = max(alarms, key=lambda one: one[0])
        return Alarmed(alarm.level, direction, alarm.onset, alarm.since), alarm.sized.size


def _smallest(by_threshold: float, allowed: float) -> float:
    """The ratio whose evidence would have come to `suspect` over all blocks, noise aside."""
    if not by_threshold:
        return math.inf
    needed = (SUSPECT + allowed) / by_threshold
    return math.exp(needed) if needed <= CAP else math.inf


def _deviation(told: Mapping[int, float]) -> float:
    shifts: Floats = np.array([told[at] for at in sorted(told)])
    return noise_of(shifts, np.full(len(shifts), BLOCKS)).deviation


def _views(members: Iterable[Member]) -> dict[View, tuple[Member, ...]]:
    """Each layer, and its parts where it has several of a kind."""
    found: dict[View, list[Member]] = {}
    names: dict[tuple[str, bool, str], set[str]] = {}
    for member in members:
        layer, to_nodes = member.key.layer, bool(member.key.node)
        found.setdefault(View(layer, to_nodes), []).append(member)
        for part in _PARTS:
            name = str(getattr(member.key, part))
            names.setdefault((layer, to_nodes, part), set()).add(name)
            found.setdefault(View(layer, to_nodes, part, name), []).append(member)
    several = {
        view: tuple(chosen)
        for view, chosen in found.items()
        if not view.part or len(names[view.layer, view.to_nodes, view.part]) > 1
    }
    return dict(sorted(several.items(), key=lambda one: (bool(one[0].part), one[0].part, one[0].name)))
