"""The seam between the rungs: a byte stream that the rung below opened and the rung above speaks on."""

from __future__ import annotations

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
