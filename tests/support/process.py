"""The service as a process of its own, and a small HTTP server that it probes."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any

#: Seconds that anything in these tests may take.
PATIENCE = 20.0
_ROOT = Path(__file__).parents[2]


class Target(ThreadingHTTPServer):
    """Answers every GET with `status`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200

    @property
    def port(self) -> int:
        port: int = self.server_address[1]
        return port


class _Handler(BaseHTTPRequestHandler):
    server: Target

    def do_GET(self) -> None:
        self.send_response(self.server.status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None: ...


@contextlib.contextmanager
def target() -> Iterator[Target]:
    with Target() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class Lines:
    """The lines of a pipe, read as they come."""

    def __init__(self, pipe: IO[str]) -> None:
        self.seen: list[str] = []
        self._more = threading.Condition()
        self._thread = threading.Thread(target=self._read, args=(pipe,))
        self._thread.start()

    def _read(self, pipe: IO[str]) -> None:
        for line in pipe:
            with self._more:
                self.seen.append(line.rstrip("\n"))
                self._more.notify_all()

    def wait_for(self, found: Callable[[str], Any], start: int = 0) -> Any:
        """What `found` gives, once it is true, for a line from number `start` on."""

        def search() -> Any:
            return next((hit for line in self.seen[start:] if (hit := found(line))), None)

        with self._more:
            hit = self._more.wait_for(search, PATIENCE)
        assert hit, "\n".join(["never seen; these were:", *self.seen[-20:]])
        return hit

    def end(self) -> None:
        self._thread.join(PATIENCE)


def samples_of(name: str, text: str) -> dict[str, float]:
    """`labels as text → value` of one metric, in the text of a scrape."""
    found = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", text, re.MULTILINE)
    return {labels: float(value) for labels, value in found}


class Prober:
    """`prober run` under test."""

    def __init__(self, config: Path, *options: str) -> None:
        self.process = self._start(["run", "-c", str(config), "--listen", "127.0.0.1:0", *options])
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.stdout, self.stderr = Lines(self.process.stdout), Lines(self.process.stderr)
        self.url = self.stderr.wait_for(lambda line: re.search(r"(http://\S+)/metrics", line))[1]

    def _start(self, arguments: Sequence[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "prober.cli.main", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env={**os.environ, "PYTHONPATH": str(_ROOT), "PYTHONWARNINGS": "error"},
        )  # fmt: skip

    def get(self, path: str, method: str = "GET") -> tuple[int, str]:
        """Status and body."""
        request = urllib.request.Request(self.url + path, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def samples(self, name: str) -> dict[str, float]:
        """`labels as text → value` of one metric."""
        return samples_of(name, self.get("/metrics")[1])

    def event(self, name: str, start: int = 0) -> dict[str, Any]:
        """The first event of this name from line `start` on, once it is there."""

        def found(line: str) -> dict[str, Any] | None:
            event: dict[str, Any] = json.loads(line)
            return event if event["event"] == name else None

        event: dict[str, Any] = self.stdout.wait_for(found, start)
        return event

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """The exit code, once everything that it has said is read."""
        code = self.process.wait(PATIENCE)
        self.stdout.end()
        self.stderr.end()
        return code


@contextlib.contextmanager
def prober(config: Path, *options: str) -> Iterator[Prober]:
    """`prober run`, killed at the end if it still runs."""
    process: Prober | None = None
    try:
        process = Prober(config, *options)
        yield process
    finally:
        if process is not None:
            process.process.kill()
            process.wait()
            for pipe in (process.process.stdout, process.process.stderr):
                assert pipe is not None
                pipe.close()
