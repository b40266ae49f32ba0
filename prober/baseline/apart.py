"""What the nodes of a change have in common that the others have not. Who knows nodes is asked: nothing is known here.
Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final, NamedTuple

from prober.baseline.sentences import Kind
from prober.baseline.values import Direction, Level, Regression, SeriesKey

#: Nodes on each side from which on somebody is asked: one is named.
_FEWEST: Final = 2

Separates = Callable[[frozenset[str], frozenset[str]], str]
"""Told the names of nodes that changed, and of the others, says what separates them: `on nodes with kernel 6.12`, or
nothing."""


class Common(NamedTuple):
    """What some nodes have in common."""

    says: str
    nodes: frozenset[str]


class _What(NamedTuple):
    cell: str
    layer: str
    kind: Kind
    direction: Direction
    reason: str


def common_of(
    changed: Collection[Regression], alike: Iterable[Regression], known: Iterable[SeriesKey], separates: Separates
) -> Common | None:
    """Of the nodes of these changes against the other nodes of the same cells. `alike`: all changes of the same kind,
    whose nodes are none of the others; `known`: the series of the layer. If all nodes of the changes have nothing in
    common, those that are confirmed may have."""
    if len({key.node for key in _keys(changed)}) < _FEWEST:
        return None
    cells = {key.cell for key in _keys(changed)}
    there = frozenset(key.node for key in known if key.node and key.cell in cells)
    aside = {key.node for key in _keys(alike) if key.cell in cells}
    sure = [one for one in changed if one.level is Level.CONFIRMED]
    for some in (changed, sure) if sure and len(sure) < len(changed) else (changed,):
        nodes = frozenset(key.node for key in _keys(some))
        others = there - nodes - aside
        if len(nodes) >= _FEWEST <= len(others) and (says := separates(nodes, others)):
            return Common(says, nodes)
    return None


class Commons:
    """Of single regressions: what the nodes of its cell have in common that changed in the same way."""

    def __init__(
        self, regressions: Iterable[Regression], known: Iterable[SeriesKey], separates: Separates | None
    ) -> None:
        """`known`: all series that are watched. Takes as long as `separates` does, once for each cell and layer."""
        self._found: dict[_What, Common] = {}
        by_what: dict[_What, list[Regression]] = defaultdict(list)
        for one in regressions:
            if isinstance(one.subject, SeriesKey) and one.subject.node:
                by_what[_what(one, one.subject)].append(one)
        if separates is None or not by_what:
            return
        cells: dict[tuple[str, str], list[SeriesKey]] = defaultdict(list)
        for key in known:
            if key.node:
                cells[key.cell, key.layer].append(key)
        for what, ones in by_what.items():
            common = common_of(ones, ones, cells[what.cell, what.layer], separates)
            if common is not None:
                self._found[what] = common

    def of(self, one: Regression) -> str:
        """`on nodes with kernel 6.12`, or nothing."""
        if not isinstance(one.subject, SeriesKey):
            return ""
        common = self._found.get(_what(one, one.subject))
        if common is None or (one.subject.node and one.subject.node not in common.nodes):
            return ""
        return common.says


def _what(one: Regression, key: SeriesKey) -> _What:
    return _What(key.cell, one.layer, Kind.of(one.channel), one.direction, one.reason)


def _keys(ones: Iterable[Regression]) -> Iterator[SeriesKey]:
    return (one.subject for one in ones if isinstance(one.subject, SeriesKey))
