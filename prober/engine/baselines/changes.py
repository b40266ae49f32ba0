"""What a block has opened, confirmed and closed: regressions before and after it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from prober.baseline.values import Channel, Direction, Level, Regression, SeriesKey

Identity = tuple[SeriesKey | str, Channel, Direction, str]


def identity(one: Regression) -> Identity:
    """What is one and the same regression for as long as it lasts."""
    return one.subject, one.channel, one.direction, one.reason


@dataclass(slots=True)
class Changes:
    """What is new."""

    opened: list[Regression] = field(default_factory=list)
    confirmed: list[Regression] = field(default_factory=list)
    over: list[Regression] = field(default_factory=list)
    told: list[Regression] = field(default_factory=list)
    """All that are not as they were, for the store."""


class Openings:
    """The regressions that are open."""

    def __init__(self, known: Iterable[Regression] = ()) -> None:
        self.open = {identity(one): one for one in known if one.cleared is None}

    def follow(self, now: int, found: Iterable[Regression], waits: Callable[[Regression], bool]) -> Changes:
        """Take on those that are `found` at `now` (Unix seconds). Of one that is not found `waits` says whether nobody
        can tell yet."""
        before, self.open = self.open, {identity(one): one for one in found}
        changes = Changes()
        for name, one in self.open.items():
            was = before.get(name)
            if was is None:
                changes.opened.append(one)
            elif one.level is Level.CONFIRMED and was.level is Level.SUSPECT:
                changes.confirmed.append(one)
            if one != was:
                changes.told.append(one)
        for name in before.keys() - self.open.keys():
            if waits(before[name]):
                self.open[name] = before[name]
            else:
                changes.over.append(replace(before[name], cleared=float(now)))
        changes.over.sort(key=lambda one: (one.onset, str(one.subject)))
        changes.told.extend(changes.over)
        return changes
