"""Hot reload: from a file that may have changed to cells that take over whole, or not at all.

A ConfigMap is changed by swapping the symlink `..data` of its directory, which defeats inotify on the file: so the file
is read and hashed every few seconds. The poll, SIGHUP and `POST /-/reload` all end in `Reloader.reload`.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from prober.config.errors import ConfigError
from prober.engine.loading import NOTHING, Matrix, read_matrix
from prober.model import Vantage

log = logging.getLogger(__name__)

#: Seconds between two looks at the file. The kubelet itself brings a changed ConfigMap only within a minute or so.
POLL = 5.0


@dataclass(frozen=True, slots=True)
class ReloadResult:
    """What a reload did. `message` sums it up, or holds the errors, one a line; `cells` is how many run now."""

    ok: bool
    message: str
    cells: int


class Reloader:
    """Keeps the running matrix up to date with the file. `take` puts a good one in force, `refuse` hears of a bad one.

    Environment variables are read anew with each load, but a process has one environment for life; secret files are
    read at each run and need no reload.
    """

    def __init__(
        self,
        path: Path,
        vantage: Vantage,
        take: Callable[[Matrix], Awaitable[None]],
        refuse: Callable[[Sequence[str]], None],
    ) -> None:
        self._path = path
        self._vantage = vantage
        self._take = take
        self._refuse = refuse
        self._seen = b""
        self._turn = asyncio.Lock()
        self.matrix = NOTHING

    async def first(self) -> None:
        """Load for the first time. Raises ConfigError: there is nothing to fall back on."""
        async with self._turn:
            await self._load()

    async def reload(self) -> ReloadResult:
        """Load again, whether the file has changed or not; a bad one changes nothing. Never raises ConfigError."""
        async with self._turn:
            try:
                await self._load()
            except ConfigError as error:
                errors = tuple(map(str, error.problems))
                log.error("the configuration was not reloaded, the one before runs on:\n%s", "\n".join(errors))
                self._refuse(errors)
                return ReloadResult(False, "\n".join(errors), len(self.matrix.cells))
            cells = len(self.matrix.cells)
            log.info("the configuration was reloaded: %d cells, hash %s", cells, self.matrix.hash)
            return ReloadResult(True, f"{cells} cells, hash {self.matrix.hash}", cells)

    async def watch(self, poll: float = POLL) -> None:
        """Reload whenever the file's content has changed, every `poll` seconds at most; each content is tried once."""
        while True:
            await asyncio.sleep(poll)
            if await asyncio.to_thread(_digest, self._path) != self._seen:
                await self.reload()

    async def _load(self) -> None:
        # noted before reading: content that changes meanwhile is seen by the next poll
        self._seen = await asyncio.to_thread(_digest, self._path)
        matrix = await asyncio.to_thread(read_matrix, self._path, self._vantage, self.matrix)
        await self._take(matrix)
        self.matrix = matrix


def _digest(path: Path) -> bytes:
    """A hash of the file's content; what keeps it from being read counts as content."""
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError as error:
        return f"unreadable: {error.errno}".encode()
