"""Climbs in a process of their own, each measured: what it took, how far memory grew, how long it held the loop.

Run as a program: a cell as JSON per line on standard input, a line of JSON back for each. The peers are elsewhere, so
that nothing here but the climb uses memory or time.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import resource
import select
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from time import thread_time
from typing import Any

from prober.engine.climb import climb
from prober.layers.base import Kit
from prober.layers.rungs import rung_of
from prober.model import Cell, Endpoint
from prober.options import Expect
from prober.reasons import LADDERS, Family, Kind
from tests.support.cells import make_cell

ROOT = Path(__file__).resolve().parents[2]
#: Seconds between two beats of the heart that has to find its turn.
BEAT = 0.005


def resident(word: str) -> int:
    """Bytes of this process by /proc/self/status: `VmRSS` now, `VmHWM` at the peak. Elsewhere always the peak."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{word}:"))


def forget_peak() -> None:
    """Let VmHWM begin again at what is resident now (proc(5), clear_refs)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


@contextlib.asynccontextmanager
async def heartbeat() -> AsyncIterator[list[float]]:
    """Gives [the most CPU seconds that the loop's thread spent between two beats]: neighbours don't count."""
    longest = [0.0]

    async def beat() -> None:
        last = thread_time()
        while True:
            await asyncio.sleep(BEAT)
            now = thread_time()
            longest[0] = max(longest[0], now - last)
            last = now

    beating = asyncio.create_task(beat())
    await asyncio.sleep(0)
    try:
        yield longest
        await asyncio.sleep(2 * BEAT)
    finally:
        beating.cancel()


async def measured(cell: Cell, kit: Kit, found: list[tuple[str, int]] | None) -> dict[str, Any]:
    """One climb, and what it cost: plain JSON values."""
    gc.collect()
    forget_peak()
    before = resident("VmRSS")
    async with heartbeat() as longest:
        (run,) = await climb(cell, kit, found=found)
    return {
        "blame": run.blame and (run.blame.layer, run.blame.reason),
        "seconds": run.seconds,
        "grown": resident("VmHWM") - before,
        "held": longest[0],
        "evidence": run.outcomes[-1].evidence if run.blame is None else run.outcome(run.blame.layer).evidence,  # type: ignore[union-attr]  # the blamed layer is there
        "size": len(json.dumps([outcome.evidence for outcome in run.outcomes])),
    }


def cell_of(asked: dict[str, Any]) -> tuple[Cell, list[tuple[str, int]] | None]:
    """The cell that a line asks for, and where it leads."""
    address, port = asked.pop("address"), asked.pop("port")
    proxied = asked.pop("proxied", False)
    kind = Kind(asked.pop("kind"))
    more: dict[str, Any] = {"proxy": Endpoint("http", address, port)} if proxied else {}
    cell = make_cell(
        kind, asked.pop("scheme"), asked.pop("host", address), 443 if proxied else port,
        family=Family(asked.pop("family")), expect=Expect.model_validate(asked.pop("expect", {})), **asked, **more,
    )  # fmt: skip
    return cell, None if kind in (Kind.DNS, Kind.ICMP) else [(address, port)]


class Climber:
    """The other end: this program as a child, started anew where a climb has broken it."""

    #: Seconds that one climb may take, whatever it is.
    PATIENCE = 20.0

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def climb(self, **cell: Any) -> dict[str, Any]:
        """Climb a cell there; what `measured` gives. AssertionError for one that does not come back."""
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(cell) + "\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], self.PATIENCE)
        line = process.stdout.readline() if ready else ""
        if not line:
            self.close()
            raise AssertionError(f"no run within {self.PATIENCE:g} s")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the child."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tests.support.measured"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip
        return self._process


async def main() -> None:
    kit = Kit()
    for kind, layers in LADDERS.items():
        for layer in layers:
            rung_of(kind, layer)
    for line in sys.stdin:
        cell, found = cell_of(json.loads(line))
        print(json.dumps(await measured(cell, kit, found)), flush=True)
    await kit.close()


if __name__ == "__main__":
    asyncio.run(main())
