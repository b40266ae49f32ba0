"""Two recordings side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest

from prober.baseline.compare import Comparison, Figures, Finding, Row, _marked, compare
from prober.baseline.sketch import Floats, Sketch
from prober.baseline.values import BLOCKS, HOUR, Hour, Origin, Recording, SeriesKey
from tests.baseline.made import DAY, KEY, MONDAY, hours, latencies

PATHS, FAMILIES, LAYERS = ("pod", "service"), ("ipv4", "ipv6"), ("tcp", "http")
KEYS = [
    replace(KEY, path=path, family=family, layer=layer) for path in PATHS for family in FAMILIES for layer in LAYERS
]
LATER = MONDAY + 2 * DAY


def recording(
    label: str, start: int, length: int, change: Callable[[SeriesKey, int, Floats], Floats] = lambda _k, _n, x: x,
    failed: Mapping[SeriesKey, int] | None = None, vantage: str = "node-a", settings: str = "same",
) -> Recording:  # fmt: skip
    """So many hours of all series; `change` gets a series, the number of the block and its latencies."""
    series = {}
    for number, key in enumerate(KEYS):
        blocks = [change(key, n, x) for n, x in enumerate(latencies(start // HOUR + number, length * BLOCKS))]
        series[key] = hours(blocks, start, (failed or {}).get(key, 0))
    return Recording(label, Origin(vantage), start, start + length * HOUR, start + length * HOUR, 1, series,
                     {key.cell: settings for key in KEYS})  # fmt: skip


BEFORE = recording("before", MONDAY, 48)


def against(**how: object) -> Comparison:
    return compare([BEFORE], [recording("after", LATER, 12, **how)])  # type: ignore[arg-type]  # as `recording`


def of(comparison: Comparison, layer: str) -> Row:
    return next(row for row in comparison.layers if row.layer == layer)


def slower(by: float, where: Callable[[SeriesKey, int], bool]) -> Callable[[SeriesKey, int, Floats], Floats]:
    return lambda key, block, x: x * by if where(key, block) else x


def test_nothing_that_happened_is_found_where_nothing_did() -> None:
    found = against()
    assert not found.regressed
    assert {row.finding for row in (*found.layers, *found.series)} == {Finding.SAME}


def test_one_layer_that_became_slower_is_named_and_sized_and_dated() -> None:
    found = against(change=slower(1.15, lambda key, block: key.layer == "tcp" and block >= 6 * 3))
    tcp, http = of(found, "tcp"), of(found, "http")
    assert (tcp.finding, http.finding) == (Finding.SLOWER, Finding.SAME)
    assert found.regressed
    assert tcp.change is not None
    assert tcp.change.lower < 1 + 0.15 * 9 / 12 < tcp.change.upper
    assert tcp.onset == LATER + 3 * HOUR
    assert tcp.now.p50 / tcp.was.p50 == pytest.approx(1.11, abs=0.03)
    assert tcp.regressed == tcp.series == 4


def test_the_part_that_became_slower_is_the_one_that_is_found() -> None:
    found = against(change=slower(1.2, lambda key, _: key.path == "service" and key.family == "ipv6"))
    slow = {str(key) for key in KEYS if (key.path, key.family) == ("service", "ipv6")}
    assert {row.name for row in found.series if row.bad} == slow
    assert set(found.parts) == {"path", "family"}
    assert {row.name for row in found.parts["path"] if row.bad} == {"service"}


def test_what_became_faster_is_no_regression() -> None:
    found = against(change=slower(0.8, lambda *_: True))
    assert {row.finding for row in found.layers} == {Finding.FASTER}
    assert not found.regressed


def test_more_failures_weigh_more_than_latency() -> None:
    found = against(failed={key: 8 for key in KEYS if key.layer == "http"})
    assert (of(found, "http").finding, of(found, "tcp").finding) == (Finding.FAILING, Finding.SAME)
    assert of(found, "http").now.failed == pytest.approx(8 / 248)


def test_a_heavier_tail_is_told_with_the_factor_on_p99() -> None:
    def heavier(_: SeriesKey, __: int, x: Floats) -> Floats:
        return np.where(x > 0.0015, x * 2, x)

    found = compare([BEFORE], [recording("after", LATER, 24, heavier)])
    assert {row.finding for row in found.layers} == {Finding.HEAVIER_TAIL}
    for row in found.layers:
        assert row.tail is not None
        assert row.tail.lower < 2.1 < row.tail.upper


def test_a_heavier_tail_and_more_failures_are_dated_by_what_they_are() -> None:
    def heavier(key: SeriesKey, block: int, x: Floats) -> Floats:
        return np.where(x > 0.0015, x * 2, x) if key.layer == "tcp" and block >= 10 * BLOCKS else x

    later = recording("after", LATER, 24, heavier)
    failing = {
        key: tuple(replace(hour, failed={"reset": 12}) if hour.start >= LATER + 7 * HOUR else hour for hour in held)
        if key.layer == "http" else held
        for key, held in later.series.items()
    }  # fmt: skip
    found = compare([BEFORE], [replace(later, series=failing)])
    tcp, http = of(found, "tcp"), of(found, "http")
    assert (tcp.finding, http.finding) == (Finding.HEAVIER_TAIL, Finding.FAILING)
    assert tcp.onset == pytest.approx(LATER + 10 * HOUR, abs=2 * HOUR)
    assert http.onset == LATER + 7 * HOUR


def test_one_slow_hour_is_the_slowest_and_no_regression() -> None:
    found = against(change=slower(1.3, lambda _, block: block // BLOCKS == 7))
    assert not any(row.finding is Finding.SLOWER for row in found.layers)
    for row in found.layers:
        assert row.slowest is not None
        assert row.slowest[0] == LATER + 7 * HOUR
        assert row.slowest[1] == pytest.approx(1.3, abs=0.08)


def test_what_is_probed_in_another_way_now_is_not_compared() -> None:
    found = against(settings="other")
    assert {(row.finding, row.why) for row in found.series} == {(Finding.UNKNOWN, "it is probed in another way now")}


def test_a_baseline_of_an_afternoon_is_not_enough() -> None:
    found = compare([recording("short", MONDAY, 6)], [recording("after", LATER, 12)])
    assert {row.finding for row in found.layers} == {Finding.UNKNOWN}
    assert found.layers[0].why == "6.0 h were measured, a baseline needs 24 h"


def test_vantages_are_compared_each_with_itself_and_told_together() -> None:
    other = [recording("before", MONDAY, 48, vantage="node-b"), BEFORE]
    slow = recording("after", LATER, 12, slower(1.2, lambda *_: True), vantage="node-b")
    found = compare(other, [recording("after", LATER, 12), slow])
    assert {row.name: row.finding for row in found.parts["vantage"] if row.layer == "tcp"} == {
        "node-a": Finding.SAME, "node-b": Finding.SLOWER}  # fmt: skip
    assert of(found, "tcp").series == 8


def test_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    compare([BEFORE], [BEFORE], lambda done, of: told.append((done, of)))
    assert (told[0], told[-1]) == ((0, 8), (8, 8))


def test_a_recording_is_as_it_was_before_itself() -> None:
    found = compare([BEFORE], [BEFORE])
    for row in found.series:
        assert row.change is not None
        assert row.change.change == pytest.approx(1.0, abs=0.01)


def test_a_series_without_a_latency_in_the_later_recording_is_unknown() -> None:
    empty = {key: (Hour(LATER, BEFORE.series[key][0].sketch.empty(), {"timeout": 240}),) for key in KEYS}
    found = compare([BEFORE], [replace(BEFORE, label="after", series=empty)])
    assert {row.why for row in found.series} == {"no latency in the later recording"}


def test_one_of_many_that_looks_worse_no_further_than_chance_makes_it_is_no_regression() -> None:
    figures = Figures(0.001, 0.002, 0.0, 1000)
    bad = Row("a", "tcp", 1, figures, figures, Finding.SLOWER, evidence=4.1)
    others = [replace(bad, finding=Finding.SAME, evidence=0.0)] * 499
    for rows, sure in (([bad], True), ([bad, *others[:9]], True), ([bad, *others], False)):
        series = _marked(rows)
        assert series[0].sure is sure
        assert Comparison((), {}, series).regressed is sure
    assert Comparison((), {}, _marked([replace(bad, evidence=9.0), *others])).regressed


def test_a_change_of_one_series_is_sure_and_of_more_evidence_the_larger_it_is() -> None:
    def evidence(by: float) -> float:
        found = against(change=slower(by, lambda key, _: key == KEYS[0]))
        (row,) = [row for row in found.series if row.bad]
        assert row.sure
        return row.evidence

    assert 4.0 < evidence(1.1) < evidence(1.3)


def test_a_layer_that_never_holds_any_more_fails_rather_than_is_not_known() -> None:
    later = recording("after", LATER, 6)
    lost = {
        key: tuple(replace(hour, sketch=Sketch.empty(), failed={"reset": 200}) for hour in held)
        if key.layer == "http" else held
        for key, held in later.series.items()
    }  # fmt: skip
    found = compare([BEFORE], [replace(later, series=lost)])
    assert found.regressed
    http = of(found, "http")
    assert (http.finding, http.now.failed, http.sure) == (Finding.FAILING, 1.0, True)
    assert {(row.finding, row.onset) for row in found.series if row.layer == "http"} == {(Finding.FAILING, LATER)}
    assert http.onset == LATER
    assert of(found, "tcp").finding is Finding.SAME
