"""`/api/v1/shifts`: how each series did in each block, for whoever holds several vantages against each other."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from prober.baseline.store import Shifts
from prober.baseline.values import Origin, SeriesKey
from prober.units import rfc3339

#: Digits of a shift in log seconds: a thousandth of a percent.
_DIGITS = 5


def shifts_as_json(origin: Origin, baselines: Mapping[SeriesKey, str], told: Sequence[Shifts]) -> Iterator[str]:
    """The answer, piece by piece; a block is a piece. `baselines`: label and version of what each series is held
    against now; one that is not in it is not judged any more."""
    keys = list(dict.fromkeys(key for block in told for key in block.series))
    numbers = {key: number for number, key in enumerate(keys)}
    vantage = {
        "name": origin.vantage,
        "node": origin.node,
        "zone": origin.zone,
        "region": origin.region,
        "about": dict(origin.about),
    }
    yield f'{{"vantage":{_json(vantage)},\n"series":['
    yield from _joined(_json({**_names(key), "baseline": baselines.get(key)}) for key in keys)
    yield '],\n"blocks":['
    yield from _joined(_json(_block(block, numbers)) for block in told)
    yield "]}\n"


def _block(block: Shifts, numbers: Mapping[SeriesKey, int]) -> dict[str, object]:
    """Columns, each as long as `series`, which has places in the list of all series."""
    return {
        "start": rfc3339(datetime.fromtimestamp(block.start, UTC)),
        "series": [numbers[key] for key in block.series],
        "runs": block.runs.tolist(),
        "failed": block.failed.tolist(),
        "psi": _rounded(block.d.tolist()),
        "rank": _rounded(block.r.tolist()),
    }


def _rounded(shifts: Iterable[float]) -> list[float | None]:
    return [round(shift, _DIGITS) if math.isfinite(shift) else None for shift in shifts]


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
