"""Whether this process loses its core on the way into the kernel, and what is done about it.

A clock is read right before send(2). Where the process loses the core between the two (to a neighbour, or throttled in
its cgroup), the time until it has it back, some milliseconds, would count as the network's. The kernel's stamp of
leaving knows better, but costs 2.5 µs a send. So it is asked for only while that happens: on connections that are first
used within a minute of a send that took longer than any send does. State of the process, as the loss of a core is.
"""

from __future__ import annotations

import socket
from time import perf_counter
from typing import Final

from prober.wire.errqueue import Departure, take_entry

#: Seconds from the reading of the clock until send(2) is back that mean a lost core.
HELD_UP: Final = 0.0003
#: Seconds for which stamps of leaving are asked for after that.
WATCH: Final = 60.0


class Watch:
    """Remembers when a send was held up."""

    def __init__(self) -> None:
        self._until = float("-inf")

    @property
    def on(self) -> bool:
        """Stamps of leaving are worth their price now."""
        return perf_counter() < self._until

    def held_up(self, since: float) -> float | None:
        """To be asked right after a send, with the moment before it (perf_counter, seconds): this moment, if the core
        was lost in between; else None."""
        now = perf_counter()
        if now - since < HELD_UP:
            return None
        self._until = now + WATCH
        return now


WATCHING: Final = Watch()


def latest_departure(sock: socket.socket) -> int | None:
    """Empty the error queue; the last stamp of leaving in it (wall clock, ns), None without one."""
    stamp = None
    while (taken := take_entry(sock)) is not None:
        if isinstance(taken[1], Departure):
            stamp = taken[1].stamp_ns
    return stamp
