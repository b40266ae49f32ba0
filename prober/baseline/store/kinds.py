"""What goes into the store and comes out of it, and what it raises."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt

from prober.baseline.labels import versioned
from prober.baseline.sketch import Floats, Ints
from prober.baseline.values import Hour, Origin, Regression, SeriesKey

DAY = 86400
_NONE: Ints = np.zeros(0, np.int64)


class StoreFailed(Exception):
    """The store could not read or write: what SQLite or the system said."""


class UnknownBaseline(LookupError):
    """There is no baseline of this label, or not in this version."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A series that was not recorded, and why."""

    series: SeriesKey
    why: str


@dataclass(frozen=True, slots=True)
class Wishes:
    """What of a window is recorded."""

    series: tuple[SeriesKey, ...] | None = None
    """These alone; None: all."""
    regressed: bool = False
    """Those that had regressed in it too: what is so now is to be usual."""
    refused: Mapping[SeriesKey, str] = field(default_factory=dict)
    """What speaks against some beside what the store knows."""


class WindowRefused(ValueError):
    """Nothing was recorded. `refused` has the series that were looked at, where it is for their sake."""

    def __init__(self, why: str, refused: Iterable[Refused] = ()) -> None:
        super().__init__(why)
        self.refused = tuple(refused)


@dataclass(frozen=True, slots=True)
class Retention:
    """Seconds that things are kept. Baselines are kept until they are deleted."""

    hours: float = 14 * DAY
    shifts: float = 8 * DAY
    regressions: float = 90 * DAY

    def in_memory(self) -> Self:
        """The same where nothing but memory keeps it: hours and shifts of three days at most, enough to record 48 h."""
        return type(self)(min(self.hours, 3 * DAY), min(self.shifts, 3 * DAY), self.regressions)


@dataclass(frozen=True, slots=True, eq=False)
class Shifts:
    """How each series did in one block. All arrays are as long as `series`."""

    start: int
    """Unix seconds of the block's start."""
    series: tuple[SeriesKey, ...]
    runs: Ints
    failed: Ints
    d: npt.NDArray[np.float32]
    """Shift of location, in natural logarithms; NaN where there were too few runs to tell."""
    r: npt.NDArray[np.float32]
    """The same by ranks."""

    @classmethod
    def joined(cls, start: int, parts: Iterable[tuple[Sequence[SeriesKey], Ints, Ints, Floats]]) -> Self:
        """Of parts that have each their series, runs that held, runs that failed, and shifts of shape (series, 2)."""
        keys, held, failed, shift = zip(*parts, ((), _NONE, _NONE, np.zeros((0, 2))), strict=True)
        d, r = np.concatenate(shift).astype(np.float32).T
        lost = np.concatenate(failed)
        return cls(start, tuple(key for part in keys for key in part), np.concatenate(held) + lost, lost, d, r)


@dataclass(frozen=True, slots=True)
class State:
    """The detectors' state after a block. The store does not look into it."""

    version: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Block:
    """All there is to keep of one block: written in one transaction."""

    start: int
    """Unix seconds, a multiple of 600."""
    hours: Mapping[SeriesKey, Hour]
    """The hour so far (this block merged with those before it in the hour) of each series that had runs."""
    shifts: Shifts | None = None
    state: State | None = None
    regressions: tuple[Regression, ...] = ()
    """Those opened, changed or cleared since the block before, in this order."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Id of a cell → hash of how it is probed now; cells that are not named are as they were."""


@dataclass(frozen=True, slots=True)
class BaselineInfo:
    """A baseline without its hours."""

    label: str
    version: int
    since: float
    until: float
    recorded_at: float
    origin: Origin
    series: int
    """How many it has."""
    active: int
    """For how many of them it is the active one."""

    @property
    def name(self) -> str:
        """`cilium-1.17.3 v1`, as regressions name it."""
        return versioned(self.label, self.version)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A new baseline, and what is not in it."""

    baseline: BaselineInfo
    refused: tuple[Refused, ...]


@dataclass(frozen=True, slots=True)
class Active:
    """The baseline that is active for a series."""

    label: str
    version: int
    settings: str | None
    """Hash of how the series' cell was probed then, where it is known."""
    fit: bytes | None
    """The fitted model as it was cached, in the format `fit_version`; None where none is cached."""
    fit_version: int | None
