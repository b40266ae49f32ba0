"""The fast text is the text of prometheus_client, byte for byte, whatever has happened in between."""

from __future__ import annotations

import asyncio
import gzip
import shutil
import subprocess
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from prober.export import pace
from prober.export.cells import CellMetrics
from prober.export.exposition import Exposition, accepts_gzip
from prober.export.selfmetrics import SelfMetrics
from prober.model import Vantage
from prober.reasons import REASONS, Family, Kind, Layer, Reason
from tests.support.runs import explain, failed_run, good_run, named

ACCEPTS = [
    "",
    "text/plain;version=0.0.4",
    "text/plain;version=1.0.0;escaping=allow-utf-8",
    "text/plain;version=1.0.0;escaping=dots",
    "text/plain;version=1.0.0;escaping=values",
    "application/openmetrics-text",
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
    "application/openmetrics-text;version=1.0.0;escaping=dots",
    "application/openmetrics-text;version=1.0.0;escaping=values",
    "application/openmetrics-text;version=2.0.0",
]
VANTAGE = Vantage('node "a"', "node-a", "eu\\1a", "eu\n1")


def make(vantage: Vantage = VANTAGE) -> tuple[CellMetrics, Exposition]:
    metrics = CellMetrics(vantage, explain)
    return metrics, Exposition(metrics, SelfMetrics(vantage, process=False))


async def scrape(exposition: Exposition, accept: str = "", encoding: str = "") -> bytes:
    headers, body = await exposition.render(accept, encoding)
    text = b"".join([chunk async for chunk in body])
    return gzip.decompress(text) if headers.get("Content-Encoding") == "gzip" else text


def slowly(exposition: Exposition, accept: str = "") -> bytes:
    """What prometheus_client writes."""
    encode, _ = choose_encoder(accept)
    text: bytes = encode(exposition.registry)
    return text


CELLS = [
    named(Kind.HTTP, "https", "web/web-api/ingress"),
    named(Kind.TCP, "tcp", "l4/web-api/ingress"),
    named(Kind.ICMP, "icmp", 'odd/a "target" 100% \\ of\x85\u2028é/service'),
    named(Kind.DNS, "dns", "names/\0 1\0 NaN\n/default", family=Family.IPV6),
    named(Kind.KUBERNETES, "https", "apiserver/kubernetes/default"),
]


@pytest.mark.parametrize("accept", ACCEPTS)
@pytest.mark.parametrize("encoding", ["", "gzip"])
async def test_every_format_is_that_of_prometheus_client(accept: str, encoding: str) -> None:
    metrics, exposition = make()
    metrics.set_cells(CELLS)
    for cell in CELLS:
        metrics.record(cell, (good_run(cell, phases={"request": 0.5}),))
    metrics.record(CELLS[0], (failed_run(CELLS[0], Layer.TLS, Reason.EXPIRED),))
    assert await scrape(exposition, accept, encoding) == slowly(exposition, accept)
    headers, _ = await exposition.render(accept, encoding)
    assert headers["Content-Type"] == choose_encoder(accept)[1]


@st.composite
def firings(draw: st.DrawFn) -> tuple[int, Layer | None, Reason, float]:
    """Which cell fires, the layer that fails (None: a good run), why, and seconds or bytes of wild sizes."""
    at = draw(st.integers(0, len(CELLS) - 1))
    layer = draw(st.none() | st.sampled_from(CELLS[at].ladder))
    reason = draw(st.sampled_from((*REASONS[layer or Layer.DNS], Reason.OVER_BUDGET, Reason.INTERNAL)))
    return at, layer, reason, draw(st.floats(0, 1e9) | st.sampled_from([0.0001, 10.0, 1e-7]))


def fire(metrics: CellMetrics, at: int, layer: Layer | None, reason: Reason, number: float) -> None:
    cell = CELLS[at]
    if layer is None:
        evidence = {Layer.DNS: {"queries": 3, "wasted_seconds": number}, Layer.TLS: {"not_after_timestamp": number}}
        metrics.record(cell, (good_run(cell, seconds={cell.ladder[-1]: number}, evidence=evidence),))
    else:
        metrics.record(cell, (failed_run(cell, layer, reason, seconds=number),))


steps = st.lists(firings() | st.sets(st.integers(0, len(CELLS) - 1)) | st.sampled_from(ACCEPTS), max_size=25)


@given(steps)
@settings(max_examples=25)
def test_any_history_of_runs_reloads_and_scrapes_ends_in_the_same_text(history: list[object]) -> None:
    async def live() -> None:
        metrics, exposition = make()
        metrics.set_cells(CELLS)
        for step in [*history, ""]:
            if isinstance(step, tuple):
                fire(metrics, *step)
            elif isinstance(step, str):
                assert await scrape(exposition, step, "gzip") == slowly(exposition, step)
            else:
                metrics.set_cells([CELLS[at] for at in sorted(step)])  # type: ignore[call-overload]  # a set of positions

    asyncio.run(live())


@pytest.mark.parametrize("value", [0, 1, 999_999, 1_000_000, 9_999_999, 10_000_000, 123_456_789])
async def test_large_counts_are_written_as_go_writes_them(value: int) -> None:
    metrics, exposition = make()
    metrics.set_cells(CELLS[:1])
    metrics.families()[1][1][0].numbers[0] = value  # type: ignore[attr-defined]  # faster than that many runs
    assert await scrape(exposition) == slowly(exposition)


async def test_many_cells_are_one_text_and_only_what_changed_is_rendered_again(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [replace(CELLS[1], target=f"target-{number}") for number in range(150)]
    metrics, exposition = make()
    metrics.set_cells(cells)
    assert await scrape(exposition, "", "gzip") == slowly(exposition)
    refreshed: list[tuple[str, int]] = []
    blocks = exposition._sources[0][1]
    refresh = blocks._refresh
    monkeypatch.setattr(blocks, "_refresh", lambda f, b: (refreshed.append((f.name, len(b.accounts))), refresh(f, b)))
    assert await scrape(exposition) == slowly(exposition)
    assert refreshed == []
    metrics.record(cells[7], (good_run(cells[7]),))
    metrics.set_cells([replace(cell) for cell in cells])
    assert await scrape(exposition) == slowly(exposition)
    assert [name for name, accounts in refreshed if accounts == 1].count("prober_layer_results") == 1


async def test_the_event_loop_goes_on_while_a_scrape_is_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "SLICE", 0.0)
    metrics, exposition = make()
    metrics.set_cells(CELLS)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            metrics.record(CELLS[turns % 5], (good_run(CELLS[turns % 5]),))
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    text = await scrape(exposition)
    task.cancel()
    assert turns > 20
    for metric in parse_text(text.decode()):
        counts = {}
        for sample in metric.samples:  # each histogram is of one moment
            own = tuple(sorted((k, v) for k, v in sample.labels.items() if k != "le"))
            if sample.labels.get("le") == "+Inf":
                counts[own] = sample.value
            elif sample.name.endswith("_count"):
                assert counts[own] == sample.value


async def test_two_scrapes_at_once_do_not_disturb_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "SLICE", 0.0)
    metrics, exposition = make()
    metrics.set_cells(CELLS)
    texts = await asyncio.gather(*(scrape(exposition, "", encoding) for encoding in ("", "gzip", "gzip")))
    assert set(texts) == {slowly(exposition)}


async def test_both_formats_can_be_parsed() -> None:
    metrics, exposition = make()
    metrics.set_cells([cell for cell in CELLS if "\0" not in cell.target])
    parsed = list(parse_openmetrics((await scrape(exposition, ACCEPTS[5])).decode()))
    assert {metric.name for metric in parsed} == {m.name for m in exposition.registry.collect()}
    assert len(list(parse_text((await scrape(exposition)).decode()))) == len(parsed)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_finds_nothing_to_complain_about() -> None:
    metrics, exposition = make(Vantage("node-a", "node-a", "eu-1a", "eu-1"))
    metrics.set_cells(CELLS[:2])
    metrics.record(CELLS[0], (good_run(CELLS[0]),))
    text = asyncio.run(scrape(exposition))
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


@pytest.mark.parametrize(
    ("sent", "accepted"),
    [("", False), ("gzip", True), ("deflate, GZIP;q=0.5", True), ("gzip;q=0", False), ("gzip;q=0.000, *", False),
     ("*", True), ("*;q=0", False), ("identity", False), ("x-gzip", True), ("gzipped", False)],
)  # fmt: skip
def test_gzip_is_used_where_the_client_allows_it(sent: str, accepted: bool) -> None:
    assert accepts_gzip(sent) is accepted


async def test_a_version_that_is_no_number_gets_the_oldest_format() -> None:
    _, exposition = make()
    headers, _ = await exposition.render("application/openmetrics-text;version=abc", "")
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
