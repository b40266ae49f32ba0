"""Writing blocks and reading them again; what is too old goes.

A block that cannot be written waits in memory for the next one, with which it is tried again: six hours, then it is
lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from prober.baseline.packed import Row, hours_of, rows_of
from prober.baseline.sketch import Ints
from prober.baseline.store import regressions
from prober.baseline.store.arrays import from_blob, to_blob
from prober.baseline.store.database import Database
from prober.baseline.store.kinds import Block, Retention, Shifts, State, StoreFailed
from prober.baseline.values import HOUR, Hour, Regression, SeriesKey

#: Seconds for which blocks wait that could not be written.
PATIENCE = 6 * HOUR
#: Pages that are given back to the system at once: 64 MB.
_PAGES = 16_384


@dataclass(slots=True)
class Waiting:
    """Blocks that are not on disk yet, the one that came last among them."""

    blocks: list[int] = field(default_factory=list)
    hours: dict[tuple[int, SeriesKey], tuple[int, Row]] = field(default_factory=dict)
    """Hour and series → successes, row: a later block's replaces an earlier one's."""
    shifts: list[Shifts] = field(default_factory=list)
    state: tuple[int, State] | None = None
    regressions: list[Regression] = field(default_factory=list)
    settings: list[tuple[int, dict[str, str]]] = field(default_factory=list)

    def add(self, block: Block) -> int:
        """Take a block in; returns how many were given up for it."""
        hours = list(block.hours.values())
        for key, hour, row in zip(block.hours, hours, rows_of(hours), strict=True):
            self.hours[hour.start, key] = (hour.sketch.total, row)
        if block.shifts is not None:
            self.shifts.append(block.shifts)
        if block.state is not None:
            self.state = (block.start, block.state)
        self.regressions.extend(block.regressions)
        if block.settings:
            self.settings.append((block.start, dict(block.settings)))
        self.blocks.append(block.start)
        return self._give_up(block.start - PATIENCE)

    def _give_up(self, before: int) -> int:
        lost = sum(start < before for start in self.blocks)
        if lost:
            self.blocks = [start for start in self.blocks if start >= before]
            self.shifts = [shifts for shifts in self.shifts if shifts.start >= before]
            self.hours = {at: row for at, row in self.hours.items() if at[0] >= before - HOUR}
        return lost


def save(db: Database, waiting: Waiting) -> None:
    """All that waits, in one transaction. sqlite3.Error: nothing of it was written."""
    with db.transaction():
        _save_hours(db, waiting.hours)
        for shifts in waiting.shifts:
            _save_shifts(db, shifts)
        for start, settings in waiting.settings:
            db.settle(settings, start)
        regressions.save(db, waiting.regressions)
        if waiting.state is not None:
            block, state = waiting.state
            db.execute("REPLACE INTO state VALUES (1, ?, ?, ?)", (block, state.version, state.data))


def _save_hours(db: Database, hours: dict[tuple[int, SeriesKey], tuple[int, Row]]) -> None:
    for start in sorted({start for start, _ in hours}):
        db.add((key for at, key in hours if at == start), start)
        rows = {db.ids[key]: row for (at, key), row in hours.items() if at == start}
        db.executemany(
            "REPLACE INTO hours (start, series, covered, successes, failed, sketch) VALUES (?, ?, ?, ?, ?, ?)",
            (
                (start, number, covered, successes, failed, sketch)
                for number in sorted(rows)
                for successes, (_, covered, failed, sketch) in (rows[number],)
            ),
        )
        db.execute(
            "UPDATE series SET seen = ? WHERE seen < ? AND id IN (SELECT series FROM hours WHERE start = ?)",
            (start, start, start),
        )


def _save_shifts(db: Database, shifts: Shifts) -> None:
    db.add(shifts.series, shifts.start // HOUR * HOUR)
    ids = np.array([db.ids[key] for key in shifts.series], np.int64)
    db.execute("REPLACE INTO shifts VALUES (?, ?)", (shifts.start, to_blob(ids, shifts)))


def load_state(db: Database) -> tuple[int, State] | None:
    """The start of the block after which the state was saved, and the state."""
    row = db.execute("SELECT block, version, data FROM state").fetchone()
    return None if row is None else (row[0], State(row[1], row[2]))


def load_hour(db: Database, start: int) -> dict[SeriesKey, Hour]:
    """What each series has of this hour. StoreFailed where a row is damaged."""
    rows = db.execute("SELECT series, start, covered, failed, sketch FROM hours WHERE start = ?", (start,)).fetchall()
    try:
        hours = hours_of([row[1:] for row in rows])
    except ValueError as error:
        raise StoreFailed(f"the hour {start} is damaged: {error}") from error
    return dict(zip((db.keys[row[0]] for row in rows), hours, strict=True))


def first_hour(db: Database) -> int | None:
    """The start of the oldest hour."""
    start: int | None = db.execute("SELECT min(start) FROM hours").fetchone()[0]
    return start


def load_shifts(db: Database, since: float, until: float, series: Iterable[SeriesKey] | None) -> tuple[Shifts, ...]:
    """Of each block that begins between the two, in order of time; of these series, or of all. StoreFailed: damaged."""
    wanted = np.array(db.some(series), np.int64)
    found: list[Shifts] = []
    before: Ints = np.empty(0, np.int64)
    rows = db.execute("SELECT start, arrays FROM shifts WHERE start >= ? AND start < ? ORDER BY start", (since, until))
    for start, blob in rows:
        try:
            ids, runs, failed, d, r = from_blob(blob)
        except ValueError as error:
            raise StoreFailed(f"the shifts of {start} are damaged: {error}") from error
        kept = np.isin(ids, wanted)  # series that were pruned since are not known any more
        ids = ids[kept]
        same = bool(found) and np.array_equal(ids, before)
        keys = found[-1].series if same else tuple(db.keys[number] for number in ids.tolist())
        before = ids
        found.append(Shifts(start, keys, runs[kept], failed[kept], d[kept], r[kept]))
    return tuple(found)


def retain(db: Database, now: int, retention: Retention) -> None:
    """Delete what is older than it is to be kept, and give the room back."""
    hours = now - retention.hours
    with db.transaction():
        db.execute("DELETE FROM hours WHERE start < ?", (hours,))
        db.execute("DELETE FROM shifts WHERE start < ?", (now - retention.shifts,))
        db.execute("DELETE FROM regressions WHERE cleared < ?", (now - retention.regressions,))
    db.prune(hours - HOUR)
    # `execute` would take one step of it, and a step gives one page back.
    db.connection.executescript(f"PRAGMA incremental_vacuum({_PAGES})")
