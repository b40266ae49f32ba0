"""How long a command takes from its start: `prober once` with one http cell to its first result, and `prober check`.

Whole processes, as a shell starts them, one after the other; medians. The first of each is not measured: it may have
to compile modules that were never imported before. The server that is probed is on the loopback.

Run: `python benchmarks/start.py [--times N]`; 15 s.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path
from time import perf_counter

from benchmarks._goals import Goals, percentile, show_table
from benchmarks._machine import ROOT, cores, say_machine
from benchmarks._service import PROBER, write_config
from benchmarks._targets import serve


def started(*arguments: str) -> tuple[float, float]:
    """Seconds until the first line on stdout, and until the process was gone. SystemExit if it failed."""
    began = perf_counter()
    with subprocess.Popen([*PROBER, *arguments], stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        process.stdout.readline()
        first = perf_counter() - began
        process.stdout.read()
    if process.returncode:
        raise SystemExit(f"prober {' '.join(arguments)}: exit code {process.returncode}")
    return first, perf_counter() - began


def main() -> None:
    """Each command in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=9, help="of each command; at least 7")
    times = max(7, parser.parse_args().times)
    say_machine("pydantic", "pyyaml", "httpx", "dnspython")
    goals, rows = Goals(), []
    with tempfile.TemporaryDirectory() as directory, serve(Path(directory), cores().far) as targets:
        config = Path(directory) / "probes.yaml"
        config.write_text(write_config("interval: 10s, timeout: 3s, families: [ipv4]",
                                       {"web": f"http://127.0.0.1:{targets.ports['http']}/"},
                                       ["name: web, kind: http, targets: [web]"]))  # fmt: skip
        commands = {
            "prober once, one http cell": (("once", "-c", str(config), "-o", "ndjson"), 1.0),
            "prober check, the repository's probes.yaml": (("check", str(ROOT / "probes.yaml")), 0.4),
            "prober --version": (("--version",), None),
        }
        for name, (arguments, limit) in commands.items():
            started(*arguments)
            first, whole = zip(*(started(*arguments) for _ in range(times)), strict=True)
            rows.append([name, *(f"{figure:.3f}" for figure in (percentile(first, 0.5), percentile(whole, 0.5),
                                                                max(whole)))])  # fmt: skip
            if limit is not None:
                goals.add(f"{name}, whole process, median of {times}", percentile(whole, 0.5), limit, "s")
    show_table(["command", "first line (s)", "whole (s)", "slowest (s)"], rows)
    goals.show()


if __name__ == "__main__":
    main()
