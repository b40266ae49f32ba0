"""How a comparison is told: golden texts, and what the sentences say of where, by how much and since when."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prober.baseline.compare import Comparison, Figures, Finding, Row
from prober.baseline.values import HOUR, Recording, Size
from prober.cli.baseline.compared_json import as_json
from prober.cli.baseline.compared_markdown import as_markdown
from prober.cli.baseline.compared_text import tell
from prober.cli.baseline.notes import by_chance, left_out, next_steps, too_short
from prober.cli.baseline.report import Report
from prober.cli.baseline.sentences import improved, sentences
from prober.cli.baseline.sides import Side
from tests.cli.samples import screen, written
from tests.support.baselines import MONDAY, keys, origin

GOLDEN = Path(__file__).parents[1] / "golden"
#: A Tuesday, 12:00 UTC: where the later side begins.
LATER = MONDAY + 36 * HOUR
FAILING, SLOW, TAIL = Finding.FAILING, Finding.SLOWER, Finding.HEAVIER_TAIL
FAST, SAME, UNKNOWN = Finding.FASTER, Finding.SAME, Finding.UNKNOWN
#: Seconds, medians by layer.
MEDIANS = {"dns": 0.0011, "tcp": 0.000305, "tls": 0.00412, "http": 0.0123, "grpc": 0.00231}
FIGURES = Figures(0.004, 0.02, 0.0, 1000)


def row(name: str, finding: Finding, change: float = 1.0, layer: str = "tls", **more: Any) -> Row:
    return Row(name, layer, 1, FIGURES, FIGURES, finding, Size(change, change - 0.02, change + 0.02), **more)


def measured(name: str, layer: str, finding: Finding, change: float, half: float = 0.01, **more: Any) -> Row:
    """As a comparison has it, of 23,040 runs before and 4,320 after; began at 15:00 and was worst at 16:00."""
    was, failed = MEDIANS[layer], 0.024 if finding is FAILING else 0.0
    changed = finding not in (SAME, UNKNOWN)
    fields = {"onset": LATER + 3 * HOUR if changed else None, "slowest": (LATER + 4 * HOUR, change + half)} | more
    return Row(
        name, layer, 8, Figures(was, 3 * was, 0.0003, 23_040), Figures(was * change, 4 * was, failed, 4_320), finding,
        Size(change, change - half, change + half), **fields,
    )  # fmt: skip


def side(label: str, since: int, length: int, **about: str) -> Side:
    places = (("node-a", "eu-1a"), ("node-b", "eu-1b"))
    until = float(since + length * HOUR)
    recordings = [
        Recording(label, origin(name, zone, **about), float(since), until, until + 5.0, 1, {}) for name, zone in places
    ]
    return Side(label if label == "now" else f"{label} v1", tuple(recordings))


def worse() -> Comparison:
    """TCP is faster, TLS slower over IPv6 on one path, which fails now and then; and DNS takes long at times."""
    tail = {"tail": Size(1.42, 1.21, 1.69)}
    layers = (
        measured("all", "dns", TAIL, 1.004, **tail), measured("all", "grpc", UNKNOWN, 1.0, why="few", slowest=None),
        measured("all", "http", FAILING, 1.002), measured("all", "tcp", FAST, 0.886),
        measured("all", "tls", SLOW, 1.049),
    )  # fmt: skip
    paths = (
        measured("ingress", "tls", SLOW, 1.096), measured("service", "tls", SAME, 1.002, 0.012),
        measured("ingress", "http", FAILING, 1.001), measured("service", "http", SAME, 1.003),
        measured("ingress", "tcp", FAST, 0.87), measured("service", "tcp", FAST, 0.901, 0.0013),
    )  # fmt: skip
    families = (measured("ipv4", "tls", SAME, 0.998), measured("ipv6", "tls", SLOW, 1.091))
    calm, slow = (str(key) for key in keys("tls")[:2])
    series = [
        replace(measured(name, "tls", finding, change), series=1, vantage=vantage)
        for vantage in ("node-a", "node-b")
        for name, finding, change in ((calm, SAME, 0.996), (slow, SLOW, 1.181))
    ]
    odd = replace(
        series[0], name=str(keys("http")[0]), layer="http", finding=SLOW, sure=False, change=Size(1.03, 1, 1.06)
    )
    unknown = replace(series[0], finding=UNKNOWN, change=None, onset=None, slowest=None,
                      why="it is probed in another way now")  # fmt: skip
    return Comparison(layers, {"path": paths, "family": families}, (*series, odd, unknown))


def reports() -> dict[str, Report]:
    """One where a lot has changed, and one where nothing has."""
    old = side("cilium-1.17.3", MONDAY, 36)
    bad = side("now", LATER, 9, cni="cilium 1.18.0")
    urls = ("http://node-a:9790", "http://node-b:9790")
    calm = Comparison(
        (measured("all", "tcp", SAME, 0.996), measured("all", "tls", SAME, 1.003), measured("all", "http", SAME, 1.0)),
        {}, tuple(replace(measured(str(key), "tls", SAME, 1.001), vantage="node-a") for key in keys("tls")),
    )  # fmt: skip
    return {
        "worse": Report(old, bad, worse(), ("path", "zone", "series"), urls),
        "same": Report(old, side("cilium-1.18.0", LATER, 9), calm),
    }


def shown(report: Report, output: str) -> str:
    if output == "json":
        return json.dumps(as_json(report), indent=1, ensure_ascii=False) + "\n"
    if output == "markdown":
        return as_markdown(report) + "\n"
    view, file = screen(80)
    tell(view, report)
    return written(file)


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


def test_json_has_neither_nan_nor_infinity() -> None:
    nothing = Figures(math.nan, math.nan, 0.0, 0)
    odd = replace(row("all", UNKNOWN), now=nothing, change=Size(1.0, 0.0, math.inf))
    told = as_json(replace(reports()["same"], comparison=Comparison((odd,), {}, ())))
    json.dumps(told, allow_nan=False)
    assert told["layers"][0]["now"]["p50"] is None


def said(*layers: Row, series: tuple[Row, ...] = (), **parts: tuple[Row, ...]) -> list[str]:
    return [one.says for one in sentences(Comparison(layers, parts, series))]


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


def test_a_series_elsewhere_is_told_apart_from_those_of_the_place() -> None:
    def one(cell: str, change: float, **labels: str) -> Row:
        return row(f"{cell} tls", SLOW, change, labels=labels)

    series = (
        one("web/a/ingress/ipv6", 1.2, path="ingress", family="ipv6"),
        one("web/b/ingress/ipv6", 1.22, path="ingress", family="ipv6"),
        one("web/c/service/ipv4", 1.04, path="service", family="ipv4"),
        row("web/c/service/ipv6 tls", SAME, labels={"path": "service", "family": "ipv6"}),
    )
    paths = (row("ingress", SLOW, 1.1), row("service", SAME))
    families = (row("ipv4", SAME), row("ipv6", SLOW, 1.1))
    assert said(row("all", SLOW, 1.1), series=series, path=paths, family=families) == [
        "tls 21 % slower over path ingress by ipv6 (2 of 4 series)",
        "tls 4 % slower on web/c/service/ipv4",
    ]


def test_parts_that_have_no_series_in_common_share_all_of_them() -> None:
    series = tuple(
        row(f"web/a/{path}/{family} tls", SLOW, 1.2, labels={"path": path, "family": family})
        for path, family in (("ingress", "ipv4"), ("service", "ipv6"))
    )
    paths = (row("ingress", SLOW, 1.1), row("service", SAME))
    families = (row("ipv4", SAME), row("ipv6", SLOW, 1.1))
    assert said(row("all", SAME), series=series, path=paths, family=families) == [
        "tls 20 % slower over path ingress by ipv6 (2 of 2 series)"
    ]


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
    failed = replace(row("all", FAILING, layer="http"), now=replace(FIGURES, failed=0.03))
    tail = row("all", TAIL, layer="dns", tail=Size(1.9, 1.5, 2.4))
    assert said(row("all", SLOW, 1.1, "tcp"), tail, row("all", SLOW, 1.4), failed) == [
        "http fails in 3 % of the runs (it was 0 %)",
        "tls 40 % slower",
        "tcp 10 % slower",
        "dns has a p99 90 % higher (20.0 ms)",
    ]


def test_what_got_faster_is_told_apart() -> None:
    faster = Comparison((row("all", FAST, 0.8),), {}, ())
    assert sentences(faster) == []
    assert [one.says for one in improved(faster)] == ["tls 20 % faster"]


def test_what_chance_makes_of_many_series_is_told_apart_and_is_no_regression() -> None:
    odd = row("a/b/c/d tls", SLOW, 1.2, sure=False)
    told = replace(reports()["same"], by=("series",), comparison=Comparison((), {}, (odd, row("x", SAME))))
    assert not told.comparison.regressed
    assert by_chance(told) == ["1 of 2 series look worse, no further than some of so many always do: tls a/b/c/d"]
    text = shown(told, "text")
    assert "✓ Nothing is worse.\n" in text
    assert "○ tls a/b/c/d " in text
    assert " slower?" in text


def test_what_was_not_compared_is_told_with_its_reason() -> None:
    report = reports()["worse"]
    before, after = (dict.fromkeys(keys(*layers), ()) for layers in (("tcp",), ("tcp", "tls")))
    sides = (
        replace(side, recordings=(replace(side.recordings[0], series=held),))
        for side, held in ((report.before, before), (report.after, after))
    )
    told = Report(*sides, report.comparison)
    assert left_out(told) == ["1 series not compared: it is probed in another way now", "4 series only in now"]


@pytest.mark.parametrize(
    ("before", "after", "said"), [(35, 9, "only 35 h were measured before"), (36, 9, ""), (35, 24, "")]
)
def test_a_part_of_a_day_against_hardly_more_than_one_is_told_to_be_uncertain(
    before: int, after: int, said: str
) -> None:
    sides = side("old", MONDAY, before), side("now", LATER, after)
    told = Report(*sides, reports()["worse"].comparison)
    assert " ".join(too_short(told)).startswith(said)
    assert bool(too_short(told)) is bool(said)
    assert said in as_markdown(told)
    assert said in shown(told, "text").replace("\n             ", " ")


def test_the_next_step_fits_what_was_found() -> None:
    assert next_steps(reports()["same"]) == ["to watch by it: prober baseline accept cilium-1.18.0@1"]
    worst = reports()["worse"]
    explain = "why it fails: prober explain --url http://node-a:9790"
    changed = "what else changed: cni cilium 1.17.3 → cilium 1.18.0"
    assert next_steps(worst) == [explain, changed]
    assert next_steps(replace(worst, by=())) == [explain, "which series: the same with --by series", changed]
    nodes = {**worst.comparison.parts, "node": (row("node-a", SAME), row("node-b", SAME))}
    there = replace(worst, comparison=replace(worst.comparison, parts=nodes))
    assert next_steps(there) == [explain, "where else: the same with --by node", changed]


def test_a_name_ends_no_cell_of_a_table() -> None:
    report = replace(reports()["same"], before=Side("a|b <i>*", reports()["same"].before.recordings))
    assert re.search(r"^\| what \| a\\\|b &lt;i>\\\* \| cilium-1\.18\.0 v1 \|$", as_markdown(report), re.MULTILINE)
