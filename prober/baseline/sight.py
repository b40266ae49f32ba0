"""How small a change a baseline lets be seen. Pure."""

from __future__ import annotations

import math
from typing import Final

from prober.baseline.channels import COLUMNS, SHIFTING, margins_of, thresholds_of
from prober.baseline.fit import Fit
from prober.baseline.season import ALWAYS
from prober.baseline.values import BLOCKS, Channel, Direction

_DAY: Final = 24 * BLOCKS


def smallest_seen(fit: Fit, blocks: int = _DAY) -> float:
    """The least ratio (1.07 is 7 % slower) that is suspected within so many blocks, noise aside; inf where none is.

    On days of the kinds that were recorded: others widen the margin.
    """
    margins = margins_of(fit)
    found = math.inf
    for column, threshold in zip(
        COLUMNS[:SHIFTING], thresholds_of(fit.psi.deviation, fit.rank.deviation), strict=False
    ):
        if column.direction is not Direction.REGRESSED:
            continue
        margin = float(margins[int(column.channel is Channel.RANK)]) + ALWAYS * fit.season.swing
        gain = float(threshold) / blocks
        allowed = margin + column.drift
        if allowed + gain <= column.cap:
            found = min(found, allowed + gain)
    return math.exp(found)
