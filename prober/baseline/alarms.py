"""Alarms: from evidence that comes and goes to a change with a level, an onset and an end. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from prober.baseline.channels import CONFIRMED, SUSPECT
from prober.baseline.sizes import Sized
from prober.baseline.values import BLOCK, HOUR, Channel, Direction, Level

#: Blocks without evidence to speak of after which an alarm is over, and what is not spoken of: noise alone makes a sum
#: leave nothing every hour or so.
QUIET = 6 * HOUR // BLOCK
FAINT = 0.25


class AlarmKey(NamedTuple):
    """What an alarm is about."""

    row: int
    channel: Channel
    direction: Direction
    reason: str = ""


class Evidence(NamedTuple):
    """What stands behind it after a block: 1 is the threshold of `suspect`."""

    evidence: float
    onset: int
    column: int
    sure: bool = True
    """Enough evidence would confirm it; else it stays a suspect."""


@dataclass(slots=True)
class Alarm:
    """One change that lasts."""

    level: Level
    onset: int
    since: int
    """Unix seconds: when its level was reached."""
    evidence: float
    """The most that it has been."""
    sized: Sized
    quiet: int = 0
    """Blocks in a row without evidence to speak of."""


class Alarms(dict[AlarmKey, Alarm]):
    """The alarms of one bank."""

    def follow(
        self, start: int, found: Mapping[AlarmKey, Evidence], sized: Callable[[AlarmKey, Evidence], Sized]
    ) -> None:
        """Take in the evidence after the block that began at `start`: of every key that alarms, or has any."""
        for key, told in found.items():
            alarm = self.get(key)
            if told.evidence >= SUSPECT:
                self._raise(key, alarm, told, start + BLOCK, sized(key, told))
            elif alarm is not None and told.evidence > FAINT:
                alarm.quiet = 0
        for key in [key for key in self if key not in found or found[key].evidence <= FAINT]:
            self[key].quiet += 1
            if self[key].quiet >= QUIET:
                del self[key]

    def _raise(self, key: AlarmKey, alarm: Alarm | None, told: Evidence, now: int, sized: Sized) -> None:
        level = Level.CONFIRMED if told.sure and told.evidence >= CONFIRMED else Level.SUSPECT
        if alarm is None:
            self[key] = Alarm(level, told.onset, now, told.evidence, sized)
            return
        if level is Level.CONFIRMED and alarm.level is Level.SUSPECT:
            alarm.level, alarm.since = level, now
        alarm.onset = min(alarm.onset, told.onset)
        alarm.evidence, alarm.sized, alarm.quiet = told.evidence, sized, 0
