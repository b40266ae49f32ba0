"""On which side a node is at which time, and what `@new` means while an upgrade rolls."""

from __future__ import annotations

import pytest

from prober.cli.watch.sides import Choice, Moved, Pins, Side, Sides
from prober.kubernetes.nodes import Cluster, NodeInfo
from prober.kubernetes.nodesets import parse_selector

CILIUM = "kube-system/cilium"
CHANGED, CONTROL = Side.CHANGED, Side.CONTROL


def cluster(newest: str, **revisions: str) -> Cluster:
    return Cluster(tuple(NodeInfo(node, revisions={CILIUM: one}) for node, one in revisions.items()), {CILIUM: newest})


def choice(changed: str, control: str = "others") -> Choice:
    return Choice(*(None if text == "others" else parse_selector(text) for text in (changed, control)))


def seen() -> Sides:
    """`b` moves between 100 and 160, and back between 400 and 460; `c` comes at 160."""
    sides = Sides()
    assert sides.see(100, {"a": CHANGED, "b": CONTROL}) == []
    assert sides.see(160, {"a": CHANGED, "b": CHANGED, "c": CONTROL}) == [Moved("b", CONTROL, CHANGED)]
    sides.see(400, {"a": CHANGED, "b": CHANGED, "c": CONTROL})
    assert sides.see(460, {"a": CHANGED, "b": CONTROL, "c": CONTROL}) == [Moved("b", CHANGED, CONTROL)]
    return sides


@pytest.mark.parametrize(
    ("start", "end", "changed", "control"),
    [
        (0, 60, "a", "b"),
        (40, 100, "a", "b"),
        (41, 101, "a", ""),
        (159, 219, "a", ""),
        (160, 220, "ab", "c"),
        (340, 400, "ab", "c"),
        (400, 460, "a", "c"),
        (460, 520, "a", "bc"),
    ],
)
def test_a_node_counts_where_it_was_all_the_time(start: int, end: int, changed: str, control: str) -> None:
    assert tuple("".join(sorted(side)) for side in seen().during(start, end)) == (changed, control)


def test_a_node_that_goes_is_on_neither_side() -> None:
    sides = seen()
    assert sides.see(500, {"a": CHANGED, "c": CONTROL}) == [Moved("b", CONTROL, Side.NEITHER)]
    assert sides.now(Side.NEITHER) == {"b"}


@pytest.mark.parametrize(
    ("changed", "control", "sides"),
    [
        ("a", "others", {"a": "changed", "b": "control", "c": "control"}),
        ("others", "a", {"a": "control", "b": "changed", "c": "changed"}),
        ("a,b", "b", {"a": "changed", "b": "both", "c": "neither"}),
    ],
)
def test_a_side_may_be_all_others(changed: str, control: str, sides: dict[str, str]) -> None:
    assert choice(changed, control).sides(Cluster(tuple(map(NodeInfo, "abc")))) == sides


def test_only_names_that_nobody_has_are_a_slip() -> None:
    nodes = Cluster((NodeInfo("node-a", kernel="6.8"),))
    assert choice("node-b,node-a").mistaken(nodes) == ("no node meets 'node-b': did you mean node-a?",)
    assert choice("kernel=6.12*").mistaken(nodes) == ()


NEW, OLD = f"daemonset={CILIUM}@new", f"daemonset={CILIUM}@old"
#: What is looked at, one after another: the newest revision, the nodes' revisions, who is changed then.
ROLLED = [
    ("r1", {"a": "r1", "b": "r1", "c": "r1"}, ""),
    ("r2", {"a": "r1", "b": "r1", "c": "r1"}, ""),
    ("r2", {"a": "r2", "b": "r1", "c": "r1"}, "a"),
    ("r2", {"a": "r2", "b": "r2", "c": "r1"}, "ab"),
    ("r3", {"a": "r3", "b": "r2", "c": "r1"}, "ab"),
    ("r1", {"a": "r1", "b": "r2", "c": "r1"}, "b"),
    ("r1", {"a": "r1", "b": "r1", "c": "r1"}, ""),
]


def test_new_is_what_is_rolled_out_before_during_and_after_a_roll_back() -> None:
    pins = Pins()
    for number, (newest, revisions, changed) in enumerate(ROLLED):
        held = pins.hold(cluster(newest, **revisions))
        assert pins.waiting is (number == 0)
        sides = choice(NEW, OLD).sides(held)
        assert "".join(node for node, side in sides.items() if side is CHANGED) == changed
        assert all(side in (CHANGED, CONTROL) for side in sides.values())


def test_an_upgrade_that_is_over_between_two_looks_is_seen() -> None:
    pins = Pins()
    pins.hold(cluster("r1", a="r1", b="r1"))
    held = pins.hold(cluster("r2", a="r2", b="r2"))
    assert set(choice(NEW, OLD).sides(held).values()) == {CHANGED}
