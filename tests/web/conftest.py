"""A service to look at: real board, real metrics, no scheduler."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import httpx
import pytest

from prober.engine.baselines.tracker import Tracker
from prober.engine.board import Board
from prober.export.cells import CellMetrics
from prober.export.exposition import Exposition
from prober.export.selfmetrics import SelfMetrics
from prober.model import Cell, Run, Vantage
from prober.web.app import build_app


@dataclass
class Reloaded:
    ok: bool
    message: str
    cells: int


class FakeService:
    """What the app needs of the service; `state` and `reloaded` are what it says."""

    def __init__(self) -> None:
        self.vantage = Vantage("node-a", "node-a", "eu-1a", "eu-1")
        self.board = Board()
        self.metrics = CellMetrics(self.vantage, lambda _: None)
        self.exposition = Exposition(self.metrics, SelfMetrics(self.vantage, process=False))
        self.state = (True, "probing")
        self.reloaded = Reloaded(True, "12 cells, 3 new", 12)
        self.broken = False
        self.tracker: Tracker | None = None

    def set_cells(self, cells: Sequence[Cell]) -> None:
        self.board.set_cells(cells)
        self.metrics.set_cells(cells)

    def fire(self, *runs: Run) -> None:
        self.board.post(runs[0].cell, runs)
        self.metrics.record(runs[0].cell, runs)

    def ready(self) -> tuple[bool, str]:
        return self.state

    def healthy(self) -> tuple[bool, str]:
        return self.state

    async def reload(self) -> Reloaded:
        if self.broken:
            raise RuntimeError("a bug")
        return self.reloaded


@dataclass
class FakeLab:
    """Two faults, of which one cannot be had."""

    on: dict[str, bool] = field(default_factory=lambda: {"tls-expired": False, "tcp-timeout": False})

    @property
    def faults(self) -> Sequence[dict[str, object]]:
        return [{"name": name, "on": on} for name, on in self.on.items()]

    async def set_fault(self, name: str, on: bool) -> None:
        if name == "tcp-timeout":
            raise RuntimeError("the backlog cannot be filled here")
        self.on[name] = on


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
async def client(service: FakeService) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(build_app(service, lab=FakeLab()), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://prober", trust_env=False) as client:
        yield client
