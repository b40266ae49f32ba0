"""The deadline of a climb: one timer for all its rungs; what `asyncio.timeout_at` does, but once for each climb."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Deadline:
    """Cancels the task that it was entered in at a moment of the loop's clock, once. `passed` says so afterwards."""

    __slots__ = ("_cancelling", "_task", "_timer", "passed")

    def __init__(self, when: float) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a climb needs a task")
        self._task: asyncio.Task[object] = task
        self._cancelling = task.cancelling()
        self._timer = task.get_loop().call_at(when, self._pass)
        self.passed = False

    def __enter__(self) -> Deadline:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._timer.cancel()

    def _pass(self) -> None:
        self.passed = True
        self._task.cancel()

    def caused(self) -> bool:
        """Whether a cancellation that was caught is this deadline's alone; it is then undone (Task.uncancel)."""
        return self.passed and self._task.uncancel() <= self._cancelling
