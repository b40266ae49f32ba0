"""The two services that `cpu.py` compares, as processes on one core: `prober run`, and blackbox_exporter."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from benchmarks._machine import cpu_seconds
from benchmarks._peer import Peer
from benchmarks._scrape import Scraper, open_loop
from benchmarks._targets import ADDRESS, NAME, Targets

#: Cells of a kind, and how often a second each is probed.
CELLS = 100
RATE = 100.0
#: Seconds between two scrapes of the prober.
SCRAPES = 15.0
#: Share of the probes that may time out: the machine is not always ours alone.
MAY_FAIL = 0.02
_PATIENCE = 20.0


@dataclass(frozen=True, slots=True)
class Kind:
    """How both are told to probe the same thing. `{…}` are ports; `options` go into the prober's probe."""

    url: str
    target: str
    options: str = ""
    prober_kind: str = ""


TLS_OPTIONS = f"tls: {{ca_file: CA, server_name: {NAME}}}"
KINDS = {
    "icmp": Kind(f"icmp://{ADDRESS}", ADDRESS),
    "tcp": Kind(f"tcp://{ADDRESS}:{{tcp}}", f"{ADDRESS}:{{tcp}}"),
    "dns": Kind(f"dns://{ADDRESS}:{{dns}}/web.example.?type=A", f"{ADDRESS}:{{dns}}"),
    "http/1.1": Kind(f"http://{ADDRESS}:{{http}}/", f"http://{ADDRESS}:{{http}}/", "", "http"),
    "tls": Kind(f"tls://{ADDRESS}:{{https}}", f"{ADDRESS}:{{https}}", TLS_OPTIONS),
    "https h2": Kind(f"https://{ADDRESS}:{{https}}/", f"https://{ADDRESS}:{{https}}/",
                     f"{TLS_OPTIONS}, expect: {{http_version: '2'}}", "http"),
    "grpc": Kind(f"grpc://{ADDRESS}:{{grpc}}", f"{ADDRESS}:{{grpc}}"),
}  # fmt: skip


def prober_config(kind: str, targets: Targets, *, busy: bool) -> str:
    """`probes.yaml` with the cells of one kind: each is due once a second, or once a day."""
    known, names = KINDS[kind], [f"t{number}" for number in range(CELLS)]
    interval = f"{CELLS / RATE:g}s" if busy else "24h"
    options = f", {known.options.replace('CA', str(targets.ca_file))}" if known.options else ""
    url = known.url.format(**targets.ports)
    paths = "\n".join(f"  {name}: {{paths: {{direct: {{url: '{url}'}}}}}}" for name in names)
    return f"""
defaults: {{interval: {interval}, timeout: 900ms, families: [ipv4]}}
targets:
{paths}
probes:
  - {{name: bench, kind: {known.prober_kind or kind}, targets: [{", ".join(names)}]{options}}}
"""


class Prober:
    """`prober run` with cells of one kind, idle until it is told otherwise."""

    def __init__(self, process: Process, scraper: Scraper, config: Path, kind: str, targets: Targets) -> None:
        self._process, self._scraper = process, scraper
        self._config, self._kind, self._targets = config, kind, targets

    @property
    def cpu(self) -> float:
        """Seconds of CPU that it has had so far."""
        return cpu_seconds(self._process.pid)

    async def switch(self, *, busy: bool) -> None:
        """Reload, as idle or as busy."""
        self._config.write_text(prober_config(self._kind, self._targets, busy=busy))
        self._process.send_signal(signal.SIGHUP)
        while '"reloaded"' not in await _line(self._process.stdout):
            pass

    async def runs(self) -> float:
        """Scrape it; the runs since it was switched. SystemExit if too many of them failed."""
        runs = dict.fromkeys(("ok", "failed", "internal"), 0.0)
        text = await self._scraper.get("/metrics")
        for result, value in re.findall(r'^prober_runs_total{.*?result="(\w+)"[^}]*} (\S+)$', text, re.MULTILINE):
            runs[result] += float(value)
        if runs["failed"] + runs["internal"] > MAY_FAIL * sum(runs.values()):
            raise SystemExit(f"prober cannot probe {self._kind}: {runs}")
        return sum(runs.values())


def modules(targets: Targets) -> dict[str, object]:
    """The modules of blackbox_exporter, one for each kind."""
    family = {"preferred_ip_protocol": "ip4"}
    tls = {"tls_config": {"ca_file": str(targets.ca_file), "server_name": NAME}}
    return {
        "icmp": {"prober": "icmp", "icmp": family},
        "tcp": {"prober": "tcp", "tcp": family},
        "dns": {"prober": "dns", "dns": {**family, "query_name": "web.example.", "query_type": "A"}},
        "http/1.1": {"prober": "http", "http": family},
        "tls": {"prober": "tcp", "tcp": {**family, **tls, "tls": True}},
        "https h2": {"prober": "http", "http": {**family, **tls, "valid_http_versions": ["HTTP/2.0"]}},
        "grpc": {"prober": "grpc", "grpc": family},
    }


class Blackbox:
    """blackbox_exporter, scraped as Prometheus does it."""

    def __init__(self, peer: Peer, targets: Targets) -> None:
        self._pid, self._targets = peer.pid, targets
        self._scraper = Scraper(ADDRESS, peer.asking.port)

    @property
    def cpu(self) -> float:
        """Seconds of CPU that it has had so far."""
        return cpu_seconds(self._pid)

    async def probe(self, kind: str, seconds: float) -> int:
        """Scrape its probe of `kind` at the rate; how many that were. SystemExit if too many of them failed."""
        target = KINDS[kind].target.format(**self._targets.ports)
        bodies = await open_loop(
            self._scraper, "/probe?" + urlencode({"module": kind, "target": target}), RATE, seconds
        )
        bad = [body for body in bodies if "\nprobe_success 1" not in body]
        if len(bad) > MAY_FAIL * len(bodies):
            raise SystemExit(f"blackbox_exporter cannot probe {kind}:\n{bad[0]}")
        return len(bodies)

    def close(self) -> None:
        """Close the connections to it."""
        self._scraper.close()


@contextlib.asynccontextmanager
async def prober(kind: str, targets: Targets, files: Path, core: int) -> AsyncIterator[Prober]:
    """`prober run` with cells of `kind` on `core`."""
    config = files / "probes.yaml"
    config.write_text(prober_config(kind, targets, busy=False))
    command = [sys.executable, "-P", "-m", "prober", "run", "-c", str(config), "--listen", f"{ADDRESS}:0"]
    async with _started(command, core) as process:
        while line := await _line(process.stderr):
            if found := re.search(r":(\d+)/metrics", line):
                scraper = Scraper(ADDRESS, int(found[1]))
                yield Prober(process, scraper, config, kind, targets)
                scraper.close()
                return
        raise SystemExit("prober did not start")


@contextlib.asynccontextmanager
async def _started(command: Sequence[str], core: int) -> AsyncIterator[Process]:
    """A process that has one core from its first instruction on."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=PIPE, stderr=PIPE, preexec_fn=lambda: os.sched_setaffinity(0, {core})
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def _line(stream: asyncio.StreamReader | None) -> str:
    async with asyncio.timeout(_PATIENCE):
        return "" if stream is None else (await stream.readline()).decode()
