"""A tracker on a clock that tests turn, fed with runs: days of blocks in seconds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from prober.baseline.sketch import Floats
from prober.baseline.store import Retention, Store
from prober.baseline.values import BLOCK, BLOCKS, HOUR, Origin, Recording, SeriesKey
from prober.engine.baselines.baselines import Baselines
from prober.engine.baselines.settings import settings_of
from prober.engine.baselines.surroundings import Surroundings
from prober.engine.baselines.tracker import Tracker
from prober.export.events import EventLog
from prober.model import Cell, Run, ServiceRef, Vantage
from prober.options import BaselineSettings
from prober.reasons import Kind, Layer, Reason
from tests.baseline.made import MONDAY, hours, latencies
from tests.support.cells import make_cell
from tests.support.runs import failed_run, good_run

WATCHED = MONDAY + 48 * HOUR
HERE = Vantage("node-a", "node-a", "eu-1a", "eu-1")


def watched(name: str = "target", **changed: Any) -> Cell:
    """A cell of kind tcp to an address, every 15 s: 40 runs a block."""
    cell = make_cell(Kind.TCP, "tcp", "192.0.2.7", 443)
    return replace(cell, target=name, interval=15.0, **changed)


def runs(cell: Cell, seconds: Iterable[float], failed: int = 0) -> list[Run]:
    """Runs whose tcp layer took these seconds, and some that timed out."""
    held = [good_run(cell, seconds={Layer.TCP: float(one)}) for one in seconds]
    return held + [failed_run(cell, Layer.TCP, Reason.TIMEOUT)] * failed


@dataclass
class Written(EventLog):
    """Remembers the events."""

    said: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(None, HERE)

    def _say(self, event: str, **what: object) -> None:
        self.said.append(json.loads(json.dumps({"event": event, **what})))

    def of(self, event: str) -> list[dict[str, Any]]:
        return [one for one in self.said if one["event"] == event]


class Turned:
    """The tracker; `now` and `monotonic` are what its clocks say."""

    def __init__(
        self, data: Path | Store | None = None, now: float = MONDAY, nodes: Mapping[str, str] | None = None,
        here: Vantage = HERE, surroundings: Surroundings | None = None,
    ) -> None:  # fmt: skip
        self.now, self.up = float(now), 1000.0
        self.events = Written()
        self.cells: Sequence[Cell] = ()
        self._data, self._nodes = data, nodes or {}
        self.tracker = Tracker(
            here, self.events, open_store=self._open, node_of=self._node_of, about=self._about,
            surroundings=surroundings, clock=lambda: self.now, monotonic=lambda: self.up,
        )  # fmt: skip

    async def take(
        self, *cells: Cell, settings: BaselineSettings | None = None, accepted: Recording | None = None
    ) -> None:
        """A (re)load."""
        self.cells = cells
        await self.tracker.set_cells(cells, settings or BaselineSettings(), accepted)
        await self.tracker.idle()

    @property
    def baselines(self) -> Baselines:
        assert self.tracker.baselines is not None
        return self.tracker.baselines

    async def block(self, *fed: Iterable[Run]) -> None:
        """Feed each cell its runs, and let the block end."""
        for cell, its in zip(self.cells, fed, strict=False):
            for run in its:
                self.tracker.record(cell, (replace(run, cell=cell),))
        await self.pass_by(BLOCK - self.now % BLOCK)

    def fill(self, random: np.random.Generator, each: int = 40) -> None:
        """So many samples of each series, as runs would have made them: those would take a minute for thousands."""
        sampler = self.tracker._sampler
        rows = list(sampler.live.keys)
        for _ in range(each):
            sampler.samples.rows.extend(rows)
            sampler.samples.seconds.extend(random.lognormal(np.log(0.001), 0.2, len(rows)).tolist())
            sampler.samples.fold()
        for one in sampler._watched.values():
            one.firings = each

    async def pass_by(self, seconds: float, *, slept: bool = False) -> None:
        """Let time go by; a machine that `slept` has not counted it."""
        self.now += seconds
        self.up += 0.0 if slept else seconds
        self.tracker.tick()
        await self.tracker.idle()

    def _open(self, retention: Retention) -> Store:
        if isinstance(self._data, Store):
            return self._data
        return Store.open(self._data, retention=retention, clock=lambda: self.now)

    def _node_of(self, _: ServiceRef, address: str) -> str:
        return self._nodes.get(address, "")

    async def _about(self) -> Mapping[str, str]:
        return {"kernel": "6.12.8"}


#: Two days of a healthy cell: every series may have the same.
HEALTHY = hours(latencies(11, 48 * BLOCKS), failed=1)


def tcp(cell: Cell) -> SeriesKey:
    return SeriesKey(cell.probe, cell.target, cell.path, cell.family.value, "tcp")


def baseline(*cells: Cell, label: str = "healthy") -> Recording:
    series = {tcp(cell): HEALTHY for cell in cells}
    settings = {cell.id: settings_of(cell) for cell in cells}
    return Recording(label, Origin("node-a"), MONDAY, WATCHED, WATCHED, 1, series, settings)


async def feed(turned: Turned, *blocks: Sequence[Floats], factor: float = 1.0, failed: int = 0) -> None:
    """To each cell its blocks."""
    for parts in zip(*blocks, strict=True):
        await turned.block(
            *(runs(cell, part * factor, failed) for cell, part in zip(turned.cells, parts, strict=False))
        )
