"""The values that baselines are made of: series, hours, recordings, regressions. Frozen, seconds everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from prober.baseline.sketch import Sketch

#: Seconds of a block: what is scored at once.
BLOCK = 600
#: Seconds of an hour: what is kept.
HOUR = 3600
#: Blocks in an hour.
BLOCKS = HOUR // BLOCK
#: What a baseline needs: seconds of its window, the share of that which was measured, and runs in which the layer held.
LEAST_WINDOW = 24 * HOUR
LEAST_COVERED = 0.9
LEAST_HELD = 1000


@dataclass(frozen=True, slots=True, order=True)
class SeriesKey:
    """One series: a layer of a cell, seen from one vantage."""

    probe: str
    target: str
    path: str
    family: str
    layer: str
    node: str = ""
    """The node of the endpoint, for what is also kept for each endpoint's node by itself; "" is the whole cell."""

    @property
    def cell(self) -> str:
        """The id of its cell: `probe/target/path/family`."""
        return f"{self.probe}/{self.target}/{self.path}/{self.family}"

    def __str__(self) -> str:
        return f"{self.cell} {self.layer}" + (f" on {self.node}" if self.node else "")


@dataclass(frozen=True, slots=True)
class Hour:
    """What one series did in one hour, or in those of its blocks (10 minutes each) that are covered."""

    start: int
    """Unix seconds, a multiple of 3600."""
    sketch: Sketch
    """The times of the runs in which the layer held."""
    failed: Mapping[str, int] = field(default_factory=dict)
    """Reason → runs in which the layer failed for it. A layer that was not reached counts nowhere."""
    covered: int = (1 << BLOCKS) - 1
    """Bit n is set where block n of the hour was measured."""

    @property
    def runs(self) -> int:
        """Runs that reached the layer."""
        return self.sketch.total + sum(self.failed.values())

    def merged(self, other: Hour) -> Hour:
        """Both together. ValueError where they are of different hours."""
        if other.start != self.start:
            raise ValueError("different hours")
        failed = {r: self.failed.get(r, 0) + other.failed.get(r, 0) for r in {**self.failed, **other.failed}}
        return Hour(self.start, Sketch.merged((self.sketch, other.sketch)), failed, self.covered | other.covered)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a recording was made, and what ran there: annotations, never a reason to judge differently."""

    vantage: str
    node: str = ""
    zone: str = ""
    region: str = ""
    about: Mapping[str, str] = field(default_factory=dict)
    """`kernel`, `kubelet`, `cni` …, as far as known, and what the user has said."""


@dataclass(frozen=True, slots=True)
class Recording:
    """The hours of many series between two moments, under a label: a baseline, or what is compared with one."""

    label: str
    origin: Origin
    since: float
    until: float
    """Unix seconds."""
    recorded_at: float
    version: int
    """1 for the first recording of this label, 2 for the next."""
    series: Mapping[SeriesKey, tuple[Hour, ...]]
    """Each with its hours in order of time. What a series is probed with may change: see `settings`."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Id of a cell → hash of how it was probed. A cell with another hash is another path: it has no baseline here."""


class Channel(StrEnum):
    """What of a series is watched."""

    LOCATION = "location"
    """The whole distribution, by likelihood (most sensitive)."""
    RANK = "rank"
    """The whole distribution, by ranks (sees a jump from one mode onto another)."""
    TAIL = "tail"
    FAILURE = "failure"


class Level(StrEnum):
    """How sure it is."""

    SUSPECT = "suspect"
    CONFIRMED = "confirmed"


class Direction(StrEnum):
    """Which way it went."""

    REGRESSED = "regressed"
    IMPROVED = "improved"


@dataclass(frozen=True, slots=True)
class Size:
    """A change with its honest interval (95 %, for correlated series): ratios to the baseline, 1.18 is 18 % slower; of
    failures, shares of the runs."""

    change: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Regression:
    """One series, or one group of series, that is not as its baseline was."""

    subject: SeriesKey | str
    """A series, or the name of a group: `tcp service-pod web-api ipv4`."""
    layer: str
    channel: Channel
    level: Level
    direction: Direction
    onset: float
    """Unix seconds: the block after the evidence last was nothing."""
    since: float
    """Unix seconds: when this level was reached."""
    evidence: float
    """1 is the threshold of `suspect`, 2 that of `confirmed`."""
    size: Size | None
    baseline: str
    """Label and version of the baseline: `cilium-1.17.3 v1`."""
    reason: str = ""
    """Of the failure channel: the one reason that is meant; "" is all of them."""
    was: float = 0.0
    now: float = 0.0
    """Seconds (median; p99 for the tail) or share of failures: then, and since the onset."""
    cleared: float | None = None
    """Unix seconds: when it was over; None while it lasts."""
