"""The schedule under load: lag, misses, CPU per run and memory, for 100 and 10,000 cells at 10 s.

`noop` fires nothing but the scheduler; `tcp` is the whole service (climb, board, metrics) against listeners in another
process. Lags are of single runs: start minus the slot's due time. Takes a minute; `--seconds` stretches it.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import resource
import selectors
import socket
import tempfile
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path

from prober.engine.scheduler import Scheduler
from prober.engine.service import Service
from prober.model import Cell, Endpoint, Vantage
from prober.reasons import Family, Kind

#: Listeners: each (address, port) has ephemeral ports of its own, and a closed connection holds one for a minute.
LISTENERS = 32
INTERVAL = 10.0


class Figures:
    """What the scheduler tells of itself, kept exactly."""

    def __init__(self) -> None:
        self.lags: list[float] = []
        self.misses: Counter[str] = Counter()

    def lag(self, seconds: float) -> None:
        """See SchedulerMetrics."""
        self.lags.append(seconds)

    def missed(self, cause: str, runs: int = 1) -> None:
        """See SchedulerMetrics."""
        self.misses[cause] += runs


class Measured(Service):
    """The service, with its lags and misses kept exactly as well."""

    def __init__(self, config: Path, figures: Figures) -> None:
        super().__init__(config, Vantage("bench"))
        self.figures = figures

    def lag(self, seconds: float) -> None:
        """See Figures."""
        super().lag(seconds)
        self.figures.lag(seconds)

    def missed(self, cause: str, runs: int = 1) -> None:  # type: ignore[override]  # the words are a closed list there
        """See Figures."""
        super().missed(cause, runs)  # type: ignore[arg-type]  # the same
        self.figures.misses[cause] += runs


def accept(told: Connection) -> None:
    """Listen on many ports, accept and close: the far side, in its own process."""
    with selectors.DefaultSelector() as selector:
        listeners = [socket.create_server(("127.0.0.1", 0), backlog=1024) for _ in range(LISTENERS)]
        for listener in listeners:
            listener.setblocking(False)
            selector.register(listener, selectors.EVENT_READ)
        told.send([listener.getsockname()[1] for listener in listeners])
        while True:
            for key, _ in selector.select():
                listener = key.fileobj  # type: ignore[assignment]  # only sockets were registered
                try:
                    while True:
                        listener.accept()[0].close()
                except BlockingIOError:
                    continue


def configure(path: Path, cells: int, ports: list[int]) -> Path:
    """A configuration of `cells` tcp cells, spread over the listeners."""
    lines = [f"defaults: {{interval: {INTERVAL:g}s, timeout: 3s, families: [ipv4]}}", "targets:"]
    names = [f"t{number}" for number in range(cells)]
    lines += [
        f"  {name}: {{paths: {{direct: {{url: 'tcp://127.0.0.1:{ports[number % len(ports)]}'}}}}}}"
        for number, name in enumerate(names)
    ]
    lines += ["probes:", f"  - {{name: bench, kind: tcp, targets: [{', '.join(names)}]}}"]
    path.write_text("\n".join(lines))
    return path


async def settle(figures: Figures, seconds: float) -> float:
    """Let it run a little, then measure for `seconds`; CPU seconds that took."""
    await asyncio.sleep(1)
    figures.lags.clear()
    figures.misses.clear()
    began = time.process_time()
    await asyncio.sleep(seconds)
    return time.process_time() - began


async def noop(cells: int, seconds: float) -> None:
    """The scheduler alone."""
    figures = Figures()

    async def fire(_cell: Cell, _turn: int) -> None: ...

    scheduler = Scheduler(fire, figures)
    endpoint = Endpoint("tcp", "127.0.0.1", 1)
    scheduler.set_cells(
        [Cell(f"p{n}", Kind.TCP, "t", "direct", Family.IPV4, endpoint, INTERVAL, 1.0) for n in range(cells)]
    )
    scheduler.start()
    report("noop", cells, figures, await settle(figures, seconds))
    await scheduler.drain(1)


async def disturb(service: Service, scrapes: float, reloads: int, seconds: float) -> list[float]:
    """Scrape every `scrapes` seconds (0: never) and reload `reloads` times, evenly spread; how long scrapes took."""
    took: list[float] = []
    now = asyncio.get_running_loop().time
    begin = now()

    async def scrape() -> None:
        while scrapes:
            await asyncio.sleep(scrapes)
            began = now()
            _, body = await service.exposition.render("", "gzip")
            async for _ in body:
                pass
            took.append(now() - began)

    scraping = asyncio.create_task(scrape())
    for number in range(reloads):
        await asyncio.sleep(begin + seconds * (number + 1) / (reloads + 1) - now())
        await service.reload()
    await asyncio.sleep(begin + seconds - now())
    scraping.cancel()
    return took


async def tcp(cells: int, seconds: float, ports: list[int], scrapes: float = 0, reloads: int = 0) -> None:
    """The whole service, connecting."""
    figures = Figures()
    with tempfile.TemporaryDirectory() as directory:
        service = Measured(configure(Path(directory) / "probes.yaml", cells, ports), figures)
        await service.start()
        disturbing = asyncio.create_task(disturb(service, scrapes, reloads, seconds))
        report("tcp", cells, figures, await settle(figures, seconds))
        if took := await disturbing:
            print(f"      {len(took)} scrapes: {', '.join(f'{each:.2f}' for each in took[:8])} s; {reloads} reloads")
        bad = sum(entry.worst is not None and not entry.worst.ok for entry in service.board.entries())
        if bad:
            print(f"      {bad} cells failed: the figures are not worth much")
        await service.stop(5)


def report(what: str, cells: int, figures: Figures, cpu: float) -> None:
    """One line of figures."""
    lags = sorted(figures.lags)
    if not lags:
        print(f"{what:5} {cells:6} cells: no run in that time")
        return
    p50, p99 = (lags[int(len(lags) * share)] * 1e3 for share in (0.5, 0.99))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{what:5} {cells:6} cells {len(lags):7} runs  lag p50 {p50:6.2f} p99 {p99:6.2f} max {lags[-1] * 1e3:7.2f} ms  "
        f"missed {dict(figures.misses) or 0}  cpu {cpu / len(lags) * 1e6:6.1f} µs/run"
        f"  peak memory {memory:.0f} MB",
        flush=True,
    )


def main() -> None:
    """Measure each case in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each of the three cases")
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--only", choices=("noop", "tcp"))
    parser.add_argument("--scrapes", type=float, default=0.0, help="seconds between two scrapes of the many cells")
    parser.add_argument("--reloads", type=int, default=0, help="reloads of the many cells")
    args = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    far_side = multiprocessing.get_context("spawn").Process(target=accept, args=(theirs,), daemon=True)
    far_side.start()
    ports = ours.recv()
    try:
        if args.only != "tcp":
            asyncio.run(noop(args.cells, args.seconds))
        if args.only != "noop":
            asyncio.run(tcp(100, args.seconds, ports))
            asyncio.run(tcp(args.cells, args.seconds, ports, args.scrapes, args.reloads))
    finally:
        far_side.kill()


if __name__ == "__main__":
    main()
