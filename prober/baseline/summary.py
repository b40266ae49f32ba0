"""What all open regressions say together, in few sentences. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from prober.baseline.apart import Separates
from prober.baseline.folding import Folded, clusters, fold_series, folded_clauses, rank
from prober.baseline.groups import Group
from prober.baseline.sentences import Kind, group_words
from prober.baseline.values import HOUR, Direction, Level, Regression, SeriesKey
from prober.units import rfc3339_at

#: A pool within another one is told in its place where it has changed so many times as much.
_NARROWER: Final = 1.5
_NO_GROUPS: Final[Mapping[str, Group]] = {}


def fold(
    regressions: Iterable[Regression],
    known: Iterable[SeriesKey],
    groups: Mapping[str, Group] = _NO_GROUPS,
    zones: Mapping[str, str] | None = None,
    separates: Separates | None = None,
    beside: Iterable[Regression] = (),
) -> tuple[Folded, ...]:
    """The open changes, what pages first. `known`: all series that are watched; `groups`: those of groups' regressions
    by their text; `zones`: the zone of each node; `separates` says what sets nodes apart, and
    `beside` is what is open beside these."""
    listed = tuple(regressions)
    of_series = fold_series(listed, known, zones, separates, beside)
    of_groups = [one for one in listed if isinstance(one.subject, str) and not _set_apart(one, groups, of_series)]
    told = [*of_series, *_differences(of_groups, groups), *_pools(of_groups, groups, of_series)]
    return tuple(sorted(told, key=rank))


def as_dict(one: Folded, now: float) -> dict[str, Any]:
    """As plain JSON values; `of` is how many series there are where it is, None where that is not one place."""
    told, size = one.clauses, one.clauses.size
    return {
        "says": one.says(now),
        "pages": one.pages,
        "layer": told.layer,
        "kind": told.kind.value,
        "level": told.level.value,
        "direction": told.direction.value,
        "reason": told.reason or None,
        "onset": rfc3339_at(told.onset),
        "size": None if size is None else {"change": size.change, "lower": size.lower, "upper": size.upper},
        "where": {name: list(values) for name, values in one.place.labels} if one.place is not None else None,
        "trait": one.trait or None,
        "group": one.group or None,
        "scopes": list(one.scopes),
        "series": [str(member.subject) for member in one.members],
        "of": None if one.place is None else one.place.series,
        "by_chance": one.by_chance,
    }


def _differences(ones: Sequence[Regression], groups: Mapping[str, Group]) -> Iterator[Folded]:
    """Those of one name that began together, whatever they are within."""
    by_name: dict[tuple[str, str, Direction], list[Regression]] = defaultdict(list)
    for one in ones:
        name = _name(one, groups)
        if " minus " in name:
            by_name[one.layer, name, one.direction].append(one)
    for (_, name, _), alike in by_name.items():
        for together in clusters(alike):
            members = sorted(together, key=lambda one: -one.evidence)
            scopes = tuple(sorted({_scope(one, groups) for one in members} - {""}))
            yield Folded(
                folded_clauses(members, group_words(name, scopes=scopes)), tuple(members), group=name, scopes=scopes
            )


def _pools(ones: Sequence[Regression], groups: Mapping[str, Group], of_series: Sequence[Folded]) -> Iterator[Folded]:
    """Of pools that share series and began together the widest, or one within it that has changed far more. None for
    what is told by its series already."""
    left = [one for one in ones if " minus " not in _name(one, groups) and not _told(one, groups, of_series)]
    left.sort(key=lambda one: (-len(_members(one, groups)), str(one.subject)))
    while left:
        widest = left.pop(0)
        same = [one for one in left if _same_change(one, widest) and _overlap(one, widest, groups)]
        left = [one for one in left if one not in same]
        narrow = max(same, key=_shift, default=widest)
        best = narrow if _shift(narrow) > _NARROWER * _shift(widest) else widest
        name = _name(best, groups)
        yield Folded(folded_clauses((best,), group_words(name)), (best,), group=name)


def _told(pool: Regression, groups: Mapping[str, Group], of_series: Sequence[Folded]) -> bool:
    members = _members(pool, groups)
    return any(
        one.pages
        and one.clauses.kind is Kind.LATENCY
        and _same_change(pool, one.members[0])
        and not members.isdisjoint(member.subject for member in one.members)
        for one in of_series
    )


def _set_apart(one: Regression, groups: Mapping[str, Group], of_series: Sequence[Folded]) -> bool:
    """Whether it is the difference of a node from the others, and nodes are told already to which the same happened:
    all that are without it are faster than the rest."""
    name = _name(one, groups)
    node = name.removeprefix("node ").removesuffix(" minus others")
    if name != f"node {node} minus others":
        return False
    for told in of_series:
        nodes = {member.subject.node for member in told.members if isinstance(member.subject, SeriesKey)}
        clauses = told.clauses
        as_told = (clauses.direction is one.direction) is (node in nodes)
        sure = told.level is Level.CONFIRMED or one.level is Level.SUSPECT
        together = clauses.layer == one.layer and abs(clauses.onset - one.onset) <= HOUR
        if told.trait and clauses.kind is Kind.LATENCY and as_told and sure and together:
            return True
    return False


def _same_change(one: Regression, other: Regression) -> bool:
    together = abs(one.onset - other.onset) <= HOUR
    return one.layer == other.layer and one.direction is other.direction and together


def _overlap(one: Regression, other: Regression, groups: Mapping[str, Group]) -> bool:
    return not _members(one, groups).isdisjoint(_members(other, groups))


def _shift(one: Regression) -> float:
    return 0.0 if one.size is None else abs(math.log(one.size.change))


def _members(one: Regression, groups: Mapping[str, Group]) -> frozenset[object]:
    group = groups.get(str(one.subject))
    return frozenset() if group is None else frozenset(group.members)


def _name(one: Regression, groups: Mapping[str, Group]) -> str:
    """The group's name; of one that is not known what its text says beside the layer."""
    text = str(one.subject)
    return groups[text].name if text in groups else text.removeprefix(f"{one.layer} ")


def _scope(one: Regression, groups: Mapping[str, Group]) -> str:
    text = str(one.subject)
    return groups[text].scope if text in groups else ""
