"""How many series may be suspected at once by chance alone. Pure."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

#: Suspect alarms of a series without any change, in a week, at most; and how long each lasts, in weeks.
_ALARMS: Final = 0.035
_LASTS: Final = 1 / 7
#: The share of the series that is suspected at any moment for nothing.
SHARE: Final = _ALARMS * _LASTS
#: The chance with which more than `most_by_chance` are suspected where nothing has changed.
CHANCE: Final = 0.001
#: Fewer suspects than this are never told as many.
FEWEST: Final = 3
#: Where the mean is above this, the normal distribution will do: its quantile for CHANCE.
_MANY: Final = 500.0
_QUANTILE: Final = 3.0902


@lru_cache(maxsize=1024)
def most_by_chance(series: int) -> int:
    """How many of so many series chance alone may make suspects at one time: more are met 1 time in 1000 (Poisson).

    Noise that series share makes more of them at once than this says: suspects are told, it is people who judge.
    """
    mean = series * SHARE
    if mean > _MANY:
        return math.ceil(mean + _QUANTILE * math.sqrt(mean))
    count, term = 0, math.exp(-mean)
    total = term
    while 1 - total > CHANCE:
        count += 1
        term *= mean / count
        total += term
    return max(count, FEWEST - 1)
