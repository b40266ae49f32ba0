"""What a rung gets and gives: the seam between the layers and the engine that climbs them.

A rung is an async function that takes the `Ascent`, reaches one layer further, and returns None if the layer
held. It writes what it saw into `ascent.evidence` as it goes (so a timeout keeps it) and raises `Failed` with
a closed reason otherwise. It sets no deadline and catches no cancellation: the engine does that, outside.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Literal, NamedTuple, Protocol, TypeVar

from prober.model import Cell, Evidence
from prober.reasons import Layer, Reason
from prober.wire.losses import LossWatch
from prober.wire.stream import Stream, times_of

Clock = Literal["kernel", "user"]
"""Whose moments a time is made of: the kernel's (stamps, TCP_INFO), or this process's, its event loop included."""


class Onward(NamedTuple):
    """Where an answer that is to be followed sends us: its Location as sent, and its status."""

    location: str
    status: int


class Failed(Exception):
    """The layer did not hold, for `reason`."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class Skipped(Exception):
    """The layer had nothing to do (`literal`): the climb goes on above it."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class Closable(Protocol):
    """What a kit keeps: closed once, at the end of the process."""

    def close(self) -> Awaitable[None] | None:
        """Let go of everything; may be a coroutine."""
        ...


T = TypeVar("T", bound=Closable)


class Kit:
    """What all climbs of a process share (ICMP sockets, TLS contexts, the HTTP client): made on first use."""

    def __init__(self) -> None:
        self._parts: dict[object, Closable] = {}

    def get(self, make: Callable[[], T]) -> T:
        """The one instance that `make` (a class without arguments, usually) gives in this process."""
        part = self._parts.get(make)
        if part is None:
            part = self._parts[make] = make()
        return part  # type: ignore[return-value]  # keyed by its own maker

    async def close(self) -> None:
        """Close every part, last made first."""
        while self._parts:
            _, part = self._parts.popitem()
            if (pending := part.close()) is not None:
                await pending


class Ascent:
    """The state of one climb, handed from rung to rung.

    `address` and `port` are where the connection goes: preset for a literal, else set from `addresses`, which the
    dns rung fills. `stream` is what tcp opened, proxy passed through and tls wrapped; `lost` counts what its connection
    loses. A rung that knows the network's
    time better than the engine's stopwatch around it calls `took`, which sets `seconds`, `waited` (as much, or more:
    pauses on purpose, other connections) and `clock`. An http rung whose answer is to be followed sets `onward`,
    and judges nothing: that waits for the last answer. `until` is when the engine will end the climb, on the loop's
    clock: for protocols that tell their peer.
    """

    __slots__ = ("address", "addresses", "alpn", "cell", "clock", "evidence", "hidden", "kit", "lost", "onward",
                 "phases", "port", "seconds", "stream", "until", "waited")  # fmt: skip

    def __init__(self, cell: Cell, kit: Kit, until: float | None = None) -> None:
        self.cell = cell
        self.kit = kit
        self.until = until
        self.addresses: list[str] = []
        self.address: str | None = None
        self.port: int = cell.endpoint.first_hop[1]
        self.stream: Stream | None = None
        self.lost: LossWatch | None = None
        self.alpn: str | None = None
        self.phases: dict[str, float] = {}
        self.onward: Onward | None = None
        self.begin_rung()
        self.hidden: dict[str, str] = dict(cell.hidden)

    def begin_rung(self) -> None:
        """Forget what the rung below noted of itself."""
        self.evidence: Evidence = {}
        self.forget_time()

    def forget_time(self) -> None:
        """Leave the time to the engine's stopwatch."""
        self.seconds: float | None = None
        self.waited: float | None = None
        self.clock: Clock = "user"

    def took(self, seconds: float, *, kernel: bool, waited: float | None = None) -> None:
        """The network took `seconds`, by the kernel's clock or by ours; this rung waited for it all of `waited`."""
        self.seconds, self.waited = seconds, seconds if waited is None else waited
        self.clock = "kernel" if kernel else "user"

    def hide(self, value: str, shown: str) -> str:
        """Remember that `value` is a secret (evidence will show `shown` in its place); returns `value`."""
        if value:
            self.hidden[value] = shown
        return value

    def close(self) -> None:
        """Close the connection, if one is open."""
        if self.stream is not None:
            self.stream.close()
            self.stream = None


@contextlib.contextmanager
def network_time(ascent: Ascent) -> Iterator[None]:
    """What is exchanged inside, on the ascent's stream, is the rung's time: as far as the stream keeps times."""
    times = None if ascent.stream is None else times_of(ascent.stream)
    if times is None:
        yield
        return
    times.start()
    try:
        yield
    finally:
        if times.received is not None:
            ascent.took(times.network, kernel=times.kernel)


Rung = Callable[[Ascent], Awaitable[None]]
Rungs = Mapping[Layer, Rung]
