"""The seam between the rungs: a byte stream that the rung below opened and the rung above speaks on.

A stream may know when its bytes passed the kernel: it then has `times`, which `times_of` finds. A stream that wraps
another passes the other's on.
"""

from __future__ import annotations

from time import perf_counter
from typing import Protocol


class Stream(Protocol):
    """One open connection. Both directions raise the OSError of the socket (ECONNRESET, EPIPE, …)."""

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """The next bytes, at least one; `b""` once the peer has ended the stream."""
        ...

    async def send(self, data: bytes) -> None:
        """Send all of `data`."""
        ...

    def close(self) -> None:
        """Close at once, without waiting; a second call does nothing."""
        ...


class Times:
    """When the bytes of one exchange passed the kernel: moments of `time.perf_counter`, in seconds.

    Receipt is the stamp of the last segment in what was read: segments that wait for their reader are merged, and the
    kernel keeps the last one's (tcp_try_coalesce). So the moment at which an answer is complete does not depend on
    when it is read.
    """

    __slots__ = ("_kernel", "_since", "began", "network", "received", "sent")

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """An exchange begins here: what is sent next are its first bytes."""
        self.began: float | None = None
        """Just before its first bytes were handed to the kernel."""
        self.sent: float | None = None
        """Just before its latest bytes were."""
        self.received: float | None = None
        """When the latest segment, end or error came."""
        self.network = 0.0
        """Seconds spent waiting for the peer and the wire: from each sending, or receipt, to the receipt after it."""
        self._since = perf_counter()
        self._kernel = True

    @property
    def kernel(self) -> bool:
        """Something was received, and every receipt has the kernel's own stamp."""
        return self._kernel and self.received is not None

    def handed(self, at: float) -> None:
        """Bytes are handed to the kernel."""
        if self.began is None:
            self.began = at
        self.sent = self._since = at

    def arrived(self, at: float, *, kernel: bool) -> None:
        """Bytes came, or an end or an error, which no kernel stamps."""
        if at > self._since:
            self.network += at - self._since
            self._since = at
        self.received = at
        self._kernel = self._kernel and kernel


def times_of(stream: Stream) -> Times | None:
    """The times that `stream` keeps, None if it keeps none."""
    times: Times | None = getattr(stream, "times", None)
    return times
