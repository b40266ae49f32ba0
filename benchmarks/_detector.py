"""The prober's own detectors behind the interface of a scorer: fit, update, compare."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from prober.baseline.after import judge, look
from prober.baseline.bank import Bank
from prober.baseline.fit import fit
from prober.baseline.scores import Block
from prober.baseline.sketch import Sketch
from prober.baseline.values import BLOCK, BLOCKS, HOUR, Direction, Hour, Level, SeriesKey

Times = npt.NDArray[np.float64]
Samples = tuple[Times, Times, Times]
_KEY = SeriesKey("probe", "target", "path", "ipv4", "tcp")
_REASON = "timeout"


class Detector:
    """One series: `fit` takes the baseline, `update` ten minutes after another. Arrays: Unix seconds, seconds (NaN
    where the probe failed), bool."""

    level = Level.SUSPECT
    bank: Bank

    def fit(self, t: Times, lat: Times, ok: Times) -> None:
        """Learn the baseline."""
        self.bank = Bank([_KEY], [fit(hours_of(t, lat, ok))])

    def update(self, t: Times, lat: Times, ok: Times) -> str:
        """Judge a block; the channel that alarms, or ""."""
        start = int(t[0]) // BLOCK * BLOCK
        held = lat[ok]
        failed = {(0, _REASON): int((~ok).sum())} if not ok.all() else {}
        self.bank.end_block(Block.of(start, np.zeros(len(held), np.int64), held, failed))
        for key, alarm in self.bank.alarms.items():
            if key.direction is Direction.REGRESSED and (self.level is Level.SUSPECT or alarm.level is Level.CONFIRMED):
                return {"rank": "location", "failure": "fail"}.get(key.channel, key.channel.value)
        return ""


class Confirmed(Detector):
    """The same, for changes that are confirmed."""

    level = Level.CONFIRMED


def compare(before: Samples, after: Samples) -> str:
    """What became worse from one stretch of time to another; "" for nothing."""
    known = fit(hours_of(*before))
    looked = look(known, hours_of(*after))
    if looked is None:
        return "fail"
    judged = judge(known, looked)
    if judged.failures is not None:
        return "fail"
    return "location" if judged.way > 0 else "tail" if judged.tail is not None else ""


def hours_of(t: Times, lat: Times, ok: Times) -> tuple[Hour, ...]:
    """Samples as the hours that a store has."""
    hour = (t // HOUR).astype(np.int64)
    blocks = ((t % HOUR) // BLOCK).astype(np.int64)
    found = []
    for number in np.unique(hour):
        inside = hour == number
        failed = int((inside & ~ok).sum())
        covered = sum(1 << int(block) for block in np.unique(blocks[inside]))
        sketch = Sketch.of(lat[inside & ok])
        found.append(
            Hour(int(number) * HOUR, sketch, {_REASON: failed} if failed else {}, covered & ((1 << BLOCKS) - 1))
        )
    return tuple(found)
