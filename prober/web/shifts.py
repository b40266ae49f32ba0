"""`/api/v1/shifts`: how each series did in each block, for whoever holds several vantages against each other.

Imported once there is a tracker, as `baselines` beside it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from prober.baseline.store import Shifts, StoreFailed
from prober.baseline.values import HOUR, Origin, SeriesKey
from prober.engine.baselines.baselines import Baselines
from prober.engine.baselines.tracker import Tracker
from prober.units import rfc3339_at
from prober.web.query import moment
from prober.web.stream import Streamed, in_chunks

#: Digits of a shift in log seconds: a thousandth of a percent.
_DIGITS: Final = 5
#: Values of a column that are written at once: more would hold up the loop.
_PIECE: Final = 500


async def shifts(tracker: Tracker, baselines: Baselines, request: Request) -> Response:
    """The shifts of all blocks that begin between `from` (default: an hour before) and `to` (default: now)."""
    query = request.query_params
    until = moment(query, "to", tracker.now)
    since = moment(query, "from", until - HOUR)
    try:
        told = await baselines.shifts(since, until)
    except StoreFailed as error:
        raise HTTPException(503, f"the store failed: {error}") from error
    against = {key: bank.baseline for bank in baselines.banks() for key in bank.keys}
    body = shifts_as_json(await baselines.origin(), against, told)
    return Streamed(in_chunks(body), media_type="application/json")


def shifts_as_json(origin: Origin, baselines: Mapping[SeriesKey, str], told: Sequence[Shifts]) -> Iterator[str]:
    """The answer, piece by piece. `baselines`: label and version of what each series is held against now; one that is
    not in it is not judged any more."""
    vantage = {
        "name": origin.vantage,
        "node": origin.node,
        "zone": origin.zone,
        "region": origin.region,
        "about": dict(origin.about),
    }
    numbers: dict[SeriesKey, int] = {}
    places: list[list[int]] = []
    for before, block in zip((None, *told), told, strict=False):
        same = before is not None and before.series is block.series  # hashing ten thousand series takes its time
        places.append(places[-1] if same else [numbers.setdefault(key, len(numbers)) for key in block.series])
    yield f'{{"vantage":{_json(vantage)},\n"series":['
    yield from _joined(_json({**_names(key), "baseline": baselines.get(key)}) for key in numbers)
    yield '],\n"blocks":['
    for number, (block, at) in enumerate(zip(told, places, strict=True)):
        yield ",\n" if number else "\n"
        yield from _block(block, at)
    yield "]}\n"


def _block(block: Shifts, places: list[int]) -> Iterator[str]:
    """Columns, each as long as `series`, which has places in the list of all series."""
    yield f'{{"start":"{rfc3339_at(block.start)}"'
    counts = {"series": places, "runs": block.runs.tolist(), "failed": block.failed.tolist()}
    for name, values in counts.items():
        yield from _column(name, values)
    for name, of in (("psi", block.d), ("rank", block.r)):
        yield from _column(name, of.tolist())
    yield "}"


def _column(name: str, values: Sequence[float]) -> Iterator[str]:
    yield f',"{name}":['
    for at in range(0, len(values), _PIECE):
        piece = [
            None if not math.isfinite(value) else round(value, _DIGITS) for value in values[at : at + _PIECE]
        ]  # fmt: skip
        yield ("," if at else "") + _json(piece)[1:-1]
    yield "]"


def _names(key: SeriesKey) -> dict[str, str]:
    names = ("probe", "target", "path", "family", "layer", "node")
    return {name: getattr(key, name) for name in names}


def _joined(pieces: Iterable[str]) -> Iterator[str]:
    separator = "\n"
    for piece in pieces:
        yield separator + piece
        separator = ",\n"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
