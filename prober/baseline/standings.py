"""How series and groups stand to their baselines, one by one. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from prober.baseline.bank import LEVEL_BLOCKS, Bank
from prober.baseline.groups import Group, GroupBank
from prober.baseline.sizes import shift_of
from prober.baseline.sketch import Bools
from prober.baseline.values import Channel, Direction, SeriesKey

_WAYS = (Direction.REGRESSED, Direction.IMPROVED)


class Standing(NamedTuple):
    """How one series stands to its baseline."""

    key: SeriesKey
    baseline: str
    """Label and version."""
    shift: float
    """Log seconds, by a moving average over an hour: 0.18 is 20 % slower."""
    lower: float
    """Its lower bound (95 %, for correlated series)."""
    evidence: dict[tuple[Channel, Direction], float]
    """1 is the threshold of `suspect`, 2 that of `confirmed`."""


class GroupStanding(NamedTuple):
    """How one group stands to its baseline."""

    group: Group
    ratio: float
    """To the baseline, since its evidence last was nothing: 1.03 is 3 % slower."""
    lower: float
    """Its lower bound (95 %)."""
    evidence: dict[Direction, float]


def standings(bank: Bank, least: float = 0.0) -> Iterator[Standing]:
    """The rows of a bank that have so much evidence of something, or an alarm."""
    evidence = bank.evidence()
    shown: Bools = np.max(list(evidence.values()), axis=0) >= least
    shown[[key.row for key in bank.alarms]] = True
    level = bank.state.level
    for row in np.flatnonzero(shown).tolist():
        shift, below, _ = shift_of(bank.fits[row], level[row, :2], float(level[row, 2]), LEVEL_BLOCKS)
        told = {column: float(values[row]) for column, values in evidence.items()}
        yield Standing(bank.keys[row], bank.baseline, shift, shift - below, told)


def group_standings(bank: GroupBank, least: float = 0.0) -> Iterator[GroupStanding]:
    """The groups of a bank that have so much evidence of something, or an alarm; but those that stay silent."""
    evidence = bank.evidence()
    shown: Bools = np.max(evidence, axis=1, initial=0.0) >= least
    shown[[key.row for key in bank.alarms]] = True
    for row in np.flatnonzero(shown).tolist():
        size = bank.size(row, int(evidence[row].argmax()))
        if bank.learned[row] is not None and math.isfinite(size.lower):
            told = dict(zip(_WAYS, evidence[row].tolist(), strict=True))
            yield GroupStanding(bank.pool.groups[row], size.change, size.lower, told)


def alarmed_groups(banks: Iterable[GroupBank]) -> dict[str, Group]:
    """The groups that have regressions, by the text that these have as subject."""
    return {str(group): group for bank in banks for key in bank.alarms if (group := bank.pool.groups[key.row])}
