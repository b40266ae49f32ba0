"""Figures beside their goals, reached or not: what every benchmark ends with. Pure but for printing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all values do not exceed (nearest rank); 0.5 is the median. ValueError for none."""
    if not values:
        raise ValueError("no values")
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)]


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure that must not exceed its limit, or (`at_least`) not fall short of it, both in `unit`."""

    what: str
    figure: float
    limit: float
    unit: str
    at_least: bool = False

    @property
    def reached(self) -> bool:
        """Whether it holds."""
        return self.figure >= self.limit if self.at_least else self.figure <= self.limit

    def __str__(self) -> str:
        word = "reached" if self.reached else "MISSED"
        figure = f"{self.figure:.0f}" if self.figure >= 100 else f"{self.figure:.3g}"
        unit = self.unit and f" {self.unit}"
        return f"{word:8} {self.what}: {figure}{unit}, goal {'≥' if self.at_least else '≤'} {self.limit:g}{unit}"


@dataclass(slots=True)
class Goals:
    """The goals of one benchmark, gathered as it runs."""

    goals: list[Goal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, what: str, figure: float, limit: float, unit: str = "", *, at_least: bool = False) -> None:
        """One more figure with its limit."""
        self.goals.append(Goal(what, figure, limit, unit, at_least))

    def unknown(self, what: str, why: str) -> None:
        """A goal that could not be measured here."""
        self.notes.append(f"unknown  {what}: {why}")

    def show(self) -> None:
        """Print them all: the missed ones too, without making them a failure of the run."""
        print("\n".join(["", *map(str, self.goals), *self.notes]), flush=True)


def show_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns: the first one to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        cells = [cell.ljust(width) if not number else cell.rjust(width)
                 for number, (cell, width) in enumerate(zip(row, widths, strict=True))]  # fmt: skip
        print("  ".join(cells).rstrip(), flush=True)
