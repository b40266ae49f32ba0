"""What banks remember, as bytes, to go on after a restart as if there had been none. Pure.

A row is found again by its series and by the baseline that it was judged against: against another one it begins anew.
The bytes are a line of JSON and the arrays that it tells, compressed.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from prober.baseline.alarms import Alarm, AlarmKey
from prober.baseline.bank import Bank
from prober.baseline.channels import COLUMNS
from prober.baseline.excursions import Excursion
from prober.baseline.response import MARKS
from prober.baseline.scores import Block
from prober.baseline.sizes import Sized
from prober.baseline.sketch import Floats, Ints
from prober.baseline.values import Channel, Direction, Level, SeriesKey, Size

#: To be raised whenever a state says something else than it did.
VERSION: Final = 2

Name = tuple[SeriesKey, str]
"""A series, and label and version of its baseline."""


@dataclass(slots=True)
class RowState:
    """What is remembered of one row."""

    sums: Floats
    onset: Ints
    seen: Floats
    beyond: Floats
    level: Floats
    waited: int
    waiting: list[tuple[int, int]]
    """Bins and counts of what it waits with."""
    alarms: list[tuple[Channel, Direction, str, Alarm]] = field(default_factory=list)
    excursions: dict[str, Excursion] = field(default_factory=dict)


Remembered = dict[Name, RowState]


def remembered(banks: Iterable[Bank]) -> Remembered:
    """All rows of these banks."""
    found: Remembered = {}
    for bank in banks:
        found |= _rows_of(bank)
    return found


def _rows_of(bank: Bank) -> Remembered:
    state = bank.state
    waiting: dict[int, list[tuple[int, int]]] = {}
    block, waited = bank.waiting, bank.waited
    entries = (part.tolist() for part in (block.rows, block.bins, block.counts))
    for row, at, count in zip(*entries, strict=True):
        waiting.setdefault(row, []).append((at, count))
    rows = [
        RowState(
            state.sums[row].copy(), state.onset[row].copy(), state.seen[row].copy(), state.beyond[row].copy(),
            state.level[row].copy(), int(waited[row]), waiting.get(row, []),
        )
        for row in range(len(bank))
    ]  # fmt: skip
    for key, alarm in bank.alarms.items():
        rows[key.row].alarms.append((key.channel, key.direction, key.reason, alarm))
    for (row, reason), excursion in bank.reasons.items():
        rows[row].excursions[reason] = excursion
    return {(key, bank.baseline): row for key, row in zip(bank.keys, rows, strict=True)}


def restore(bank: Bank, known: Mapping[Name, RowState]) -> None:
    """Let the rows of a new bank go on from what is known of them."""
    state = bank.state
    waiting: list[tuple[int, int, int]] = []
    for row, key in enumerate(bank.keys):
        was = known.get((key, bank.baseline))
        if was is None:
            continue
        state.sums[row], state.onset[row], state.seen[row] = was.sums, was.onset, was.seen
        state.beyond[row], state.level[row] = was.beyond, was.level
        waiting.extend((row, at, count) for at, count in was.waiting)
        bank.waited[row] = was.waited
        for channel, direction, reason, alarm in was.alarms:
            bank.alarms[AlarmKey(row, channel, direction, reason)] = alarm
        for reason, excursion in was.excursions.items():
            bank.reasons[row, reason] = excursion
    if waiting:
        bank.waiting = Block(0, *np.array(waiting, np.int64).T)


def pack(rows: Mapping[Name, RowState]) -> bytes:
    """All of it, some 100 bytes a row where nothing is going on."""
    head = {
        "columns": len(COLUMNS),
        "marks": MARKS,
        "rows": [[*astuple(key), baseline] for key, baseline in rows],
        "waited": [row.waited for row in rows.values()],
        "waiting": _some(rows.values(), lambda row: row.waiting),
        "alarms": _some(rows.values(), lambda row: [alarm_out(*alarm) for alarm in row.alarms]),
        "excursions": _some(rows.values(), lambda row: {r: asdict(e) for r, e in row.excursions.items()}),
    }
    arrays = [
        np.array([getattr(row, name) for row in rows.values()], kind).reshape(len(rows), *shape).tobytes()
        for name, kind, shape in _ARRAYS
    ]
    text = json.dumps(head, separators=(",", ":"), ensure_ascii=False)
    return zlib.compress(b"".join([text.encode(), b"\n", *arrays]), 1)


_ARRAYS: Final = (
    ("sums", "<f8", (len(COLUMNS),)),
    ("onset", "<i8", (len(COLUMNS),)),
    ("seen", "<f8", (len(COLUMNS), 4)),
    ("beyond", "<f8", (MARKS,)),
    ("level", "<f8", (3,)),
)


def unpack(version: int, data: bytes) -> Remembered:
    """What `pack` gave. ValueError for anything else, and for what another prober wrote: then all begins anew."""
    if version != VERSION:
        raise ValueError(f"a state of version {version}; this prober knows {VERSION}")
    try:
        return _unpacked(zlib.decompress(data))
    except (zlib.error, KeyError, TypeError, IndexError, ValueError) as error:
        raise ValueError(f"the state is damaged: {error}") from error


def _unpacked(data: bytes) -> Remembered:
    text, _, rest = data.partition(b"\n")
    head: dict[str, Any] = json.loads(text)
    if (head["columns"], head["marks"]) != (len(COLUMNS), MARKS):
        raise ValueError("of other columns")
    size, at = len(head["rows"]), 0
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, kind, shape in _ARRAYS:
        count = size * int(np.prod(shape))
        arrays[name] = np.frombuffer(rest, kind, count, at).reshape(size, *shape)
        at += arrays[name].nbytes
    if at != len(rest):
        raise ValueError("of another length")
    found: Remembered = {}
    for row, (*parts, baseline) in enumerate(head["rows"]):
        sums, onset, seen, beyond = (arrays[name][row].copy() for name in ("sums", "onset", "seen", "beyond"))
        mine = str(row)
        found[SeriesKey(*parts), baseline] = RowState(
            sums, onset, seen, beyond, arrays["level"][row], int(head["waited"][row]),
            [(int(b), int(count)) for b, count in head["waiting"].get(mine, ())],
            [alarm_in(*alarm) for alarm in head["alarms"].get(mine, ())],
            {reason: Excursion(**fields) for reason, fields in head["excursions"].get(mine, {}).items()},
        )  # fmt: skip
    return found


def _some(rows: Iterable[RowState], what: Any) -> dict[int, Any]:
    """By number of the row, where there is something."""
    return {number: said for number, row in enumerate(rows) if (said := what(row))}


def alarm_out(channel: Channel, direction: Direction, reason: str, alarm: Alarm) -> Sequence[Any]:
    """An alarm as plain JSON values."""
    size = alarm.sized.size
    return (
        channel.value, direction.value, reason, alarm.level.value, alarm.onset, alarm.since, alarm.evidence,
        (size.change, size.lower, size.upper), alarm.sized.was, alarm.sized.now, alarm.quiet,
    )  # fmt: skip


def alarm_in(*parts: Any) -> tuple[Channel, Direction, str, Alarm]:
    """What `alarm_out` gave. ValueError and TypeError for anything else."""
    channel, direction, reason, level, onset, since, evidence, size, was, now, quiet = parts
    alarm = Alarm(Level(level), onset, since, evidence, Sized(Size(*size), was, now), quiet)
    return Channel(channel), Direction(direction), reason, alarm
