"""A change in one sentence: what, by how much, since when, where, and how sure that is. Times are UTC. Pure.

`tcp 18 % slower since 14:20 over path ingress by ipv6 (12–24 %), confirmed`
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from prober.baseline.values import Channel, Direction, Level, Regression, SeriesKey, Size
from prober.units import human_moment, human_number, human_share

#: Names that are listed; of more it is said how many.
LISTED: Final = 3
#: Ratios from which times are told rather than percent.
_TIMES: Final = 2.0
#: An end of an interval that is this far off says nothing.
_ENDLESS: Final = 1000.0
#: How a value of each label is said: before one, before several.
_WORDS: Final = {
    "path": ("over path ", "over paths "),
    "family": ("by ", "by "),
    "target": ("to ", "to "),
    "node": ("on node ", "on nodes "),
    "zone": ("in zone ", "in zones "),
    "probe": ("of probe ", "of probes "),
}


class Kind(StrEnum):
    """What a change is about: the whole distribution is one thing, however it is watched."""

    LATENCY = "latency"
    TAIL = "tail"
    FAILURE = "failure"

    @classmethod
    def of(cls, channel: Channel) -> Kind:
        """The kind that a channel watches."""
        return {Channel.TAIL: cls.TAIL, Channel.FAILURE: cls.FAILURE}.get(channel, cls.LATENCY)


@dataclass(frozen=True, slots=True)
class Clauses:
    """The parts of a sentence."""

    layer: str
    kind: Kind
    direction: Direction
    level: Level
    onset: float
    size: Size | None
    """With its interval; of `several` the least and the most that any has changed."""
    was: float
    now: float
    """As in `Regression`: shares of failures."""
    where: str = ""
    """`over path ingress by ipv6`."""
    reason: str = ""
    several: bool = False
    notes: tuple[str, ...] = ()
    """Behind the level: `14 of 16 series`."""
    cleared: float | None = None

    def says(self, now: float) -> str:
        """The sentence, told at `now` (Unix seconds)."""
        since = f"since {human_moment(self.onset, now)}"
        if self.cleared is not None:
            since = f"from {human_moment(self.onset, now)} to {human_moment(self.cleared, now)}"
        head = " ".join(part for part in (self._what(), since, self.where, self._interval()) if part)
        rest = ", ".join((head, self.level.value, *self.notes))
        return f"{rest}: {self.reason}" if self.reason else rest

    def _what(self) -> str:
        if self.kind is Kind.FAILURE:
            return f"failures of {self.layer} {human_share(self.now)} instead of {human_share(self.was)}"
        subject = f"p99 of {self.layer}" if self.kind is Kind.TAIL else self.layer
        if self.size is None:
            return f"{subject} {self._way()}"
        ratio = self.size.change
        if ratio >= _TIMES:
            return f"{subject} {ratio:.1f} times {'as long' if self.kind is Kind.TAIL else 'as slow'}"
        return f"{subject} {human_share(abs(ratio - 1))} {self._way()}"

    def _way(self) -> str:
        if self.direction is Direction.IMPROVED:
            return "shorter" if self.kind is Kind.TAIL else "faster"
        return "longer" if self.kind is Kind.TAIL else "slower"

    def _interval(self) -> str:
        size = self.size
        if size is None or (self.several and size.lower == size.upper):
            return ""
        each = " each" if self.several else ""
        if self.kind is Kind.FAILURE:
            return f"({_between(100 * size.lower, 100 * size.upper, '%')}{each})"
        if size.change >= _TIMES:
            if size.upper > _ENDLESS:
                return f"(at least {size.lower:.1f} times{each})"
            return f"({size.lower:.1f}–{size.upper:.1f} times{each})"
        low, high = 100 * (size.lower - 1), 100 * (size.upper - 1)
        if self.direction is Direction.IMPROVED:
            low, high = -high, -low
        return f"({_between(low, high, '%')}{each})"


def sentence(one: Regression, now: float, trait: str = "") -> str:
    """One regression, told at `now` (Unix seconds). `trait`: what nodes that changed so have in common, `on
    nodes with kernel 6.12`."""
    subject = one.subject
    where = f"for {subject.cell}" if isinstance(subject, SeriesKey) else group_words(subject, one.layer)
    if isinstance(subject, SeriesKey) and subject.node:
        where += f" on node {subject.node}" + (f", as {trait}" if trait else "")
    elif trait:
        where += f" {trait}"
    return replace(clauses(one), where=where).says(now)


def clauses(one: Regression) -> Clauses:
    """What a regression says but for where."""
    return Clauses(
        one.layer, Kind.of(one.channel), one.direction, one.level, one.onset, one.size, one.was, one.now,
        reason=one.reason, cleared=one.cleared,
    )  # fmt: skip


def group_words(name: str, layer: str = "", scopes: Sequence[str] = ()) -> str:
    """Where a group is, by its name: `everywhere together`, `over path ingress together`, `between ingress and service
    for web/web-api/ipv4`. With its layer the name may still be that of a `Regression`."""
    name = name.removeprefix(f"{layer} ") if layer else name
    label, _, value = name.partition(" ")
    beyond, minus, behind = name.partition(" minus ")
    within = f"for {listed(scopes)}" if scopes else ""
    if minus and label == "node":
        return " ".join(part for part in (f"on {beyond} beyond {behind}", within) if part)
    if minus:
        return " ".join(part for part in (f"in {beyond} beyond {behind}", within) if part)
    if name == "all":
        return "everywhere together"
    return f"{value_words(label, (value,))} together" if label in _WORDS and value else f"in {name} together"


def value_words(label: str, values: Sequence[str]) -> str:
    """`over path ingress`, `over paths ingress and edge`, `by ipv6`."""
    one, several = _WORDS[label]
    return f"{one if len(values) == 1 else several}{listed(values)}"


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`, `a, b, c and 4 more`."""
    shown = [*names[:LISTED], *([f"{len(names) - LISTED} more"] if len(names) > LISTED else [])]
    return f"{', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else "".join(shown)


def _between(low: float, high: float, unit: str) -> str:
    """`12–24 %`, `-1.2 to 8 %`, `at least 12 %`."""
    if not math.isfinite(high) or high > 100 * _ENDLESS:
        return f"at least {human_number(low)} {unit}"
    return (
        f"{human_number(low)} to {human_number(high)} {unit}"
        if low < 0
        else f"{human_number(low)}–{human_number(high)} {unit}"
    )
