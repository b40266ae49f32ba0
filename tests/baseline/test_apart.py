"""What nodes of a change have in common, in the sentences of many changes and in those of single ones."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prober.baseline.apart import Commons
from prober.baseline.summary import as_dict, fold
from prober.baseline.values import HOUR, Direction, Level, Regression, SeriesKey
from tests.baseline.test_sentences import AT, NOW, ONE, SUSPECT, told

NODES = tuple(f"n{number:02}" for number in range(12))
NEW = frozenset(NODES[:5])
CELLS = tuple(replace(ONE, path=path, layer="tls") for path in ("pod", "service"))
KNOWN = (*CELLS, *(replace(cell, node=node) for cell in CELLS for node in NODES))
KERNEL = "on nodes with kernel 6.12"
Asked = list[tuple[list[str], list[str]]]


def slow(nodes: frozenset[str] = NEW, cells: tuple[SeriesKey, ...] = CELLS, **more: object) -> list[Regression]:
    return [told(replace(cell, node=node), **more) for cell in cells for node in sorted(nodes)]  # type: ignore[arg-type]  # its own fields


def separates(some: frozenset[str], others: frozenset[str]) -> str:
    """The first nodes have another kernel."""
    return KERNEL if some <= NEW and not others & NEW else ""


def says(*ones: Regression, known: tuple[SeriesKey, ...] = KNOWN) -> list[str]:
    return [one.says(NOW) for one in fold(ones, known, separates=separates)]


def test_nodes_with_something_in_common_are_told_by_it() -> None:
    assert says(*slow()) == [f"tls 18 % slower since 14:20 {KERNEL}, confirmed, 10 of 10 series"]


@pytest.mark.parametrize(
    ("ones", "where"),
    [
        (slow(cells=CELLS[1:]), f"over path service {KERNEL}"),
        (slow(cells=CELLS[1:], **SUSPECT), f"over path service {KERNEL}"),
        (slow(NEW - {"n00"}), "on nodes n01, n02, n03 and 1 more"),
        (slow(frozenset({"n00", "n07"})), "on nodes n00 and n07"),
        (slow(frozenset({"n00"})), "on node n00"),
        (slow(frozenset(NODES)), "everywhere"),
        (slow(direction=Direction.IMPROVED), KERNEL),
    ],
)
def test_the_place_is_told_among_these_nodes(ones: list[Regression], where: str) -> None:
    (text,) = says(*ones)
    assert f" since 14:20 {where}, " in text


def test_a_suspect_elsewhere_leaves_to_the_confirmed_ones_what_they_have_in_common() -> None:
    elsewhere = told(replace(CELLS[0], node="n09"), level=Level.SUSPECT, evidence=1.1)
    texts = says(*slow(), elsewhere)
    assert [KERNEL in text for text in texts] == [True, False]
    assert "for web/web-api/pod/ipv4 on node n09 " in texts[1]


def test_a_node_that_changed_at_another_time_is_none_of_the_others() -> None:
    asked: Asked = []

    def listens(some: frozenset[str], others: frozenset[str]) -> str:
        asked.append((sorted(some), sorted(others)))
        return ""

    earlier = slow(frozenset({"n10", "n11"}), onset=AT - 20 * HOUR)
    fold([*slow(), *earlier], KNOWN, separates=listens)
    assert asked == [(sorted(NEW), list(NODES[5:10])), (["n10", "n11"], list(NODES[5:10]))]


def test_only_nodes_of_the_same_cells_are_the_others() -> None:
    """All endpoints of one target are slower; those of another one are on other nodes."""
    other = tuple(replace(cell, target="other", node=node) for cell in CELLS for node in NODES[5:])
    known = (*CELLS, *other, *(replace(cell, node=node) for cell in CELLS for node in sorted(NEW)))
    (text,) = says(*slow(), known=known)
    assert " since 14:20 to web-api, " in text


def test_the_cell_that_such_nodes_make_slower_is_not_told_again() -> None:
    texts = says(*slow(), *(told(cell, change=1.12) for cell in CELLS))
    assert len(texts) == 1
    assert KERNEL in texts[0]


def test_how_each_of_these_nodes_stands_to_the_others_is_not_told_again() -> None:
    differences = [
        told("tls node n00 minus others", change=1.1),
        told("tls node n08 minus others", change=0.9, direction=Direction.IMPROVED),
    ]
    assert len(says(*slow(), *differences)) == 1
    others = [
        told("tls node n08 minus others", change=1.1),
        told("tls node n01 minus others", change=0.9, direction=Direction.IMPROVED),
        told("tls node n02 minus others", change=1.1, onset=AT + 5 * HOUR),
        told("tcp node n03 minus others", change=1.1),
    ]
    assert len(says(*slow(), *others)) == 5
    assert len(says(*slow(**SUSPECT), *differences)) == 3


def test_suspects_are_not_many_for_having_something_in_common() -> None:
    """Two of two dozen may be chance, all of two nodes as well."""
    (one,) = fold(slow(frozenset({"n00", "n01"}), CELLS[1:], **SUSPECT), KNOWN, separates=lambda *_: KERNEL)
    assert (one.trait, one.by_chance, one.pages) == (KERNEL, None, False)
    assert as_dict(one, NOW)["trait"] == KERNEL


def test_many_nodes_without_anything_in_common_are_named() -> None:
    known = KNOWN[:1] + tuple(key for key in KNOWN if key.node and key.path == "pod")
    (text,) = says(*slow(frozenset(NODES[:8]), CELLS[:1]), known=known)
    assert " for web/web-api/pod/ipv4 on nodes n00, n01, n02 and 5 more, " in text


@pytest.mark.parametrize(
    ("one", "trait"),
    [
        (told(CELLS[0]), KERNEL),
        (told(replace(CELLS[0], node="n00")), KERNEL),
        (told(replace(CELLS[0], node="n08")), ""),
        (told(CELLS[1]), ""),
        (told(CELLS[0], direction=Direction.IMPROVED), ""),
        (told(replace(CELLS[0], layer="tcp")), ""),
        (told("tls all"), ""),
    ],
)
def test_a_single_series_has_what_the_nodes_of_its_cell_have_in_common(one: Regression, trait: str) -> None:
    assert Commons(slow(cells=CELLS[:1]), KNOWN, separates).of(one) == trait
    assert Commons(slow(), KNOWN, None).of(one) == ""


OF_NODES = [key for key in KNOWN if key.node]


@given(st.lists(st.tuples(st.sampled_from(OF_NODES), st.booleans(), st.integers(0, 9)), max_size=24), st.booleans())
@settings(max_examples=60)
def test_every_series_is_told_once_whatever_nodes_have_in_common(
    drawn: list[tuple[SeriesKey, bool, int]], common: bool
) -> None:
    ones = [
        told(key, onset=AT + 1800 * later, **(SUSPECT if suspect else {}))
        for key, suspect, later in {one[0]: one for one in drawn}.values()
    ]
    found = fold(ones, KNOWN, separates=lambda some, others: KERNEL if common and some.isdisjoint(others) else "")
    assert sorted(str(one.subject) for fold in found for one in fold.members) == sorted(
        str(one.subject) for one in ones
    )
    for one in found:
        assert (KERNEL in one.says(NOW)) is (one.trait == KERNEL)
        assert not one.trait or common
        if one.place is not None:
            assert len(one.members) <= one.place.series
