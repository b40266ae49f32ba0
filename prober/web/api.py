"""`/api/v1`: cells and runs as JSON (design: one run as JSON)."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import count

from starlette.datastructures import QueryParams
from starlette.responses import Response

from prober.diagnosis.beside import explain_beside
from prober.engine.board import Board, Entry, State
from prober.export.pace import Pace
from prober.export.runs import run_as_dict, verdict_as_dict
from prober.model import Run, Vantage
from prober.reasons import Family
from prober.units import rfc3339
from prober.web.query import CELL_FILTERS, CellFilter, choice, number
from prober.web.stream import json_list
from prober.web.view import ServiceView

CELLS_QUERY = (*CELL_FILTERS, "state")
RUNS_QUERY = (*CELL_FILTERS, "ok", "limit")
REGRESSIONS_QUERY = (*CELL_FILTERS, "layer", "channel", "level", "direction", "from")
MOST_RUNS = 10_000


async def cells(service: ServiceView, query: QueryParams) -> Response:
    """Every cell that the query asks for, in the order of the configuration, with its latest run."""
    wanted = CellFilter(query, Family)
    states = choice(query, "state", State)
    entries = [e for e in service.board.entries() if (not states or e.state in states) and wanted.takes(e.cell)]
    return json_list("cells", (cell_as_dict(entry, service.board, service.vantage) for entry in entries))


def cell_as_dict(entry: Entry, board: Board, vantage: Vantage) -> dict[str, object]:
    """One cell: who it is, its state since when, the run to show of its last firing and its verdict, or null."""
    cell, latest = entry.cell, entry.worst
    verdict = None if latest is None else explain_beside(latest, board.beside(entry))
    return {
        "id": cell.id,
        "labels": {"probe": cell.probe, "target": cell.target, "path": cell.path, "family": cell.family.value},
        "kind": cell.kind.value,
        "interval": cell.interval,
        "state": entry.state.value,
        "since": None if entry.since is None else rfc3339(entry.since),
        "streak": entry.streak,
        "latest": None if latest is None else run_as_dict(latest, vantage),
        "verdict": None if verdict is None else verdict_as_dict(verdict),
    }


async def runs(service: ServiceView, query: QueryParams) -> Response:
    """The remembered runs that the query asks for, newest first."""
    wanted = CellFilter(query, Family)
    ok = choice(query, "ok", ("true", "false"))
    limit = number(query, "limit", 100, MOST_RUNS)

    def takes(run: Run) -> bool:
        return not ok or ("true" if run.ok else "false") in ok

    entries = [entry for entry in service.board.entries() if wanted.takes(entry.cell)]
    newest = await newest_runs(entries, takes, limit)
    return json_list("runs", (run_as_dict(run, service.vantage) for run in newest))


async def newest_runs(entries: Iterable[Entry], takes: Callable[[Run], bool], limit: int) -> list[Run]:
    """The `limit` newest of the runs that `takes` takes, newest first; the event loop goes on meanwhile."""
    pace = Pace()
    kept: list[tuple[datetime, int, Run]] = []
    order = count(step=-1)  # of runs of one moment the first of the configuration comes first
    for entry in entries:
        for run in _backwards(entry):
            if len(kept) == limit and run.started_at <= kept[0][0]:
                break
            if takes(run):
                push = heapq.heappush if len(kept) < limit else heapq.heappushpop
                push(kept, (run.started_at, next(order), run))
        if pace.due:
            await pace.rest()
    return [run for _, _, run in sorted(kept, reverse=True)]


def _backwards(entry: Entry) -> Iterator[Run]:
    """The runs of an entry as they are now, newest first."""
    return reversed(entry.recent.copy())
