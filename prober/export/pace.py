"""Long work on the event loop, in slices, and only while nothing else is to do: a probe must not wait for a scrape."""

from __future__ import annotations

import asyncio
from time import perf_counter

#: Seconds of work after which the loop gets its turn.
SLICE = 0.0005
#: A turn of the loop that takes no longer had nothing else to do.
IDLE = 0.00008
#: Seconds after which the work goes on however busy the loop is: it gets a fifth of the time then.
PATIENCE = 0.002


class Pace:
    """The clock of one piece of work: `if pace.due: await pace.rest()` between its steps."""

    def __init__(self) -> None:
        self._until = perf_counter() + SLICE

    @property
    def due(self) -> bool:
        """Whether the slice is used up."""
        return perf_counter() >= self._until

    async def rest(self) -> None:
        """Let everything else run: turn after turn of the loop until one is idle, or the patience is over."""
        began = turn = perf_counter()
        while True:
            await asyncio.sleep(0)
            now = perf_counter()
            if now - turn <= IDLE or now - began >= PATIENCE:
                break
            turn = now
        self._until = now + SLICE
