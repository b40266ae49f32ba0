"""Truth under load: how far the reported latency of each layer is from what the server and the wire really took.

A server on another core answers each flight 5 ms after the kernel gave it the request, and keeps what the delay really
was (`tests/support/delayed.py`). The prober's event loop is kept busy for 10, 50 and 90 % of its time, in stretches of
up to 9 ms. Printed are the errors in µs, p50 / p99: of what is reported, and of the stopwatch around it, which is what
a user clock would have said. For tcp the truth is 0: the error is the loopback's own round trip.

Run: `python benchmarks/truth.py [--seconds S]`, of each load and kind; 45 s in all unless asked for more.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import platform
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from time import perf_counter

from prober.engine.climb import climb
from prober.layers.base import Kit
from prober.model import Cell, Endpoint
from prober.options import KindOptions
from prober.reasons import Family, Kind
from prober.wire.stamps import StampKeeper
from tests.support.delayed import NAME, Delayed, serve_late

DELAY = 0.005
LOADS = (0.1, 0.5, 0.9)
PERIOD = 0.01
ADDRESS = "127.0.0.1"
#: (load, kind and layer) → errors of what was reported and of the stopwatch, in seconds, and how often by which clock.
Errors = dict[str, tuple[list[float], list[float], list[str]]]


def make_cells(late: Delayed) -> dict[str, Cell]:
    """One cell of each kind that runs over a TCP stream."""
    tls = {"ca_file": str(late.ca_file), "server_name": NAME}
    plain, secure, names = (late.ports[service, ADDRESS] for service in ("http", "https", "dns"))
    proxy = Endpoint("http", ADDRESS, plain)
    kinds: dict[str, tuple[Kind, Endpoint, dict[str, object]]] = {
        "tcp": (Kind.TCP, Endpoint("tcp", ADDRESS, plain), {}),
        "dns over tcp": (Kind.DNS, Endpoint("dns", ADDRESS, names, "web.example."), {"dns": {"transport": "tcp"}}),
        "through a proxy": (Kind.HTTP, Endpoint("http", NAME, 80, proxy=proxy), {}),
        "http/1.1": (Kind.HTTP, Endpoint("https", ADDRESS, secure), {"tls": tls, "http": {"version": "1.1"}}),
        "http/2": (Kind.HTTP, Endpoint("https", ADDRESS, secure), {"tls": tls, "http": {"version": "2"}}),
    }
    return {
        name: Cell("truth", kind, name, "late", Family.IPV4, endpoint, 10, 5, KindOptions.model_validate(options))
        for name, (kind, endpoint, options) in kinds.items()
    }


@contextlib.asynccontextmanager
async def busy(load: float) -> AsyncIterator[None]:
    """An event loop with something else to do for `load` of its time."""

    async def work() -> None:
        while True:
            until = perf_counter() + load * PERIOD
            while perf_counter() < until:
                pass
            await asyncio.sleep((1 - load) * PERIOD)

    working = asyncio.create_task(work())
    try:
        yield
    finally:
        working.cancel()


async def measure(name: str, cell: Cell, kit: Kit, late: Delayed, seconds: float) -> Errors:
    """Climb one after the other for `seconds`, and hold each layer against the delays of its own flights."""
    errors: Errors = defaultdict(lambda: ([], [], []))
    late.delays()
    until = perf_counter() + seconds
    while perf_counter() < until:
        (run,) = await climb(cell, kit)
        if not run.ok:
            raise SystemExit(f"{name}: {run.outcomes}")
        true: dict[str, float] = defaultdict(float)
        for _, flight, delay in late.delays():
            true[flight] += delay
        for outcome in run.outcomes:
            if outcome.seconds is None:
                continue
            label = outcome.layer.value if name in ("tcp", "dns over tcp") else f"{outcome.layer} of {name}"
            reported, stopwatch, clocks = errors[label]
            error = outcome.seconds - true[outcome.layer.value]
            reported.append(error)
            stopwatch.append(error + outcome.evidence.get("local_seconds", 0.0))
            clocks.append(outcome.evidence["clock"])
    return errors


def show(load: float, errors: Errors) -> None:
    """One line for each layer."""
    for label, (reported, stopwatch, clocks) in errors.items():
        figures = [
            sorted(abs(error) * 1e6 for error in errors)[int(len(errors) * share)]
            for errors in (reported, stopwatch)
            for share in (0.5, 0.99)
        ]
        kernel = clocks.count("kernel") / len(clocks)
        print(f"{load:4.0%}  {label:24} {figures[0]:7.0f} / {figures[1]:6.0f}   {figures[2]:8.0f} / {figures[3]:7.0f}"
              f"   {kernel:6.1%} {len(clocks):6}", flush=True)  # fmt: skip


async def bench(late: Delayed, seconds: float) -> None:
    """Every load, every kind."""
    kit = Kit()
    kit.get(StampKeeper)
    cells = make_cells(late)
    for cell in cells.values():
        await climb(cell, kit)
    gc.collect()
    gc.freeze()  # as the service does once it is up
    print("load  layer                    reported µs        stopwatch µs         by kernel  runs")
    for load in LOADS:
        async with busy(load):
            for name, cell in cells.items():
                errors = await measure(name, cell, kit, late, seconds)
                if name != "tcp":  # its own line says it
                    errors = {label: kept for label, kept in errors.items() if not label.startswith("tcp ")}
                show(load, errors)
    await kit.close()


def main() -> None:
    """Server on one core, prober on another, where there are two."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each load and kind")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    apart = len(cores) > 1
    print(f"{platform.platform()}, Python {platform.python_version()}, {len(cores)} cores, {DELAY * 1e3:g} ms of delay")
    with (
        tempfile.TemporaryDirectory() as directory,
        serve_late(DELAY, Path(directory), (ADDRESS,), cores[1] if apart else None) as late,
    ):
        if apart:
            os.sched_setaffinity(0, {cores[0]})
        asyncio.run(bench(late, options.seconds))


if __name__ == "__main__":
    main()
