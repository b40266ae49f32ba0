"""How long each turn of the event loop holds it."""

from __future__ import annotations

import time
from asyncio import events
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def turns() -> Iterator[list[float]]:
    """The CPU seconds of each turn of the loop, whichever task it is of."""
    told: list[float] = []
    run = events.Handle._run

    def timed(handle: events.Handle) -> None:
        began = time.thread_time()
        run(handle)
        told.append(time.thread_time() - began)

    events.Handle._run = timed  # type: ignore[method-assign]  # put back below
    try:
        yield told
    finally:
        events.Handle._run = run  # type: ignore[method-assign]  # as it was
