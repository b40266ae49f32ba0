"""Whether the lab gets the processor when it wants it. Where it does not, slow answers are the machine's own."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self

_BEAT = 0.01  # seconds


class Heartbeat:
    """An async context manager that wakes up all the time, and remembers how late it was at worst."""

    def __init__(self) -> None:
        self._latest = 0.0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._beat())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    def worst(self) -> float:
        """The longest delay since this was last asked, in seconds."""
        latest, self._latest = self._latest, 0.0
        return latest

    async def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _BEAT
            await asyncio.sleep(_BEAT)
            self._latest = max(self._latest, loop.time() - due)
