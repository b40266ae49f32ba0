"""What sets slower nodes apart from the others, in words, and when nothing is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prober.kubernetes.nodes import NodeInfo
from prober.kubernetes.traits import cuts, describe, separates

ZONE = "topology.kubernetes.io/zone"
CILIUM = "kube-system/cilium"


def node(name: str, kernel: str = "6.8.0", *, revision: str = "", zone: str = "", **more: str) -> NodeInfo:
    known = {key: more.pop(key, "") for key in ("kubelet", "runtime", "os")}
    labels = {**({ZONE: zone} if zone else {}), "kubernetes.io/hostname": name, **more}
    return NodeInfo(name, labels, kernel, **known, revisions={CILIUM: revision} if revision else {})  # type: ignore[arg-type]  # all are str


def both(
    slow: Sequence[Mapping[str, str]], others: Sequence[Mapping[str, str]]
) -> tuple[list[NodeInfo], list[NodeInfo]]:
    """Nodes s0, s1 … and o0, o1 … with these attributes."""
    sides = [
        [node(f"{side}{at}", **one) for at, one in enumerate(given)] for side, given in (("s", slow), ("o", others))
    ]
    return sides[0], sides[1]


def says(slow: Sequence[Mapping[str, str]], others: Sequence[Mapping[str, str]]) -> str | None:
    a, b = both(slow, others)
    trait = separates([one.name for one in a], [one.name for one in b], [*b, *a])
    return None if trait is None else trait.says


def k(*kernels: str) -> list[dict[str, str]]:
    return [{"kernel": kernel} for kernel in kernels]


@pytest.mark.parametrize(("slow", "others", "expected"), [
    (k("6.12.5-generic", "6.12.5-generic"), k("6.8.0-45", "6.8.0-45"), "on nodes with kernel 6.12"),
    (k("6.12.5", "6.12.9"), k("6.8.0", "5.15.2"), "on nodes with kernel 6.12"),
    (k("6.12.5", "6.12.5"), k("6.12.3", "6.12.3"), "on nodes with kernel 6.12.5"),
    (k("6.12.5", "6.13.1"), k("6.8.0", "6.8.1"), "on nodes without kernel 6.8"),
    ([{"kubelet": "v1.33.4+k3s1"}] * 2, [{"kubelet": "v1.32.9+k3s1"}] * 2, "on nodes with kubelet v1.33"),
    ([{"runtime": "containerd://2.1.0"}] * 2, [{"runtime": "containerd://1.7.27"}] * 2, "on nodes with containerd 2.1"),
    ([{"os": "Ubuntu 24.04.1 LTS"}] * 2, [{"os": "Ubuntu 22.04.5 LTS"}] * 2, "on nodes with Ubuntu 24.04"),
    ([{"zone": "eu-1a"}] * 2, [{"zone": "eu-1b"}, {"zone": "eu-1c"}], "in zone eu-1a"),
    ([{"zone": "eu-1a"}, {"zone": "eu-1c"}], [{"zone": "eu-1b"}] * 3, "outside zone eu-1b"),
    ([{"revision": "7d4f"}] * 2, [{"revision": "99aa"}, {}], "on nodes with revision 7d4f of kube-system/cilium"),
    ([{"pool": "web"}] * 4, [{"pool": "db"}] * 4, "on nodes with label pool=web"),
    ([{"gpu": "a"}, {"gpu": "b"}] * 3, [{}] * 4, "on nodes with label gpu"),
    ([{}] * 6, [{"gpu": "a"}, {"gpu": "b"}] * 3, "on nodes without label gpu"),
    # none at all, or too few to tell
    (k("6.8.0", "6.8.0"), k("6.8.0", "6.8.0"), None),
    (k("6.12.5", "6.8.0"), k("6.12.5", "6.8.0"), None),
    (k("6.12.5", "6.12.5"), [], None),
    ([], k("6.12.5", "6.12.5"), None),
    (k("6.12.5"), k("6.8.0", "6.8.0"), "on node s0"),
    (k("6.12.5", "6.12.5"), k("6.8.0"), "on all nodes but o0"),
    # a label of four nodes separates by chance too easily
    ([{"pool": "web"}] * 2, [{"pool": "db"}] * 2, None),
    # in part
    (k(*["6.12.5"] * 11, "6.8.0"), k("6.12.5", *["6.8.0"] * 19),
     "mostly on nodes with kernel 6.12 (11 of 12, and 1 of 20 others)"),
    (k(*["6.12.5"] * 2, "6.8.0"), k("6.12.5", *["6.8.0"] * 3), None),
    (k(*["6.12.5"] * 6, *["6.8.0"] * 6), k(*["6.8.0"] * 12), None),
    (k(*["6.12.5"] * 30), k(*["6.12.5"] * 12, *["6.8.0"] * 18), None),
    # what every node has before labels, even where it is told by its absence
    ([{"kernel": "6.12.5", "pool": "web"}, {"kernel": "6.13.1", "pool": "web"}] * 4, [{"pool": "db"}] * 8,
     "on nodes without kernel 6.8"),
])  # fmt: skip
def test_the_trait_is_the_one_that_separates(
    slow: list[dict[str, str]], others: list[dict[str, str]], expected: str | None
) -> None:
    assert says(slow, others) == expected


def test_of_what_separates_equally_well_one_is_told_and_the_others_are_named() -> None:
    new = {"kernel": "6.12.5", "kubelet": "v1.33.4", "os": "Ubuntu 24.04.1 LTS", "revision": "7d4f", "zone": "a"}
    old = {"kernel": "6.8.0", "kubelet": "v1.32.9", "os": "Ubuntu 22.04.5 LTS", "revision": "99aa", "zone": "a"}
    slow, others = both([new] * 2, [old] * 3)
    trait = separates([one.name for one in slow], [one.name for one in others], [*slow, *others])
    assert trait is not None
    assert (trait.kind, trait.of, trait.value) == ("daemonset", CILIUM, "7d4f")
    assert trait.exact
    assert trait.also == ("kernel 6.12", "kubelet v1.33", "Ubuntu 24.04")


def test_nodes_of_which_nothing_is_known_are_left_aside() -> None:
    slow, others = both(k("6.12.5", "6.12.5"), k("6.8.0", "6.8.0"))
    trait = separates(["s0", "s1", "gone"], ["o0", "o1", "unknown"], [*slow, *others])
    assert trait is not None
    assert (trait.says, trait.slow, trait.others) == ("on nodes with kernel 6.12", (2, 2), (0, 2))
    assert separates(["s0", "s1", "gone"], ["o0", "o1"], slow) is None
    assert separates(["s0", "gone"], ["o0", "o1"], [*slow, *others]) is None
    assert separates(["s0", "s1"], ["o0", "unknown"], [*slow, *others]) is None


def test_a_label_that_is_one_of_many_is_not_told_where_chance_would_give_one_as_good() -> None:
    """Two of six nodes are the slower ones: of 15 labels that two nodes have, one separates them."""
    assert says([{"pool": "web"}] * 2, [{"pool": "db"}] * 4) is None
    many = [{f"l{at}": "yes" for at in range(60) if (at * 7 + number) % 3} for number in range(8)]
    slow, others = [{"pool": "web", **one} for one in many[:3]], [{"pool": "db", **one} for one in many[3:]]
    assert says(slow, others) is None
    assert says([{"pool": "web"}] * 3, [{"pool": "db"}] * 5) == "on nodes with label pool=web"
    assert says([{"pool": "web"}] * 8, [{"pool": "db"}] * 8) == "on nodes with label pool=web"


@given(st.lists(st.sampled_from(["6.8.0", "6.12.5", "6.12.9", "5.15.1"]), min_size=4, max_size=12), st.data())
def test_an_exact_trait_is_true_of_all_slower_nodes_and_of_no_other(kernels: list[str], data: st.DataObject) -> None:
    nodes = [node(f"n{at}", kernel) for at, kernel in enumerate(kernels)]
    slow = {one.name for one in data.draw(st.lists(st.sampled_from(nodes), min_size=1))}
    trait = separates(slow, {one.name for one in nodes} - slow, nodes)
    if trait is not None and trait.kind == "kernel":
        having = {one.name for one in nodes if (trait.value in cuts(one.kernel)) is not trait.without}
        assert (len(having & slow), len(having - slow)) == (trait.slow[0], trait.others[0])
        assert trait.exact is (having == slow)


@pytest.mark.parametrize(("value", "expected"), [
    ("6.12.5-200.fc41", ("6.12", "6.12.5", "6.12.5-200", "6.12.5-200.fc41")),
    ("v1.33.4+k3s1", ("v1.33", "v1.33.4", "v1.33.4+k3", "v1.33.4+k3s1")),
    ("containerd://1.7.27", ("containerd://1.7", "containerd://1.7.27")),
    ("Talos (v1.9.0)", ("Talos (v1.9)", "Talos (v1.9.0)")),
    ("Debian GNU/Linux 12 (bookworm)", ("Debian GNU/Linux 12 (bookworm)",)),
    ("", ("",)),
])  # fmt: skip
def test_a_version_is_cut_after_its_numbers(value: str, expected: tuple[str, ...]) -> None:
    assert cuts(value) == expected


@pytest.mark.parametrize(("a", "b", "expected"), [
    ([{"kernel": "6.12.5", "kubelet": "v1.33.4"}] * 2, [{"kernel": "6.8.0", "kubelet": "v1.33.4"}] * 2,
     "kernel 6.12 against 6.8; kubelet the same"),
    (k("6.12.5"), k("6.12.3"), "kernel 6.12.5 against 6.12.3"),
    (k("6.12.5", "6.12.9"), k("6.8.0", "5.15.1"), "kernel 6.12 against 5.15 (1), 6.8 (1)"),
    (k("6.12.5", "6.8.0"), k("6.8.0", "6.8.0"), "kernel 6.12.5 (1), 6.8.0 (1) against 6.8.0"),
    ([{"zone": "a"}, {"zone": "b"}], [{"zone": "b"}, {"zone": "a"}], "kernel and zone the same"),
    ([{"zone": "a"}] * 3 + [{"zone": "b"}], [{"zone": "a"}] + [{"zone": "b"}] * 3,
     "zone a (3), b (1) against a (1), b (3); kernel the same"),
    ([{"zone": "a"}], [{}], "zone a against none; kernel the same"),
    ([{"revision": "7d4f"}], [{"revision": "99aa"}], "kube-system/cilium 7d4f against 99aa; kernel the same"),
    ([{"pool": "web"}], [{"pool": "db"}], "label pool web against db; kernel the same"),
    ([{"pool": "web"}], [{}], "label pool web against none; kernel the same"),
    ([{"a": "1", "b": "1", "c": "1", "d": "1", "e": "1"}], [{}],
     "label a 1 against none; label b 1 against none; label c 1 against none; 2 more labels; kernel the same"),
    (k("6.12.5"), [], ""),
    (k(""), k(""), ""),
])  # fmt: skip
def test_two_sets_are_told_apart_in_words(a: list[dict[str, str]], b: list[dict[str, str]], expected: str) -> None:
    assert describe(*both(a, b)) == expected
