"""What was usual in recordings, by series and by layer: medians, 99th percentiles, shares of failed runs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from prober.baseline.sketch import Sketch
from prober.baseline.values import BLOCKS, Hour, Recording
from prober.export.pace import Pace
from prober.reasons import Layer


@dataclass(slots=True)
class _Usual:
    """Hours of one or more series, summed up."""

    sketch: Sketch = field(default_factory=Sketch.empty)
    failed: int = 0
    series: int = 0
    blocks: int = 0

    def add(self, hours: Iterable[Hour]) -> None:
        """The hours of one more series."""
        listed = list(hours)
        self.sketch = Sketch.merged((self.sketch, *(hour.sketch for hour in listed)))
        self.series += 1
        for hour in listed:
            self.failed += sum(hour.failed.values())
            self.blocks += hour.covered.bit_count()

    def as_dict(self) -> dict[str, Any]:
        """`p50` and `p99` in seconds (null of none), `failed` as share of the `runs`."""
        runs = self.sketch.total + self.failed
        quantiles = {f"p{100 * share:.0f}": self.sketch.quantile(share) for share in (0.5, 0.99)}
        told = {name: value if math.isfinite(value) else None for name, value in quantiles.items()}
        return {**told, "failed": self.failed / max(runs, 1), "runs": runs}


def figures(recording: Recording) -> Iterator[dict[str, Any]]:
    """Of each series, one after the other."""
    for key in sorted(recording.series):
        usual = _Usual()
        usual.add(recording.series[key])
        yield {**asdict(key), "hours": usual.blocks / BLOCKS, **usual.as_dict()}


async def against(old: Iterable[Recording], new: Recording) -> list[dict[str, Any]]:
    """By layer, over the series that both sides have: what `was` usual and what is `now`. The event loop goes on
    meanwhile."""
    pace = Pace()
    was: dict[str, _Usual] = {}
    now: dict[str, _Usual] = {}
    for recording in old:
        for key in recording.series:
            if key.node or key not in new.series:
                continue
            for sums, side in ((was, recording), (now, new)):
                sums.setdefault(key.layer, _Usual()).add(side.series[key])
                if pace.due:
                    await pace.rest()
    return [
        {"layer": layer, "series": was[layer].series, "was": was[layer].as_dict(), "now": now[layer].as_dict()}
        for layer in map(str, Layer)
        if layer in was
    ]
