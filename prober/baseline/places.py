"""Where some of many series lie: the fewest labels that tell them from the others. Pure.

Sets of series are numbers here, a bit for each: ten thousand of them are compared in microseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from prober.baseline.values import SeriesKey

#: What a place may be told by, in the order of preference.
DIMENSIONS: Final = ("path", "family", "target", "node", "zone", "probe")
#: Of the series of a place so many have to be among those that it is told for.
_FULL: Final = 0.75
#: Values that a place names at most; and labels, where several places are looked for.
_MOST_VALUES: Final = 6
_MOST_LABELS: Final = 3
#: Places that some series are shared out to at most; what is left has none.
_MOST_PLACES: Final = 6

Labels = tuple[tuple[str, tuple[str, ...]], ...]
"""`(("path", ("ingress",)), ("family", ("ipv6",)))`; none is everywhere."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place, and how many series of the layer it has."""

    labels: Labels
    series: int


class Atlas:
    """The series of one layer. `zones` tells the zone of nodes, where it is known."""

    def __init__(self, keys: Iterable[SeriesKey], zones: Mapping[str, str] | None = None) -> None:
        self.keys = tuple(dict.fromkeys(keys))
        self._bit = {key: 1 << number for number, key in enumerate(self.keys)}
        self._zones = zones or {}
        self.all = (1 << len(self.keys)) - 1
        self._having: dict[str, dict[str, int]] = {name: {} for name in DIMENSIONS}
        for key, bit in self._bit.items():
            for name, value in self._labels(key):
                having = self._having[name]
                having[value] = having.get(value, 0) | bit

    def bits(self, keys: Iterable[SeriesKey]) -> int:
        """The set of these; those that are not known are left out."""
        found = 0
        for key in keys:
            found |= self._bit.get(key, 0)
        return found

    def keys_of(self, some: int) -> Iterator[SeriesKey]:
        """The series of a set."""
        while some:
            lowest = some & -some
            yield self.keys[lowest.bit_length() - 1]
            some ^= lowest

    def pools(self) -> Iterator[int]:
        """All, and those that share one label."""
        yield self.all
        for having in self._having.values():
            if len(having) > 1:
                yield from having.values()

    def inside(self, place: Place) -> int:
        """The set of all series of a place."""
        return self._there(place.labels)

    def places(self, some: int, others: int = 0) -> Iterator[tuple[int, Place | None]]:
        """Share these out to as few places as possible: the set of each, and None for what has no place in common.
        `others` are no reason for a place, but do fill it."""
        for _ in range(_MOST_PLACES):
            if not some:
                return
            place = self.place(some, others)
            if place is not None:
                yield some, place
                return
            part = self._largest(some, others)
            if part is None:
                break
            yield part
            some &= ~part[0]
        if some:
            yield some, None

    def place(self, some: int, others: int = 0) -> Place | None:
        """The place of all of these, by the fewest values; None where there is none."""
        telling = {
            name: values
            for name, having in self._having.items()
            if 0 < len(values := tuple(v for v, bits in having.items() if bits & some)) < len(having)
        }
        found: list[tuple[int, float, int, Place]] = []
        for count in range(len(telling) + 1):
            for order, names in enumerate(combinations(telling, count)):
                cost = sum(len(telling[name]) for name in names)
                if cost > _MOST_VALUES:
                    continue
                labels = tuple((name, telling[name]) for name in names)
                there = self._there(labels)
                share = ((some | others) & there).bit_count() / there.bit_count()
                if share >= _FULL:
                    found.append((cost, -share, order, Place(labels, there.bit_count())))
        return min(found, key=lambda one: one[:3])[3] if found else None

    def _largest(self, some: int, others: int) -> tuple[int, Place] | None:
        """The place with the most of these, two at least, where not all of them lie in one."""
        best: tuple[tuple[int, int, float], int, Place] | None = None
        for labels in self._combinations(some):
            there = self._there(labels)
            part = there & some
            share = ((some | others) & there).bit_count() / there.bit_count()
            rank = part.bit_count(), -len(labels), share
            if rank[0] > 1 and share >= _FULL and (best is None or rank > best[0]):
                best = rank, part, Place(labels, there.bit_count())
        return None if best is None else best[1:]

    def _combinations(self, some: int) -> set[Labels]:
        found: set[Labels] = set()
        for key in self.keys_of(some):
            labels = [(name, (value,)) for name, value in self._labels(key) if len(self._having[name]) > 1]
            for count in range(1, _MOST_LABELS + 1):
                found.update(combinations(labels, count))
        return found

    def _there(self, labels: Labels) -> int:
        there = self.all
        for name, values in labels:
            having, of_name = self._having[name], 0
            for value in values:
                of_name |= having[value]
            there &= of_name
        return there

    def _labels(self, key: SeriesKey) -> Iterator[tuple[str, str]]:
        for name in DIMENSIONS:
            value: str = self._zones.get(key.node, "") if name == "zone" else getattr(key, name)
            if value:
                yield name, value
