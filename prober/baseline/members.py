"""What the fits of series tell of them as members of groups. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np

from prober.baseline.channels import seasonal_margins
from prober.baseline.fit import Fit
from prober.baseline.groups import Pool
from prober.baseline.sketch import Floats


def seasonal_of(pool: Pool, fits: Mapping[Hashable, Fit]) -> Floats:
    """What to allow for the season, of shape (groups, 2, 2) as `channels.seasonal_margins`: the mean of the members,
    and nothing for a difference, whose sides share it."""
    found = np.zeros((len(pool.groups), 2, 2))
    for row, group in enumerate(pool.groups):
        known = [seasonal_margins(fits[member].season) for member in group.members if member in fits]
        if known and not group.differential:
            found[row] = np.mean(known, axis=0)
    return found


def weights_of(fits: Mapping[Hashable, Fit]) -> dict[Hashable, float]:
    """The weight of each series: the quiet ones tell more."""
    return {member: 1.0 / max(fit.psi.deviation, 1e-3) ** 2 for member, fit in fits.items()}


def coarse_of(fits: Mapping[Hashable, Fit]) -> dict[Hashable, float]:
    """What the shift of each series is uncertain by since latencies are known to a bin, log seconds."""
    return {member: fit.response.coarse for member, fit in fits.items()}


def hourly_of(fits: Mapping[Hashable, Fit]) -> dict[Hashable, dict[int, float]]:
    """The hours of a baseline as `Pool.learned` wants them."""
    return {member: dict(zip(fit.starts, fit.shifts.tolist(), strict=True)) for member, fit in fits.items()}
