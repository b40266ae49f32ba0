"""What the work costs: CPU seconds of whichever thread does it."""

from __future__ import annotations

from time import thread_time


class Meter:
    """`with meter:` around each piece of work that is not interrupted."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._began = 0.0

    def __enter__(self) -> None:
        self._began = thread_time()

    def __exit__(self, *_: object) -> None:
        self.seconds += thread_time() - self._began
