"""Many regressions as few sentences: by change, layer and place, confirmed ones first. Pure.

One change of the network shows in a hundred series. Those of one layer that began within an hour of each other and
are of like size are one change; its place is told by the fewest labels that its series share (`places`). Suspects of
single series are no news: a change is said to page where it is confirmed, where a difference of groups is, or where
more series of a place are suspected at once than chance allows. Of several nodes it is told what they have in common.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Final, NamedTuple

from prober.baseline.apart import Common, Separates, common_of
from prober.baseline.chance import most_by_chance
from prober.baseline.places import Atlas, Place
from prober.baseline.sentences import Clauses, Kind, clauses, listed, value_words
from prober.baseline.values import HOUR, Direction, Level, Regression, SeriesKey, Size
from prober.reasons import Layer

#: Log of how many times larger or smaller a change of like size may be.
_LIKE: Final = math.log(2.0)
_HEIGHTS: Final = {layer.value: number for number, layer in enumerate(Layer)}


@dataclass(frozen=True, slots=True)
class Folded:
    """One change, as it is told."""

    clauses: Clauses
    members: tuple[Regression, ...]
    """Those that are folded into it, one for each series, confirmed ones first."""
    place: Place | None = None
    """Where its series lie; None of one series alone, of series without a place in common, and of groups."""
    by_chance: int | None = None
    """Of suspects that are more than chance allows: how many it does."""
    group: str = ""
    """The name of a group: `ingress minus service`, `path ingress`."""
    scopes: tuple[str, ...] = ()
    """What the groups of this name are within."""
    trait: str = ""
    """What its nodes have in common that others have not: `on nodes with kernel 6.12`. The place is among these."""

    @property
    def level(self) -> Level:
        """Confirmed if one of its members is."""
        return self.clauses.level

    @property
    def pages(self) -> bool:
        """Somebody has to look at it: confirmed and worse, or more suspects than chance allows. Pools never do: what
        they see is in their series, too."""
        if self.clauses.direction is not Direction.REGRESSED:
            return False
        if self.group:
            return self.level is Level.CONFIRMED and " minus " in self.group
        return self.level is Level.CONFIRMED or self.by_chance is not None

    def says(self, now: float) -> str:
        """The sentence, told at `now`."""
        return self.clauses.says(now)


class _What(NamedTuple):
    """What the series of one change have in common, beside time, size and place."""

    layer: str
    kind: Kind
    direction: Direction
    reason: str
    of_nodes: bool


def fold_series(
    regressions: Iterable[Regression], known: Iterable[SeriesKey], zones: Mapping[str, str] | None = None,
    separates: Separates | None = None, beside: Iterable[Regression] = (),
) -> list[Folded]:  # fmt: skip
    """The changes of single series; `known` are all that are watched, `zones` the zone of each node, `separates` says
    what sets nodes apart. What is open `beside` these is not told, but its nodes are not as they were either."""
    by_what: dict[_What, list[Regression]] = defaultdict(list)
    for what, one in _one_for_each(regressions):
        by_what[what].append(one)
    universe: dict[tuple[str, bool], list[SeriesKey]] = defaultdict(list)
    for key in known:
        universe[key.layer, bool(key.node)].append(key)
    atlases: dict[tuple[str, bool], Atlas] = {}
    found: list[Folded] = []
    alike = {what: list(ones) for what, ones in by_what.items()}
    for what, one in _one_for_each(beside):
        alike.setdefault(what, []).append(one)
    for what, ones in by_what.items():
        at = what.layer, what.of_nodes
        if at not in atlases:
            atlases[at] = Atlas([*universe[at], *(_series(one) for one in ones)], zones)
        for together in clusters(ones):
            found.extend(_told_apart(together, alike[what], atlases[at], separates if what.of_nodes else None))
    return sorted(_without_echoes(found), key=rank)


def rank(one: Folded) -> tuple[bool, bool, bool, int, int]:
    """What pages first, then what is confirmed, what is worse, what is larger."""
    improved = one.clauses.direction is Direction.IMPROVED
    height = _HEIGHTS.get(one.clauses.layer, len(_HEIGHTS))
    return not one.pages, one.level is not Level.CONFIRMED, improved, -len(one.members), height


def clusters(ones: Sequence[Regression]) -> Iterator[list[Regression]]:
    """Those that began within an hour of each other, and of these those of like size; the most numerous first."""
    for together in _dense(ones, lambda one: one.onset, HOUR):
        yield from _dense(together, _log_size, _LIKE)


def folded_clauses(members: Sequence[Regression], where: str, notes: Sequence[str] = ()) -> Clauses:
    """The clauses of several as one; of one its own."""
    first = replace(clauses(members[0]), where=where, notes=tuple(notes))
    if len(members) == 1:
        return first
    changes = [one.size.change for one in members if one.size is not None]
    size = Size(median(changes), min(changes), max(changes)) if changes else None
    was, now = (median(side) for side in ([one.was for one in members], [one.now for one in members]))
    onset = sorted(one.onset for one in members)[(len(members) - 1) // 2]
    return replace(first, size=size, was=was, now=now, onset=onset, several=True)


def _one_for_each(regressions: Iterable[Regression]) -> Iterator[tuple[_What, Regression]]:
    """Of each series and change the regression that is surest: two channels watch the whole distribution, and a reason
    says more than all failures."""
    best: dict[tuple[SeriesKey, _What], Regression] = {}
    for one in regressions:
        if isinstance(one.subject, SeriesKey):
            what = _What(one.layer, Kind.of(one.channel), one.direction, one.reason, bool(one.subject.node))
            known = best.get((one.subject, what))
            if known is None or _sureness(one) > _sureness(known):
                best[one.subject, what] = one
    named: dict[tuple[SeriesKey, Direction], float] = defaultdict(float)
    for (key, what), one in best.items():
        if what.reason:
            named[key, what.direction] += one.now
    for (key, what), one in best.items():
        told = what.kind is Kind.FAILURE and not what.reason and named[key, what.direction] >= one.now / 2
        if not (told and one.now > 0):
            yield what, one


def _sureness(one: Regression) -> tuple[bool, float]:
    return one.level is Level.CONFIRMED, one.evidence


def _dense(
    ones: Sequence[Regression], value: Callable[[Regression], float], reach: float
) -> Iterator[list[Regression]]:
    """Again and again the one that has the most others within `reach`, with these."""
    rest = sorted(ones, key=value)
    while rest:
        values = [value(one) for one in rest]
        spans = [(bisect_left(values, at - reach), bisect_right(values, at + reach)) for at in values]
        low, high = max(spans, key=lambda span: span[1] - span[0])
        yield rest[low:high]
        rest = rest[:low] + rest[high:]


def _log_size(one: Regression) -> float:
    """Of how large the change is: log of the log of a ratio, or of a share."""
    if one.size is None:
        return 0.0
    change = one.size.change
    if Kind.of(one.channel) is not Kind.FAILURE:
        change = abs(math.log(max(change, 1e-9)))
    return math.log(max(change, 1e-4))


def _told_apart(
    together: Sequence[Regression], alike: Sequence[Regression], atlas: Atlas, separates: Separates | None
) -> Iterator[Folded]:
    """One cluster: what is of nodes with something in common, placed among these alone; then all else. `alike` are all
    clusters of its kind."""
    common = None if separates is None else common_of(together, alike, atlas.keys, separates)
    if common is None:
        yield from _placed(together, atlas, atlas)
        return
    theirs = [one for one in together if _series(one).node in common.nodes]
    yield from _placed(theirs, Atlas(key for key in atlas.keys if key.node in common.nodes), atlas, common)
    yield from _placed([one for one in together if _series(one).node not in common.nodes], atlas, atlas)


def _placed(
    ones: Sequence[Regression], atlas: Atlas, universe: Atlas, common: Common | None = None
) -> Iterator[Folded]:
    """Some, shared out to their places. The place is that of the confirmed ones; suspects that lie in it belong to it,
    those that do not are told by themselves: of these there may be as many in the `universe` by chance."""
    by_key = {_series(one): one for one in ones}
    sure = atlas.bits(key for key, one in by_key.items() if one.level is Level.CONFIRMED)
    suspects = atlas.bits(by_key) & ~sure
    for part, place in atlas.places(sure, suspects):
        there = part if place is None else part | (atlas.inside(place) & suspects)
        suspects &= ~there
        yield _folded([by_key[key] for key in atlas.keys_of(there)], place, None, common)
    for part, place in atlas.places(suspects):
        keys = list(atlas.keys_of(part))
        yield _folded([by_key[key] for key in keys], place, _beyond_chance(keys, universe), common)


def _beyond_chance(suspects: Sequence[SeriesKey], atlas: Atlas) -> int | None:
    """How many chance allows, in the first pool in which there are more of these; None where it may be chance."""
    some = atlas.bits(suspects)
    for pool in atlas.pools():
        most = most_by_chance(pool.bit_count())
        if (some & pool).bit_count() > most:
            return most
    return None


def _folded(members: Sequence[Regression], place: Place | None, by_chance: int | None, common: Common | None) -> Folded:
    members = sorted(members, key=lambda one: (one.level is not Level.CONFIRMED, _series(one)))
    keys = [_series(one) for one in members]
    if len(members) == 1:
        where = f"for {keys[0].cell}" + (f" on node {keys[0].node}" if keys[0].node else "")
        return Folded(folded_clauses(members, where), tuple(members))
    notes = [f"{len(members)} series" if place is None else f"{len(members)} of {place.series} series"]
    sure = sum(one.level is Level.CONFIRMED for one in members)
    if 0 < sure < len(members):
        notes.append(f"{sure} of them confirmed")
    if by_chance is not None:
        notes.append(f"more than chance allows ({by_chance})")
    trait = common.says if common is not None and {key.node for key in keys} == common.nodes else ""
    told = folded_clauses(members, _where(keys, place, trait), notes)
    return Folded(told, tuple(members), place, by_chance, trait=trait)


def _where(keys: Sequence[SeriesKey], place: Place | None, trait: str) -> str:
    """The words of a place; of what has none its cells, and its nodes unless a trait says which those are."""
    if place is not None:
        words = [value_words(*label) for label in place.labels]
        return " ".join([*words, trait] if trait else words or ["everywhere"])
    nodes = sorted({key.node for key in keys} - {""})
    cells = f"for {listed(list(dict.fromkeys(key.cell for key in keys)))}"
    return " ".join(part for part in (cells, trait or (value_words("node", nodes) if nodes else "")) if part)


def _without_echoes(found: Sequence[Folded]) -> Iterator[Folded]:
    """Leave out what says the same twice: a cell whose change is that of one of its endpoints' nodes, and the nodes of
    a cell that has changed as a whole."""
    for one in found:
        of_nodes = bool(_series(one.members[0]).node)
        others = [other for other in found if bool(_series(other.members[0]).node) is not of_nodes]
        if not any(_echoes(one, other, of_nodes) for other in others):
            yield one


def _echoes(one: Folded, other: Folded, of_nodes: bool) -> bool:
    """Whether `one` is `other` seen in another way: `of_nodes` by endpoints' nodes, else by whole cells."""
    mine, its = one.clauses, other.clauses
    if (mine.layer, mine.kind, mine.direction, mine.reason) != (its.layer, its.kind, its.direction, its.reason):
        return False
    if abs(mine.onset - its.onset) > HOUR or (other.level is Level.SUSPECT and one.level is Level.CONFIRMED):
        return False
    nodes_told = one if of_nodes else other
    alone = _names_nodes(nodes_told)
    cells, its_cells = ({_series(member).cell for member in side.members} for side in (one, other))
    return alone != of_nodes and cells <= its_cells


def _names_nodes(one: Folded) -> bool:
    """Whether some nodes are told from the others."""
    if one.place is None or one.trait:
        return True
    return any(name == "node" for name, _ in one.place.labels)


def _series(one: Regression) -> SeriesKey:
    if not isinstance(one.subject, SeriesKey):
        raise TypeError("a regression of a group")
    return one.subject
