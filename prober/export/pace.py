"""Long work on the event loop, in slices: a probe in flight must not wait for a scrape."""

from __future__ import annotations

import asyncio
from time import perf_counter

#: Seconds of work after which the loop gets its turn.
SLICE = 0.0005


class Pace:
    """The clock of one piece of work: `if pace.due: await pace.rest()` between its steps."""

    def __init__(self) -> None:
        self._until = perf_counter() + SLICE

    @property
    def due(self) -> bool:
        """Whether the slice is used up."""
        return perf_counter() >= self._until

    async def rest(self) -> None:
        """Let everything else run that is ready."""
        await asyncio.sleep(0)
        self._until = perf_counter() + SLICE
