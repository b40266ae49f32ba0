"""What sets two sets of nodes apart: `on nodes with kernel 6.12`, `kernel 6.12 against 6.8; kubelet the same`. Pure.

A trait that separates them is no cause, and is not called one. What might as well be chance is not told.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import comb
from typing import Final, NamedTuple

from prober.kubernetes.nodes import ATTRIBUTES, NodeInfo
from prober.kubernetes.vantage import REGION_LABEL, ZONE_LABEL

#: Nodes on each side from which on a trait is told: one node has a thousand traits.
FEWEST: Final = 2
#: Where no trait separates exactly: the share of the slower nodes that have it at least, and of the others at most.
MOST: Final = 2 / 3
FEW: Final = 1 / 3
#: How likely, by chance among all that was looked at, a label may be to separate so well; and what separates in part.
CHANCE: Final = 0.05
#: Two values of these are compared number by number: `6.12` before `6.12.5`.
VERSIONS: Final = ("kernel", "kubelet", "runtime", "os")
#: Attributes, in the order in which they are preferred where several separate equally well.
_ORDER: Final = ("daemonset", *ATTRIBUTES, "label")
#: Labels that repeat what an attribute says, or the node's name.
_REPEATS: Final = frozenset(
    {
        ZONE_LABEL, REGION_LABEL, "kubernetes.io/hostname", "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region", "beta.kubernetes.io/arch", "beta.kubernetes.io/os",
        "beta.kubernetes.io/instance-type",
    }
)  # fmt: skip
_NUMBER = re.compile(r"\d+")


class Kind(NamedTuple):
    """What kind of trait, in the order of preference: of equally good ones the first, and the coarser value."""

    rank: int
    coarseness: int
    name: str
    """`node`, `daemonset`, `label`, or the name of an attribute."""
    of: str
    """The label's key, or the DaemonSet."""
    value: str


@dataclass(frozen=True, slots=True)
class Trait:
    """What the slower nodes have and the others have not (`without`: what they lack and the others have)."""

    kind: str
    of: str
    """The label's key, or the DaemonSet as `namespace/name`; else empty."""
    value: str
    without: bool
    slow: tuple[int, int]
    """How many of the slower nodes it tells rightly, of how many."""
    others: tuple[int, int]
    """How many of the others it takes for slower ones, of how many."""
    also: tuple[str, ...] = ()
    """What separates them equally well: `kubelet v1.33`."""

    @property
    def exact(self) -> bool:
        """Whether it is true of all slower nodes and of none of the others."""
        return self.slow[0] == self.slow[1] and not self.others[0]

    @property
    def says(self) -> str:
        """As it ends a sentence: `on nodes with kernel 6.12`; of one that is not exact with the counts."""
        where = _where(self.kind, self.of, self.value, self.without)
        if self.exact:
            return where
        return f"mostly {where} ({self.slow[0]} of {self.slow[1]}, and {self.others[0]} of {self.others[1]} others)"


def separates(slow: Collection[str], others: Collection[str], nodes: Iterable[NodeInfo]) -> Trait | None:
    """The trait that tells the slower nodes from the others (names) best; None where none does.

    An exact one first, else one that most of the slower nodes have and few others. Of fewer than FEWEST nodes on a
    side no more than the node's name is told. Nodes of which nothing is known are left aside.
    """
    if alone := _alone(slow, others):
        return alone
    infos = {node.name: node for node in nodes}
    slower = [infos[name] for name in sorted(set(slow)) if name in infos]
    rest = [infos[name] for name in sorted(set(others) - set(slow)) if name in infos]
    if len(slower) < FEWEST or len(rest) < FEWEST:
        return None
    return _best(slower, rest)


def describe(a: Collection[NodeInfo], b: Collection[NodeInfo]) -> str:
    """How two sets of nodes differ: `kernel 6.12 against 6.8; kubelet the same`. Empty where nothing is known."""
    if not a or not b:
        return ""
    told, same = [], []
    names = (*((key, key) for key in ATTRIBUTES), *(("daemonset", one) for one in _daemonsets((*a, *b))))
    for kind, name in names:
        left, right = (Counter(_value(node, kind, name) for node in side) for side in (a, b))
        if not any({*left, *right}):
            continue
        if _alike(left, right):
            same.append(name)
        else:
            told.append(f"{name} {_against(left, right, shorten=kind in VERSIONS)}")
    told += _labels_apart(a, b)
    return "; ".join([*told, f"{_enumerated(same)} the same"] if same else told)


def cuts(value: str) -> tuple[str, ...]:
    """A version from coarse to whole: `6.12`, `6.12.5`, `6.12.5-200` … One number alone would say too little."""
    ends = [found.end() for found in _NUMBER.finditer(value)][1:]
    return tuple(dict.fromkeys([*(_closed(value[:end]) for end in ends), value]))


def _alone(slow: Collection[str], others: Collection[str]) -> Trait | None:
    """One node on a side, by its name."""
    slower, rest = set(slow), set(others) - set(slow)
    counts = (len(slower), len(slower)), (0, len(rest))
    if len(slower) == 1 and rest:
        return Trait("node", "", next(iter(slower)), False, *counts)
    if len(rest) == 1 and slower:
        return Trait("node", "", next(iter(rest)), True, *counts)
    return None


def _best(slower: list[NodeInfo], rest: list[NodeInfo]) -> Trait | None:
    """Sets of nodes are numbers here, a bit for each node; the lowest ones are the slower nodes."""
    everyone, target = (1 << len(slower) + len(rest)) - 1, (1 << len(slower)) - 1
    having: dict[Kind, int] = {}
    for bit, node in enumerate((*slower, *rest)):
        for kind in _kinds(node):
            having[kind] = having.get(kind, 0) | 1 << bit
    looked_at = len({min(mask, everyone ^ mask) for mask in having.values() if _of_several(mask, everyone)})
    found = []
    for kind, mask in having.items():
        for without in (False, True):
            marked = everyone ^ mask if without else mask
            counts = (marked & target).bit_count(), (marked & ~target).bit_count()
            if counts[0] >= MOST * len(slower) and counts[1] <= FEW * len(rest):
                error = counts[1] / len(rest) - counts[0] / len(slower)
                found.append((error, kind.name == "label", without, kind, counts))
    for _, _, without, kind, counts in sorted(found):
        trait = Trait(kind.name, kind.of, kind.value, without, (counts[0], len(slower)), (counts[1], len(rest)))
        if (trait.exact and kind.name != "label") or looked_at * _chance(trait) <= CHANCE:
            return _with_equals(trait, having, target)
    return None


def _of_several(mask: int, everyone: int) -> bool:
    """Whether it has, and has not, as many nodes as it takes to tell of it at all."""
    return FEWEST <= mask.bit_count() <= everyone.bit_count() - FEWEST


def _with_equals(trait: Trait, having: Mapping[Kind, int], target: int) -> Trait:
    """The trait, with what else is true of exactly the slower nodes. Of each attribute its coarsest value."""
    if not trait.exact:
        return trait
    equals: dict[tuple[str, str], str] = {}
    for kind in sorted(kind for kind, mask in having.items() if mask == target and kind.name != "label"):
        equals.setdefault((kind.name, kind.of), _named(kind.name, kind.of, kind.value))
    equals.pop((trait.kind, trait.of), None)
    return Trait(trait.kind, trait.of, trait.value, trait.without, trait.slow, trait.others, tuple(equals.values()))


def _chance(trait: Trait) -> float:
    """How likely it is that at least as many of the slower nodes have it, were they drawn from all at random."""
    (hits, slow), (misses, others) = trait.slow, trait.others
    marked, total = hits + misses, slow + others
    ways = sum(comb(marked, n) * comb(total - marked, slow - n) for n in range(hits, min(marked, slow) + 1))
    return ways / comb(total, slow)


def _kinds(node: NodeInfo) -> Iterator[Kind]:
    """All that may be said of a node."""
    for name, attribute in ATTRIBUTES.items():
        if value := attribute(node):
            for coarseness, cut in enumerate(cuts(value) if name in VERSIONS else (value,)):
                yield Kind(_ORDER.index(name), coarseness, name, "", cut)
    for daemonset, revision in node.revisions.items():
        yield Kind(_ORDER.index("daemonset"), 0, "daemonset", daemonset, revision)
    for key, value in node.labels.items():
        if key not in _REPEATS:
            yield Kind(_ORDER.index("label"), 0, "label", key, value)
            yield Kind(_ORDER.index("label"), 1, "label", key, "")


def _where(kind: str, of: str, value: str, without: bool) -> str:
    if kind == "node":
        return f"on all nodes but {value}" if without else f"on node {value}"
    if kind in ("zone", "region"):
        return f"outside {kind} {value}" if without else f"in {kind} {value}"
    return f"on nodes {'without' if without else 'with'} {_named(kind, of, value)}"


def _named(kind: str, of: str, value: str) -> str:
    """`kernel 6.12`, `containerd 1.7`, `Ubuntu 24.04`, `label pool=web`, `revision 7d4f of kube-system/cilium`."""
    if kind == "daemonset":
        return f"revision {value} of {of}"
    if kind == "label":
        return f"label {of}={value}" if value else f"label {of}"
    return value.replace("://", " ") if kind in ("runtime", "os") else f"{kind} {value}"


def _closed(text: str) -> str:
    """A part of a text, with the brackets closed that were cut through."""
    return text + ")" * (text.count("(") - text.count(")"))


def _daemonsets(nodes: Iterable[NodeInfo]) -> list[str]:
    return sorted({daemonset for node in nodes for daemonset in node.revisions})


def _value(node: NodeInfo, kind: str, name: str) -> str:
    return node.revisions.get(name, "") if kind == "daemonset" else ATTRIBUTES[kind](node)


def _alike(a: Counter[str], b: Counter[str]) -> bool:
    """Whether both have the same values, none with a share that differs by a quarter or more."""
    return a.keys() == b.keys() and all(abs(a[value] / a.total() - b[value] / b.total()) < 0.25 for value in a)


def _against(a: Counter[str], b: Counter[str], *, shorten: bool) -> str:
    """`6.12 against 6.8`: no longer than it takes to tell them apart; with counts where a side has several."""
    if shorten:
        depth = max(len(cuts(value)) for value in {*a, *b})
        for at in range(depth):
            left, right = _cut(a, at), _cut(b, at)
            if not left.keys() & right.keys():
                return f"{_side(left)} against {_side(right)}"
    return f"{_side(a)} against {_side(b)}"


def _cut(values: Counter[str], at: int) -> Counter[str]:
    short: Counter[str] = Counter()
    for value, count in values.items():
        short[cuts(value)[: at + 1][-1]] += count
    return short


def _side(values: Counter[str]) -> str:
    if len(values) == 1:
        return next(iter(values)) or "none"
    return ", ".join(f"{value or 'none'} ({count})" for value, count in sorted(values.items()))


def _labels_apart(a: Collection[NodeInfo], b: Collection[NodeInfo]) -> list[str]:
    """Labels with one value on each side, and not the same."""
    told = []
    for key in sorted({key for node in (*a, *b) for key in node.labels} - _REPEATS):
        left, right = ({node.labels.get(key, "") for node in side} for side in (a, b))
        if len(left) == len(right) == 1 and left != right:
            told.append(f"label {key} {left.pop() or 'none'} against {right.pop() or 'none'}")
    return told if len(told) <= 4 else [*told[:3], f"{len(told) - 3} more labels"]


def _enumerated(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
