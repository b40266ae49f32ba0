"""What comes out of a comparison: rows, each with a finding. See `compare`. Values alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from prober.baseline.values import Size


class Finding(StrEnum):
    """What a comparison says."""

    FAILING = "more_failures"
    SLOWER = "slower"
    HEAVIER_TAIL = "heavier_tail"
    FASTER = "faster"
    SAME = "as_before"
    UNKNOWN = "not_enough"


#: Findings that make a change look bad, the worst first.
BAD: Final = (Finding.FAILING, Finding.SLOWER, Finding.HEAVIER_TAIL)


@dataclass(frozen=True, slots=True)
class Figures:
    """One side of a row: seconds over all its runs, the share that failed, and how many there were."""

    p50: float
    p99: float
    failed: float
    runs: int


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a series, or several of a layer together."""

    name: str
    """`all`, `ingress` (of the part `path`), or the series."""
    layer: str
    series: int
    was: Figures
    """Before; seconds as they would be at the hours of the later side."""
    now: Figures
    finding: Finding
    change: Size | None = None
    """Of the whole distribution, the season taken out: 1.18 is 18 % slower."""
    tail: Size | None = None
    """Of p99, where the tail became heavier."""
    onset: float | None = None
    """Unix seconds: the hour with which it most likely began, where something was found."""
    slowest: tuple[float, float] | None = None
    """The hour (Unix seconds) of the later side with the largest shift, and its ratio."""
    why: str = ""
    """Of `not_enough`: what is missing."""
    regressed: int = 0
    """Of a pool: how many of its series are bad by themselves."""
    vantage: str = ""
    """Of a series: where it was seen from."""
    evidence: float = 0.0
    """Of one that got worse: a log-likelihood (see `after.evidence_of`)."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Of a series: the kinds of parts that it is in, and which one."""
    sure: bool = True
    """That it got worse is more than chance makes of as many rows as there are of its kind."""

    @property
    def bad(self) -> bool:
        """It got worse."""
        return self.finding in BAD


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came out: a row for each layer, rows for each part of it, and one for each series."""

    layers: tuple[Row, ...]
    parts: Mapping[str, tuple[Row, ...]]
    """By `path`, `family`, `target`, `node`, `zone` and `vantage`, where there is more than one of them."""
    series: tuple[Row, ...]

    @property
    def regressed(self) -> bool:
        """A layer as a whole got worse, or a part of one, or a series by itself: more than chance makes of so many."""
        return any(row.bad and row.sure for rows in (self.layers, *self.parts.values(), self.series) for row in rows)
