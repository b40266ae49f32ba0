"""What the fits of series tell of them as members of groups. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np

from prober.baseline.channels import seasonal_margins
from prober.baseline.fit import Fit
from prober.baseline.groups import Group, Pool, weight_of
from prober.baseline.season import amplitude
from prober.baseline.sketch import Floats


def seasonal_of(pool: Pool, fits: Mapping[Hashable, Fit]) -> Floats:
    """What to allow for the season, of shape (groups, 2, 2) as `channels.seasonal_margins`: the mean of the members.
    The sides of a difference share their season. What those differ by that were fitted to a day or two is noise, and
    comes again at the same hours every day."""
    found = np.zeros((len(pool.groups), 2, 2))
    for row, group in enumerate(pool.groups):
        known = [seasonal_margins(fits[member].season) for member in group.members if member in fits]
        if known:
            found[row] = _apart(group, fits) if group.differential else np.mean(known, axis=0)
    return found


def _apart(group: Group, fits: Mapping[Hashable, Fit]) -> float:
    """The most by which the fitted seasons of both sides differ at any hour of a day."""
    sides = []
    for side in (group.members, group.against):
        there = {member: fits[member] for member in side if member in fits}
        if not there:
            return 0.0
        weights = weights_of(there)
        coefficients = [fit.season.coefficients for fit in there.values()]
        sides.append(np.average(coefficients, axis=0, weights=list(weights.values())))
    return amplitude(sides[0] - sides[1])


def weights_of(fits: Mapping[Hashable, Fit]) -> dict[Hashable, float]:
    """The weight of each series: the quiet ones tell more."""
    return {member: weight_of(fit.psi.deviation) for member, fit in fits.items()}


def coarse_of(fits: Mapping[Hashable, Fit]) -> dict[Hashable, float]:
    """What the shift of each series is uncertain by since latencies are known to a bin, log seconds."""
    return {member: fit.response.coarse for member, fit in fits.items()}


def hourly_of(fits: Mapping[Hashable, Fit]) -> dict[Hashable, dict[int, float]]:
    """The hours of a baseline as `Pool.learned` wants them."""
    return {member: dict(zip(fit.starts, fit.shifts.tolist(), strict=True)) for member, fit in fits.items()}
