"""Baselines: recorded once, never changed; listed, read, made active, deleted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any

from prober.baseline.labels import NOW, checked_label
from prober.baseline.packed import PackedSeries, blobs_of, pack_rows, payload
from prober.baseline.store.database import Database
from prober.baseline.store.kinds import Active, BaselineInfo, Recorded, Refused, UnknownBaseline, WindowRefused, Wishes
from prober.baseline.store.windows import Objections, Span, read
from prober.baseline.values import Origin, Recording, SeriesKey

_INFO = """SELECT b.label, b.version, b.since, b.until, b.recorded_at, b.origin,
  (SELECT count(*) FROM baseline_series s WHERE s.baseline = b.id),
  (SELECT count(*) FROM active a WHERE a.baseline = b.id)
  FROM baselines b"""


def record(db: Database, head: Recording, wishes: Wishes) -> Recorded:
    """Keep the hours of the window that `head` tells (its series and its version are not looked at).

    It becomes the active one of series that have none. ValueError: its label cannot be one.
    WindowRefused: no series is fit for it.
    """
    span = Span(head.since, head.until)
    span.check()
    asked = None if wishes.series is None else set(wishes.series)
    kept: dict[SeriesKey, bytes] = {}
    refused: list[Refused] = []
    objections = Objections(db, span, wishes)
    for number, found in read(db, db.some(asked), span):
        key = db.keys[number]
        if why := objections.to(key, found):
            refused.append(Refused(key, why))
        else:
            kept[key] = pack_rows(found.rows)
    missing = sorted((asked or set()) - kept.keys() - {one.series for one in refused})
    refused.extend(Refused(key, objections.to(key, None) or "it was not measured") for key in missing)
    if not kept:
        raise WindowRefused(_why_none(refused), refused)
    cells = {key.cell for key in kept}
    settings = {cell: hashed for cell, hashed in head.settings.items() if cell in cells}
    with db.transaction():
        made = _insert(db, replace(head, series=PackedSeries(kept), settings=settings), None)
        db.execute(
            "INSERT OR IGNORE INTO active SELECT series, baseline FROM baseline_series WHERE baseline = ?", (made,)
        )
    return Recorded(_info(db, made), tuple(refused))


def put(db: Database, recording: Recording) -> BaselineInfo:
    """Take a recording in, active for no series. One that is here already is left as it is.

    It keeps its version unless that was given to another one: then it gets the next. ValueError: its label cannot be
    one, or it has no series.
    """
    if not recording.series or recording.since >= recording.until:
        raise ValueError("a baseline has a series, and a window that ends after it begins")
    digest = _digest(recording)
    row = db.execute("SELECT id FROM baselines WHERE label = ? AND digest = ?", (recording.label, digest)).fetchone()
    if row is not None:
        return _info(db, row[0])
    with db.transaction():
        made = _insert(db, recording, recording.version)
    return _info(db, made)


def listed(db: Database) -> tuple[BaselineInfo, ...]:
    """All, in the order in which they were recorded."""
    return tuple(_info_of(row) for row in db.execute(f"{_INFO} ORDER BY b.recorded_at, b.id"))


def get(
    db: Database,
    label: str,
    version: int | None,
    series: Iterable[SeriesKey] | None,
) -> Recording:
    """One with its hours, its newest version where none is named; of these series, or of all. UnknownBaseline."""
    number = _find(db, label, version)
    row = db.execute(
        "SELECT label, version, since, until, recorded_at, origin, settings FROM baselines WHERE id = ?", (number,)
    ).fetchone()
    wanted = None if series is None else set(db.some(series))
    blobs = {
        db.keys[one]: hours
        for one, hours in db.execute("SELECT series, hours FROM baseline_series WHERE baseline = ?", (number,))
        if wanted is None or one in wanted
    }
    text, was, since, until, at, origin, settings = row
    return Recording(
        text, Origin(**json.loads(origin)), since, until, at, was, PackedSeries(blobs), json.loads(settings)
    )


def window(db: Database, head: Recording, series: Iterable[SeriesKey] | None) -> Recording:
    """What was measured in the window that `head` tells, good or bad, of these series or of all."""
    found = read(db, db.some(series), Span(head.since, head.until))
    blobs = {db.keys[number]: pack_rows(one.rows) for number, one in found}
    return replace(head, label=NOW, series=PackedSeries(blobs))


def activate(db: Database, label: str, version: int | None) -> BaselineInfo:
    """Make it the active one of each of its series, its newest version where none is named. UnknownBaseline."""
    number = _find(db, label, version)
    with db.transaction():
        db.execute("REPLACE INTO active SELECT series, baseline FROM baseline_series WHERE baseline = ?", (number,))
    return _info(db, number)


def active(db: Database) -> dict[SeriesKey, Active]:
    """The active baseline of each series that has one."""
    settings = {
        number: json.loads(text)
        for number, text in db.execute("SELECT id, settings FROM baselines WHERE id IN (SELECT baseline FROM active)")
    }
    rows = db.execute(
        "SELECT a.series, b.id, b.label, b.version, f.fit, f.version"
        " FROM active a JOIN baselines b ON b.id = a.baseline"
        " JOIN baseline_series s ON s.baseline = b.id AND s.series = a.series LEFT JOIN fits f ON f.member = s.id"
    )
    found = {}
    for series, number, label, version, fit, fit_version in rows:
        key = db.keys[series]
        found[key] = Active(label, version, settings[number].get(key.cell), fit, fit_version)
    return found


def keep_fits(db: Database, label: str, version: int, fits: Mapping[SeriesKey, bytes], made: int) -> None:
    """Cache fitted models, of the format `made`, beside the series that they are of. UnknownBaseline."""
    number = _find(db, label, version)
    with db.transaction():
        db.executemany(
            "REPLACE INTO fits SELECT id, ?, ? FROM baseline_series WHERE baseline = ? AND series = ?",
            [(made, fit, number, db.ids[key]) for key, fit in fits.items() if key in db.ids],
        )


def delete(db: Database, label: str, version: int, force: bool) -> None:
    """Delete one; its version is never given again. UnknownBaseline. ValueError: it is active, and not to be forced."""
    number = _find(db, label, version)
    info = _info(db, number)
    if info.active and not force:
        raise ValueError(f"{info.name} is the active baseline of {info.active} series: accept another one first")
    with db.transaction():
        db.execute("DELETE FROM baselines WHERE id = ?", (number,))


def _why_none(refused: list[Refused]) -> str:
    if not refused:
        return "nothing was measured in the window"
    first = min(refused, key=lambda one: one.series)
    return f"none of {len(refused)} series is fit to be recorded; {first.series}: {first.why}"


def _find(db: Database, label: str, version: int | None) -> int:
    versions = dict(db.execute("SELECT version, id FROM baselines WHERE label = ?", (label,)).fetchall())
    if not versions:
        raise UnknownBaseline(f"there is no baseline {label}")
    if version is not None and version not in versions:
        raise UnknownBaseline(f"there is no {label} v{version}")
    return int(versions[max(versions) if version is None else version])


def _insert(db: Database, recording: Recording, version: int | None) -> int:
    """Insert all of it, within the caller's transaction; returns its id."""
    label = checked_label(recording.label)
    row = db.execute("SELECT newest FROM labels WHERE label = ?", (label,)).fetchone()
    newest = row[0] if row else 0
    taken = version is None or version < 1
    taken = taken or db.execute("SELECT 1 FROM baselines WHERE label = ? AND version = ?", (label, version)).fetchone()
    given = newest + 1 if taken or version is None else version
    db.execute("REPLACE INTO labels VALUES (?, ?)", (label, max(newest, given)))
    number = db.inserted(
        "INSERT INTO baselines (label, version, since, until, recorded_at, origin, settings, digest)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            label,
            given,
            recording.since,
            recording.until,
            recording.recorded_at,
            _json(asdict(recording.origin)),
            _json(dict(recording.settings)),
            _digest(recording),
        ),
    )
    db.add(recording.series, 0)
    db.executemany(
        "INSERT INTO baseline_series (baseline, series, hours) VALUES (?, ?, ?)",
        ((number, db.ids[key], blob) for key, blob in blobs_of(recording.series)),
    )
    return number


def _digest(recording: Recording) -> bytes:
    """Equal for the same recording, whatever its version."""
    moments = [float(at) for at in (recording.since, recording.until, recording.recorded_at)]
    head = (moments, asdict(recording.origin), dict(recording.settings))
    digest = hashlib.sha256(_json(head).encode())
    for key, blob in sorted(blobs_of(recording.series), key=lambda pair: pair[0]):
        digest.update(_json(asdict(key)).encode())
        digest.update(hashlib.sha256(payload(blob)).digest())
    return digest.digest()


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _info(db: Database, number: int) -> BaselineInfo:
    return _info_of(db.execute(f"{_INFO} WHERE b.id = ?", (number,)).fetchone())


def _info_of(row: tuple[Any, ...]) -> BaselineInfo:
    label, version, since, until, recorded_at, origin, series, active_for = row
    return BaselineInfo(label, version, since, until, recorded_at, Origin(**json.loads(origin)), series, active_for)
