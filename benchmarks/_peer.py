"""The peer: blackbox_exporter as a process of its own, asked as Prometheus asks it, one scrape for each probe."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

NAMES = ("prometheus-blackbox-exporter", "blackbox_exporter")  # Debian's package, the project's own
#: Seconds that it may take to come up.
PATIENCE = 10.0
_SAMPLE = re.compile(r"^(\w+(?:\{[^}]*\})?) (\S+)$", re.MULTILINE)


def find_peer() -> str | None:
    """Where the peer's program is: the variable BLACKBOX_EXPORTER, else on the path; None without one."""
    return os.environ.get("BLACKBOX_EXPORTER") or next(filter(None, map(shutil.which, NAMES)), None)


def peer_version(program: str) -> str:
    """`blackbox_exporter 0.23.0`, say."""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"version (\S+)", done.stdout + done.stderr)
    return f"blackbox_exporter {found[1].rstrip(',') if found else '?'}"


@dataclass(slots=True)
class Peer:
    """The running peer; `asking` is the kept-open connection of the one that scrapes it."""

    pid: int
    asking: http.client.HTTPConnection

    def probe(self, module: str, target: str) -> dict[str, float]:
        """One probe: every sample of the answer, by name and labels as they are written."""
        self.asking.request("GET", "/probe?" + urlencode({"module": module, "target": target}))
        text = self.asking.getresponse().read().decode()
        return {name: float(value) for name, value in _SAMPLE.findall(text)}

    def explain(self, module: str, target: str) -> str:
        """The peer's own log of one probe: for a probe that fails."""
        self.asking.request("GET", "/probe?" + urlencode({"module": module, "target": target, "debug": "true"}))
        return self.asking.getresponse().read().decode()


@contextlib.contextmanager
def serve_peer(program: str, modules: Mapping[str, object], core: int | None) -> Iterator[Peer]:
    """Run the peer with these modules (JSON is YAML), pinned to `core` from its start so that Go sees one core."""
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "blackbox.yml"
        config.write_text(json.dumps({"modules": modules}))
        pinned = [] if core is None else ["taskset", "-c", str(core)]
        options = [f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
        process = subprocess.Popen(
            [*pinned, program, *options],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        asking = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            _await(process, port)
            yield Peer(process.pid, asking)
        finally:
            asking.close()
            process.kill()
            process.communicate()


def _await(process: subprocess.Popen[str], port: int) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    process.kill()
    raise SystemExit(f"the peer did not come up: {process.communicate()[1].strip()}")
