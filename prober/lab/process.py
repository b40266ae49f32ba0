"""The lab in a child process, so that its work does not disturb the measuring interpreter."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from subprocess import PIPE
from typing import Any, Self

_START_TIMEOUT = 30.0  # seconds: a cold import on a slow disk
_ANSWER_TIMEOUT = 10.0
_STOP_TIMEOUT = 5.0
_LONGEST_LINE = 1024 * 1024


class LabProcess:
    """A running lab. Made by `start`; its servers are there until `stop` or the end of this process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._asking = asyncio.Lock()
        self.config_text = ""
        self.config_path = Path()
        self.faults: list[dict[str, Any]] = []
        """Of each fault: name, says, layer, reason, on."""
        self.unavailable: dict[str, str] = {}
        """Fault → why it cannot be switched on here."""
        self.kubernetes: dict[str, Any] = {}
        """Of the API server look-alike: host, port, token_file, ca_file."""

    @classmethod
    async def start(cls) -> Self:
        """Start the child and wait until its servers listen. RuntimeError or TimeoutError where it does not."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "prober.lab", stdin=PIPE, stdout=PIPE, limit=_LONGEST_LINE,
            start_new_session=True,  # Ctrl-C is for the parent: it drains first and then stops the lab
        )  # fmt: skip
        lab = cls(process)
        try:
            async with asyncio.timeout(_START_TIMEOUT):
                ready = await lab._read()
        except BaseException:
            await lab.stop()
            raise
        lab.config_text, lab.config_path = ready["config_text"], Path(ready["config_path"])
        lab.faults, lab.unavailable = ready["faults"], ready["unavailable"]
        lab.kubernetes = ready["kubernetes"]
        return lab

    async def set_fault(self, name: str, on: bool) -> None:
        """Switch one fault. KeyError for an unknown name, RuntimeError where it cannot be, or the child is gone."""
        async with self._asking, asyncio.timeout(_ANSWER_TIMEOUT):
            answer = await self._ask({"fault": name, "on": on})
        if "unknown" in answer:
            raise KeyError(answer["error"])
        if "error" in answer:
            raise RuntimeError(answer["error"])
        for fault in self.faults:
            if fault["name"] == name:
                fault["on"] = answer["on"]

    async def stop(self) -> None:
        """End the child and wait for it; a second call does nothing."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(_STOP_TIMEOUT):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _ask(self, command: dict[str, Any]) -> dict[str, Any]:
        if self._process.stdin is None:
            raise RuntimeError("the lab has no stdin")
        try:
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            await self._process.stdin.drain()
        except ConnectionError as error:
            raise RuntimeError("the lab has ended") from error
        return await self._read()

    async def _read(self) -> dict[str, Any]:
        if self._process.stdout is None:
            raise RuntimeError("the lab has no stdout")
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the lab has ended; its reason is on stderr")
        answer: dict[str, Any] = json.loads(line)
        return answer
