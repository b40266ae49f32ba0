"""The app behind the real server, on a real port."""

from __future__ import annotations

import asyncio
import gzip
import socket
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import replace
from http.client import HTTPMessage

import pytest
import uvicorn
from prometheus_client import generate_latest

from prober.reasons import Kind
from prober.web.app import build_app
from tests.support.runs import good_run, named

CELL = named(Kind.TCP, "tcp", "l4/web/service")


@pytest.fixture
async def url(service) -> AsyncIterator[str]:
    """The service on a free port of the loopback."""
    config = uvicorn.Config(build_app(service), lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve([listener]))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        await serving


def get(url: str, **headers: str) -> tuple[bytes, HTTPMessage]:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as response:
        return response.read(), response.headers


async def test_a_scrape_of_many_cells_over_the_network(service, url: str) -> None:
    cells = [replace(CELL, target=f"target-{number}") for number in range(200)]
    service.set_cells(cells)
    for cell in cells:
        service.fire(good_run(cell))
    plain, _ = await asyncio.to_thread(get, f"{url}/metrics")
    packed, headers = await asyncio.to_thread(get, f"{url}/metrics", **{"Accept-Encoding": "gzip"})
    assert plain == generate_latest(service.exposition.registry)
    assert gzip.decompress(packed) == plain
    assert headers["Content-Encoding"] == "gzip"


async def test_a_client_that_goes_away_in_the_middle_harms_nobody(service, url: str) -> None:
    service.set_cells([replace(CELL, target=f"target-{number}") for number in range(300)])
    host, port = url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: prober\r\n\r\n")
    await writer.drain()
    writer.transport.abort()
    body, _ = await asyncio.to_thread(get, f"{url}/metrics")
    assert body == generate_latest(service.exposition.registry)


async def test_head_tells_the_headers_and_renders_nothing(service, url: str) -> None:
    request = urllib.request.Request(f"{url}/metrics", method="HEAD")
    with await asyncio.to_thread(urllib.request.urlopen, request, timeout=10) as response:
        assert (response.status, response.read()) == (200, b"")
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
