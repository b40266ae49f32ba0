"""JSONPath as RFC 9535 has it: what is a path, what it selects, and which values are equal."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from prober.json_paths import check_path, parse_json, same, select


@pytest.mark.parametrize(("path", "position"), [
    ("status", 0), ("$.", 2), ("$.a[?@.b==]", 10), ("$.a | $.b", 4), ("$['a", 2), ("$.a[?@.b =~ 'x']", 9),
])  # fmt: skip
def test_what_is_no_path_is_refused_with_its_place(path: str, position: int) -> None:
    with pytest.raises(ValueError, match=rf"not a JSONPath of RFC 9535: .* \(position {position}\)"):
        check_path(path)
    with pytest.raises(ValueError, match=r"."):
        select(path, {})


@pytest.mark.parametrize(("path", "values"), [
    ("$", [{"a": [1, {"b": 2}], "c": "x"}]),
    ("$.a[0]", [1]),
    ("$..b", [2]),
    ("$.a[*].b", [2]),
    ("$.a[?@.b > 1].b", [2]),
    ("$.none", []),
    ("$['c']", ["x"]),
])  # fmt: skip
def test_a_path_selects_values_in_order(path: str, values: list[Any]) -> None:
    check_path(path)
    assert select(path, {"a": [1, {"b": 2}], "c": "x"}) == values


def test_a_document_that_nests_too_deep_is_refused_whoever_looks_into_it() -> None:
    deep = parse_json(b"[" * 400 + b"]" * 400)
    with pytest.raises(ValueError, match=r"recursion|deep"):
        select("$..x", deep)
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json(b"[" * 200_000 + b"]" * 200_000)


@pytest.mark.parametrize(("one", "other", "equal"), [
    (1, Decimal("1.0"), True), (Decimal("0.1"), Decimal("0.10"), True), (1, True, False), (True, True, True),
    (0, False, False), (None, None, True), (None, False, False), ("1", 1, False), ([1, 2], (1, 2), True),
    ([1], [1, 2], False), ({"a": [True]}, {"a": [1]}, False), ({"a": 1}, {"a": 1}, True), ({"a": 1}, {"b": 1}, False),
])  # fmt: skip
def test_values_are_equal_as_json_has_it(one: Any, other: Any, equal: bool) -> None:
    assert same(one, other) is equal
    assert same(other, one) is equal
