"""When a block of ten minutes is over, by the wall clock, and whether it was a whole one. Pure."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from prober.baseline.values import BLOCK

#: Seconds that a block may lack, or be too long, and still be whole.
SLACK: Final = 5.0

#: Why a block says nothing: the prober began in it; the wall clock was set or the machine slept; fewer than half of the
#: runs took place.
Skipped = Literal["started", "clock", "missed"]


class Ended(NamedTuple):
    """A block that is over: its start (Unix seconds, a multiple of 600), and why it is not whole; None: it is."""

    start: int
    cut: Skipped | None


class BlockClock:
    """Told the time often, says when a block is over. `wall` is Unix seconds, `monotonic` a clock that is never set."""

    def __init__(self, wall: float, monotonic: float) -> None:
        self._cut: Skipped | None = None
        self._begin(wall, monotonic, "started")

    def tick(self, wall: float, monotonic: float) -> Ended | None:
        """The block that is over now, if one is."""
        if abs(wall - monotonic - self._ahead) > SLACK:
            self._cut = "clock"
        if _start(wall) == self.start:
            return None
        ended = Ended(self.start, self._cut)
        self._begin(wall, monotonic, "clock" if self._cut == "clock" else "missed")
        return ended

    @property
    def whole(self) -> bool:
        """Whether nothing is known yet that cuts the block in progress."""
        return self._cut is None

    def just_begun(self, wall: float) -> bool:
        """Whether what begins now is there for the whole block."""
        return wall - self.start <= SLACK

    def _begin(self, wall: float, monotonic: float, late: Skipped) -> None:
        self.start = _start(wall)
        self._ahead = wall - monotonic
        self._cut = None if self.just_begun(wall) else late


def _start(wall: float) -> int:
    return int(wall // BLOCK) * BLOCK
