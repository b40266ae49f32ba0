"""Checks of `prober doctor`: limits, and how steady this place is — its event loop, its CPU quota and its clock."""

from __future__ import annotations

import asyncio
import ctypes
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from prober.cli.fitness import Check, State
from prober.model import Cell
from prober.units import human_seconds
from prober.wire.limits import raise_open_files

_TICKS, _TICK = 100, 0.01
_SLUGGISH, _STALLED = 0.005, 0.05
_STEP = 0.02
_FEW_FILES, _FEW_PORTS = 1024, 10_000
_PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_CPU_STAT = Path("/sys/fs/cgroup/cpu.stat")
_OFTEN = 0.01

# adjtimex(2), struct timex on 64-bit Linux: `status` follows modes (padded), offset, freq, maxerror and esterror
_TIMEX_SIZE, _STATUS_AT = 256, 40
_STA_UNSYNC, _TIME_ERROR = 0x0040, 5


def descriptors(cells: Sequence[Cell] | None) -> Check:
    """Files that may be open at once: two for each climb under way."""
    limit = raise_open_files()
    says = f"{limit} files may be open"
    if limit < _FEW_FILES and (cells is None or len(cells) > limit // 4):
        return Check("descriptors", State.NOTE, f"{says}: few for many cells at once (ulimit -n)")
    return Check("descriptors", State.FIT, says)


def local_ports() -> Check:
    """The ports that connections leave from."""
    try:
        low, high = map(int, _PORT_RANGE.read_text().split())
    except (OSError, ValueError):
        return Check("local ports", State.NOTE, "not known on this system")
    count = high - low + 1
    says = f"{count} ({low} to {high})"
    if count < _FEW_PORTS:
        return Check("local ports", State.NOTE, f"{says}: few where many probes go to one address")
    return Check("local ports", State.FIT, says)


def cpu() -> Check:
    """How often the CPU quota has stopped this container (cgroup v2 cpu.stat)."""
    try:
        stat = dict(line.split() for line in _CPU_STAT.read_text().splitlines())
    except (OSError, ValueError):
        return Check("cpu quota", State.NOTE, "not known: no cgroup v2 here")
    periods, throttled = int(stat.get("nr_periods", 0)), int(stat.get("nr_throttled", 0))
    if not periods:
        return Check("cpu quota", State.FIT, "none")
    says = f"throttled in {throttled} of {periods} periods"
    if throttled / periods > _OFTEN:
        return Check("cpu quota", State.NOTE, f"{says}: a stopped prober measures itself; raise or drop the CPU limit")
    return Check("cpu quota", State.FIT, says)


async def loop() -> list[Check]:
    """How late timers of an otherwise idle event loop are, over a second, and whether the wall clock steps then."""
    lags = []
    wall, steady = time.time(), time.monotonic()
    for _ in range(_TICKS):
        due = time.perf_counter() + _TICK
        await asyncio.sleep(_TICK)
        lags.append(max(0.0, time.perf_counter() - due))
    drift = abs((time.time() - wall) - (time.monotonic() - steady))
    worst, usual = max(lags), median(lags)
    says = f"timers are {human_seconds(usual)} late, {human_seconds(worst)} at worst"
    late = Check("loop lag", State.FIT, says)
    if usual > _STALLED:
        late = Check("loop lag", State.UNFIT, f"{says}: this machine is too busy to measure anything")
    elif usual > _SLUGGISH or worst > _STALLED:
        late = Check("loop lag", State.NOTE, f"{says}: other work on this machine gets in the way")
    if drift > _STEP:
        step = Check(
            "clock", State.NOTE, f"the wall clock moved {human_seconds(drift)} against the steady one within a second"
        )
        return [late, step]
    return [late]


def clock() -> Iterator[Check]:
    """Whether the kernel holds the wall clock for synchronised (adjtimex(2)); certificates are judged by it."""
    status = _clock_status()
    if status is None:
        yield Check("time sync", State.NOTE, "not known here: the kernel does not tell this process")
    elif status:
        yield Check("time sync", State.FIT, "the kernel's clock is synchronised")
    else:
        says = "the kernel's clock is not marked as synchronised: certificate dates are judged by it"
        yield Check("time sync", State.NOTE, says)


def _clock_status() -> bool | None:
    """Whether the clock is synchronised; None where that cannot be asked."""
    if sys.platform != "linux" or sys.maxsize < 2**32:
        return None
    buffer = ctypes.create_string_buffer(_TIMEX_SIZE)  # modes 0: only reads
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    except (OSError, AttributeError):
        return None
    if state < 0:
        return None
    status = int.from_bytes(buffer.raw[_STATUS_AT : _STATUS_AT + 4], sys.byteorder)
    return state != _TIME_ERROR and not status & _STA_UNSYNC
