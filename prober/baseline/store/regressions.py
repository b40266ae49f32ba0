"""Regressions in the file: at most one open for each subject, channel, reason and direction."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from prober.baseline.store.database import Database
from prober.baseline.values import Channel, Direction, Level, Regression, SeriesKey, Size

_FIND = """SELECT id FROM regressions
  WHERE series IS ? AND grouped IS ? AND channel = ? AND reason = ? AND direction = ?
    AND (cleared IS NULL OR onset = ?)
  ORDER BY onset <> ?, id DESC LIMIT 1"""
_INSERT = """INSERT INTO regressions (series, grouped, channel, reason, direction, onset, cleared, rest)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""
_LOAD = """SELECT series, grouped, channel, reason, direction, onset, cleared, rest FROM regressions
  WHERE (cleared IS NULL OR cleared > ?) AND onset < ? ORDER BY onset, id"""


def save(db: Database, regressions: Iterable[Regression]) -> None:
    """Insert each, in order, or bring it up to date where it is open or told again; within the caller's transaction."""
    for one in regressions:
        same = _same(one, db)
        row = db.execute(_FIND, (*same, one.onset, one.onset)).fetchone()
        values = (one.onset, one.cleared, _rest(one))
        if row:
            db.execute("UPDATE regressions SET onset = ?, cleared = ?, rest = ? WHERE id = ?", (*values, *row))
        else:
            db.execute(_INSERT, (*same, *values))


def load(db: Database, since: float, until: float) -> tuple[Regression, ...]:
    """Those that were there at some time between the two moments, by onset. One that is open lasts for ever."""
    return tuple(_regression(row, db) for row in db.execute(_LOAD, (since, until)))


def _same(one: Regression, db: Database) -> tuple[int | None, str | None, str, str, str]:
    if isinstance(one.subject, SeriesKey):
        db.add((one.subject,), int(one.onset))
        subject: tuple[int | None, str | None] = db.ids[one.subject], None
    else:
        subject = None, one.subject
    return *subject, one.channel.value, one.reason, one.direction.value


def _rest(one: Regression) -> str:
    size = None if one.size is None else (one.size.change, one.size.lower, one.size.upper)
    return json.dumps(
        {
            "layer": one.layer,
            "level": one.level.value,
            "since": one.since,
            "evidence": one.evidence,
            "size": size,
            "baseline": one.baseline,
            "was": one.was,
            "now": one.now,
        },
        separators=(",", ":"),
    )


def _regression(row: tuple[Any, ...], db: Database) -> Regression:
    series, grouped, channel, reason, direction, onset, cleared, text = row
    rest = json.loads(text)
    return Regression(
        subject=grouped if series is None else db.keys[series],
        layer=rest["layer"],
        channel=Channel(channel),
        level=Level(rest["level"]),
        direction=Direction(direction),
        onset=onset,
        since=rest["since"],
        evidence=rest["evidence"],
        size=None if rest["size"] is None else Size(*rest["size"]),
        baseline=rest["baseline"],
        reason=reason,
        was=rest["was"],
        now=rest["now"],
        cleared=cleared,
    )
