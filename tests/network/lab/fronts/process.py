"""A real server as a child process in a Pod: given its configuration, waited for, signalled, ended.

It runs in a PID namespace of its own, whose first process dies with this one (PR_SET_PDEATHSIG): no worker of it is
left, even after kill -9 here.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import ClassVar

from tests.network.lab.isolation import unshare_command

_START = 10.0  # seconds: a cold disk and a busy machine; a hundredth of it is usual
_STOP = 3.0
_PAUSE = 0.002  # between two attempts to connect


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server runs."""

    command: tuple[str, ...] = ()
    """What goes before a command to run it there: `ip netns exec POD`."""
    inside: Callable[[], AbstractContextManager[object]] = nullcontext
    """A context in which this thread opens sockets there."""


HERE = Place()


@cache
def leash() -> tuple[str, ...]:
    """What goes before a command so that it dies with us, children and all. RuntimeError where that can't be had."""
    if shutil.which("setpriv") is None or shutil.which("unshare") is None:
        raise RuntimeError("setpriv and unshare (util-linux) are not installed")
    command = tuple(unshare_command(()))
    tried = subprocess.run([*command, "true"], capture_output=True, check=False)
    if tried.returncode != 0:
        raise RuntimeError(f"no PID namespace: {tried.stderr.decode().strip()}")
    return command


class Front(ABC):
    """One server that has a program, a configuration and ports. `start` may be called again after `stop`."""

    program: ClassVar[str]
    """The name of its binary."""
    ends_on: ClassVar[signal.Signals] = signal.SIGTERM
    """It has a handler for this: the first process of a PID namespace gets no signal that it does not handle."""

    def __init__(self, directory: Path, place: Place = HERE) -> None:
        self.directory = directory
        self.started_in = 0.0
        """Seconds from the start of the process until it listened."""
        self._place = place
        self._process: asyncio.subprocess.Process | None = None
        self._log = directory / "output.log"

    @abstractmethod
    def prepare(self) -> Sequence[str]:
        """Write the configuration into the directory; the arguments to start the binary with."""

    @abstractmethod
    def listens(self) -> Sequence[tuple[str, int]]:
        """Addresses and ports that it will listen at."""

    def command(self) -> Sequence[str]:
        """What is run, before the arguments."""
        return [self.binary()]

    @classmethod
    def binary(cls) -> str:
        """The path of the binary. FileNotFoundError where it is not installed."""
        found = shutil.which(cls.program) or shutil.which(f"/usr/sbin/{cls.program}")
        if found is None:
            raise FileNotFoundError(f"{cls.program} is not installed")
        return found

    async def start(self) -> None:
        """Start it and wait until it listens everywhere. RuntimeError with its own words where it ends instead."""
        began = perf_counter()
        self.directory.mkdir(parents=True, exist_ok=True)
        command = [*leash(), *self._place.command, *self.command(), *self.prepare()]
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory, start_new_session=True,
            )  # fmt: skip
        try:
            async with asyncio.timeout(_START):
                for address, port in self.listens():
                    await self._wait_for(address, port)
        except BaseException:
            await self.kill()
            raise
        self.started_in = perf_counter() - began

    async def stop(self) -> None:
        """End it as an operator does, and wait for that; by force if it takes too long."""
        if self._process is None:
            return
        self.resume()
        with suppress(ProcessLookupError):
            self.signal(self.ends_on)
        try:
            async with asyncio.timeout(_STOP):
                await self._process.wait()
        except TimeoutError:
            await self.kill()
        self._process = None

    async def kill(self) -> None:
        """End it at once, children and all."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self.signal(
                signal.SIGKILL
            )  # all the others of its namespace die with it, and then the one that waits for it
        try:
            async with asyncio.timeout(_STOP):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        self._process = None

    async def restart(self) -> None:
        """Stop it and start it with what its configuration says now."""
        await self.stop()
        await self.start()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to its first process. ProcessLookupError where there is none."""
        os.kill(self._pid(), number)

    async def freeze(self) -> None:
        """Stop all its processes in their tracks: the kernel still accepts connections for them."""
        await self._freeze(self.pids())

    async def freeze_workers(self) -> None:
        """Stop those that its first process has started."""
        await self._freeze(self.workers())

    async def _freeze(self, pids: Sequence[int]) -> None:
        """SIGSTOP is not done when kill(2) is: another core may go on for a moment."""
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        async with asyncio.timeout(_STOP):
            while not all(map(_is_stopped, pids)):  # noqa: ASYNC110 - nothing tells of a process that is not our child
                await asyncio.sleep(_PAUSE)

    def resume(self) -> None:
        """Let its processes go on."""
        with suppress(ProcessLookupError):
            for pid in self.pids():
                os.kill(pid, signal.SIGCONT)

    def pids(self) -> list[int]:
        """All its processes. ProcessLookupError where there is none."""
        return [*self.workers(), self._pid()]

    def workers(self) -> list[int]:
        """The processes that its first process has started."""
        return _children(self._pid())

    def _pid(self) -> int:
        """Its first process, which is the child of the one that holds the namespace."""
        children = [] if self._process is None else _children(self._process.pid)
        if not children:
            raise ProcessLookupError(f"{self.program} does not run")
        return children[0]

    async def _wait_for(self, address: str, port: int) -> None:
        while not await self._takes_connections(address, port):
            if self._process is None or self._process.returncode is not None:
                raise self._ended()
            await asyncio.sleep(_PAUSE)

    async def _takes_connections(self, address: str, port: int) -> bool:
        """Whether somebody listens there."""
        with self._place.inside():
            sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        with sock:
            sock.setblocking(False)
            try:
                await asyncio.get_running_loop().sock_connect(sock, (address, port))
            except OSError:
                return False
        return True

    def _ended(self) -> RuntimeError:
        """What it said last."""
        return RuntimeError(f"{self.program} has ended: {self._log.read_text(errors='replace')[-1000:].strip()}")


def _is_stopped(pid: int) -> bool:
    """Whether every thread of it is (proc_pid_stat(5): the state stands behind the name)."""
    stats = [file.read_text(encoding="utf-8") for file in Path(f"/proc/{pid}/task").glob("*/stat")]
    return all(stat.rpartition(")")[2].split()[0] == "T" for stat in stats)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []
