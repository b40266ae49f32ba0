"""The composition root in one process: who hears of a run, in which order, and what happens when a part breaks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

import prober.engine.climb as engine
import prober.engine.service as service_module
from prober.config.errors import ConfigError
from prober.engine.board import Entry, State
from prober.engine.service import Service
from prober.export.events import Choice, EventLog
from prober.export.lines import LineWriter
from prober.kubernetes.api import ApiAccess
from prober.layers.base import Ascent
from prober.layers.rungs import rung_of
from prober.model import Blame, Vantage
from prober.reasons import Kind, Layer, Reason
from tests.support.api_server import ApiServer, endpoint_slice

VANTAGE = Vantage("node-a")


def configure(path: Path, port: int, *probes: str, endpoints: str = "") -> Path:
    way = f"endpoints: {{{endpoints}}}" if endpoints else f"url: 'tcp://127.0.0.1:{port}'"
    lines = [f"targets: {{web: {{paths: {{direct: {{{way}}}}}}}}}", "defaults: {interval: 100ms, timeout: 80ms}"]
    lines += ["probes:", *(f"  - {{name: {name}, kind: tcp, targets: [web], families: [ipv4]}}" for name in probes)]
    path.write_text("\n".join(lines))
    return path


class Running:
    """A started service and its events."""

    def __init__(self, service: Service, events: Path) -> None:
        self.service = service
        self._events = events

    def entry(self, probe: str) -> Entry:
        entry = self.service.board.entry(f"{probe}/web/direct/ipv4")
        assert entry is not None
        return entry

    def events(self) -> list[dict[str, Any]]:
        """What was written; complete once the service has stopped."""
        return [json.loads(line) for line in self._events.read_text().splitlines()]

    async def metrics(self) -> str:
        _, body = await self.service.exposition.render("", "")
        return b"".join([part async for part in body]).decode()


@contextlib.asynccontextmanager
async def started(config: Path, **more: Any) -> AsyncIterator[Running]:
    events = config.with_suffix(".events")
    with events.open("wb") as out:
        log = EventLog(LineWriter(out.fileno()), VANTAGE, Choice.CHANGES)
        service = Service(config, VANTAGE, events=log, **more)
        await service.start()
        try:
            yield Running(service, events)
        finally:
            await service.stop(1)


async def until(true: Callable[[], bool]) -> None:
    """Look often, for ten seconds at most."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - the board has no event to wait for
            await asyncio.sleep(0.005)


async def test_a_run_reaches_board_metrics_and_health(tmp_path: Path, port: int) -> None:
    async with started(configure(tmp_path / "p.yaml", port, "a")) as running:
        await until(lambda: running.entry("a").state is State.OK)
        assert re.search(r'^prober_up{.*probe="a".*} 1\.0$', await running.metrics(), re.MULTILINE)
        assert re.search(r'^prober_layer_local_seconds_count{layer="tcp"} [1-9]', await running.metrics(), re.MULTILINE)
        assert running.service.ready() == (True, "probing 1 cells")
        assert running.service.healthy()[0]
    assert running.service.ready() == (False, "stopping")
    assert [event["event"] for event in running.events()] == ["started", "stopped"]


async def test_a_probe_that_raises_becomes_internal_and_nothing_else_stops(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = rung_of(Kind.TCP, Layer.TCP)

    async def buggy(ascent: Ascent) -> None:
        if ascent.cell.probe == "bad":
            raise ZeroDivisionError("a bug of ours")
        await real(ascent)

    monkeypatch.setattr(engine, "rung_of", lambda kind, layer: buggy if layer is Layer.TCP else rung_of(kind, layer))
    async with started(configure(tmp_path / "p.yaml", port, "bad", "good")) as running:
        await until(lambda: len(running.entry("bad").recent) >= 3 and len(running.entry("good").recent) >= 3)
        bad, good = running.entry("bad"), running.entry("good")
        assert bad.latest[0].blame == Blame(Layer.TCP, Reason.INTERNAL)
        assert (bad.state, good.state) == (State.UNKNOWN, State.OK)
    assert "cell_failed" not in [event["event"] for event in running.events()], "our own bug is nobody's failure"


async def test_a_climb_that_breaks_outside_its_rungs_becomes_internal_too(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(service_module, "climb", broken)
    async with started(configure(tmp_path / "p.yaml", port, "a")) as running:
        await until(lambda: len(running.entry("a").recent) >= 2)
        assert running.entry("a").latest[0].blame == Blame(Layer.DNS, Reason.INTERNAL)


async def test_endpoints_come_from_the_api_server(tmp_path: Path, port: int) -> None:
    api = ApiServer(endpoint_slice("web-1", "web", "127.0.0.1", http=port))
    config = configure(tmp_path / "p.yaml", port, "pods", endpoints="service: app/web, port: http")
    async with api.serving() as server:
        access = ApiAccess(server.address, server.port, tmp_path / "token", tmp_path / "ca", tls=False)
        async with started(config, api=access) as running:
            await until(lambda: running.entry("pods").state is State.OK)
            assert running.entry("pods").latest[0].address == "127.0.0.1"
            await api.delete("web-1")
            await until(lambda: running.entry("pods").state is State.FAILED)
            assert running.entry("pods").latest[0].blame == Blame(Layer.DNS, Reason.NO_DATA)


async def test_endpoints_that_nobody_can_tell_are_our_own_trouble(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    config = configure(tmp_path / "p.yaml", port, "pods", endpoints="service: app/web, port: http")
    async with started(config) as running:
        await until(lambda: len(running.entry("pods").recent) >= 1)
        run = running.entry("pods").latest[0]
    assert run.ours
    assert "KUBERNETES_SERVICE_HOST" in str(run.outcomes[0].evidence["detail"])


async def test_a_bad_configuration_stops_the_start(tmp_path: Path, port: int) -> None:
    path = configure(tmp_path / "p.yaml", port)
    service = Service(path, VANTAGE)
    with pytest.raises(ConfigError):
        await service.start()
    assert service.ready() == (False, "the configuration is not loaded yet")
    await service.stop(0)


async def test_a_reload_tells_what_it_changed(tmp_path: Path, port: int) -> None:
    path = tmp_path / "p.yaml"
    async with started(configure(path, port, "stays", "goes")) as running:
        await until(lambda: len(running.entry("stays").recent) >= 2)
        configure(path, port, "stays", "new", "newer")
        assert (await running.service.reload()).ok
        assert len(running.entry("stays").recent) >= 2
        assert running.service.board.entry("goes/web/direct/ipv4") is None
        text = await running.metrics()
        assert 'probe="goes"' not in text
        assert "prober_cells 3" in text
    (event,) = [event for event in running.events() if event["event"] == "reloaded"]
    assert {key: event[key] for key in ("cells", "added", "removed", "changed")} == {
        "cells": 3, "added": 2, "removed": 1, "changed": 0}  # fmt: skip


async def test_a_service_whose_watcher_has_died_is_not_healthy(tmp_path: Path, port: int) -> None:
    async with started(configure(tmp_path / "p.yaml", port, "a")) as running:
        running.service._tasks[0].cancel()
        await asyncio.wait(running.service._tasks[:1])
        assert running.service.healthy() == (False, "a task of the service has ended")
