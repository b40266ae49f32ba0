"""Cells and runs as JSON, filtered and in order."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from prober.export import pace
from prober.export.runs import run_as_dict
from prober.reasons import Family, Kind, Layer, Reason
from tests.support.runs import failed_run, good_run, named

WEB = named(Kind.HTTP, "https", "web/web-api/ingress")
POD = replace(WEB, path="pod", family=Family.IPV6)
PAY = named(Kind.GRPC, "grpc", "pay/payments/service")


@pytest.fixture
def board(service):
    """Three cells: good for a while, failed since then, never run."""
    service.set_cells([WEB, POD, PAY])
    service.fire(good_run(WEB, after=1))
    service.fire(good_run(WEB, after=11))
    service.fire(good_run(POD, after=2))
    service.fire(failed_run(POD, Layer.TLS, Reason.EXPIRED, after=12))
    return service.board


async def ids(client, url: str) -> list[str]:
    response = await client.get(url)
    assert response.status_code == 200
    return [cell["id"] for cell in response.json()["cells"]]


async def test_a_cell_says_who_it_is_and_how_it_has_been_since_when(service, client, board) -> None:
    response = await client.get("/api/v1/cells")
    assert response.headers["Content-Type"] == "application/json"
    web, pod, pay = response.json()["cells"]
    assert web == {
        "id": "web/web-api/ingress/ipv4",
        "labels": {"probe": "web", "target": "web-api", "path": "ingress", "family": "ipv4"},
        "kind": "http",
        "interval": 10.0,
        "state": "ok",
        "since": "2026-11-22T10:00:01.123456Z",
        "streak": 2,
        "latest": run_as_dict(good_run(WEB, after=11), service.vantage),
        "verdict": None,
    }
    assert (pod["state"], pod["since"], pod["latest"]["blame"]["reason"]) == (
        "failed", "2026-11-22T10:00:12.123456Z", "expired")  # fmt: skip
    assert (pay["state"], pay["since"], pay["streak"], pay["latest"]) == ("unknown", None, 0, None)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [WEB, POD, PAY]),
        ("?probe=web", [WEB, POD]),
        ("?target=payments", [PAY]),
        ("?path=pod&path=service", [POD, PAY]),
        ("?family=ipv6", [POD]),
        ("?state=failed", [POD]),
        ("?state=ok&state=unknown", [WEB, PAY]),
        ("?probe=web&family=ipv4&state=ok", [WEB]),
        ("?probe=nothing", []),
    ],
)
async def test_cells_are_filtered_by_label_and_state(client, board, query: str, expected: list) -> None:
    assert await ids(client, f"/api/v1/cells{query}") == [cell.id for cell in expected]


async def starts(client, query: str) -> list[tuple[str, str]]:
    response = await client.get(f"/api/v1/runs{query}")
    assert response.status_code == 200
    return [(run["path"], run["started_at"][17:19]) for run in response.json()["runs"]]


async def test_runs_come_newest_first(service, client, board) -> None:
    everything = [("pod", "12"), ("ingress", "11"), ("pod", "02"), ("ingress", "01")]
    assert await starts(client, "") == everything
    assert await starts(client, "?limit=3") == everything[:3]
    assert await starts(client, "?limit=1") == everything[:1]
    assert await starts(client, "?ok=true") == everything[1:]
    assert await starts(client, "?ok=true&limit=1") == everything[1:2]
    assert await starts(client, "?ok=false") == everything[:1]
    assert await starts(client, "?path=ingress") == [everything[1], everything[3]]
    assert await starts(client, "?target=payments") == []


async def test_runs_of_one_moment_come_in_the_order_of_the_configuration(service, client) -> None:
    service.set_cells([WEB, POD])
    service.fire(good_run(POD, after=5))
    service.fire(good_run(WEB, after=5))
    assert await starts(client, "") == [("ingress", "05"), ("pod", "05")]
    assert await starts(client, "?limit=1") == [("ingress", "05")]


@pytest.mark.parametrize("url", ["/api/v1/cells", "/api/v1/runs?limit=10000", "/"])
async def test_a_long_list_lets_the_probes_go_on(monkeypatch, service, client, url: str) -> None:
    cells = [replace(WEB, target=f"target-{number}") for number in range(300)]
    service.set_cells(cells)
    for cell in cells:
        service.fire(good_run(cell))
    monkeypatch.setattr(pace, "SLICE", 0.0)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    response = await client.get(url)
    task.cancel()
    assert response.text.count("target-299") >= 1
    assert turns > 300


async def test_a_reload_in_the_middle_of_a_list_does_no_harm(monkeypatch, service, client) -> None:
    monkeypatch.setattr(pace, "SLICE", 0.0)
    service.set_cells([replace(WEB, target=f"target-{number}") for number in range(50)])
    request = asyncio.create_task(client.get("/api/v1/cells"))
    for _ in range(30):
        await asyncio.sleep(0)
    service.set_cells([WEB])
    assert len((await request).json()["cells"]) in (1, 50)
