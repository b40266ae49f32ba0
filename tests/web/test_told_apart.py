"""Slower on some nodes of endpoints: what these have in common, over real HTTP from the API server to whoever asks."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn

from prober.baseline.values import Origin, Recording
from prober.cli.changes import changes_of
from prober.engine.baselines.settings import settings_of
from prober.engine.baselines.surroundings import Surroundings
from prober.kubernetes.api import ApiAccess
from prober.model import Run, ServiceRef
from prober.reasons import Kind, Layer
from prober.web.app import build_app
from tests.baseline.made import MONDAY
from tests.kubernetes.samples import NODES, url_of
from tests.support.api_server import ApiServer, node
from tests.support.cells import make_cell
from tests.support.runs import good_run
from tests.support.tracking import HEALTHY, WATCHED, Turned, tcp
from tests.web.conftest import FakeService

#: Addresses of endpoints, and the node of each: every other one has another kernel.
ENDPOINTS = {f"10.0.0.{number}": f"n{number}" for number in range(6)}
NEW = ("n1", "n3", "n5")
CELL = replace(make_cell(Kind.TCP, "tcp", "", 80, service=ServiceRef("app", "web", 80)), target="web", interval=15.0)
KERNEL = "on nodes with kernel 6.12"


@dataclass
class Live:
    """A prober that answers at `url`, and the API server that it asks."""

    turned: Turned
    api: ApiServer
    url: str

    async def told(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as client:
            return await client.get(path)

    async def blocks(self, count: int, factor: float) -> None:
        """TCP takes so many times as long to the nodes with the new kernel."""
        random = np.random.default_rng(5)
        for _ in range(count):
            runs: list[Run] = []
            for address, name in ENDPOINTS.items():
                seconds = random.lognormal(np.log(0.001), 0.2, 20) * (factor if name in NEW else 1.0)
                runs += [replace(good_run(CELL, seconds={Layer.TCP: float(one)}), address=address) for one in seconds]
            await self.turned.block(runs)


@pytest.fixture
async def live() -> AsyncIterator[Live]:
    api = ApiServer()
    api.objects[NODES] = [node(name, kernelVersion="6.12.5" if name in NEW else "6.8.0") for name in ENDPOINTS.values()]
    keys = [tcp(CELL), *(replace(tcp(CELL), node=name) for name in ENDPOINTS.values())]
    known = Recording("healthy", Origin("node-a"), MONDAY, WATCHED, WATCHED, 1, dict.fromkeys(keys, HEALTHY),
                      {CELL.id: settings_of(CELL)})  # fmt: skip
    async with api.serving() as server:
        access = ApiAccess.from_url(url_of(server))
        turned = Turned(now=WATCHED, nodes=ENDPOINTS, surroundings=Surroundings(lambda: access))
        service = FakeService()
        service.tracker = turned.tracker
        await turned.take(CELL, accepted=known)
        web = uvicorn.Server(uvicorn.Config(build_app(service), lifespan="off", log_config=None, access_log=False))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            serving = asyncio.create_task(web.serve([listener]))
            yield Live(turned, api, f"http://127.0.0.1:{listener.getsockname()[1]}")
            web.should_exit = True
            await serving
        await turned.tracker.close()


async def test_what_the_slower_nodes_have_in_common_is_told_wherever_the_change_is(live: Live) -> None:
    await live.blocks(3, 1.0)
    assert live.api.requests == []
    await live.blocks(14, 1.5)
    told: dict[str, Any] = (await live.told("/api/v1/regressions")).json()
    (change,) = told["summary"]
    assert re.fullmatch(
        rf"tcp (4|5)\d % slower since 00:\d0 {KERNEL} \(.* each\), confirmed, 3 of 3 series", change["says"]
    )
    assert (change["trait"], change["pages"], len(change["series"])) == (KERNEL, True, 3)
    single = {
        one["series"]["node"]: one for one in told["regressions"] if one["channel"] == "location" and one["series"]
    }
    assert {name: one["trait"] for name, one in single.items()} == dict.fromkeys(NEW, KERNEL)
    assert f" on node n1, as {KERNEL} (" in single["n1"]["says"]
    events = [one for one in live.turned.events.of("regression") if one["level"] == "confirmed" and one["series"]]
    assert {one["series"]["node"] for one in events if one["trait"] == KERNEL} == set(NEW)
    assert f"<li>{change['says']}</li>" in (await live.told("/")).text
    explained = await asyncio.to_thread(changes_of, live.url, None, timeout=5.0)
    assert explained.pressing == (change["says"],)
    assert live.api.requests == ["GET /api/v1/nodes?limit=50 HTTP/1.1"]
    confirmed = (await live.told("/api/v1/regressions?level=confirmed")).json()["summary"]
    assert [one["says"] for one in confirmed] == [change["says"]]


async def test_where_nodes_may_not_be_read_their_names_are_told(live: Live) -> None:
    live.api.refuse = 403, "nodes is forbidden"
    await live.blocks(3, 1.0)
    await live.blocks(14, 1.5)
    told: dict[str, Any] = (await live.told("/api/v1/regressions")).json()
    (change,) = [one for one in told["summary"] if one["group"] is None]
    assert " since 00:" in change["says"]
    assert " on nodes n1, n3 and n5 (" in change["says"]
    assert change["trait"] is None
    assert change["where"] == {"node": list(NEW)}
    assert len(live.api.requests) == 1


async def test_the_zone_of_endpoints_nodes_is_a_place(live: Live) -> None:
    live.api.objects[NODES] = [
        node(name, labels={"topology.kubernetes.io/zone": "eu-1a" if name in NEW else "eu-1b"})
        for name in ENDPOINTS.values()
    ]
    await live.blocks(3, 1.0)
    await live.blocks(14, 1.5)
    (change,) = (await live.told("/api/v1/regressions")).json()["summary"]
    assert " in zone eu-1a (" in change["says"]
