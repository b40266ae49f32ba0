"""Which groups a matrix of series makes: pooled by what they have in common, and the differences worth watching.
Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from prober.baseline.groups import Group
from prober.baseline.values import SeriesKey

#: A pool of fewer says no more than its members.
LEAST = 3
#: Paths that lie on the way of others: the first minus the second is what is between them.
PATHS = (
    ("service", "pod"), ("nodeport", "service"), ("ingress", "service"), ("external", "ingress"), ("external",
    "service"), ("edge", "origin"),
)  # fmt: skip
FAMILIES = ("ipv6", "ipv4")


def groups_of(keys: Iterable[SeriesKey]) -> list[Group]:
    """All groups of the series of one vantage. Those of an endpoint's node are compared with the other nodes' alone."""
    listed = list(dict.fromkeys(keys))
    whole, of_nodes = [key for key in listed if not key.node], [key for key in listed if key.node]
    return [*_pools(whole), *_paths(whole), *_families(whole), *_nodes(of_nodes)]


def _pools(keys: Sequence[SeriesKey]) -> list[Group]:
    found: dict[tuple[str, str], list[SeriesKey]] = defaultdict(list)
    for key in keys:
        for name in ("all", f"path {key.path}", f"family {key.family}", f"target {key.target}"):
            found[key.layer, name].append(key)
    everything = {layer: len(members) for (layer, name), members in found.items() if name == "all"}
    return [
        Group(name, layer, tuple(members))
        for (layer, name), members in found.items()
        if len(members) >= LEAST and (name == "all" or len(members) < everything[layer])
    ]


def _paths(keys: Sequence[SeriesKey]) -> list[Group]:
    known = set(keys)
    return [
        Group(f"{beyond} minus {behind}", key.layer, (key,), (other,), f"{key.probe}/{key.target}/{key.family}")
        for key in keys
        for beyond, behind in PATHS
        if key.path == beyond and (other := replace(key, path=behind)) in known
    ]


def _families(keys: Sequence[SeriesKey]) -> list[Group]:
    known = set(keys)
    return [
        Group(" minus ".join(FAMILIES), key.layer, (key,), (other,), f"{key.probe}/{key.target}/{key.path}")
        for key in keys
        if key.family == FAMILIES[0] and (other := replace(key, family=FAMILIES[1])) in known
    ]


def _nodes(keys: Sequence[SeriesKey]) -> list[Group]:
    found: dict[str, dict[str, list[SeriesKey]]] = defaultdict(lambda: defaultdict(list))
    for key in keys:
        found[key.layer][key.node].append(key)
    return [
        Group(
            f"node {node} minus others", layer, tuple(members), tuple(m for n in nodes if n != node for m in nodes[n])
        )
        for layer, nodes in found.items()
        if len(nodes) > 1
        for node, members in nodes.items()
    ]
