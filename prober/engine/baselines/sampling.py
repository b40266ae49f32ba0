"""Runs → samples: which number a series has, and what of a run counts for it. On the way of every run, so it is short.

A series is there once for each layer of a cell that is watched, and once more for each node that endpoints of the cell
are on. What only a budget is about has numbers too, and no series.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from prober.baseline.gathering import Samples
from prober.baseline.ledger import Ledger, total_of
from prober.baseline.values import BLOCK, SeriesKey
from prober.engine.baselines.settings import settings_of
from prober.model import Cell, Outcome, Run, ServiceRef
from prober.reasons import OURS, Layer, Reason, Result

#: Nodes of one cell that are kept by themselves.
MOST_NODES = 500
#: The share of a cell's runs that a block needs.
ENOUGH = 0.5

# looked up once: each look into an enum costs what a sample does
_OK, _FAILED, _OVER_BUDGET = Result.OK, Result.FAILED, Reason.OVER_BUDGET

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
    more: bool = field(init=False)
    """Its runs have samples beside those of their layers."""

    def __post_init__(self) -> None:
        self.more = self.total is not None or self.cell.endpoint.service is not None

    @property
    def enough(self) -> bool:
        """Whether the block in progress has half of the runs that it should have."""
        return not self.late and self.firings >= ENOUGH * (BLOCK / self.cell.interval) - 1e-9

    def rows(self) -> Iterable[int]:
        """All its rows, but that of `total`."""
        for rungs in (self.rungs, *self.nodes.values()):
            for _, row in rungs:
                yield row


@dataclass(frozen=True, slots=True)
class Live:
    """The series that are watched. Another object where they are others."""

    rows: dict[SeriesKey, int]
    keys: dict[int, SeriesKey]
    """The same the other way round."""
    settings: dict[str, str]
    """How each of their cells is probed."""

    def add(self, rows: Iterable[int], keys: Mapping[int, SeriesKey]) -> None:
        """Series by their rows."""
        for row in rows:
            self.keys[row] = key = keys[row]
            self.rows[key] = row


class Sampler:
    """Of one thread. `node_of` tells of endpoints."""

    def __init__(self, node_of: NodeOf) -> None:
        self._node_of = node_of
        self._watched: dict[str, Watched] = {}
        self._numbers: dict[SeriesKey, int] = {}
        self._next = 0
        self._taking = False
        self.keys: dict[int, SeriesKey] = {}
        """The series of each row, those that were left lately too: see `forget`."""
        self.live = Live({}, {}, {})
        """Those that are watched now."""
        self.samples = Samples()
        self.crowded: set[str] = set()
        """Cells whose endpoints are on more nodes than are kept."""

    def set_cells(self, cells: Iterable[Cell], *, enabled: bool, late: bool) -> Iterator[None]:
        """Take on a matrix, a step for each cell; the last one puts it in force. Cells that stayed equal go on. `late`:
        the block has begun already."""
        watched: dict[str, Watched] = {}
        live = Live({}, {}, {})
        self._taking = True
        for cell in cells:
            kept = enabled and cell.baseline and cell.expect.failed is None
            if not kept and not cell.quantile_budget:
                continue
            known = self._watched.get(cell.id)
            if known is None or known.kept is not kept or known.cell != cell:
                known = self._watch(cell, kept, late, known)
            watched[cell.id] = known
            if kept:
                live.settings[cell.id] = known.settings
                live.add(known.rows(), self.keys)
            yield
        for known in watched.values():
            if known.kept and known.nodes:  # nodes that came meanwhile
                live.add(known.rows(), self.keys)
        self._watched, self.live, self._taking = watched, live, False

    def record(self, cell: Cell, runs: Iterable[Run]) -> None:
        """The runs of one firing. Those that failed through the prober itself count nowhere."""
        watched = self._watched.get(cell.id)
        if watched is None:
            return
        counted = 0
        for run in runs:
            if run.blame is not None and run.blame.reason in OURS:
                continue
            counted = 1
            self._add(run.outcomes, watched.rungs)
            if watched.more:
                self._add_more(run, watched)
        watched.firings += counted

    def _add_more(self, run: Run, watched: Watched) -> None:
        """What not every cell has: the time of the whole run, and that of its node."""
        if watched.total is not None and (seconds := total_of(run)) is not None:
            self.samples.rows.append(watched.total)
            self.samples.seconds.append(seconds)
        service = watched.cell.endpoint.service
        if service is not None and watched.kept and run.address is not None:
            node = self._node_of(service, run.address)
            if node:
                self._add(run.outcomes, watched.nodes.get(node) or self._watch_node(watched, node))

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
        if self._taking:
            return
        self._numbers, self.keys = dict(self.live.rows), dict(self.live.keys)

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
        live = Live(dict(self.live.rows), dict(self.live.keys), self.live.settings)
        live.add((row for _, row in rungs), self.keys)
        self.live = live
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
        row_of, second_of = samples.rows.append, samples.seconds.append
        for outcome, (layer, row) in zip(outcomes, rungs, strict=False):
            if outcome.layer is not layer:
                continue
            result, seconds = outcome.result, outcome.seconds
            if seconds is not None and (result is _OK or outcome.reason is _OVER_BUDGET):
                row_of(row)
                second_of(seconds)
            elif result is _FAILED and outcome.reason is not None:
                key = row, outcome.reason.value
                samples.failed[key] = samples.failed.get(key, 0) + 1
