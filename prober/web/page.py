"""`/`: the cells as a plain table, for eyes and text browsers. No scripts, and nothing is loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from typing import TYPE_CHECKING

from starlette.responses import Response

from prober.engine.board import Entry, State
from prober.model import Run
from prober.units import human_seconds
from prober.web.stream import Streamed, in_chunks
from prober.web.view import ServiceView

if TYPE_CHECKING:
    from prober.engine.baselines.tracker import Tracker

_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>prober</title><style>
body{font:14px/1.5 system-ui,sans-serif;margin:2rem;color-scheme:light dark}
table{border-collapse:collapse}th,td{padding:.2rem .8rem;text-align:left;border-bottom:1px solid #8884}
.ok{color:#2a8f4a}.failed{color:#d33;font-weight:600}.unknown{color:#888}code{white-space:pre-wrap}
</style></head><body>
"""
_LINKS = ("/metrics", "/api/v1/cells", "/api/v1/cells?state=failed", "/api/v1/runs", "/api/v1/runs?ok=false",
          "/api/v1/regressions", "/healthz", "/readyz")  # fmt: skip
_COLUMNS = ("cell", "state", "streak", "last run", "blame")


async def page(service: ServiceView) -> Response:
    """The page: what is not as it was, and the cells, failed ones first."""
    said, suspects = ([], 0) if service.tracker is None else await _changes(service.tracker)
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'", "Cache-Control": "no-store"}
    return Streamed(in_chunks(_page(service, list(service.board.entries()), said, suspects)), headers, "text/html")


async def _changes(tracker: Tracker) -> tuple[list[str], int]:
    from prober.web.regressions import changes

    return await changes(tracker)


def _page(service: ServiceView, entries: list[Entry], said: list[str], suspects: int) -> Iterator[str]:
    yield _HEAD
    yield f"<h1>prober at {escape(service.vantage.name)}</h1>\n"
    yield f"<p>{escape(service.ready()[1])}; {_count(entries)}</p>\n<p>"
    yield " · ".join(f'<a href="{escape(link)}">{escape(link)}</a>' for link in _LINKS)
    yield "</p>\n"
    if said:
        yield "<ul>\n" + "".join(f"<li>{escape(text)}</li>\n" for text in said) + "</ul>\n"
    if suspects:
        yield f"<p>{suspects} series are suspected of a change, no more than chance allows</p>\n"
    yield "<table><thead><tr>" + "".join(f"<th>{name}</th>" for name in _COLUMNS) + "</tr></thead><tbody>\n"
    for wanted in (State.FAILED, State.OK, State.UNKNOWN):
        for entry in entries:
            if entry.state is wanted:
                yield _row(entry)
    yield "</tbody></table>\n</body></html>\n"


def _count(entries: Iterable[Entry]) -> str:
    states = [entry.state for entry in entries]
    return f"{len(states)} cells, " + ", ".join(f"{states.count(state)} {state}" for state in State)


def _row(entry: Entry) -> str:
    run = entry.worst
    columns = (
        f"<code>{escape(entry.cell.id)}</code>",
        f'<span class="{entry.state}">{entry.state}</span>',
        str(entry.streak),
        "" if run is None else human_seconds(run.seconds),
        "" if run is None else escape(_blame(run)),
    )
    return "<tr>" + "".join(f"<td>{column}</td>" for column in columns) + "</tr>\n"


def _blame(run: Run) -> str:
    return "" if run.blame is None else f"{run.blame.layer}: {run.blame.reason}"
