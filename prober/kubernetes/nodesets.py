"""Sets of nodes as people write them: `worker-*`, `zone=eu-1a`, `kernel=6.12*+label:pool=web`. Pure, but for `look_up`.

The brief form of the language is `SYNTAX`; it is what the commands' help says.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Final

from prober.kubernetes.api import ApiAccess, ApiClient, ApiError
from prober.kubernetes.nodes import ATTRIBUTES, Cluster, NodeInfo, ask

SYNTAX: Final = (
    "comma-separated, each of: a node's name; zone=, region=, kernel=, kubelet=, runtime= or os=VALUE; "
    "label:KEY[=VALUE]; daemonset=NAMESPACE/NAME@REVISION, where @new is its newest revision and @old any other. "
    "!= is all but these; names and values may have * and ?. A + before the next KEY= narrows: "
    "'zone=eu-1a+kernel=6.12*' are the nodes of the zone with that kernel"
)
#: What to do where Kubernetes cannot be asked.
ADVICE: Final = (
    "name the nodes instead (node-a,node-b), or run `kubectl proxy` and add --api http://127.0.0.1:8001; "
    "in a Pod, apply deploy/components/nodes"
)
NODE, LABEL, DAEMONSET = "node", "label", "daemonset"
_KEYS: Final = (NODE, *ATTRIBUTES, LABEL, DAEMONSET)
#: A + narrows where a key follows; the one in v1.33.4+k3s1 is a part of the value.
_NARROWS = re.compile(r"\+(?=\s*[A-Za-z][A-Za-z_-]*\s*(?:=|!=|:))")
_TERM = re.compile(r"(?P<key>[A-Za-z][A-Za-z_-]*)\s*(?P<operator>!=|==?|:)\s*(?P<rest>.*)", re.DOTALL)
_LABEL = re.compile(r"(?P<name>[^=!]*?)\s*(?:(?P<operator>!=|==?)\s*(?P<value>.*))?", re.DOTALL)
_NAME = re.compile(r"[A-Za-z0-9._*?!\[\]-]+")
_LABEL_KEY = re.compile(r"(?:[a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_DAEMONSET = re.compile(r"(?P<name>[a-z0-9-]+/[a-z0-9.-]+)@(?P<revision>[A-Za-z0-9*?-]+)")


class SelectorError(ValueError):
    """What is wrong with a node set as it is written, and what would be right."""


class NodesUnknown(Exception):
    """Nobody can tell which nodes are meant; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition on a node. `name` is a label's key or a DaemonSet; `pattern` what its value has to match."""

    text: str
    key: str
    name: str
    pattern: str
    negated: bool = False

    def holds(self, node: NodeInfo, cluster: Cluster) -> bool:
        """Whether the node meets it. A node without the label, zone … does not, and so is among those of `!=`."""
        value = self.value_of(node)
        return (value is not None and self._matches(value, cluster)) is not self.negated

    def value_of(self, node: NodeInfo) -> str | None:
        """What the node has of what is asked for; None where it has none."""
        if self.key == NODE:
            return node.name
        if self.key == LABEL:
            return node.labels.get(self.name)
        if self.key == DAEMONSET:
            return node.revisions.get(self.name)
        return ATTRIBUTES[self.key](node) or None

    def _matches(self, value: str, cluster: Cluster) -> bool:
        if self.key == DAEMONSET and self.pattern in ("new", "old"):
            return (value == cluster.newest.get(self.name)) is (self.pattern == "new")
        return fnmatchcase(value, self.pattern)


@dataclass(frozen=True, slots=True)
class Selector:
    """A node set as written: the union of alternatives, each the intersection of its conditions."""

    text: str
    alternatives: tuple[tuple[Condition, ...], ...]

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Of all alternatives."""
        return tuple(condition for alternative in self.alternatives for condition in alternative)

    @property
    def daemonsets(self) -> frozenset[str]:
        """The DaemonSets whose revisions it asks for, `namespace/name`."""
        return frozenset(condition.name for condition in self.conditions if condition.key == DAEMONSET)

    def pick(self, cluster: Cluster) -> frozenset[str]:
        """The names of its nodes; they may be none."""
        return frozenset().union(*(self._pick(alternative, cluster) for alternative in self.alternatives))

    def missing(self, cluster: Cluster) -> tuple[str, ...]:
        """A sentence on each alternative that no node meets, with what there is instead."""
        empty = [alternative for alternative in self.alternatives if not self._pick(alternative, cluster)]
        return tuple(_nobody(alternative, cluster) for alternative in empty)

    @staticmethod
    def _pick(alternative: Iterable[Condition], cluster: Cluster) -> set[str]:
        conditions = tuple(alternative)
        return {node.name for node in cluster.nodes if all(one.holds(node, cluster) for one in conditions)}


def parse_selector(text: str) -> Selector:
    """Read a node set. SelectorError says what is wrong and what would be right."""
    if not text.strip():
        raise SelectorError(f"an empty node set; write {SYNTAX}")
    alternatives = []
    for term in text.split(","):
        if not term.strip():
            raise SelectorError(f"{text!r}: there is nothing before or after a comma")
        alternatives.append(tuple(_condition(part.strip()) for part in _NARROWS.split(term)))
    return Selector(text, tuple(alternatives))


async def look_up(selectors: Collection[Selector], known: Sequence[NodeInfo], access: ApiAccess | None) -> Cluster:
    """The nodes that these choose from: all of the cluster where the API server tells, else `known`.

    NodesUnknown where it does not tell and `known` is not enough.
    """
    blind = next((one for selector in selectors for one in selector.conditions if not _answered(one, known)), None)
    if access is None:
        if blind is not None:
            raise NodesUnknown(f"{blind.text!r} can only be told by Kubernetes, and there is no access to it: {ADVICE}")
        return Cluster(tuple(known))
    client = ApiClient(access)
    try:
        return await ask(client, frozenset().union(*(selector.daemonsets for selector in selectors)))
    except ApiError as error:
        if blind is None:
            return Cluster(tuple(known))
        if error.status == 404:
            raise NodesUnknown(f"{blind.text!r}: {error.detail}") from error
        raise NodesUnknown(f"{blind.text!r}: {access.authority} says nothing ({error.detail}): {ADVICE}") from error
    finally:
        await client.close()


def _condition(text: str) -> Condition:
    found = _TERM.fullmatch(text)
    if found is None:
        return _of_name(text, text)
    key, operator, rest = found["key"], found["operator"], found["rest"].strip()
    if key not in _KEYS:
        near = get_close_matches(key, _KEYS, 1)
        instead = f"did you mean {near[0]}?" if near else f"a label is written label:{key}={rest}"
        raise SelectorError(f"{text!r}: there is no {key!r} of a node ({instead})")
    if (key == LABEL) is not (operator == ":"):
        right = f"label:{rest or 'KEY'}" if key == LABEL else f"{key}={rest or 'VALUE'}"
        raise SelectorError(f"{text!r}: write {right}")
    if not rest:
        raise SelectorError(f"{text!r}: nothing follows; write {'label:KEY' if key == LABEL else f'{key}=VALUE'}")
    return _READ.get(key, _of_attribute)(text, rest, key, operator == "!=")


def _of_attribute(text: str, rest: str, key: str, negated: bool) -> Condition:
    if key in ("zone", "region"):
        _without_plus(text, rest)
    return Condition(text, key, "", rest, negated)


def _without_plus(text: str, value: str) -> None:
    """A label's value has no +, so one in it was meant to narrow."""
    first, plus, second = value.partition("+")
    if plus:
        raise SelectorError(f"{text!r}: a + narrows before KEY=; write {text[: -len(value)]}{first}+node={second}")


def _of_name(text: str, rest: str, key: str = NODE, negated: bool = False) -> Condition:
    if _NAME.fullmatch(rest) is None:
        raise SelectorError(f"{text!r} is no name of a node: those have letters, digits, - and . (and here * and ?)")
    return Condition(text, key, "", rest, negated)


def _of_label(text: str, rest: str, key: str, _: bool) -> Condition:
    found = _LABEL.fullmatch(rest)
    if found is None or _LABEL_KEY.fullmatch(found["name"]) is None:
        raise SelectorError(
            f"{text!r}: that is no label's key; write label:KEY=VALUE, as in label:node.example.com/pool=web"
        )
    if found["operator"] is None:
        return Condition(text, key, found["name"], "*")
    _without_plus(text, found["value"])
    return Condition(text, key, found["name"], found["value"], found["operator"] == "!=")


def _of_daemonset(text: str, rest: str, key: str, negated: bool) -> Condition:
    found = _DAEMONSET.fullmatch(rest)
    if found is None:
        name, _, revision = rest.partition("@")
        right = f"{name if '/' in name else f'kube-system/{name}'}@{revision or 'new'}"
        raise SelectorError(f"{text!r}: a namespace, a name and a revision are needed, as in daemonset={right}")
    return Condition(text, key, found["name"], found["revision"], negated)


_READ: Final[Mapping[str, Callable[[str, str, str, bool], Condition]]] = {
    NODE: _of_name,
    LABEL: _of_label,
    DAEMONSET: _of_daemonset,
}


def _answered(condition: Condition, known: Iterable[NodeInfo]) -> bool:
    """Whether what is known of these nodes is enough to tell which of them are meant."""
    if condition.key in (LABEL, DAEMONSET):
        return False
    return all(condition.value_of(node) is not None for node in known)


def _nobody(alternative: Sequence[Condition], cluster: Cluster) -> str:
    """Why no node is meant by it."""
    for one in alternative:
        if not any(one.holds(node, cluster) for node in cluster.nodes):
            return f"no node meets {one.text!r}: {_instead(one, cluster)}"
    return f"no node meets all of {' and '.join(repr(one.text) for one in alternative)}"


def _instead(condition: Condition, cluster: Cluster) -> str:
    """What the nodes have in place of what is asked for."""
    values = Counter(value for node in cluster.nodes if (value := condition.value_of(node)) is not None)
    if not values:
        return f"none of {len(cluster.nodes)} has any" if cluster.nodes else "there are none"
    if condition.key == NODE:
        near = get_close_matches(condition.pattern, values)
        return f"did you mean {' or '.join(sorted(near))}?" if near else f"there are {_listed(values)}"
    there = "there is " + ", ".join(f"{value} ({count})" for value, count in values.most_common(4))
    there += f" and {len(values) - 4} more" if len(values) > 4 else ""
    longer = any(value.startswith(condition.pattern) for value in values) and not condition.negated
    return f"{there}; did you mean {condition.text}*?" if longer else there


def _listed(names: Collection[str]) -> str:
    shown = ", ".join(sorted(names)[:4])
    return f"{shown} and {len(names) - 4} more" if len(names) > 4 else shown
