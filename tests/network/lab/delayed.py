"""The delay tool from outside: `delay.py` as a child in some network namespace, its values set, its record read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import NamedTuple, Self

from tests.network.lab.delay import LENGTH, QUEUE, SPIN
from tests.network.lab.passage import Passage
from tests.network.lab.process import ROOT

#: Seconds that it may take to end.
_PATIENCE = 10.0


class Record(NamedTuple):
    """What the tool did since it was asked last."""

    passages: list[Passage]
    waiting: int
    """Packets that it holds."""
    lost: int
    """Packets, since it began, that found its queue full."""


class DelayTool:
    """Holds up packets that are forwarded in a namespace, from `with` to its end; nothing of it is left then.

    `prefix` is the command that runs another one there (`ip netns exec NAME`); empty for our own namespace. Packets of
    both families are meant that come in by any interface, or those of `families` that come in by `interfaces`, as far
    as the matches of iptables(8) in `match` agree. Two tools in one namespace need a `queue` each. Without `spin`
    packets leave some 0.1 ms late, which the record tells, and the processor has less to do.
    """

    def __init__(
        self, prefix: Sequence[str] = (), *, families: Sequence[str] = (), interfaces: Sequence[str] = (),
        match: Sequence[str] = (), length: int = LENGTH, queue: int = QUEUE, spin: float = SPIN,
    ) -> None:  # fmt: skip
        meant = [*(f"--family={family}" for family in families), *(f"--in={name}" for name in interfaces),
                 f"--length={length}", f"--queue={queue}", f"--spin={spin}"]  # fmt: skip
        self._command = [*prefix, sys.executable, "-P", "-m", "tests.network.lab.delay", *meant]
        self._match = ["--", *match]
        self.pid = 0
        """Of the tool, in its own PID namespace."""
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.process = subprocess.Popen([*self._command, *self._match], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, cwd=ROOT, env=_environment())  # fmt: skip
        try:
            self.pid = json.loads(self._answer())["pid"]
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        process, self.process = self.process, None
        assert process is not None
        with process:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
        if process.returncode != 0:
            subprocess.run([*self._command, "--undo", *self._match], check=True, cwd=ROOT, env=_environment())

    def hold(self, delay: float = 0.0, *, jitter: float = 0.0, loss: float = 0.0) -> Record:
        """From now on each packet waits for `delay` seconds, give or take up to `jitter`, and `loss` is the share that
        is dropped. What was done until now."""
        return self._ask({"delay": delay, "jitter": jitter, "loss": loss})

    def record(self) -> Record:
        """What was done since the last time that this was asked."""
        return self._ask({})

    def _ask(self, values: dict[str, float]) -> Record:
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(values) + "\n")
        self.process.stdin.flush()
        said = json.loads(self._answer())
        return Record([Passage.told(words) for words in said["passages"]], said["waiting"], said["lost"])

    def _answer(self) -> str:
        """The next line that it says. RuntimeError if it ended instead; why stands on standard error."""
        assert self.process is not None
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the delay tool has ended")
        return line


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}
