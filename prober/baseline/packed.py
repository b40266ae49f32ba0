"""Hours of many series in little memory: each series as one compressed blob, read when it is asked for.

A blob is a byte of version, then zlib over the hours in order: start, covered blocks, failures as JSON, sketch.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

from prober.baseline.coded import from_bytes, to_bytes
from prober.baseline.values import HOUR, Hour, SeriesKey

_VERSION = 1
#: Hours since 1970, covered, bytes of the failures, bytes of the sketch.
_HEAD = struct.Struct("<IBII")
#: One hour as it is stored: start, covered, failures as JSON, sketch.
Row = tuple[int, int, str, bytes]


def failed_json(failed: Mapping[str, int]) -> str:
    """Failures by reason, always the same text for the same failures; "" of none."""
    return json.dumps(dict(sorted(failed.items())), separators=(",", ":")) if failed else ""


def rows_of(hours: Sequence[Hour]) -> list[Row]:
    """Hours as they are stored."""
    sketches = to_bytes([hour.sketch for hour in hours])
    return [
        (hour.start, hour.covered, failed_json(hour.failed), sketch)
        for hour, sketch in zip(hours, sketches, strict=True)
    ]


def hours_of(rows: Sequence[Row]) -> list[Hour]:
    """The hours of rows. ValueError where one is damaged."""
    sketches = from_bytes([row[3] for row in rows])
    return [
        Hour(start, sketch, json.loads(failed) if failed else {}, covered)
        for (start, covered, failed, _), sketch in zip(rows, sketches, strict=True)
    ]


def pack_rows(rows: Iterable[Row]) -> bytes:
    """One blob of these rows."""
    out = bytearray()
    for start, covered, failed, sketch in rows:
        reasons = failed.encode()
        out += _HEAD.pack(start // HOUR, covered, len(reasons), len(sketch))
        out += reasons
        out += sketch
    return bytes((_VERSION,)) + zlib.compress(out, 6)


def pack(hours: Sequence[Hour]) -> bytes:
    """One blob of these hours."""
    return pack_rows(rows_of(hours))


def payload(blob: bytes) -> bytes:
    """What is in the blob, not compressed: equal for equal hours, whichever zlib packed them. ValueError: damaged."""
    if blob[:1] != bytes((_VERSION,)):
        raise ValueError("packed hours of a version that is not known")
    try:
        return zlib.decompress(blob[1:])
    except zlib.error as error:
        raise ValueError(f"packed hours are damaged: {error}") from error


def unpack(blob: bytes) -> tuple[Hour, ...]:
    """The hours of a blob. ValueError where it is damaged."""
    data, at, rows = payload(blob), 0, []
    while at < len(data):
        begin = at + _HEAD.size
        if begin > len(data):
            raise ValueError("packed hours end within an hour")
        start, covered, reasons, sketch = _HEAD.unpack(data[at:begin])
        middle = begin + reasons
        at = middle + sketch
        if at > len(data):
            raise ValueError("packed hours end within an hour")
        rows.append((start * HOUR, covered, data[begin:middle].decode(), data[middle:at]))
    return tuple(hours_of(rows))


class PackedSeries(Mapping[SeriesKey, tuple[Hour, ...]]):
    """The `series` of a recording, each unpacked anew when it is asked for: that is a tenth or less of the memory.

    ValueError from a blob that is damaged.
    """

    def __init__(self, blobs: Mapping[SeriesKey, bytes]) -> None:
        self.blobs = blobs

    def __getitem__(self, key: SeriesKey) -> tuple[Hour, ...]:
        return unpack(self.blobs[key])

    def __iter__(self) -> Iterator[SeriesKey]:
        return iter(self.blobs)

    def __len__(self) -> int:
        return len(self.blobs)

    def __contains__(self, key: object) -> bool:
        return key in self.blobs


def blobs_of(series: Mapping[SeriesKey, tuple[Hour, ...]]) -> Iterator[tuple[SeriesKey, bytes]]:
    """Each series as its blob."""
    if isinstance(series, PackedSeries):
        yield from series.blobs.items()
    else:
        yield from ((key, pack(hours)) for key, hours in series.items())
