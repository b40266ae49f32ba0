"""A lab from outside: started as a process of its own, commands run in its Pods, faults switched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tests.network.lab import control
from tests.network.lab.isolation import FILES, is_privileged
from tests.network.lab.plan import VANTAGE

ROOT = Path(__file__).resolve().parents[3]
_PATIENCE = 30.0


class LabProcess:
    """A context manager: inside it a lab runs. It ends with this process, however that ends."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.network.lab", "--serve"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env=_environment(),
        )  # fmt: skip
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self.__exit__()
            raise RuntimeError("the lab did not start; its reason is on stderr")
        self.facts: dict[str, Any] = json.loads(line)
        self.pid = self._first_inside()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()  # the end of its input is the end of the lab
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process.stdout.close()

    def kill(self) -> None:
        """kill -9: nothing of the lab stays either."""
        self._process.kill()
        self._process.wait()

    def _first_inside(self) -> int:
        """The PID that the lab's first process has out here: the child of `unshare`."""
        pid = self._process.pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()[0])

    @property
    def root(self) -> Path:
        """The lab's file system, as seen from here."""
        return Path(f"/proc/{self.pid}/root")

    def file(self, name: str) -> Path:
        """One of the lab's files, as seen from here."""
        return self.root / FILES.relative_to("/") / name

    def ask(self, **command: Any) -> dict[str, Any]:
        """Tell the lab something. RuntimeError with its reason where it refuses."""
        return control.ask(command, self.file(control.SOCKET.name), _PATIENCE)

    def command(self, place: str, *command: str, env: Mapping[str, str] | None = None) -> list[str]:
        """The command line that runs `command` in the namespace `place` of this lab."""
        user = [] if is_privileged() else ["--user", "--preserve-credentials"]
        into = ["nsenter", "--target", str(self.pid), *user, "--mount", "--pid", f"--wdns={ROOT}"]
        settings = [f"{name}={value}" for name, value in (env or {}).items()]
        return [*into, "ip", "netns", "exec", place, *(["env", *settings] if settings else []), *command]

    def run(
        self, place: str, *command: str, timeout: float = _PATIENCE, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in a Pod (or node, or the fabric) until it ends."""
        argv = self.command(place, *command, env=env)
        return subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False,
            env=_environment(),
        )  # fmt: skip

    def start(
        self, place: str, *command: str, env: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.Popen[str]:
        """Start a command there, for long-running ones."""
        return subprocess.Popen(self.command(place, *command, env=env), text=True, env=_environment(), **options)

    def prober(self, *arguments: str, place: str = "client", **options: Any) -> subprocess.CompletedProcess[str]:
        """The shipped command line, in the vantage."""
        return self.run(place, *PROBER, *arguments, env=VANTAGE, **options)


#: The command line as it is installed.
PROBER: Sequence[str] = (sys.executable, "-P", "-m", "prober")


def _environment() -> dict[str, str]:
    path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
