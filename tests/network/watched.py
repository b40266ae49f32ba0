"""`prober run` in the vantage Pod of a lab, and helpers beside it in other Pods, held by their pipes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.network.lab.plan import VANTAGE
from tests.network.lab.process import PROBER, LabProcess
from tests.support.process import PATIENCE, Lines, Prober


def inner_pid(process: subprocess.Popen[str]) -> int:
    """The PID, out here, of a command that was started in a lab: the child of `nsenter`."""
    pid = process.pid
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()[0])


class Helper:
    """A module of ours as a program in a Pod: a line in, a line out."""

    def __init__(self, lab: LabProcess, place: str, module: str) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._process = lab.start(place, sys.executable, "-P", "-m", module, **pipes)
        assert self._process.stdout is not None
        self.said = Lines(self._process.stdout)
        self._turn = threading.Lock()

    def ask(self, line: str) -> str:
        """What it answers to `line`."""
        assert self._process.stdin is not None
        with self._turn:
            heard = len(self.said.seen)
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
            answer: str = self.said.wait_for(lambda said: said if said != "heard" else None, heard)
        return answer

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        if self._process.poll() is None:
            os.kill(inner_pid(self._process), signal.SIGKILL)
        self._process.wait(PATIENCE)
        self.close()

    def close(self) -> None:
        """The end of its input is its end."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            if pipe is self._process.stdin:
                pipe.close()
                self._process.wait(PATIENCE)
                self.said.end()
            pipe.close()


@contextmanager
def helper(lab: LabProcess, place: str, module: str) -> Iterator[Helper]:
    """A module as a program in `place`, until the block ends."""
    running = Helper(lab, place, module)
    try:
        yield running
    finally:
        running.close()


class PodProber(Prober):
    """`prober run` in the vantage Pod; what it serves is fetched by a program beside it."""

    def __init__(self, lab: LabProcess, errands: Helper, config: Path, *options: str) -> None:
        self._lab, self._errands = lab, errands
        super().__init__(config, *options)

    def _start(self, arguments: Sequence[str]) -> subprocess.Popen[str]:
        return self._lab.start("client", *PROBER, *arguments, env={**VANTAGE, "PYTHONWARNINGS": "error"},
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip

    def get(self, path: str, method: str = "GET") -> tuple[int, str]:
        """Status and body; status 0 where nobody answers."""
        status, body = json.loads(self._errands.ask(f"{method} {self.url}{path}"))
        return status, body

    def cells(self) -> dict[str, dict[str, Any]]:
        """What the API says of each cell, by its id."""
        return {cell["id"]: cell for cell in json.loads(self.get("/api/v1/cells")[1])["cells"]}

    def signal(self, number: signal.Signals) -> None:
        """To the prober itself, not to what brought it into the Pod."""
        os.kill(inner_pid(self.process), number)

    def events(self) -> list[dict[str, Any]]:
        """All that the event log says so far."""
        return [json.loads(line) for line in list(self.stdout.seen)]


@contextmanager
def prober_in_pod(lab: LabProcess, config: Path, *options: str) -> Iterator[PodProber]:
    """`prober run` in the vantage, killed at the end if it still runs."""
    with helper(lab, "client", "tests.network.errands") as errands:
        running = PodProber(lab, errands, config, *options)
        try:
            yield running
        finally:
            if running.process.poll() is None:
                running.signal(signal.SIGKILL)
            running.wait()
            for pipe in (running.process.stdout, running.process.stderr):
                assert pipe is not None
                pipe.close()
