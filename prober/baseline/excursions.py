"""Failures by reason: a new way to fail shows even where the share of all failures moves little. Pure.

The same sum as that of all failures (`channels`), for each reason that a row is failing for more than usual: those
whose sum is nothing are not kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prober.baseline.channels import COLUMNS, FAILURE, likelihood
from prober.baseline.fit import Fit
from prober.baseline.sketch import Floats

_CAP = COLUMNS[FAILURE].cap
_THRESHOLD = COLUMNS[FAILURE].least


@dataclass(slots=True)
class Excursion:
    """A reason that is met more than usual."""

    onset: int
    usual: float
    more: float
    sum: float = 0.0
    failed: int = 0
    runs: int = 0

    @property
    def evidence(self) -> float:
        """1 is the threshold of `suspect`."""
        return self.sum / _THRESHOLD

    def add(self, failed: int, runs: int) -> None:
        """One block."""
        gain = float(likelihood(failed, runs - failed, self.usual, self.more))
        self.sum = max(0.0, self.sum + min(gain, _CAP))
        self.failed += failed
        self.runs += runs


class Excursions(dict[tuple[int, str], Excursion]):
    """By row and reason."""

    def __init__(self, fits: Sequence[Fit]) -> None:
        super().__init__()
        self._fits = fits

    def end_block(self, start: int, failed: Mapping[tuple[int, str], int], runs: Floats) -> None:
        """Take in a block: failures by row and reason, and the runs of each row, failed ones too."""
        for key in failed:
            if key not in self:
                self[key] = Excursion(start, *self._fits[key[0]].failure_rates(key[1]))
        for key in list(self):
            self[key].add(failed.get(key, 0), int(runs[key[0]]))
            if self[key].sum <= 0.0:
                del self[key]
