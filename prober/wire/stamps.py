"""How long an answer was on its way: from the kernel's receive stamp where there is one, so that a busy event loop
does not read as a slow network (socket(7) SO_TIMESTAMPNS; on datagrams and on TCP streams alike). Echo requests have a
stamp of their leaving too (SO_TIMESTAMPING, Documentation/networking/timestamping.rst).

The kernel stamps with the wall clock. A difference of wall clocks counts only while no clock was stepped in between,
which is judged by the monotonic clock beside it.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import time
from collections.abc import Iterable
from typing import Final, NamedTuple

# asm-generic/socket.h; the same numbers are the types of the control messages
_SO_TIMESTAMPNS: Final = 35
SO_TIMESTAMPING: Final = 37
# linux/net_tstamp.h: TX_SOFTWARE, RX_SOFTWARE, SOFTWARE (report them), OPT_ID, OPT_TSONLY (no copy of the packet)
_BOTH_WAYS: Final = 1 << 1 | 1 << 3 | 1 << 4 | 1 << 7 | 1 << 11
_TIMESPEC = struct.Struct("@ll")
#: Room for the control messages of one recvmsg: the stamp (of 48 bytes at most), a TTL, a few bytes of padding.
ANCILLARY_BYTES: Final = 128
_TOGETHER, _READINGS = 1e-4, 3  # seconds between two readings that are one moment; attempts at it
_STEP = 1e-3  # seconds that the two clocks may drift apart during one exchange


class Instant(NamedTuple):
    """One moment on both clocks: the wall clock in nanoseconds, the monotonic one in seconds."""

    wall_ns: int
    monotonic: float

    @classmethod
    def now(cls) -> Instant:
        """This moment."""
        return cls(time.time_ns(), time.perf_counter())

    @classmethod
    def surely(cls) -> Instant:
        """The same, read anew where this process lost its core between the two clocks: that looks like a step."""
        for _ in range(_READINGS):
            before = time.perf_counter()
            instant = cls.now()
            if instant.monotonic - before < _TOGETHER:
                break
        return instant


class Span(NamedTuple):
    """A time in seconds, and whether the kernel's stamp ends it (else the moment when user space saw the answer)."""

    seconds: float
    kernel: bool


class StampKeeper:
    """Holds one stamping socket open for the life of a process; a part of the kit.

    The first such socket of a machine and the last one each flip a switch in the kernel's code
    (net_enable_timestamp), which costs more than a probe.
    """

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        for family in (socket.AF_INET, socket.AF_INET6):
            with contextlib.suppress(OSError):  # no such family here, no descriptors left: stamps work all the same
                self._socket = socket.socket(family, socket.SOCK_DGRAM)
                stamp_receipt(self._socket)
                return

    def close(self) -> None:
        """Let go of the socket."""
        if self._socket is not None:
            self._socket.close()


def stamp_receipt(sock: socket.socket) -> None:
    """Ask the kernel to stamp what `sock` receives; does nothing where the platform cannot."""
    if sys.platform == "linux":
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)


def stamp_both_ways(sock: socket.socket) -> bool:
    """Ask the kernel to stamp what `sock` receives, and to queue an error message with the stamp of each packet that it
    has handed to the device (`errqueue.Departure`). False where the platform cannot; then receipt alone is stamped.

    A second call begins the numbers of departures anew from 0.
    """
    if sys.platform != "linux":
        return False
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, 0)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, _BOTH_WAYS)
    except OSError:
        stamp_receipt(sock)
        return False
    return True


def kernel_stamp(ancillary: Iterable[tuple[int, int, bytes]]) -> int | None:
    """The stamp among the control messages of recvmsg, in nanoseconds of the wall clock; None without one."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind in (_SO_TIMESTAMPNS, SO_TIMESTAMPING) and len(data) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            return int(seconds) * 1_000_000_000 + int(nanoseconds) if seconds else None
    return None


def elapsed(sent: Instant, seen: Instant, stamp_ns: int | None, left_ns: int | None = None) -> Span:
    """The time from `sent` to the kernel's stamp; to `seen`, when user space read it, if the stamp cannot be trusted.

    `left_ns`, where known, is the kernel's stamp of the packet's leaving: the time then begins there. Never more than
    the monotonic time between the two instants, and never negative.
    """
    whole = seen.monotonic - sent.monotonic
    if stamp_ns is None or (_apart(sent, seen) > _STEP and _apart(sent, Instant.surely()) > _STEP):
        return Span(whole, kernel=False)
    until_stamp = (stamp_ns - sent.wall_ns) / 1e9
    if not 0.0 <= until_stamp <= whole:
        return Span(whole, kernel=False)
    if left_ns is not None and sent.wall_ns <= left_ns <= stamp_ns:
        return Span((stamp_ns - left_ns) / 1e9, kernel=True)
    return Span(until_stamp, kernel=True)


def _apart(sent: Instant, seen: Instant) -> float:
    """By how many seconds the two clocks disagree about the time between two instants."""
    return abs((seen.wall_ns - sent.wall_ns) / 1e9 - (seen.monotonic - sent.monotonic))
