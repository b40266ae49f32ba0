"""What the kernel knows of the segments that were lost on a connection: TCP_INFO, as far as it is about them."""

from __future__ import annotations

import socket
import struct
from typing import Final, NamedTuple

from prober.wire.errqueue import LINUX

#: Seconds within which no segment can be missed and sent again (tcp_input.c: two ticks at least, 200 ms usually).
NOTICEABLE: Final = 0.005
_SO_MEMINFO, _FIRST = 55, struct.Struct("=I")  # asm-generic/socket.h; SK_MEMINFO_RMEM_ALLOC (linux/sock_diag.h)
#: Seconds of a tick of the kernel's (CONFIG_HZ=250, what distributions have), in which it counts some times.
TICK: Final = 0.004
# struct tcp_info (linux/tcp.h): unacked, last_data_recv, total_retrans, rcv_ooopack; kernels before 5.4 end ahead of it
_INFO = struct.Struct("=24xI24xI44xI120xI")


class Losses(NamedTuple):
    """Segments, since the connection was begun."""

    unacknowledged: int
    """Sent, and not acknowledged until now."""
    quiet: float
    """Seconds since data came that was next in line, to within a TICK."""
    retransmits: int
    """Sent again, SYNs included."""
    out_of_order: int
    """That came while one ahead of them was missing."""

    @classmethod
    def of(cls, sock: socket.socket) -> Losses | None:
        """As of now; None where the platform has no such figures, or the socket is closed."""
        if not LINUX:
            return None
        try:
            raw = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)
        except OSError:
            return None
        unacknowledged, quiet, retransmits, out_of_order = _INFO.unpack(raw.ljust(_INFO.size, b"\0"))
        return cls(unacknowledged, quiet / 1000, retransmits, out_of_order)


class LossWatch:
    """What is lost on an open connection from one asking to the next; the SYNs that were sent again are `known`."""

    __slots__ = ("_known", "_out_of_order", "_socket")

    def __init__(self, sock: socket.socket, known: int) -> None:
        self._socket = sock
        self._known = known
        self._out_of_order = 0

    def since(self, *, waiting: bool) -> dict[str, int]:
        """The segments by what became of them, as far as there are any: `retransmits` (ours), `out_of_order` (the
        peer's). While the rung is still `waiting` for an answer, those of ours that are `unacknowledged`, and as
        `behind_gap`, in bytes of memory, what has come and waits for one that is missing.
        """
        losses = Losses.of(self._socket)
        if losses is None:
            return {}
        found = {"retransmits": losses.retransmits - self._known,
                 "out_of_order": losses.out_of_order - self._out_of_order,
                 "unacknowledged": losses.unacknowledged if waiting else 0,
                 "behind_gap": _held_back(self._socket) if waiting else 0}  # fmt: skip
        self._known, self._out_of_order = losses.retransmits, losses.out_of_order
        return {name: count for name, count in found.items() if count > 0}


def _held_back(sock: socket.socket) -> int:
    """Memory of what a socket has received and not handed out, of which nothing more can be read."""
    try:
        return int(_FIRST.unpack(sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _FIRST.size))[0])
    except OSError:  # before Linux 4.12
        return 0
