"""What the work costs: CPU seconds of whichever thread does it."""

from __future__ import annotations

import threading
from time import thread_time


class Meter:
    """`with meter:` around each piece of work that is not interrupted; several threads may be within at once."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._adding = threading.Lock()
        self._own = threading.local()  # the clock is a thread's own, so what it said is of no use to another

    def __enter__(self) -> None:
        self._own.began = thread_time()

    def __exit__(self, *_: object) -> None:
        took = thread_time() - self._own.began
        with self._adding:
            self.seconds += took
