"""What every benchmark says of the machine, and how it shares its cores: prober near, servers and askers far."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from prober import __version__

ROOT = Path(__file__).resolve().parents[1]
#: Seconds of one turn of a burner: `load` of it is spent spinning.
TURN = 0.01


class Cores(NamedTuple):
    """The core of what is measured, and that of everything else; the same one where there is but one."""

    near: int
    far: int


def cores() -> Cores:
    """The first two cores that this process may use."""
    usable = sorted(os.sched_getaffinity(0))
    return Cores(usable[0], usable[-1] if len(usable) < 3 else usable[1])


def pin(core: int) -> None:
    """Keep this process on `core`."""
    os.sched_setaffinity(0, {core})


def say_machine(*libraries: str) -> None:
    """Print the date, the machine, the versions of ours, of Python and of `libraries`, and how busy the machine was."""
    versions = ", ".join(f"{name} {version(name)}" for name in libraries)
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {platform.platform()}, {os.cpu_count()} cores ({_processor()}), "
          f"load average {os.getloadavg()[0]:.2f}")  # fmt: skip
    print(f"prober {__version__}, {_python()}{', ' if versions else ''}{versions}", flush=True)


def _python() -> str:
    """The interpreter's version, and how it was built where that costs. Distributions profile theirs their own way."""
    optimised = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
    slow = not optimised and sys.base_prefix != "/usr"
    return f"Python {platform.python_version()}{' (built without --enable-optimizations)' if slow else ''}"


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


@contextlib.contextmanager
def burning(core: int, load: float) -> Iterator[None]:
    """A process of its own on `core` that spins for `load` of its time: 1.0 is a busy neighbour, 0 nobody at all."""
    if load <= 0:
        yield
        return
    burner = subprocess.Popen([sys.executable, "-S", "-c", _BURNER, str(core), str(load), str(TURN)])
    try:
        yield
    finally:
        burner.kill()
        burner.wait()


_BURNER = """
import os, sys, time
core, load, turn = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
os.sched_setaffinity(0, {core})
while os.getppid() != 1:
    until = time.perf_counter() + load * turn
    while time.perf_counter() < until:
        pass
    if load < 1:
        time.sleep((1 - load) * turn)
"""


def cpu_seconds(pid: int) -> float:
    """CPU time, user and system, that all threads of a process have had so far, to the nanosecond.

    The clock of another process, as clock_getcpuclockid(3) makes its number; /proc/PID/stat counts ticks of 10 ms.
    """
    return time.clock_gettime(~pid << 3 | 2)


def resident(pid: int | str = "self", what: str = "VmRSS") -> float:
    """Resident memory of a process in MB (10⁶ bytes): now, or at most so far (`VmHWM`)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise LookupError(what)


def wait_until(deadline: float) -> None:
    """Sleep until a moment of `time.monotonic`."""
    time.sleep(max(0.0, deadline - time.monotonic()))
