"""Runs → samples: which number a series has, and what of a run counts for it. On the way of every run, so it is short.

A series is there once for each layer of a cell that is watched, and once more for each node that endpoints of the cell
are on. What only a budget is about has numbers too, and no series.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from prober.baseline.gathering import Samples
from prober.baseline.ledger import Ledger, total_of
from prober.baseline.values import BLOCK, SeriesKey
from prober.engine.baselines.settings import settings_of
from prober.model import Cell, Outcome, Run, ServiceRef
from prober.reasons import Layer, Reason, Result

#: Nodes of one cell that are kept by themselves.
MOST_NODES = 500
#: The share of a cell's runs that a block needs.
ENOUGH = 0.5

Rungs = tuple[tuple[Layer, int], ...]
"""The layers of a cell in the order of its ladder, each with its row."""
NodeOf = Callable[[ServiceRef, str], str]
"""The node of an endpoint's address; "" where it is not known."""


@dataclass(slots=True)
class Watched:
    """A cell whose runs are sampled."""

    cell: Cell
    rungs: Rungs
    total: int | None
    """The row of whole runs, where a budget is about them."""
    kept: bool
    """Whether it has series: else it is for budgets alone."""
    settings: str
    late: bool
    """It came after the block had begun."""
    firings: int = 0
    nodes: dict[str, Rungs] = field(default_factory=dict)

    @property
    def enough(self) -> bool:
        """Whether the block in progress has half of the runs that it should have."""
        return not self.late and self.firings >= ENOUGH * (BLOCK / self.cell.interval) - 1e-9

    def rows(self) -> Iterable[int]:
        """All its rows, but that of `total`."""
        for rungs in (self.rungs, *self.nodes.values()):
            for _, row in rungs:
                yield row


class Sampler:
    """Of one thread. `node_of` tells of endpoints."""

    def __init__(self, node_of: NodeOf) -> None:
        self._node_of = node_of
        self._watched: dict[str, Watched] = {}
        self._numbers: dict[SeriesKey, int] = {}
        self._next = 0
        self.keys: dict[int, SeriesKey] = {}
        """The series of each row, those that were left lately too: see `forget`."""
        self.samples = Samples()
        self.crowded: set[str] = set()
        """Cells whose endpoints are on more nodes than are kept."""

    @property
    def watched(self) -> Mapping[str, Watched]:
        """By id of the cell."""
        return self._watched

    def set_cells(self, cells: Iterable[Cell], *, enabled: bool, late: bool) -> None:
        """Take on a matrix: cells that stayed equal go on. `late`: the block has begun already."""
        before, self._watched = self._watched, {}
        for cell in cells:
            kept = enabled and cell.baseline and cell.expect.failed is None
            if not kept and not cell.quantile_budget:
                continue
            known = before.get(cell.id)
            if known is not None and known.kept is kept and known.cell == cell:
                self._watched[cell.id] = known
            else:
                self._watched[cell.id] = self._watch(cell, kept, late, known)

    def record(self, cell: Cell, runs: Iterable[Run]) -> None:
        """The runs of one firing. Those that failed through the prober itself count nowhere."""
        watched = self._watched.get(cell.id)
        if watched is None:
            return
        counted = 0
        for run in runs:
            if run.ours:
                continue
            counted = 1
            self._add(run.outcomes, watched.rungs)
            if watched.total is not None and (seconds := total_of(run)) is not None:
                self.samples.rows.append(watched.total)
                self.samples.seconds.append(seconds)
            service = cell.endpoint.service
            if service is not None and watched.kept and run.address is not None:
                node = self._node_of(service, run.address)
                if node:
                    self._add(run.outcomes, watched.nodes.get(node) or self._watch_node(watched, node))
        watched.firings += counted

    def live(self) -> dict[SeriesKey, int]:
        """The series that are watched now, and their rows."""
        found: dict[SeriesKey, int] = {}
        for watched in self._watched.values():
            if watched.kept:
                found.update((self.keys[row], row) for row in watched.rows())
        return found

    def settings(self) -> dict[str, str]:
        """How each cell that has series is probed."""
        return {cell_id: watched.settings for cell_id, watched in self._watched.items() if watched.kept}

    def take(self) -> tuple[Samples, set[int]]:
        """What was sampled in the block that is over, and the rows for which it says nothing: too few runs."""
        samples, self.samples = self.samples, Samples()
        lacking: set[int] = set()
        for watched in self._watched.values():
            if not watched.enough:
                lacking.update(watched.rows())
            watched.firings, watched.late = 0, False
        return samples, lacking

    def forget(self) -> None:
        """Forget the numbers of series that are not watched any more."""
        live = self.live()
        self._numbers = {key: row for key, row in self._numbers.items() if key in live}
        self.keys = {row: key for key, row in self._numbers.items()}

    def budget_rows(self) -> dict[int, tuple[str, str]]:
        """The rows that budgets are about → cell and layer."""
        found: dict[int, tuple[str, str]] = {}
        for cell_id, watched in self._watched.items():
            if watched.cell.quantile_budget:
                found.update((row, (cell_id, layer.value)) for layer, row in watched.rungs)
                if watched.total is not None:
                    found[watched.total] = (cell_id, "total")
        return found

    def _watch(self, cell: Cell, kept: bool, late: bool, known: Watched | None) -> Watched:
        rungs = tuple((layer, self._row(cell, layer, "") if kept else self._new()) for layer in cell.ladder)
        total = self._new() if "total" in Ledger.wants(cell) else None
        watched = Watched(cell, rungs, total, kept, settings_of(cell) if kept else "", late)
        if kept and known is not None and known.kept and known.settings == watched.settings:
            watched.nodes, watched.firings, watched.late = known.nodes, known.firings, known.late
        return watched

    def _watch_node(self, watched: Watched, node: str) -> Rungs:
        if len(watched.nodes) >= MOST_NODES:
            self.crowded.add(watched.cell.id)
            return ()
        rungs = tuple((layer, self._row(watched.cell, layer, node)) for layer, _ in watched.rungs)
        watched.nodes[node] = rungs
        return rungs

    def _row(self, cell: Cell, layer: Layer, node: str) -> int:
        key = SeriesKey(cell.probe, cell.target, cell.path, cell.family.value, layer.value, node)
        row = self._numbers.get(key)
        if row is None:
            row = self._numbers[key] = self._new()
            self.keys[row] = key
        return row

    def _new(self) -> int:
        self._next += 1
        return self._next - 1

    def _add(self, outcomes: Iterable[Outcome], rungs: Rungs) -> None:
        samples = self.samples
        for outcome, (layer, row) in zip(outcomes, rungs, strict=False):
            if outcome.layer is not layer:
                continue
            result = outcome.result
            if result is Result.OK or outcome.reason is Reason.OVER_BUDGET:
                samples.rows.append(row)
                samples.seconds.append(outcome.seconds or 0.0)
            elif result is Result.FAILED:
                key = row, str(outcome.reason.value if outcome.reason is not None else "")
                samples.failed[key] = samples.failed.get(key, 0) + 1
