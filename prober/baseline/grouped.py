"""The groups of one vantage's series, watched: made of the fits of the series, remembered over a restart. Pure."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from prober.baseline.alarms import Alarm, AlarmKey
from prober.baseline.bank import Bank
from prober.baseline.fit import Fit
from prober.baseline.grouping import groups_of
from prober.baseline.groups import Group, GroupBank, Pool
from prober.baseline.members import coarse_of, hourly_of, seasonal_of, weights_of
from prober.baseline.memory import alarm_in, alarm_out
from prober.baseline.values import Channel, Direction, Level, Regression, SeriesKey

#: Groups times members of a pool, at most: its weights are so many numbers.
_LARGEST: Final = 500_000

Name = tuple[str, str]
"""Of a group: what it is called, and label and version of its baseline."""


class GroupState(NamedTuple):
    """What is remembered of one group: as `GroupBank` has it, and its alarms."""

    sums: list[float]
    onset: list[int]
    seen: list[list[float]]
    alarms: list[tuple[Channel, Direction, str, Alarm]]


Remembered = dict[Name, GroupState]


def group_banks(banks: Iterable[Bank]) -> list[GroupBank]:
    """All groups of the series of these banks: those that are held against the same baseline, together."""
    fits: dict[str, dict[SeriesKey, Fit]] = {}
    for bank in banks:
        fits.setdefault(bank.baseline, {}).update(zip(bank.keys, bank.fits, strict=True))
    return [_bank(groups, known, baseline) for baseline, known in fits.items() for groups in _parts(groups_of(known))]


def worse_sides(banks: Iterable[GroupBank], alarms: Iterable[Regression]) -> dict[SeriesKey, Regression]:
    """The series of those sides of differences that were confirmed to be worse, each with that alarm."""
    members = {str(one): one.members for bank in banks for one in bank.pool.groups if one.differential}
    found: dict[SeriesKey, Regression] = {}
    for alarm in alarms:
        if isinstance(alarm.subject, str) and (alarm.level, alarm.direction) == (Level.CONFIRMED, Direction.REGRESSED):
            found |= {key: alarm for key in members.get(alarm.subject, ()) if isinstance(key, SeriesKey)}
    return found


def _bank(groups: Sequence[Group], known: Mapping[SeriesKey, Fit], baseline: str) -> GroupBank:
    members = _members(groups)
    fits: dict[Hashable, Fit] = {key: fit for key, fit in known.items() if key in members}
    pool = Pool(groups, weights_of(fits))
    return GroupBank(pool, pool.learned(hourly_of(fits), coarse_of(fits)), baseline, seasonal_of(pool, fits))


def _members(groups: Iterable[Group]) -> set[Hashable]:
    return {member for group in groups for member in (*group.members, *group.against)}


def _parts(groups: Iterable[Group]) -> Iterator[list[Group]]:
    """So many at once that the weights stay small."""
    part: list[Group] = []
    members: set[Hashable] = set()
    for group in groups:
        more = members | _members((group,))
        if part and (len(part) + 1) * len(more) > _LARGEST:
            yield part
            part, more = [], _members((group,))
        part.append(group)
        members = more
    if part:
        yield part


def remembered(banks: Iterable[GroupBank]) -> Remembered:
    """All groups."""
    found: Remembered = {}
    for bank in banks:
        alarms: dict[int, list[tuple[Channel, Direction, str, Alarm]]] = {}
        for key, alarm in bank.alarms.items():
            alarms.setdefault(key.row, []).append((key.channel, key.direction, key.reason, alarm))
        for row, group in enumerate(bank.pool.groups):
            state = bank.sums[row].tolist(), bank.onset[row].tolist(), bank.seen[row].tolist()
            found[str(group), bank.baseline] = GroupState(*state, alarms.get(row, []))
    return found


def restore(banks: Iterable[GroupBank], known: Mapping[Name, GroupState]) -> None:
    """Let new groups go on from what is known of those of the same name and baseline."""
    for bank in banks:
        for row, group in enumerate(bank.pool.groups):
            was = known.get((str(group), bank.baseline))
            if was is not None:
                bank.sums[row], bank.onset[row], bank.seen[row] = was.sums, was.onset, was.seen
                for channel, direction, reason, alarm in was.alarms:
                    bank.alarms[AlarmKey(row, channel, direction, reason)] = alarm


def pack(groups: Mapping[Name, GroupState]) -> bytes:
    """Those of them of which there is something to remember."""
    told = [
        [*name, state.sums, state.onset, state.seen, [alarm_out(*alarm) for alarm in state.alarms]]
        for name, state in groups.items()
        if any(state.sums) or state.alarms
    ]
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode()


def unpack(data: bytes) -> Remembered:
    """What `pack` gave. ValueError for anything else."""
    try:
        return dict(_unpacked(entry) for entry in json.loads(data))
    except (TypeError, IndexError) as error:
        raise ValueError(f"the groups are damaged: {error}") from error


def _unpacked(entry: Any) -> tuple[Name, GroupState]:
    name, baseline, sums, onset, seen, alarms = entry
    shapes = [np.array(part, np.float64).shape for part in (sums, onset, seen)]
    if shapes != [(2,), (2,), (2, 2)]:
        raise ValueError("groups of another shape")
    return (str(name), str(baseline)), GroupState(sums, onset, seen, [alarm_in(*alarm) for alarm in alarms])
