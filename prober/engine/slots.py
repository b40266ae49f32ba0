"""Where in its interval a cell is due: phases, slots and their firings, in whole microseconds. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b

from prober.model import Cell

#: Width of a slot in seconds, and that of a schedule of at most `LIGHT` runs a second: see `prober.engine.scheduler`.
SLOT_WIDTH = 0.05
WIDE_SLOT = 0.1
LIGHT = 200.0


def width_for(cells: Iterable[Cell]) -> float:
    """The width of the slots that a schedule of these cells has, in seconds."""
    return WIDE_SLOT if sum(1 / cell.interval for cell in cells) <= LIGHT else SLOT_WIDTH


def slot_of(cell_id: str, interval: float, width: float = SLOT_WIDTH) -> tuple[int, int]:
    """(interval, phase) of a cell in microseconds: the same in every process, on every machine.

    `interval` and `width` are seconds. The phase is the cell's hash as a share of the interval, rounded down to one of
    the slots that fit into the interval.
    """
    interval_us = max(1, round(interval * 1e6))
    slots = max(1, interval_us // max(1, round(width * 1e6)))
    share = int.from_bytes(blake2b(cell_id.encode(), digest_size=8).digest(), "big")
    return interval_us, (share * slots >> 64) * interval_us // slots


@dataclass(slots=True, eq=False)
class Lane:
    """One cell in its slot. `turn` counts its runs, `due` is when the queued one should have begun (µs since 1970)."""

    id: str
    cell: Cell
    slot: tuple[int, int]
    """As `slot_of` gives it."""
    turn: int = 0
    due: int = 0
    queued: bool = False


@dataclass(slots=True, eq=False)
class Slot:
    """The cells that fire together, at `phase` plus whole intervals since 1970. `last` is the last firing's index."""

    interval: int
    phase: int
    last: int
    lanes: list[Lane] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Unique among the slots of a schedule."""
        return f"{self.interval}+{self.phase}"

    def index(self, now: int) -> int:
        """How many firings were due from 1970 until `now` (µs)."""
        return (now - self.phase) // self.interval

    def due(self, index: int) -> int:
        """When a firing is due (µs since 1970)."""
        return self.phase + index * self.interval
