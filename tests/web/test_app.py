"""Metrics, health, reload, the page, the lab's switches, and how errors look."""

from __future__ import annotations

import httpx
import pytest
from prometheus_client import generate_latest

from prober.reasons import Kind, Layer, Reason
from prober.web.app import build_app
from tests.support.runs import failed_run, good_run, named

WEB = named(Kind.HTTP, "https", "web/web-api/ingress")
ODD = named(Kind.TCP, "tcp", "<script>alert(1)/web-api/service")


async def test_metrics_are_the_exposition(service, client: httpx.AsyncClient) -> None:
    service.set_cells([WEB])
    service.fire(good_run(WEB))
    response = await client.get("/metrics", headers={"Accept-Encoding": "identity"})
    assert response.content == generate_latest(service.exposition.registry)
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert response.headers["Vary"] == "Accept, Accept-Encoding"


async def test_metrics_are_compressed_and_in_openmetrics_where_the_client_asks_for_it(service, client) -> None:
    service.set_cells([WEB])
    headers = {"Accept": "application/openmetrics-text;version=1.0.0", "Accept-Encoding": "gzip"}
    response = await client.get("/metrics", headers=headers)
    assert response.headers["Content-Encoding"] == "gzip"
    assert response.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert response.text.endswith("# EOF\n")


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_health_is_told_by_status_and_sentence(service, client, path: str) -> None:
    response = await client.get(path)
    assert (response.status_code, response.text) == (200, "probing\n")
    service.state = (False, "no configuration yet")
    response = await client.get(path)
    assert (response.status_code, response.text) == (503, "no configuration yet\n")


async def test_a_reload_says_what_came_of_it(service, client) -> None:
    response = await client.post("/-/reload")
    assert (response.status_code, response.text) == (200, "12 cells, 3 new\n")
    service.reloaded.ok = False
    service.reloaded.message = "probes.yaml:1:1: probes: missing\nprobes.yaml:2:1: tragets: unknown key"
    response = await client.post("/-/reload")
    assert (response.status_code, response.text) == (422, service.reloaded.message + "\n")
    assert response.headers["Content-Type"].startswith("text/plain")


async def test_a_reload_takes_a_post(client) -> None:
    response = await client.get("/-/reload")
    assert (response.status_code, response.json()) == (405, {"error": "Method Not Allowed"})
    assert response.headers["Allow"] == "POST"


async def test_what_is_not_there_is_said_in_json(client) -> None:
    response = await client.get("/api/v2/cells")
    assert (response.status_code, response.json()) == (404, {"error": "Not Found"})


async def test_our_own_bug_is_no_secret_and_tells_none(service, client) -> None:
    service.broken = True
    response = await client.post("/-/reload")
    assert (response.status_code, response.json()) == (500, {"error": "internal error: see the log"})


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("/api/v1/cells?tagret=x", "unknown query parameter 'tagret' (did you mean target?)"),
        ("/api/v1/runs?zzz=1", "unknown query parameter 'zzz' (known: probe, target, path, family, ok, limit)"),
        ("/api/v1/cells?family=ip4", "family: unknown value 'ip4' (did you mean ipv4?)"),
        ("/api/v1/cells?state=fail", "state: unknown value 'fail' (did you mean failed?)"),
        ("/api/v1/runs?ok=yes", "ok: unknown value 'yes' (known: true, false)"),
        ("/api/v1/runs?limit=0", "limit: not a number from 1 to 10000: '0'"),
        ("/api/v1/runs?limit=-1", "limit: not a number from 1 to 10000: '-1'"),
        ("/api/v1/runs?limit=10001", "limit: not a number from 1 to 10000: '10001'"),
        ("/api/v1/runs?limit=²", "limit: not a number from 1 to 10000: '²'"),
    ],
)
async def test_a_query_that_makes_no_sense_is_refused(client, url: str, error: str) -> None:
    response = await client.get(url)
    assert (response.status_code, response.json()) == (400, {"error": error})


async def test_an_endless_number_is_refused_too(client) -> None:
    for digits in ("9" * 5000, "0" * 4999 + "5"):
        assert (await client.get(f"/api/v1/runs?limit={digits}")).status_code == 400


async def test_the_page_lists_the_cells_failed_first_and_runs_no_script(service, client) -> None:
    service.set_cells([WEB, ODD])
    service.fire(good_run(WEB))
    service.fire(failed_run(ODD, Layer.TCP, Reason.REFUSED))
    response = await client.get("/")
    assert response.status_code == 200
    assert response.text.index("&lt;script&gt;") < response.text.index("web/web-api/ingress/ipv4")
    assert "<script" not in response.text
    assert "tcp: refused" in response.text
    assert "2 cells, 0 unknown, 1 ok, 1 failed" in response.text
    assert "script" not in response.headers["Content-Security-Policy"]


async def test_faults_of_the_lab_are_switched_on_and_off(client) -> None:
    off = {"name": "tls-expired", "on": False}
    assert (await client.get("/api/v1/lab/faults")).json()["faults"][0] == off
    assert (await client.put("/api/v1/lab/faults/tls-expired")).json() == {**off, "on": True}
    assert (await client.get("/api/v1/lab/faults")).json()["faults"][0]["on"] is True
    assert (await client.delete("/api/v1/lab/faults/tls-expired")).json() == off


async def test_a_fault_that_is_unknown_or_cannot_be_had_is_refused(client) -> None:
    response = await client.put("/api/v1/lab/faults/tls-expierd")
    assert response.status_code == 404
    assert response.json() == {"error": "no fault 'tls-expierd' (did you mean tls-expired?)"}
    response = await client.put("/api/v1/lab/faults/tcp-timeout")
    assert (response.status_code, response.json()) == (409, {"error": "the backlog cannot be filled here"})
    assert (await client.post("/api/v1/lab/faults/tls-expired")).status_code == 405


async def test_without_a_lab_there_are_no_faults(service) -> None:
    transport = httpx.ASGITransport(build_app(service))
    async with httpx.AsyncClient(transport=transport, base_url="http://prober", trust_env=False) as client:
        assert (await client.get("/api/v1/lab/faults")).status_code == 404
