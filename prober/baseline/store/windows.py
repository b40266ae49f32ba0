"""The hours that a window takes in, and what speaks against recording a series from it.

An hour belongs to a window if all that was measured in it did: the hour that began before the window is left out, the
one that is still being measured is not, where the window ends now.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from prober.baseline.packed import Row
from prober.baseline.store import regressions
from prober.baseline.store.database import Database
from prober.baseline.store.kinds import WindowRefused, Wishes
from prober.baseline.values import (
    BLOCK,
    BLOCKS,
    HOUR,
    LEAST_COVERED,
    LEAST_HELD,
    LEAST_WINDOW,
    Direction,
    Regression,
    SeriesKey,
)
from prober.units import rfc3339_at

#: Series that are read at once: what lies in memory is theirs alone.
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Span:
    """From `since` to `until`, Unix seconds."""

    since: float
    until: float

    def has(self, start: int, covered: int) -> bool:
        """Whether all blocks that were measured of the hour lie within."""
        first = (covered & -covered).bit_length() - 1
        return (
            covered > 0 and start + first * BLOCK >= self.since and start + covered.bit_length() * BLOCK <= self.until
        )

    @property
    def blocks(self) -> int:
        """Whole blocks in it."""
        return max(0, math.floor(self.until / BLOCK) - math.ceil(self.since / BLOCK))

    def check(self) -> None:
        """WindowRefused where nothing could be recorded from it, whatever was measured."""
        if not (math.isfinite(self.since) and math.isfinite(self.until)):
            raise WindowRefused("a window has a beginning and an end")
        if self.until - self.since < LEAST_WINDOW:
            hours = math.floor(max(0.0, self.until - self.since) / HOUR * 10) / 10
            raise WindowRefused(f"the window is {hours:g} h: a baseline needs {LEAST_WINDOW / HOUR:g} h at least")


@dataclass(slots=True)
class Found:
    """What a window has of one series."""

    rows: list[Row]
    blocks: int
    successes: int


def read(db: Database, ids: Sequence[int], span: Span) -> Iterator[tuple[int, Found]]:
    """Each of these series (ids in rising order) that has hours in the span, with them, in order of time."""
    starts = _starts(db, span)
    since = dict(db.execute("SELECT id, settings_since FROM series"))
    for at in range(0, len(ids), _CHUNK):
        chunk = ids[at : at + _CHUNK]
        wanted = set(chunk)
        found: dict[int, Found] = {}
        for start in starts:
            rows = db.execute(
                "SELECT series, covered, successes, failed, sketch FROM hours"
                " WHERE start = ? AND series BETWEEN ? AND ?",
                (start, chunk[0], chunk[-1]),
            )
            for series, covered, successes, failed, sketch in rows:
                if series in wanted and span.has(start, covered) and start >= since[series]:
                    one = found.setdefault(series, Found([], 0, 0))
                    one.rows.append((start, covered, failed, sketch))
                    one.blocks += (covered & (1 << BLOCKS) - 1).bit_count()
                    one.successes += successes
        yield from sorted(found.items())


def _starts(db: Database, span: Span) -> list[int]:
    """The hours that there are, by one seek each."""
    found: list[int] = []
    at = span.since - HOUR
    while True:
        row = db.execute("SELECT min(start) FROM hours WHERE start > ? AND start < ?", (at, span.until)).fetchone()
        if row[0] is None:
            return found
        at = row[0]
        found.append(row[0])


class Objections:
    """What speaks against recording a series from a window."""

    def __init__(self, db: Database, span: Span, wishes: Wishes) -> None:
        self._span, self._more = span, wishes.refused
        rows = db.execute("SELECT id, settings_since FROM series WHERE settings_since > ?", (span.since,))
        self._other: dict[SeriesKey, int] = {db.keys[number]: since for number, since in rows}
        self._regressed: Mapping[object, Regression] = {
            one.subject: one
            for one in regressions.load(db, span.since, span.until)
            if one.direction is Direction.REGRESSED and not wishes.regressed
        }

    def to(self, key: SeriesKey, found: Found | None) -> str | None:
        """The first of them; None where there is none."""
        if (one := self._regressed.get(key)) is not None:
            what = f"{one.channel.value} of {one.reason}" if one.reason else one.channel.value
            return f"it had regressed in the window ({what}, {one.level.value}) since {rfc3339_at(one.onset)}"
        if key in self._more:
            return self._more[key]
        blocks = found.blocks if found else 0
        if blocks < LEAST_COVERED * self._span.blocks:
            if key in self._other:
                return f"it was probed in another way until {rfc3339_at(self._other[key])}"
            share = math.floor(100 * blocks / self._span.blocks)
            return f"{share} % of the window's blocks were measured: {100 * LEAST_COVERED:g} % are needed"
        if found is None or found.successes < LEAST_HELD:
            return f"{found.successes if found else 0} successes in the window: {LEAST_HELD} are needed"
        return None
