"""The store's face: every method hands its work to the store's own thread, which alone has the connection."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Self, TypeVar

from prober.baseline.labels import NOW, checked_label
from prober.baseline.store import baselines, blocks, regressions
from prober.baseline.store.database import Database
from prober.baseline.store.kinds import (
    Active,
    BaselineInfo,
    Block,
    Recorded,
    Retention,
    Shifts,
    State,
    StoreFailed,
    Wishes,
)
from prober.baseline.store.opening import Opened, open_store, words
from prober.baseline.store.schema import number
from prober.baseline.values import HOUR, Hour, Origin, Recording, Regression, SeriesKey

#: What the file is called in the directory that the user names.
FILE = "baseline.db"
T = TypeVar("T")


def _silent(text: str) -> None:
    """The failures of a store whose owner does not listen."""


class Store:
    """All that outlives a block. Futures raise StoreFailed where the disk failed, and what each method names.

    `failures` counts what could not be read or written, `lost` the blocks that were given up for that.
    """

    def __init__(self, opened: Opened, thread: ThreadPoolExecutor, path: Path | None, retention: Retention) -> None:
        self.persistent = opened.persistent
        self.path = path if opened.persistent else None
        self.keep_for(retention)
        self.failures = 0
        self.lost = 0
        self.on_failure: Callable[[str], None] = _silent
        """Is told each failure, in the store's thread."""
        self._opened = opened
        self._thread = thread
        self._connection = opened.connection
        self._db: Database
        self._waiting = blocks.Waiting()
        self._trouble = ""
        self._closed = False
        self._tidied: int | None = None
        self._clock: Callable[[], float] = time.time

    @classmethod
    def open(
        cls,
        path: Path | None,
        *,
        retention: Retention | None = None,
        patience: float = 5.0,
        clock: Callable[[], float] = time.time,
        on_failure: Callable[[str], None] = _silent,
    ) -> Self:
        """The file at `path` (its directory is made), or memory where that is None or the file cannot be used.

        Waits until it is open: `patience` seconds for another process to let go of it, and for a check of the whole
        file, some 100 MB a second. Never raises for what the disk does: `persistent` and `says` tell.
        """
        thread = ThreadPoolExecutor(1, "prober-store")
        opened = thread.submit(open_store, path, patience, clock).result()
        store = cls(opened, thread, path, retention or Retention())
        store.on_failure, store._clock = on_failure, clock
        thread.submit(store._begin).result()
        return store

    @property
    def says(self) -> str:
        """Where baselines are kept, and what is wrong with that, as people read it."""
        return self._opened.says + self._trouble

    def keep_for(self, retention: Retention) -> None:
        """Keep things for so long from now on."""
        self.retention = retention if self.persistent else retention.in_memory()

    def close(self) -> None:
        """End when everything asked before is done. Blocks that still cannot be written are lost. Twice is once."""
        if not self._closed:
            self._closed = True
            self._thread.submit(self._end)
            self._thread.shutdown()

    def save_block(self, block: Block) -> Future[None]:
        """Write a block, durable when the future is done. What fails is written with the next block, for six hours."""
        return self._thread.submit(self._save_block, block)

    def load_state(self) -> Future[tuple[int, State] | None]:
        """The detectors' state, and the start of the block after which it was saved."""
        return self._ask(blocks.load_state)

    def hours_of_current(self, hour: int) -> Future[dict[SeriesKey, Hour]]:
        """What each series has of the hour that begins at `hour` (Unix seconds), to go on merging."""
        return self._ask(lambda db: blocks.load_hour(db, hour))

    def first_hour(self) -> Future[int | None]:
        """The start of the oldest hour that is kept; None where none is."""
        return self._ask(blocks.first_hour)

    def shifts(
        self, since: float, until: float, series: Iterable[SeriesKey] | None = None
    ) -> Future[tuple[Shifts, ...]]:
        """Of each block that begins in [since, until), in order of time; of these series, or of all."""
        return self._ask(lambda db: blocks.load_shifts(db, since, until, series))

    def regressions(self, since: float = 0.0, until: float = float("inf")) -> Future[tuple[Regression, ...]]:
        """Those that were there at some time between the two, by onset: open ones, and those cleared after `since`."""
        return self._ask(lambda db: regressions.load(db, since, until))

    def record(
        self,
        label: str,
        since: float,
        until: float,
        origin: Origin,
        settings: Mapping[str, str],
        wishes: Wishes | None = None,
    ) -> Future[Recorded]:
        """A new version of the baseline `label`, from what was measured in the window.

        It is the active one for series that have none. WindowRefused: nothing was recorded. ValueError: no label.
        """
        checked_label(label)
        head = Recording(label, origin, since, until, self._clock(), 0, {}, dict(settings))
        return self._ask(lambda db: baselines.record(db, head, wishes or Wishes()))

    def put(self, recording: Recording) -> Future[BaselineInfo]:
        """Take in a recording made elsewhere; active for none. Once more is once. ValueError: it cannot be one."""
        return self._ask(lambda db: baselines.put(db, recording))

    def list(self) -> Future[tuple[BaselineInfo, ...]]:
        """All baselines, in the order in which they were recorded."""
        return self._ask(baselines.listed)

    def get(
        self, label: str, version: int | None = None, series: Iterable[SeriesKey] | None = None
    ) -> Future[Recording]:
        """One baseline, its newest version where none is named; with these of its series, or all. UnknownBaseline."""
        return self._ask(lambda db: baselines.get(db, label, version, series))

    def window(
        self,
        since: float,
        until: float,
        origin: Origin,
        settings: Mapping[str, str],
        series: Iterable[SeriesKey] | None = None,
    ) -> Future[Recording]:
        """What was measured in the window, good or bad, as a recording with the label `now`."""
        head = Recording(NOW, origin, since, until, self._clock(), 1, {}, dict(settings))
        return self._ask(lambda db: baselines.window(db, head, series))

    def activate(self, label: str, version: int | None = None) -> Future[BaselineInfo]:
        """Make it the active baseline of its series; those that it does not have keep theirs. UnknownBaseline."""
        return self._ask(lambda db: baselines.activate(db, label, version))

    def active(self) -> Future[dict[SeriesKey, Active]]:
        """The active baseline of each series that has one, with the fit that was cached for it."""
        return self._ask(baselines.active)

    def keep_fits(self, label: str, version: int, fits: Mapping[SeriesKey, bytes], fit_version: int) -> Future[None]:
        """Cache the fitted models of a baseline, each in the place of the one before. UnknownBaseline."""
        return self._ask(lambda db: baselines.keep_fits(db, label, version, fits, fit_version))

    def delete(self, label: str, version: int, *, force: bool = False) -> Future[None]:
        """Delete one. UnknownBaseline. ValueError: it is the active one of some series, and `force` is not set."""
        return self._ask(lambda db: baselines.delete(db, label, version, force))

    def size(self) -> Future[int]:
        """Bytes that the file (or the memory) holds, without the log."""
        return self._ask(
            lambda db: number(db.connection, "PRAGMA page_count") * number(db.connection, "PRAGMA page_size")
        )

    def _begin(self) -> None:
        self._db = Database(self._opened.connection)

    def _end(self) -> None:
        try:
            if self._waiting.blocks:
                blocks.save(self._db, self._waiting)
        except sqlite3.Error as error:
            self.lost += len(self._waiting.blocks)
            self._failed(words(error))
        finally:
            self._opened.connection.close()

    def _ask(self, job: Callable[[Database], T]) -> Future[T]:
        return self._thread.submit(self._run, job)

    def _run(self, job: Callable[[Database], T]) -> T:
        try:
            return job(self._db)
        except StoreFailed as error:
            raise self._failed(str(error)) from error
        except sqlite3.Error as error:
            raise self._failed(words(error)) from error

    def _failed(self, text: str) -> StoreFailed:
        self.failures += 1
        self.on_failure(text)
        return StoreFailed(text)

    def _save_block(self, block: Block) -> None:
        try:
            self.lost += self._waiting.add(block)
            blocks.save(self._db, self._waiting)
        except sqlite3.OperationalError as error:  # the disk's, which may be over by the next block
            self._trouble = f"; {len(self._waiting.blocks)} blocks could not be written yet: {words(error)}"
            raise self._failed(words(error)) from error
        except Exception as error:
            self.lost += len(self._waiting.blocks)
            self._waiting, self._trouble = blocks.Waiting(), ""
            raise self._failed(f"a block was given up: {error!r}") from error
        self._waiting, self._trouble = blocks.Waiting(), ""
        self._tidy(block.start)

    def _tidy(self, now: int) -> None:
        """Once in an hour. A failure is told, but is none of the block's."""
        if self._tidied is not None and self._tidied <= now < self._tidied + HOUR:
            return
        try:
            blocks.retain(self._db, now, self.retention)
            self._tidied = now
        except sqlite3.Error as error:
            self._failed(words(error))
