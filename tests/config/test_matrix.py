"""The laws of matrices: combinations in the manner of CI matrices, cells by vantage."""

from __future__ import annotations

import json
from math import prod
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from prober.config.load import load_text
from prober.config.matrix import Combination, combine, expand, product_of
from prober.model import Cell, Vantage
from prober.reasons import REASONS, Family, Kind

AXES = st.dictionaries(
    st.sampled_from("abc"), st.lists(st.integers(0, 3), min_size=1, max_size=3, unique=True), min_size=1
)
ENTRY = st.dictionaries(st.sampled_from("abc"), st.integers(0, 3), min_size=1)
EXTRA = st.dictionaries(st.sampled_from(["x", "y"]), st.integers(10, 19))


@given(AXES)
def test_the_product_has_every_combination_once_in_the_order_of_the_axes(axes: dict[str, list[int]]) -> None:
    products = product_of(axes)
    assert len(products) == prod(map(len, axes.values()))
    assert products == sorted(products, key=lambda c: [axes[key].index(c[key]) for key in axes])  # type: ignore[arg-type]  # every value comes from its axis
    assert combine(products) == (products, [])


@given(AXES, st.lists(ENTRY, max_size=3))
def test_what_is_left_is_the_product_less_what_an_exclude_matches(
    axes: dict[str, list[int]], exclude: list[dict[str, int]]
) -> None:
    products = product_of(axes)
    left, alone = combine(products, exclude)
    matched = [c for c in products if any(all(c.get(k) == v for k, v in entry.items()) for entry in exclude)]
    assert len(left) == len(products) - len(matched)
    assert alone == []
    assert all(c in products and c not in matched for c in left)


@given(AXES, st.lists(ENTRY, max_size=3), st.lists(st.builds(lambda a, b: {**a, **b}, ENTRY, EXTRA), max_size=4))
def test_an_include_never_changes_a_value_of_the_product_and_is_always_there(
    axes: dict[str, list[int]], exclude: list[Combination], include: list[Combination]
) -> None:
    plain, _ = combine(product_of(axes), exclude)
    grown, alone = combine(product_of(axes), exclude, include)
    assert [{key: c[key] for key in axes} for c in grown] == plain
    for entry in include:
        words = {key: value for key, value in entry.items() if key in axes}
        assert entry in alone or any(words.items() <= c.items() for c in grown)
    assert len(grown) + len(alone) <= len(plain) + len(include)


def test_the_example_of_github_actions() -> None:
    """docs.github.com, "Expanding or adding matrix configurations"."""
    axes = {"fruit": ["apple", "pear"], "animal": ["cat", "dog"]}
    include: list[Combination] = [
        {"color": "green"},
        {"color": "pink", "animal": "cat"},
        {"fruit": "apple", "shape": "circle"},
        {"fruit": "banana"},
        {"fruit": "banana", "animal": "cat"},
    ]
    grown, alone = combine(product_of(axes), (), include)
    assert grown + alone == [
        {"fruit": "apple", "animal": "cat", "color": "pink", "shape": "circle"},
        {"fruit": "apple", "animal": "dog", "color": "green", "shape": "circle"},
        {"fruit": "pear", "animal": "cat", "color": "pink"},
        {"fruit": "pear", "animal": "dog", "color": "green"},
        {"fruit": "banana"},
        {"fruit": "banana", "animal": "cat"},
    ]


PATHS = {"pod": "http://pod.svc", "service": "http://web.svc", "ingress": "https://web.example.com"}
NAMES = st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=4, unique=True)
FAMILIES = st.lists(st.sampled_from(["ipv4", "ipv6"]), min_size=1, max_size=2, unique=True)


@st.composite
def configurations(draw: st.DrawFn) -> tuple[dict[str, Any], int]:
    """A configuration of one matrix over targets that all have the same paths, and how many cells it has."""
    targets, paths, families = (
        draw(NAMES),
        draw(st.lists(st.sampled_from([*PATHS]), min_size=1, unique=True)),
        draw(FAMILIES),
    )
    axes = {"target": targets, "path": paths, "family": families}
    entry = {key: draw(st.sampled_from(values)) for key, values in axes.items() if draw(st.booleans())}
    product = len(targets) * len(paths) * len(families)
    matched = prod(1 if key in entry else len(values) for key, values in axes.items()) if entry else 0
    matrix = {**axes, "exclude": [entry] if 0 < matched < product else []}
    config = {
        "targets": {name: {"paths": PATHS} for name in targets},
        "probes": [{"name": "p", "kind": draw(st.sampled_from(["http", "tcp", "icmp"])), "matrix": matrix}],
    }
    return config, product - matched if matrix["exclude"] else product


def cells_of(config: dict[str, Any]) -> tuple[Cell, ...]:
    return expand(load_text(json.dumps(config), "p.yaml", {}), Vantage("v"))  # JSON is YAML


@given(configurations())
def test_a_configuration_has_as_many_cells_as_its_product_less_its_excludes(made: tuple[dict[str, Any], int]) -> None:
    config, count = made
    cells = cells_of(config)
    assert len(cells) == count
    assert len({cell.id for cell in cells}) == count
    assert cells == cells_of(config)


@given(configurations())
def test_every_cell_is_one_that_can_be_climbed(made: tuple[dict[str, Any], int]) -> None:
    config, _ = made
    for cell in cells_of(config):
        assert cell.ladder[0] in REASONS
        assert cell.ladder[-1] == (cell.kind if cell.kind is not Kind.KUBERNETES else "http")
        assert 0 < cell.timeout <= cell.interval
        assert cell.endpoint.host
        assert cell.family in Family
        assert cell.id == f"{cell.probe}/{cell.target}/{cell.path}/{cell.family}"


@given(configurations())
def test_cells_come_in_the_order_of_the_axes(made: tuple[dict[str, Any], int]) -> None:
    config, _ = made
    matrix = config["probes"][0]["matrix"]
    order = [
        (matrix["target"].index(c.target), matrix["path"].index(c.path), matrix["family"].index(c.family))
        for c in cells_of(config)
    ]
    assert order == sorted(order)
