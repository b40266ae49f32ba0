"""Memory of `prober run`: 100 cells of all kinds, the same without gRPC, and 10,000 cells; and whether it stays flat.

Each service is a process as its users run it, before real servers, and is scraped five times. The 100 cells are due
once a second, the 10,000 (three quarters tcp, one quarter http) every 10 s. Printed is what is resident (VmRSS) at half
of the time, when the board has about all the runs that it remembers, and at the end, and the most that ever was
(VmHWM), all in MB (10⁶ bytes).

Run: `python benchmarks/memory.py [--seconds S]`; two minutes as it stands.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path

from benchmarks._far import listen_on_many
from benchmarks._goals import Goals, show_table
from benchmarks._machine import cores, resident, say_machine, wait_until
from benchmarks._service import Running, serve_prober, write_config
from benchmarks._targets import NAME, Targets, serve

HALF = 0.5
#: When they are scraped, as shares of the time.
SCRAPES = (0.2, 0.4, HALF, 0.7, 0.9)
#: What resident memory may grow by between half of the time and its end, as a share.
FLAT = 0.05
LIMITS = {"100 cells of all kinds": 80, "100 cells without gRPC": 60, "10,000 cells": 400}


def of_all_kinds(targets: Targets, *, grpc: bool) -> str:
    """100 cells, one target each, the kinds in turn."""
    tls = f"tls: {{ca_file: {targets.ca_file}, server_name: {NAME}}}"
    address = "127.0.0.1"
    kinds = {
        "icmp": (f"icmp://{address}", "kind: icmp"),
        "tcp": (f"tcp://{address}:{targets.ports['tcp']}", "kind: tcp"),
        "dns": (f"dns://{address}:{targets.ports['dns']}/web.example.?type=A", "kind: dns"),
        "http": (f"http://{address}:{targets.ports['http']}/", "kind: http"),
        "http2": (f"https://{address}:{targets.ports['https']}/", f"kind: http, {tls}, http: {{version: '2'}}"),
        "tls": (f"tls://{address}:{targets.ports['https']}", f"kind: tls, {tls}"),
        "grpc": (f"grpc://{address}:{targets.ports['grpc']}", "kind: grpc"),
    }
    if not grpc:
        del kinds["grpc"]
    named = {f"{kind}-{number}": kind for number, kind in enumerate(islice(cycle(kinds), 100))}
    return write_config(
        "interval: 1s, timeout: 900ms, families: [ipv4]",
        {name: kinds[kind][0] for name, kind in named.items()},
        [f"name: {kind}, {options}, targets: [{', '.join(name for name, of in named.items() if of == kind)}]"
         for kind, (_, options) in kinds.items()],
    )  # fmt: skip


def many(targets: Targets, ports: list[int]) -> str:
    """10,000 cells."""
    urls = {
        f"t{number}": f"tcp://127.0.0.1:{ports[number % len(ports)]}" if number % 4 else
        f"http://127.0.0.1:{targets.ports['http']}/"
        for number in range(10_000)
    }  # fmt: skip
    of_kind = {kind: ", ".join(name for name, url in urls.items() if url.startswith(kind)) for kind in ("tcp", "http")}
    probes = [f"name: {kind}, kind: {kind}, targets: [{names}]" for kind, names in of_kind.items()]
    return write_config("interval: 10s, timeout: 3s, families: [ipv4]", urls, probes)


def watch(services: dict[str, Running], seconds: float) -> dict[str, tuple[float, float, float]]:
    """Scrape them now and then; MB at half of the time, at its end, and at most."""
    began = time.monotonic()
    half: dict[str, float] = {}
    for share in SCRAPES:
        wait_until(began + share * seconds)
        if share == HALF:
            half = {name: resident(service.pid) for name, service in services.items()}
        for service in services.values():
            service.scrape()
    wait_until(began + seconds)
    return {name: (half[name], resident(service.pid), resident(service.pid, "VmHWM"))
            for name, service in services.items()}  # fmt: skip


def measure(configs: dict[str, str], seconds: float, goals: Goals) -> list[list[str]]:
    """Run services side by side; a row of the table for each."""
    rows = []
    with ExitStack() as stack:
        services = {name: stack.enter_context(serve_prober(config)) for name, config in configs.items()}
        for name, (half, end, most) in watch(services, seconds).items():
            runs = services[name].runs()
            rows.append([name, *(f"{figure:.0f}" for figure in (half, end, most)),
                         f"{runs['ok']:.0f}", f"{sum(runs.values()) - runs['ok']:.0f}"])  # fmt: skip
            goals.add(f"{name}, resident at most", most, LIMITS[name], "MB")
            goals.add(f"{name}, growth from half of the time to its end", end / half - 1, FLAT)
    return rows


def main() -> None:
    """The small ones together, then the large one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each of the two parts; at least 50")
    seconds = max(50.0, parser.parse_args().seconds)
    say_machine("grpcio", "pyOpenSSL", "httpx", "dnspython", "pydantic", "starlette", "uvicorn")
    goals = Goals()
    far = cores().far
    with tempfile.TemporaryDirectory() as directory, serve(Path(directory), far) as targets:
        small = {"100 cells of all kinds": of_all_kinds(targets, grpc=True),
                 "100 cells without gRPC": of_all_kinds(targets, grpc=False)}  # fmt: skip
        rows = measure(small, seconds, goals)
        with listen_on_many(far) as ports:
            rows += measure({"10,000 cells": many(targets, ports)}, seconds, goals)
    show_table(["service", f"MB at {seconds / 2:.0f} s", f"MB at {seconds:.0f} s", "at most", "good runs", "bad"], rows)
    goals.show()


if __name__ == "__main__":
    main()
