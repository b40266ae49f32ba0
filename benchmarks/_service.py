"""`prober run` as a process of its own, as its users run it: started, scraped, looked at from outside."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks._machine import ROOT

#: `prober` with this interpreter.
PROBER = (sys.executable, "-P", "-m", "prober")
_PATIENCE = 60.0
_RUNS = re.compile(r'^prober_runs_total\{.*result="(\w+)".*\} (\S+)$', re.MULTILINE)


@dataclass(slots=True)
class Running:
    """The service: its process, and the port of its metrics."""

    process: subprocess.Popen[str]
    port: int
    config: Path

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def scrape(self) -> str:
        """`/metrics`, asked for as Prometheus does it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE)
        with contextlib.closing(connection):
            connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
            return gzip.decompress(connection.getresponse().read()).decode()

    def runs(self) -> Mapping[str, float]:
        """Runs so far by result, from a scrape."""
        runs: dict[str, float] = {}
        for result, value in _RUNS.findall(self.scrape()):
            runs[result] = runs.get(result, 0.0) + float(value)
        return runs


@contextlib.contextmanager
def serve_prober(config: str, arguments: Sequence[str] = ()) -> Iterator[Running]:
    """Run the service with this `probes.yaml` until the context ends. SystemExit if it does not come up."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "probes.yaml"
        path.write_text(config)
        process = subprocess.Popen(
            [*PROBER, "run", "-c", str(path), "--listen", "127.0.0.1:0", "--events", "none", *arguments],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        try:
            yield Running(process, _port_of(process), path)
        finally:
            process.kill()
            process.wait()


def _port_of(process: subprocess.Popen[str]) -> int:
    """The port that it says it listens on; what it says from then on is read away."""
    said = []
    assert process.stderr is not None
    for line in process.stderr:
        said.append(line)
        if found := re.search(r":(\d+)/metrics", line):
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return int(found[1])
    raise SystemExit("".join(said))


def write_config(defaults: str, targets: Mapping[str, str], probes: Sequence[str]) -> str:
    """A `probes.yaml`: targets by name with their URLs, probes as they are written in YAML's flow style."""
    lines = [f"defaults: {{{defaults}}}", "targets:"]
    lines += [f"  {name}: {{paths: {{direct: {{url: '{url}'}}}}}}" for name, url in targets.items()]
    return "\n".join([*lines, "probes:", *(f"  - {{{probe}}}" for probe in probes), ""])
