"""The board: the latest runs of every cell, since when it is in its state, and a short memory of runs."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from prober.model import Cell, Run

#: Runs remembered per cell, and at most by the whole board: a run with its evidence is some 2 kB.
MEMORY = 20
WHOLE_MEMORY = 40_000


class State(StrEnum):
    """What a cell's latest runs say; a run that failed through the prober itself changes nothing."""

    UNKNOWN = "unknown"
    OK = "ok"
    FAILED = "failed"


@dataclass(slots=True)
class Entry:
    """One cell on the board. `since` is the start of the first run of the present state (UTC)."""

    cell: Cell
    latest: tuple[Run, ...] = ()
    """The runs of the last firing: one, or one per address with `addresses: all`."""
    state: State = State.UNKNOWN
    since: datetime | None = None
    streak: int = 0
    """Firings in a row that gave the present state."""
    recent: deque[Run] = field(default_factory=lambda: deque(maxlen=MEMORY))
    """The last runs, newest last."""

    @property
    def worst(self) -> Run | None:
        """The run to show: the first failed one of the last firing, else the first."""
        return next((run for run in self.latest if not run.ok), self.latest[0] if self.latest else None)


class Change(NamedTuple):
    """What a firing did to a cell's state; `before` equals `after` where it changed nothing."""

    before: State
    after: State


class Board:
    """Entries by cell id. Only the event loop's thread touches it."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._beside: dict[Hashable, dict[str, Entry]] = defaultdict(dict)

    def set_cells(self, cells: Sequence[Cell]) -> None:
        """Take on a new matrix: equal cells keep their entry, changed ones start anew, vanished ones are gone."""
        before = self._entries
        self._entries = {}
        memory = max(2, min(MEMORY, WHOLE_MEMORY // max(1, len(cells))))
        self._beside.clear()
        for cell in cells:
            entry = before.get(cell.id)
            if entry is None or entry.cell != cell:
                entry = Entry(cell)
            if entry.recent.maxlen != memory:
                entry.recent = deque(entry.recent, maxlen=memory)
            self._entries[cell.id] = entry
            for key in _keys(entry):
                self._beside[key][cell.id] = entry

    def post(self, cell: Cell, runs: tuple[Run, ...]) -> Change | None:
        """Record one firing. None where the cell has left the matrix meanwhile, or changed."""
        entry = self._entries.get(cell.id)
        if entry is None or not runs or (entry.cell is not cell and entry.cell != cell):
            return None
        self._keep(entry, runs)
        entry.recent.extend(runs)
        before = entry.state
        if any(run.ours for run in runs):
            return Change(before, before)
        after = State.OK if all(run.ok for run in runs) else State.FAILED
        if after is before:
            entry.streak += 1
        else:
            entry.state, entry.since, entry.streak = after, runs[0].started_at, 1
        return Change(before, after)

    def entry(self, cell_id: str) -> Entry | None:
        """The entry of one cell, or None."""
        return self._entries.get(cell_id)

    def beside(self, entry: Entry) -> Iterator[Run]:
        """The latest runs of other cells to its address, and of those of its target and family, but for those that are
        older than its state."""
        others = {name: other for key in _keys(entry) for name, other in self._beside[key].items()}
        for other in others.values():
            if other is not entry:
                yield from (run for run in other.latest if entry.since is None or run.started_at >= entry.since)

    def _keep(self, entry: Entry, runs: tuple[Run, ...]) -> None:
        """Make `runs` the latest ones, and the entry be found by their addresses."""
        before = _keys(entry)
        entry.latest = runs
        if (after := _keys(entry)) != before:
            for key in before - after:
                found = self._beside[key]
                found.pop(entry.cell.id, None)
                if not found:
                    del self._beside[key]
            for key in after - before:
                self._beside[key][entry.cell.id] = entry

    def entries(self) -> Iterable[Entry]:
        """All entries, in the order of the configuration."""
        return self._entries.values()


def _keys(entry: Entry) -> frozenset[Hashable]:
    """By what an entry is found beside others: its target and family, and where its latest runs went."""
    return frozenset(((entry.cell.target, entry.cell.family), *(run.address for run in entry.latest if run.address)))
