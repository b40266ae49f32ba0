"""The figures of a recording, by layer and path or by series. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from prober.baseline.fit import Fit, NotEnough, fit
from prober.baseline.sight import smallest_seen
from prober.baseline.sketch import Sketch
from prober.baseline.values import BLOCKS, Hour, Recording
from prober.cli.baseline.kept import height


@dataclass(frozen=True, slots=True)
class Figures:
    """A line of the table: a series, or those of a layer on a path together."""

    layer: str
    name: str
    """The path, or the series."""
    series: int
    runs: int
    hours: float
    """That were measured, of the series with most."""
    p50: float
    p90: float
    p99: float
    """Seconds; NaN where no run held."""
    failed: float
    """Share of the runs."""
    swing: float | None
    """Ratio of the slowest hour of a day to the fastest: 1.04 is 4 %. Of several series the median; None: not known."""
    sees: float | None
    """The least ratio that is suspected within a day. The same."""
    why: tuple[str, ...]
    """Of the series that are no baseline: what is missing."""


def figures_of(
    recording: Recording, *, by_series: bool, moved: Callable[[int, int], None] = lambda _n, _of: None
) -> list[Figures]:
    """A line for each layer and path, or for each series; endpoints' nodes by themselves are only told by series."""
    found: dict[tuple[str, str], list[_Read]] = {}
    keys = sorted(key for key in recording.series if by_series or not key.node)
    for number, key in enumerate(keys):
        moved(number, len(keys))
        name = f"{key.cell} on {key.node}" if key.node else key.cell
        found.setdefault((key.layer, name if by_series else key.path), []).append(_read(recording.series[key]))
    moved(len(keys), len(keys))
    return [_line(layer, name, members) for (layer, name), members in sorted(found.items(), key=_order)]


def _order(one: tuple[tuple[str, str], object]) -> tuple[int, str]:
    (layer, name), _ = one
    return height(layer), name


def unfit_of(rows: Sequence[Figures]) -> list[tuple[str, int]]:
    """What is missing, and for how many series; that of most first."""
    return Counter(why for row in rows for why in row.why).most_common()


@dataclass(frozen=True, slots=True)
class _Read:
    """One series, its hours put together."""

    sketch: Sketch
    failed: int
    blocks: int
    fit: Fit | None
    why: str = ""


def _read(hours: Sequence[Hour]) -> _Read:
    sketch = Sketch.merged(hour.sketch for hour in hours)
    failed = sum(sum(hour.failed.values()) for hour in hours)
    blocks = sum(hour.covered.bit_count() for hour in hours)
    try:
        return _Read(sketch, failed, blocks, fit(hours))
    except NotEnough as error:
        return _Read(sketch, failed, blocks, None, str(error))


def _line(layer: str, name: str, members: Sequence[_Read]) -> Figures:
    sketch, failed = Sketch.merged(one.sketch for one in members), sum(one.failed for one in members)
    runs = sketch.total + failed
    fits = [one.fit for one in members if one.fit is not None]
    sees = [ratio for one in fits if math.isfinite(ratio := smallest_seen(one))]
    return Figures(
        layer, name, len(members), runs, max(one.blocks for one in members) / BLOCKS,
        sketch.quantile(0.5), sketch.quantile(0.9), sketch.quantile(0.99), failed / max(runs, 1),
        median(math.exp(one.season.swing) for one in fits) if fits else None, median(sees) if sees else None,
        tuple(one.why for one in members if one.why),
    )  # fmt: skip
