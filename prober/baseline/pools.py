"""Several series of a comparison as one, judged by the noise that they had together. Pure."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from prober.baseline.after import DRIFT, SURE, After, evidence_of
from prober.baseline.channels import margins_of
from prober.baseline.fit import Fit
from prober.baseline.groups import Group, Learned, Pool, error, margin
from prober.baseline.members import coarse_of, hourly_of, weights_of
from prober.baseline.season import weekend
from prober.baseline.sizes import Z
from prober.baseline.sketch import Floats
from prober.baseline.values import Size

#: What is always allowed of the mean of a pool (log seconds).
_DRIFT = 0.015
#: Members from which the noise of the pool counts as one of its own.
_SEVERAL = 2


@dataclass(frozen=True, slots=True)
class Pooled:
    """The pool's change, which way it went (1 slower, -1 faster, 0 as before), and its hours."""

    size: Size
    way: int
    starts: Floats
    shifts: Floats
    """Log seconds, of shape (hours,)."""
    evidence: float = 0.0
    """That it is slower: see `evidence_of`."""


def pool_of(members: Sequence[tuple[Fit, After]]) -> Pooled:
    """Of series that are known on both sides, at least one."""
    fits: dict[Hashable, Fit] = dict(enumerate(fit for fit, _ in members))
    pool = Pool([Group("all", "", tuple(fits))], weights_of(fits))
    learned = pool.learned(hourly_of(fits), coarse_of(fits))[0]
    starts = np.unique(np.concatenate([after.starts for _, after in members]))
    told, blocks = np.full((2, len(members), len(starts)), np.nan), np.zeros(len(starts))
    for row, (_, after) in enumerate(members):
        at = np.searchsorted(starts, after.starts)
        told[:, row, at] = after.psi, after.told
        np.maximum.at(blocks, at, after.blocks)
    psi, shifts = (pool.pooled(one)[0] for one in told)
    there = np.isfinite(psi)
    if learned is None or not there.any():
        return Pooled(Size(1.0, 0.0, math.inf), 0, starts, np.nan_to_num(shifts))
    starts, blocks = starts[there], blocks[there]
    psi, shifts = psi[there] - learned.mean, shifts[there] - learned.mean
    wrong = error(learned, float(blocks.sum()))
    size = Size(*(math.exp(float(np.average(shifts, weights=blocks)) + by * Z * wrong) for by in (0, -1, 1)))
    way, beyond = _way(members, learned, float(np.average(psi, weights=blocks)), wrong, starts)
    return Pooled(size, way, starts, shifts, evidence_of(beyond) if way > 0 else 0.0)


def _way(
    members: Sequence[tuple[Fit, After]], learned: Learned, shift: float, wrong: float, starts: Floats
) -> tuple[int, float]:
    """Which way it went, and by how many standard errors beyond what is allowed."""
    share = float(weekend(starts).mean())
    alone = len(members) < _SEVERAL
    base = float(np.mean([margins_of(fit)[0] for fit, _ in members])) if alone else margin(learned)
    for sign, improving in ((1, False), (-1, True)):
        seasonal = np.mean([fit.season.margin_over(share, improving=improving) for fit, _ in members])
        beyond = float(sign * shift - base - seasonal - (DRIFT if alone else _DRIFT)) / wrong
        if beyond > SURE:
            return sign, beyond
    return 0, 0.0
