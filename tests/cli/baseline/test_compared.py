"""How a comparison is told: golden texts, and what the sentences say of where, by how much and since when."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from prober.baseline.compare import Comparison, Figures, Finding, Row
from prober.baseline.values import HOUR, Recording, SeriesKey, Size
from prober.cli.baseline.compare import report_of
from prober.cli.baseline.compared_json import as_json
from prober.cli.baseline.compared_markdown import as_markdown
from prober.cli.baseline.compared_text import tell
from prober.cli.baseline.notes import by_chance, left_out, next_steps
from prober.cli.baseline.report import Report
from prober.cli.baseline.sentences import improved, sentences
from prober.cli.baseline.sides import Side
from tests.cli.samples import screen, written
from tests.support.baselines import MONDAY, keys, made, origin

GOLDEN = Path(__file__).parents[1] / "golden"
SERIES = keys("tcp", "tls", "http")
#: Where each side begins: a Tuesday and a half later.
LATER = MONDAY + 36 * HOUR
CHANGED = LATER + 3 * HOUR


def change(key: SeriesKey, start: int) -> float:
    """Since the change TCP is faster, and TLS slower over IPv6 on one path."""
    if start < CHANGED or key.layer == "http":
        return 1.0
    if key.layer == "tcp":
        return 0.85
    return 1.25 if (key.path, key.family) == ("ingress", "ipv6") else 1.0


def failing(key: SeriesKey, start: int) -> int:
    """And the ingress fails now and then."""
    return 9 if key.layer == "http" and key.path == "ingress" and start >= CHANGED else 0


def quiet(_key: SeriesKey, _start: int) -> int:
    return 0


def recordings(since: int, length: int, label: str, **about: str) -> tuple[Recording, ...]:
    places = (("node-a", "eu-1a"), ("node-b", "eu-1b"))
    bad = label == "bad"
    told = "now" if bad else label
    return tuple(
        made(since, length, origin(name, zone, **about), *((change, failing) if bad else ()), label=told, series=SERIES)
        for name, zone in places
    )


@cache
def reports() -> dict[str, Report]:
    """One where a lot has changed, and one where nothing has."""
    old = Side("cilium-1.17.3 v1", recordings(MONDAY, 36, "cilium-1.17.3"))
    bad = Side("now", recordings(LATER, 9, "bad", cni="cilium 1.18.0", kernel="6.12.8"))
    good = Side("cilium-1.18.0 v1", recordings(LATER, 9, "cilium-1.18.0"))
    worst = report_of(old, bad, ("path", "zone"), ("http://node-a:9790", "http://node-b:9790"))
    return {"worse": worst, "same": report_of(old, good)}


def shown(report: Report, output: str) -> str:
    if output == "json":
        told = as_json(report)
        told["parts"] = {"family": told["parts"]["family"]}
        return json.dumps(rounded(told), indent=1, ensure_ascii=False) + "\n"
    if output == "markdown":
        return as_markdown(report) + "\n"
    view, file = screen(80)
    tell(view, report)
    return written(file)


def rounded(value: Any) -> Any:
    """Floats to three digits: the last ones are the machine's own."""
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items() if name != "series" or not isinstance(part, list)}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return float(f"{value:.3g}") if isinstance(value, float) else value


@pytest.mark.parametrize(
    ("name", "output"),
    [("worse", "text"), ("worse", "markdown"), ("worse", "json"), ("same", "text"), ("same", "markdown")],
)
def test_what_is_shown_is_the_golden_one(name: str, output: str) -> None:
    """To write the golden texts anew: delete them and run this test twice."""
    ending = {"text": "-80.txt", "markdown": ".md", "json": ".json"}[output]
    path = GOLDEN / f"baseline_{name}{ending}"
    text = shown(reports()[name], output)
    if not path.exists():
        path.write_text(text)
        pytest.fail(f"{path.name} was not there; it is now: read it")
    assert path.read_text() == text


@pytest.mark.parametrize("name", ["worse", "same"])
def test_lines_fit_a_terminal_and_none_ends_in_spaces(name: str) -> None:
    lines = shown(reports()[name], "text").splitlines()
    assert [line for line in lines if len(line) > 80] == []
    assert [line for line in lines if line != line.rstrip()] == []


def test_the_json_has_every_series_with_its_vantage_whatever_was_asked_for() -> None:
    told = as_json(reports()["worse"])
    assert len(told["series"]) == 24
    assert {one["vantage"] for one in told["series"]} == {"node-a", "node-b"}
    json.dumps(told, allow_nan=False)


FIGURES = Figures(0.004, 0.02, 0.0, 1000)


def row(name: str, finding: Finding, change: float = 1.0, layer: str = "tls", **more: Any) -> Row:
    return Row(name, layer, 1, FIGURES, FIGURES, finding, Size(change, change - 0.02, change + 0.02), **more)


def said(*layers: Row, series: tuple[Row, ...] = (), **parts: tuple[Row, ...]) -> list[str]:
    return [one.says for one in sentences(Comparison(layers, parts, series))]


SLOW, SAME = Finding.SLOWER, Finding.SAME


def test_a_layer_that_is_slower_everywhere_has_no_place() -> None:
    paths = (row("a", SLOW, 1.2), row("b", SLOW, 1.3))
    assert said(row("all", SLOW, 1.25), path=paths) == ["tls 25 % slower"]


def test_every_kind_of_part_that_tells_some_from_others_is_named() -> None:
    some = said(
        row("all", SAME),
        path=(row("ingress", SLOW, 1.2), row("pod", SAME)),
        family=(row("ipv4", SAME), row("ipv6", SLOW, 1.2)),
        target=(row("a", SLOW, 1.2), row("b", SLOW, 1.2), row("c", SAME)),
        zone=(row("eu-1a", SLOW, 1.2), row("eu-1b", SLOW, 1.2)),
    )
    assert some == ["tls 20 % slower over path ingress by ipv6 to a and b"]


def test_nodes_that_are_the_vantages_are_named_once() -> None:
    names = (row("node-a", SLOW, 1.2), row("node-b", SAME))
    assert said(row("all", SAME), node=names, vantage=names) == ["tls 20 % slower on node node-a"]


def test_many_parts_are_not_all_listed() -> None:
    nodes = tuple(row(f"n{number}", SLOW if number < 5 else SAME, 1.2) for number in range(9))
    assert said(row("all", SAME), node=nodes) == ["tls 20 % slower on nodes n0, n1, n2 and 2 more"]


def test_series_that_are_alone_are_named_with_the_vantages_where_there_are_several() -> None:
    one = row("web/web-api/pod/ipv4 tls on node-c", SLOW, 1.3, vantage="node-a")
    assert said(row("all", SAME), series=(one,)) == ["tls 30 % slower on web/web-api/pod/ipv4 on node-c"]
    other = replace(one, finding=SAME, vantage="node-b")
    assert said(row("all", SAME), series=(one, other)) == [
        "tls 30 % slower on web/web-api/pod/ipv4 on node-c from node-a"
    ]


def test_the_worst_comes_first_failures_before_anything_slow() -> None:
    failed = replace(row("all", Finding.FAILING, layer="http"), now=replace(FIGURES, failed=0.03))
    tail = row("all", Finding.HEAVIER_TAIL, layer="dns", tail=Size(1.9, 1.5, 2.4))
    assert said(row("all", SLOW, 1.1, "tcp"), tail, row("all", SLOW, 1.4), failed) == [
        "http fails in 3 % of the runs (it was 0 %)",
        "tls 40 % slower",
        "tcp 10 % slower",
        "dns has a p99 90 % higher (20.0 ms)",
    ]


def test_what_got_faster_is_told_apart() -> None:
    faster = Comparison((row("all", Finding.FASTER, 0.8),), {}, ())
    assert sentences(faster) == []
    assert [one.says for one in improved(faster)] == ["tls 20 % faster"]


def test_what_chance_makes_of_many_series_is_told_apart_and_is_no_regression() -> None:
    report = reports()["same"]
    odd = replace(report.comparison.series[0], finding=SLOW, sure=False)
    told = replace(
        report, by=("series",), comparison=replace(report.comparison, series=(odd, *report.comparison.series[1:]))
    )
    assert not told.comparison.regressed
    (note,) = by_chance(told)
    assert note.startswith("1 of 24 series look worse, no further than some of so many always do: http web/web-api/")
    text = shown(told, "text")
    assert "✓ Nothing is worse.\n" in text
    assert "○ http web/web-api/ingress/ipv4 from node-a\n" in text
    assert " slower?" in text


def test_what_was_not_compared_is_told_with_its_reason() -> None:
    report = reports()["same"]
    unknown = tuple(replace(one, finding=Finding.UNKNOWN, why="it is probed in another way now")
                    for one in report.comparison.series[:3])  # fmt: skip
    before = report.before.recordings
    poor = tuple(replace(one, series=dict(list(one.series.items())[1:])) for one in before)
    told = replace(
        report,
        before=Side("old", poor),
        comparison=replace(report.comparison, series=unknown),
    )
    assert left_out(told) == [
        "3 series not compared: it is probed in another way now",
        "2 series only in cilium-1.18.0 v1",
    ]


def test_the_next_step_fits_what_was_found() -> None:
    assert next_steps(reports()["same"]) == ["to watch by it: prober baseline accept cilium-1.18.0"]
    assert next_steps(reports()["worse"]) == [
        "why it fails: prober explain --url http://node-a:9790",
        "where else: the same with --by node",
        "what else changed: cni cilium 1.17.3 → cilium 1.18.0",
    ]


def test_a_name_ends_no_cell_of_a_table() -> None:
    report = replace(reports()["same"], before=Side("a|b <i>*", reports()["same"].before.recordings))
    assert re.search(r"^\| what \| a\\\|b &lt;i>\\\* \| cilium-1\.18\.0 v1 \|$", as_markdown(report), re.MULTILINE)
