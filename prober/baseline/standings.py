"""How series stand to their baselines, one by one. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from prober.baseline.bank import Bank
from prober.baseline.values import Channel, Direction, SeriesKey


class Standing(NamedTuple):
    """How one series stands to its baseline."""

    key: SeriesKey
    baseline: str
    """Label and version."""
    shift: float
    """Log seconds: a moving average over an hour. 0.18 is 20 % slower."""
    evidence: dict[tuple[Channel, Direction], float]
    """1 is the threshold of `suspect`, 2 that of `confirmed`."""


def standings(bank: Bank) -> Iterator[Standing]:
    """All rows of a bank."""
    evidence = {key: values.tolist() for key, values in bank.evidence().items()}
    for row, (key, shift) in enumerate(zip(bank.keys, bank.state.level.tolist(), strict=True)):
        yield Standing(key, bank.baseline, shift, {column: values[row] for column, values in evidence.items()})
