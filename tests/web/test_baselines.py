"""Baselines and regressions over the API: the real app over a real tracker, on a clock that the test turns."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from prober.baseline import file
from prober.baseline.values import BLOCKS, HOUR
from prober.options import BaselineSettings
from prober.units import rfc3339
from prober.web import baselines as under_test
from tests.baseline.made import hours, latencies
from tests.support.tracking import WATCHED, Turned, baseline, feed, tcp, watched
from tests.web.conftest import FakeService

SLOW, STEADY = watched("slow"), watched("steady")
DAY = 24 * HOUR


@pytest.fixture
async def turned(service: FakeService) -> AsyncIterator[Turned]:
    made = Turned(now=WATCHED)
    service.tracker = made.tracker
    yield made
    await made.tracker.close()


def at(seconds: float) -> str:
    return rfc3339(datetime.fromtimestamp(seconds, UTC))


async def ok(response: httpx.Response, status: int = 200) -> dict[str, Any]:
    assert response.status_code == status, response.text
    found: dict[str, Any] = response.json()
    return found


async def test_a_baseline_is_recorded_listed_looked_at_exported_and_deleted(turned: Turned, client) -> None:
    await turned.take(SLOW, STEADY)
    await feed(turned, latencies(1, 24 * BLOCKS))
    window = {"from": at(turned.now - DAY), "to": at(turned.now)}
    made = await ok(
        await client.post("/api/v1/baselines", json={"label": "cilium 1.17", "about": {"cni": "1.17"}, **window}), 201
    )
    assert {name: made[name] for name in ("label", "version", "series", "active", "since", "until")} == {
        "label": "cilium 1.17", "version": 1, "series": 2, "active": 2, "since": window["from"], "until": window["to"],
    }  # fmt: skip
    assert made["origin"]["about"] == {"kernel": "6.12.8", "cni": "1.17"}
    assert {one["series"] for one in made["refused"]} == {str(tcp(STEADY)), str(replace(tcp(STEADY), layer="dns"))}
    listed = await ok(await client.get("/api/v1/baselines"))
    assert [one["label"] for one in listed["baselines"]] == ["cilium 1.17"]
    assert (listed["store"]["path"], listed["store"]["persistent"]) == (None, False)
    one = await ok(await client.get("/api/v1/baselines/cilium%201.17?version=1"))
    (of_tcp,) = [figures for figures in one["figures"] if figures["layer"] == "tcp"]
    assert (of_tcp["target"], of_tcp["hours"], of_tcp["runs"], of_tcp["failed"]) == ("slow", 24, 24 * 240, 0)
    assert 0 < of_tcp["p50"] < of_tcp["p99"]
    exported = await client.get("/api/v1/baselines/cilium%201.17/export")
    assert exported.headers["Content-Type"] == "application/gzip"
    assert exported.headers["Content-Disposition"] == "attachment; filename*=UTF-8''cilium%201.17-v1.prober.gz"
    assert (recording := file.read(exported.content)).label == "cilium 1.17"
    now = file.read((await client.get(f"/api/v1/baselines/now/export?from={at(turned.now - HOUR)}")).content)
    assert (now.label, now.until) == ("now", turned.now)
    assert set(recording.series) <= set(now.series)
    refused = await client.delete("/api/v1/baselines/cilium%201.17")
    assert (refused.status_code, refused.json()["error"]) == (
        409,
        "cilium 1.17 v1 is the active baseline of 2 series: accept another one first, or delete it with force=true",
    )  # fmt: skip
    assert (await client.delete("/api/v1/baselines/cilium%201.17?force=true")).status_code == 204
    again = await ok(await client.post("/api/v1/baselines/import", content=exported.content), 201)
    assert (again["baseline"]["label"], again["baseline"]["active"]) == ("cilium 1.17", 0)


async def test_accepting_tells_old_against_new(turned: Turned, client) -> None:
    await turned.take(SLOW, accepted=baseline(SLOW))
    slower = hours([part * 2 for part in latencies(11, 48 * BLOCKS)])
    other = replace(baseline(SLOW, label="slower"), series={tcp(SLOW): slower})
    await ok(await client.post("/api/v1/baselines/import", content=file.write(other)), 201)
    told = await ok(await client.post("/api/v1/baselines/slower/accept"))
    assert (told["label"], told["active"], told["replaces"]) == ("slower", 1, ["healthy v1"])
    (layer,) = told["layers"]
    assert (layer["layer"], layer["series"]) == ("tcp", 1)
    assert layer["now"]["p50"] / layer["was"]["p50"] == pytest.approx(2, rel=0.05)
    assert layer["was"]["failed"] == pytest.approx(48 / layer["was"]["runs"])
    await turned.tracker.idle()
    again = await ok(await client.post("/api/v1/baselines/slower/accept?version=1"))
    assert (again["replaces"], again["layers"]) == ([], [])


async def test_a_regression_is_told_by_itself_folded_and_on_the_page(turned: Turned, service, client) -> None:
    broken = replace(SLOW, quantile_budget={"tcp": {"p50": 1e-9}})
    await turned.take(broken, STEADY, accepted=baseline(SLOW, STEADY))
    await feed(turned, latencies(1, 2), latencies(2, 2))
    await feed(turned, [part * 1.5 for part in latencies(3, 20)], latencies(4, 20))
    told = await ok(await client.get("/api/v1/regressions"))
    (change,) = [one for one in told["summary"] if one["kind"] == "latency"]
    assert change["pages"]
    assert change["says"].startswith("tcp ")
    assert f"for {SLOW.id} (" in change["says"]
    assert change["series"] == [str(tcp(SLOW))]
    location = [one for one in told["regressions"] if one["channel"] == "location"]
    assert [(one["series"]["target"], one["level"], one["cleared"]) for one in location] == [
        ("slow", "confirmed", None)
    ]
    assert [one["cell"] for one in told["budgets"]] == [SLOW.id]
    assert told["budgets"][0]["says"].startswith(f"{SLOW.id} is over its budget: tcp p50 ")
    assert told["budgets"][0]["breached"][0]["quantile"] == "p50"
    for query, there in {
        "level=confirmed&channel=location": True, "direction=improved": False, "layer=dns": False, "target=slow": True,
        "target=steady": False,
    }.items():  # fmt: skip
        found = await ok(await client.get(f"/api/v1/regressions?{query}"))
        assert (bool(found["regressions"]), bool(found["summary"])) == (there, there), query
    page = (await client.get("/")).text
    assert f"<li>{change['says']}</li>" in page
    assert f"<li>{told['budgets'][0]['says']}</li>" in page
    service.tracker = None
    assert "<li>" not in (await client.get("/")).text


async def test_what_is_over_is_told_for_a_day(turned: Turned, client) -> None:
    await turned.take(SLOW, accepted=baseline(SLOW))
    await feed(turned, latencies(2, 8), factor=1.5)
    await feed(turned, latencies(3, 20 * BLOCKS), factor=0.97)
    assert turned.baselines.regressions() == ()
    told = await ok(await client.get("/api/v1/regressions"))
    assert told["summary"] == []
    assert {one["cleared"] is not None for one in told["regressions"]} == {True}
    assert " from " in told["regressions"][0]["says"]
    later = await ok(await client.get(f"/api/v1/regressions?from={at(turned.now)}"))
    assert later["regressions"] == []


@pytest.mark.parametrize(
    ("method", "url", "body", "status", "error"),
    [
        ("GET", "?x=1", None, 400, "unknown query parameter 'x'"),
        ("PUT", "", None, 405, "Method Not Allowed"),
        ("POST", "", b"{", 400, "not JSON: Expecting property name enclosed in double quotes: "),
        ("POST", "", b"[]", 400, 'not a JSON object as in {"label": "cilium-1.17.3"}'),
        ("POST", "", b'{"lable": "x"}', 400, "unknown field 'lable' (did you mean label?)"),
        ("POST", "", b"{}", 400, "label: missing, or not a text"),
        ("POST", "", b'{"label": "a", "regressed": 1}', 400, "regressed: neither true nor false"),
        ("POST", "", b'{"label": "a/b"}', 400, "label: a label has printable characters alone, and no slash"),
        ("POST", "", b'{"label": "a", "about": 1}', 400, 'about: not an object of texts as in {"cni": '),
        ("POST", "", b'{"label": "a", "from": "today"}', 400, "from: not a time as in 2026-11-26T14:20:00Z: 'today'"),
        ("POST", "", b'{"label": "a", "to": 1}', 400, "to: not a time as in 2026-11-26T14:20:00Z: 1"),
        ("POST", "", b'{"label": "a", "to": "2100-01-01T00:00:00Z"}', 400, "to: 2100-01-01T00:00:00Z is still to come"),
        ("POST", "", b'{"label": "a"}', 422, "none of 2 series is fit to be recorded; "),
        ("POST", "", b" " * 70_000, 413, "more than 65536 bytes"),
        ("POST", "/import", b"no file", 422, "the file is refused: line 1: "),
        ("GET", "/now/export?from=2026-11-26T14:20:00", None, 400, "from: not a time as in "),
        ("GET", "/now/export?to=2000-01-01T00:00:00Z&from=2001-01-01T00:00:00Z", None, 400, "from: not before to"),
        ("GET", "/healty", None, 404, "there is no baseline 'healty' (did you mean healthy?)"),
        ("GET", "/healthy?version=3", None, 404, "there is no version 3 of healthy (there are: 1, 2)"),
        ("GET", "/healthy?version=0", None, 400, "version: not a number from 1 to "),
        ("GET", "/other/export", None, 404, "there is no baseline 'other' (known: healthy)"),
        ("POST", "/other/accept", None, 404, "there is no baseline 'other' (known: healthy)"),
        ("GET", "/healthy/accept", None, 405, "Method Not Allowed"),
        ("DELETE", "/healthy", None, 400, "version: which one of healthy? There are: 1, 2"),
        ("DELETE", "/healthy?force=yes&version=1", None, 400, "force: unknown value 'yes' (known: true, false)"),
    ],
)  # fmt: skip
async def test_what_is_refused_and_what_would_be_right(
    turned: Turned, client, method: str, url: str, body: bytes | None, status: int, error: str
) -> None:
    await turned.take(SLOW, accepted=baseline(SLOW))
    await turned.baselines.import_(file.write(replace(baseline(SLOW), recorded_at=WATCHED + 1, version=2)))
    response = await client.request(method, f"/api/v1/baselines{url}", content=body)
    assert response.status_code == status, response.text
    assert response.json()["error"].startswith(error)


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("level=sure", "level: unknown value 'sure' (known: suspect, confirmed)"),
        ("layer=tpc", "layer: unknown value 'tpc' (did you mean tcp?)"),
        ("family=ipv5", "family: unknown value 'ipv5' (did you mean ipv"),
        ("from=now", "from: not a time as in 2026-11-26T14:20:00Z: 'now'"),
        ("node=a", "unknown query parameter 'node' (known: "),
    ],
)
async def test_regressions_are_asked_for_in_words_that_are_known(
    turned: Turned, client, query: str, error: str
) -> None:
    await turned.take(SLOW)
    response = await client.get(f"/api/v1/regressions?{query}")
    assert response.status_code == 400
    assert response.json()["error"].startswith(error)


async def test_a_window_that_is_too_short_is_refused_with_what_it_takes(turned: Turned, client) -> None:
    await turned.take(SLOW)
    asked = {"label": "a", "from": at(turned.now - HOUR)}
    told = await ok(await client.post("/api/v1/baselines", json=asked), 422)
    assert told == {"error": "the window is 1 h: a baseline needs 24 h at least", "refused": []}


async def test_where_there_are_no_baselines_that_is_said(turned: Turned, service, client) -> None:
    await turned.take(replace(SLOW, quantile_budget={"tcp": {"p50": 1.0}}), settings=BaselineSettings(enabled=False))
    for url in ("", "/healthy", "/now/export"):
        response = await client.get(f"/api/v1/baselines{url}")
        assert (response.status_code, response.json()) == (404, {"error": "baselines are not enabled here"})
    empty = {"summary": [], "regressions": [], "budgets": []}
    assert await ok(await client.get("/api/v1/regressions")) == empty
    service.tracker = None
    assert await ok(await client.get("/api/v1/regressions")) == empty
    assert (await client.post("/api/v1/baselines")).status_code == 404


async def test_a_file_that_is_too_large_is_refused_before_it_is_read(
    turned: Turned, client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await turned.take(SLOW)
    monkeypatch.setattr(under_test, "MOST_FILE", 1000)
    response = await client.post("/api/v1/baselines/import", content=bytes(1001))
    assert (response.status_code, response.json()) == (413, {"error": "more than 1000 bytes"})


async def test_a_disk_that_fails_is_said(turned: Turned, client, monkeypatch: pytest.MonkeyPatch) -> None:
    await turned.take(SLOW)
    turned.baselines.store._thread.submit(
        turned.baselines.store._db.connection.execute, "DROP TABLE baselines"
    ).result()
    response = await client.get("/api/v1/baselines")
    assert response.status_code == 503
    assert response.json()["error"].startswith("the store failed: ")
