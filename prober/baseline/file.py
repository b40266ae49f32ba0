"""Recordings as one file, to outlive the Pod and to go with a release: gzip of lines of JSON.

For each recording a head, a line for each series, and a line that counts and sums up what came before, so that a file
that was cut or damaged is noticed. Equal recordings make equal bytes. Files can be put one behind another (`cat`).
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from typing import Any

from prober.baseline.coded import from_bytes, to_bytes
from prober.baseline.labels import NOW, checked_label
from prober.baseline.lines import LATEST, LONGEST_LINE, MOST_COUNT, BadFile, Fields, Lines, plain
from prober.baseline.packed import PackedSeries, pack
from prober.baseline.sketch import Sketch
from prober.baseline.values import BLOCKS, HOUR, Hour, Origin, Recording, SeriesKey

__all__ = ["BadFile", "read", "read_all", "write", "write_all"]

FORMAT = "prober-baseline"
VERSION = 1
MOST_SERIES = 200_000
_HOUR_FIELDS = 4


def write(recording: Recording) -> bytes:
    """One recording as a file. ValueError: it has a text with control characters, or what could not be read again."""
    return write_all((recording,))


def write_all(recordings: Iterable[Recording]) -> bytes:
    """Several, in their order: those of several vantages, say. ValueError: see `write`."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0, compresslevel=6) as packed:
        for recording in recordings:
            digest = hashlib.sha256()
            for line in _lines(recording):
                digest.update(line)
                packed.write(line)
            packed.write(_line({"series": len(recording.series), "sha256": digest.hexdigest()}))
    return out.getvalue()


def read(data: bytes) -> Recording:
    """The one recording of a file. BadFile: there is none, or there are several, or something is wrong with it."""
    recordings = read_all(data)
    if len(recordings) != 1:
        raise BadFile(1, f"{len(recordings)} recordings where one was expected")
    return recordings[0]


def read_all(data: bytes) -> tuple[Recording, ...]:
    """All recordings of a file, in their order. BadFile: something is wrong with one of them."""
    lines = Lines(data)
    found = []
    while (head := lines.next()) is not None:
        found.append(_recording(lines, head))
    if not found:
        raise BadFile(1, "an empty file")
    return tuple(found)


def _lines(recording: Recording) -> Iterator[bytes]:
    yield _line(
        {
            "format": FORMAT,
            "version": VERSION,
            "label": recording.label,
            "label_version": recording.version,
            "since": recording.since,
            "until": recording.until,
            "recorded_at": recording.recorded_at,
            "origin": asdict(recording.origin),
            "settings": dict(recording.settings),
        }
    )
    for key in sorted(recording.series):
        hours = recording.series[key]
        sketches = to_bytes([hour.sketch for hour in hours])
        listed = [
            [hour.start, hour.covered, dict(hour.failed), base64.b64encode(sketch).decode()]
            for hour, sketch in zip(hours, sketches, strict=True)
        ]
        yield _line({**asdict(key), "hours": listed})


def _line(value: dict[str, Any]) -> bytes:
    if not all(map(plain, _texts({name: part for name, part in value.items() if name != "hours"}))):
        raise ValueError("a text with control characters")
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    line = text.encode() + b"\n"
    if len(line) > LONGEST_LINE:
        raise ValueError(f"a line of {len(line)} bytes: {LONGEST_LINE} are read again at most")
    return line


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, part in value.items():
            yield name
            yield from _texts(part)


def _recording(lines: Lines, value: dict[str, Any]) -> Recording:
    """The recording whose head is `value`, the line that was read last."""
    head = Fields(lines, value)
    if head.any("format") != FORMAT:
        head.bad("format", f"not {FORMAT}")
    if (version := head.any("version")) != VERSION:
        head.bad("version", f"{version!r}: this prober reads {VERSION}")
    label = _label(head)
    settings = head.texts("settings")
    origin = Fields(lines, head.any("origin"), "origin.")
    since, until, recorded_at = (head.moment(name) for name in ("since", "until", "recorded_at"))
    label_version = head.integer("label_version", 0, MOST_COUNT)
    where = {name: origin.text(name, empty=True) for name in ("vantage", "node", "zone", "region")}
    about = origin.texts("about")
    origin.done()
    head.done()
    blobs: dict[SeriesKey, bytes] = {}
    while "sha256" not in (line := _next(lines)):
        key, hours = _series(Fields(lines, line))
        if key in blobs:
            lines.bad(f"{key}: twice")
        if len(blobs) == MOST_SERIES:
            lines.bad(f"more than {MOST_SERIES} series")
        blobs[key] = pack(hours)
    if line != {"series": len(blobs), "sha256": lines.sum}:
        lines.bad("the lines before are not those that were written: something was changed, or is missing")
    lines.end()
    series = PackedSeries(blobs)
    return Recording(label, Origin(**where, about=about), since, until, recorded_at, label_version, series, settings)


def _next(lines: Lines) -> dict[str, Any]:
    line = lines.next()
    if line is None:
        lines.bad("the file ends within a recording")
    return line


def _label(head: Fields) -> str:
    label = head.text("label")
    if label != NOW:
        try:
            checked_label(label)
        except ValueError as error:
            head.bad("label", str(error))
    return label


def _series(fields: Fields) -> tuple[SeriesKey, list[Hour]]:
    parts = {name: fields.text(name) for name in ("probe", "target", "path", "family", "layer")}
    key = SeriesKey(**parts, node=fields.text("node", empty=True))
    listed = fields.any("hours")
    fields.done()
    if not isinstance(listed, list):
        fields.bad("hours", "not a list")
    hours: list[Hour] = []
    sketches: list[bytes] = []
    for at, value in enumerate(listed):
        name = f"hours[{at}]"
        if not isinstance(value, list) or len(value) != _HOUR_FIELDS:
            fields.bad(name, "not start, covered blocks, failures and sketch")
        hours.append(_hour(fields, name, *value[:3]))
        if at and hours[-1].start <= hours[-2].start:
            fields.bad(name, "not after the one before")
        try:
            sketches.append(base64.b64decode(value[3], validate=True))
        except (ValueError, TypeError) as error:
            fields.bad(name, f"a sketch that is not base64: {error}")
    return key, [replace(hour, sketch=sketch) for hour, sketch in zip(hours, _sketches(fields, sketches), strict=True)]


def _hour(fields: Fields, name: str, start: object, covered: object, failed: object) -> Hour:
    """An hour, but for its sketch."""
    begin = fields.bounded(name, start, 0, LATEST)
    if begin % HOUR:
        fields.bad(name, "does not begin with an hour")
    blocks = fields.bounded(name, covered, 0, (1 << BLOCKS) - 1)
    return Hour(begin, Sketch.empty(), fields.counts(name, failed), blocks)


def _sketches(fields: Fields, blobs: list[bytes]) -> list[Sketch]:
    try:
        sketches = from_bytes(blobs)
    except ValueError as error:
        fields.bad("hours", str(error))
    if any(len(sketch.counts) and sketch.counts.max() > MOST_COUNT for sketch in sketches):
        fields.bad("hours", f"a sketch with counts above {MOST_COUNT}")
    return sketches
