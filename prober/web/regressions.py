"""`/api/v1/regressions`: what is not as it was, one by one and folded into few sentences; and budgets that are broken.

Imported once there is a tracker: it needs numpy, which a prober without baselines does without.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.responses import Response

from prober.baseline import summary, telling
from prober.baseline.apart import Commons
from prober.baseline.budget import Standing, sentence
from prober.baseline.folding import Folded
from prober.baseline.standings import alarmed_groups
from prober.baseline.store import StoreFailed
from prober.baseline.values import Channel, Direction, Level, Regression, SeriesKey
from prober.engine.baselines.tracker import Tracker
from prober.reasons import Family, Layer
from prober.units import rfc3339_at
from prober.web.query import CELL_FILTERS, choice, moment
from prober.web.stream import Streamed, in_chunks

#: Seconds for which what is over is still told, unless somebody says otherwise.
_LATELY: Final = 86400.0
_LISTS: Final[Mapping[str, tuple[str, ...]]] = {
    "level": tuple(Level), "direction": tuple(Direction), "channel": tuple(Channel), "layer": (*Layer, "total"),
}  # fmt: skip

Takes = Callable[[SeriesKey | str], bool]
"""Whether a series, or a group, is asked for."""


async def regressions(tracker: Tracker, query: QueryParams) -> Response:
    """Those that are open, and those that were over since `from` (default: a day ago)."""
    now = tracker.now
    takes, wanted = _of_cells(query), _of_lists(query)
    since = moment(query, "from", now - _LATELY)
    open_ = [one for one in _open(tracker) if takes(one.subject) and wanted(one)]
    over = [one for one in await _over(tracker, since, now) if takes(one.subject) and wanted(one)]
    layers = choice(query, "layer", _LISTS["layer"])
    broken = [
        one for one in tracker.ledger.all() if one.breached and takes(one.series)
        and (not layers or one.series.layer in layers)
    ]  # fmt: skip
    folded, trait = await _folded(tracker, open_, takes)
    told = chain((telling.as_dict(one, now, trait(one)) for one in open_), (telling.as_dict(one, now) for one in over))
    return Streamed(in_chunks(_as_json(tracker, told, folded, broken, now)), media_type="application/json")


async def changes(tracker: Tracker) -> tuple[list[str], int]:
    """The sentences of what pages, is confirmed, or breaks a budget; and how many suspects there are beside."""
    now = tracker.now
    folded, _ = await _folded(tracker, _open(tracker), lambda _: True)
    told = [one.says(now) for one in folded if one.pages or one.level is Level.CONFIRMED]
    rest = sum(len(one.members) for one in folded if not (one.pages or one.level is Level.CONFIRMED))
    return [*told, *_budgets(tracker, [one for one in tracker.ledger.all() if one.breached], now).values()], rest


def _open(tracker: Tracker) -> tuple[Regression, ...]:
    return () if tracker.baselines is None else tracker.baselines.regressions()


async def _over(tracker: Tracker, since: float, now: float) -> list[Regression]:
    if tracker.baselines is None:
        return []
    try:
        past = await tracker.baselines.past(since, now)
    except StoreFailed as error:
        raise HTTPException(503, f"the store failed: {error}") from error
    return [one for one in past if one.cleared is not None]


async def _folded(
    tracker: Tracker, ones: Sequence[Regression], takes: Takes
) -> tuple[tuple[Folded, ...], Callable[[Regression], str]]:
    """The sentences, and what nodes have in common that changed as one did. In a thread: thousands take a while."""
    if tracker.baselines is None or not ones:
        return (), lambda _: ""
    keys = [key for bank in tracker.baselines.banks() for key in bank.keys]
    groups, all_open = alarmed_groups(tracker.baselines.groups()), _open(tracker)
    nodes = await tracker.surroundings.of(all_open)
    zones, separates = (None, None) if nodes is None else (nodes.zones, nodes.separates)

    def fold() -> tuple[tuple[Folded, ...], Callable[[Regression], str]]:
        known = [key for key in keys if takes(key)]
        folded = summary.fold(ones, known, groups, zones, separates, all_open)
        return folded, Commons(all_open, keys, separates).of

    return await asyncio.to_thread(fold)


def _of_cells(query: QueryParams) -> Takes:
    """By labels of the cell; a group has none, so it is left out where some are asked for."""
    choice(query, "family", Family)
    wanted = {name: frozenset(query.getlist(name)) for name in CELL_FILTERS if name in query}

    def takes(subject: SeriesKey | str) -> bool:
        if isinstance(subject, str):
            return not wanted
        return all(getattr(subject, name) in values for name, values in wanted.items())

    return takes


def _of_lists(query: QueryParams) -> Callable[[Regression], bool]:
    wanted = {name: values for name, known in _LISTS.items() if (values := choice(query, name, known))}
    return lambda one: all(str(getattr(one, name)) in values for name, values in wanted.items())


def _as_json(
    tracker: Tracker,
    told: Iterable[Mapping[str, Any]],
    folded: Sequence[Folded],
    broken: Sequence[Standing],
    now: float,
) -> Iterator[str]:
    yield '{"summary":['
    yield from _joined(summary.as_dict(one, now) for one in folded)
    yield '],\n"regressions":['
    yield from _joined(told)
    yield '],\n"budgets":['
    says = _budgets(tracker, broken, now)
    by_cell: dict[str, list[dict[str, Any]]] = {cell: [] for cell in says}
    for one in broken:
        by_cell[one.series.cell].append(_budget(one))
    yield from _joined({"cell": cell, "says": says[cell], "breached": of} for cell, of in by_cell.items())
    yield "]}\n"


def _budgets(tracker: Tracker, broken: Iterable[Standing], now: float) -> dict[str, str]:
    """By cell what its broken budgets say."""
    cells = dict.fromkeys(one.series.cell for one in broken)
    return {cell: sentence(tracker.ledger.standings(cell), now) for cell in cells}


def _budget(one: Standing) -> dict[str, Any]:
    since = None if one.since is None else rfc3339_at(one.since)
    return {
        "layer": one.series.layer,
        "quantile": one.quantile,
        "budget": one.budget,
        "measured": one.measured,
        "since": since,
        "look_at": one.layer,
    }


def _joined(items: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    separator = "\n"
    for item in items:
        yield separator + json.dumps(item, ensure_ascii=False, separators=(",", ":"))
        separator = ",\n"
