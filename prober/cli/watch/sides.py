"""Which side each node is on, from look to look: nodes move while an upgrade rolls. Pure, but for `Choice.look`.

What is seen at a look holds from then on; the block in which a node moved counts on neither side. What was seen first
is taken to have been so since the change began: nodes that moved in between make the difference smaller than it is,
and never larger.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, NamedTuple

from prober.kubernetes.api import ApiAccess
from prober.kubernetes.nodes import Cluster, NodeInfo
from prober.kubernetes.nodesets import NODE, Selector, look_up

OTHERS: Final = "others"


class Side(StrEnum):
    """Where a node is."""

    CHANGED = "changed"
    CONTROL = "control"
    BOTH = "both"
    NEITHER = "neither"


class Moved(NamedTuple):
    """A node that is on another side than at the look before."""

    node: str
    before: Side
    now: Side


class _Seen(NamedTuple):
    """A side, first seen at `at`; at `before` it was still another (Unix seconds)."""

    before: float
    at: float
    side: Side


class Sides:
    """What was seen of each node."""

    def __init__(self) -> None:
        self._seen: dict[str, list[_Seen]] = {}
        self._looked = -math.inf

    def see(self, at: float, sides: Mapping[str, Side]) -> list[Moved]:
        """What a look at `at` (Unix seconds) shows; a node that is not named is on neither side."""
        first = math.isinf(self._looked)
        moved = []
        for node in sorted({*sides, *self._seen}):
            side = sides.get(node, Side.NEITHER)
            seen = self._seen.setdefault(node, [])
            if not seen:
                # a node that is new has no past that it could be told by, so when it came matters little
                seen.append(_Seen(-math.inf, -math.inf if first else at, side))
            elif seen[-1].side is not side:
                moved.append(Moved(node, seen[-1].side, side))
                seen.append(_Seen(self._looked, at, side))
        self._looked = at
        return moved

    def now(self, side: Side) -> frozenset[str]:
        """The nodes that are on a side now."""
        return frozenset(node for node, seen in self._seen.items() if seen[-1].side is side)

    def during(self, start: float, end: float) -> tuple[frozenset[str], frozenset[str]]:
        """The changed nodes and the control, of those that were on one side all the time (Unix seconds)."""
        sides = {node: _side(seen, start, end) for node, seen in self._seen.items()}
        changed, control = (
            frozenset(node for node, found in sides.items() if found is side) for side in (Side.CHANGED, Side.CONTROL)
        )
        return changed, control


def _side(seen: Sequence[_Seen], start: float, end: float) -> Side:
    for one, after in zip(seen, [*seen[1:], None], strict=True):
        if one.at <= start and (after is None or end <= after.before):
            return one.side
    return Side.NEITHER


@dataclass(frozen=True, slots=True)
class Choice:
    """The node sets of the two sides as they were written; None is all others."""

    changed: Selector | None
    control: Selector | None

    @property
    def selectors(self) -> tuple[Selector, ...]:
        """Those that were written."""
        return tuple(one for one in (self.changed, self.control) if one is not None)

    async def look(self, known: Sequence[NodeInfo], access: ApiAccess | None) -> Cluster:
        """The nodes as they are now; those where probers run are among them, whoever tells. NodesUnknown."""
        cluster = await look_up(self.selectors, known, access)
        names = {node.name for node in cluster.nodes}
        return replace(cluster, nodes=(*cluster.nodes, *(node for node in known if node.name not in names)))

    def sides(self, cluster: Cluster) -> dict[str, Side]:
        """The side of each node."""
        everyone = frozenset(node.name for node in cluster.nodes)
        changed, control = (None if one is None else one.pick(cluster) for one in (self.changed, self.control))
        changed = everyone - (control or frozenset()) if changed is None else changed
        control = everyone - changed if control is None else control
        return {node: _side_of(node, changed, control) for node in sorted(everyone)}

    def mistaken(self, cluster: Cluster) -> tuple[str, ...]:
        """What can only be a slip: names that no node has. All else may still become true."""
        named = [one for one in self.selectors if all(condition.key == NODE for condition in one.conditions)]
        return tuple(says for one in named for says in one.missing(cluster))


def _side_of(node: str, changed: AbstractSet[str], control: AbstractSet[str]) -> Side:
    if node in changed:
        return Side.BOTH if node in control else Side.CHANGED
    return Side.CONTROL if node in control else Side.NEITHER


class Pins:
    """What `@new` means for as long as we watch: the revision that is rolled out, whatever becomes the newest later.

    Before the roll-out begins every node has the newest revision, and none is a changed one. A roll-back makes the old
    revision the newest again; the nodes go back to the control then. A third revision counts as the new one.
    """

    def __init__(self) -> None:
        self._first: dict[str, str] = {}
        self._new: dict[str, str] = {}
        self._old: dict[str, frozenset[str]] = {}

    @property
    def waiting(self) -> bool:
        """Some DaemonSet was looked at whose roll-out has not begun."""
        return len(self._first) > len(self._new)

    def hold(self, cluster: Cluster) -> Cluster:
        """The same nodes, with the newest revisions as they are to be understood."""
        for name, newest in cluster.newest.items():
            there = {found for node in cluster.nodes if (found := node.revisions.get(name))}
            old = frozenset({*there, self._first.setdefault(name, newest)} - {newest})
            if name not in self._new and old:
                self._new[name], self._old[name] = newest, old
        newest_by_name = {name: self._new.get(name, "") for name in cluster.newest}
        return Cluster(tuple(map(self._held, cluster.nodes)), newest_by_name)

    def _held(self, node: NodeInfo) -> NodeInfo:
        revisions = {
            name: self._new[name] if name in self._new and found not in self._old[name] else found
            for name, found in node.revisions.items()
        }
        return replace(node, revisions=revisions)
