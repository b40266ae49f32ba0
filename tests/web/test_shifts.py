"""`/api/v1/shifts` of a prober that has a baseline, and what `prober watch` reads out of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pytest

from prober.baseline.store import Shifts
from prober.baseline.values import BLOCK, Origin
from prober.cli.watch.vantages import read
from prober.units import rfc3339_at
from prober.web.shifts import shifts_as_json
from tests.baseline.made import KEY, MONDAY, latencies
from tests.support.tracking import HERE, WATCHED, Turned, baseline, feed, tcp, watched
from tests.web.conftest import FakeService


@pytest.fixture
async def turned(service: FakeService) -> AsyncIterator[Turned]:
    """A cell with a baseline that was measured for five blocks, twice as slow in the last of them."""
    made = Turned(now=WATCHED)
    cell = watched()
    await made.take(cell, accepted=baseline(cell))
    blocks = latencies(3, 5)
    await feed(made, blocks[:4])
    await feed(made, blocks[4:], factor=2.0, failed=3)
    service.tracker = made.tracker
    yield made
    await made.tracker.close()


async def asked(client: httpx.AsyncClient, since: float, until: float) -> Any:
    answer = await client.get(f"/api/v1/shifts?from={quote(rfc3339_at(since))}&to={quote(rfc3339_at(until))}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    return answer.json()


async def test_the_shifts_of_each_block_are_columns_beside_a_list_of_the_series(
    client: httpx.AsyncClient, turned: Turned
) -> None:
    told = await asked(client, WATCHED, turned.now)
    assert told["vantage"] == {
        "name": HERE.name, "node": "node-a", "zone": "eu-1a", "region": "eu-1", "about": {"kernel": "6.12.8"},
    }  # fmt: skip
    key = tcp(turned.cells[0])
    [series] = [one for one in told["series"] if one["layer"] == "tcp"]
    assert series == {
        "probe": key.probe, "target": key.target, "path": key.path, "family": key.family, "layer": "tcp", "node": "",
        "baseline": "healthy v1",
    }  # fmt: skip
    assert [block["start"] for block in told["blocks"]] == [rfc3339_at(WATCHED + n * BLOCK) for n in range(5)]
    at = [block["series"].index(told["series"].index(series)) for block in told["blocks"]]
    rows = [{name: block[name][n] for name in ("runs", "failed", "psi", "rank")}
            for n, block in zip(at, told["blocks"], strict=True)]  # fmt: skip
    assert [(row["runs"], row["failed"]) for row in rows] == [(40, 0)] * 4 + [(43, 3)]
    assert all(abs(row["psi"]) < 0.1 for row in rows[:4])
    assert rows[4]["psi"] > 0.2
    assert [block["start"] for block in (await asked(client, WATCHED + BLOCK, WATCHED + 3 * BLOCK))["blocks"]] == [
        rfc3339_at(WATCHED + BLOCK), rfc3339_at(WATCHED + 2 * BLOCK),
    ]  # fmt: skip


async def test_what_watch_reads_is_what_the_api_told(client: httpx.AsyncClient, turned: Turned) -> None:
    answer = read("http://prober", await asked(client, WATCHED, turned.now))
    assert (answer.origin.vantage, answer.node, answer.baselines) == ("node-a", "node-a", ("healthy v1",))
    found = {member.key: one for member, one in answer.readings(WATCHED + 4 * BLOCK).items()}
    reading = found[tcp(turned.cells[0])]
    assert (reading.runs, reading.failed) == (43, 3)
    assert reading.shift > 0.2


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("from=yesterday", "from: not a time as in 2026-11-26T14:20:00Z: 'yesterday'"),
        ("to=2026-11-26T14:20:00", "to: not a time as in 2026-11-26T14:20:00Z: '2026-11-26T14:20:00'"),
        ("since=2026-11-26T14:20:00Z", "unknown query parameter 'since' (known: from, to)"),
    ],
)
async def test_a_query_that_makes_no_sense_is_refused(
    client: httpx.AsyncClient, turned: Turned, query: str, says: str
) -> None:
    answer = await client.get(f"/api/v1/shifts?{query}")
    assert (answer.status_code, answer.json()) == (400, {"error": says})


async def test_a_prober_without_baselines_says_so(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/shifts")
    assert (answer.status_code, answer.json()) == (404, {"error": "baselines are not enabled here"})


def test_series_that_come_and_go_keep_their_places_and_what_is_no_number_is_null() -> None:
    other, third = replace(KEY, layer="dns"), replace(KEY, node="node-b")
    wide = tuple(replace(KEY, target=f"t{n}") for n in range(1201))

    def block(number: int, *keys: Any) -> Shifts:
        shifts = np.full(len(keys), 0.1234567, np.float32)
        shifts[-1:] = np.nan
        return Shifts(
            MONDAY + number * BLOCK, keys, np.full(len(keys), 40), np.zeros(len(keys), np.int64), shifts, shifts
        )

    blocks = [block(0, KEY, other), block(1, other, third), block(2), block(3, *wide)]
    told = httpx.Response(200, text="".join(shifts_as_json(Origin("a"), {KEY: "x v1"}, blocks))).json()
    assert [one["series"] for one in told["blocks"][:3]] == [[0, 1], [1, 2], []]
    assert told["blocks"][0]["psi"] == [0.12346, None]
    assert told["blocks"][3]["series"] == list(range(3, 1204))
    assert [one["baseline"] for one in told["series"][:3]] == ["x v1", None, None]
    assert told["series"][2]["node"] == "node-b"
