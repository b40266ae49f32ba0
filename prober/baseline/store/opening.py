"""Opening the file: whose it is, whether it is whole, what to do where it cannot be used.

Durability: in WAL mode a commit is one append to the log. With `synchronous = FULL` the log is synced at each commit,
so that a block that was committed outlives a power loss as well as kill -9; with NORMAL it would be synced at the
next checkpoint only, hours later for a small fleet. At one commit in ten minutes a sync costs nothing.

Locking: EXCLUSIVE for as long as the file is open. A second prober on the same file does not mix two vantages: it
keeps its baselines in memory, and says why. There is no file of shared memory, which network file systems do not
give; and the kernel frees the lock of a process that was killed.
"""

from __future__ import annotations

import sqlite3
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from prober.baseline.store.schema import STEPS, SchemaRefused, check_whose, migrate, number

_PRIMARY = 0xFF  # the low byte of an extended error code
_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_TAKEN = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
#: Bytes of the log that stay allocated after a checkpoint.
_LOG = 4_000_000
#: Of the file's header: where the schema version and the application id stand (https://www.sqlite.org/fileformat.html).
_HEADER = struct.Struct(">60xI4xI")
_MAGIC = b"SQLite format 3\0"


class Damaged(Exception):
    """The file is no database any more."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection, and what is to be said of it."""

    connection: sqlite3.Connection
    persistent: bool
    says: str


def open_store(path: Path | None, patience: float, clock: Callable[[], float] = time.time) -> Opened:
    """The file at `path`, or memory where there is none or it cannot be used. Never raises for what the disk does."""
    if path is None:
        return _memory(
            "baselines are kept in memory alone, and are gone when this process ends: no directory was given"
        )
    moved = ""
    try:
        try:
            connection = connect(path, patience)
        except Damaged as error:
            aside = _move_aside(path, clock())
            moved = f"; {path} was damaged ({error}): moved to {aside}, a new one was begun"
            connection = connect(path, patience)
    except (OSError, sqlite3.Error, SchemaRefused, Damaged) as error:
        return _memory(
            f"baselines are kept in memory alone, and are gone when this process ends: {path}: {words(error)}"
        )
    return Opened(connection, True, f"baselines are kept in {path}{moved}")


def words(error: Exception) -> str:
    """An error of the disk, as people read it."""
    if isinstance(error, sqlite3.Error):
        if getattr(error, "sqlite_errorcode", 0) & _PRIMARY in _TAKEN:
            return "another process has it open"
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)


def connect(path: Path, patience: float = 0.0, steps: Sequence[Sequence[str]] = STEPS) -> sqlite3.Connection:
    """The file, made where there is none, checked and of the newest schema.

    Waits `patience` seconds for a lock. Damaged, SchemaRefused (nothing was touched), sqlite3.Error, OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _look_at_header(path, len(steps))
    connection = sqlite3.connect(path, timeout=patience, isolation_level=None)
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        tables = number(connection, "SELECT count(*) FROM sqlite_master")
        version = number(connection, "PRAGMA user_version")
        check_whose(number(connection, "PRAGMA application_id"), version, tables, len(steps))
        _check(connection)
        if not tables:  # else it is not heeded, and yet written
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        _settle(connection)
        migrate(connection, steps)
    except sqlite3.DatabaseError as error:
        with suppress(sqlite3.Error):
            connection.close()
        if getattr(error, "sqlite_errorcode", 0) & _PRIMARY in _BROKEN:
            raise Damaged(str(error)) from error
        raise
    except BaseException:
        connection.close()
        raise
    return connection


def _look_at_header(path: Path, known: int) -> None:
    """SchemaRefused or OSError before SQLite has touched anything, where that much can be told."""
    with suppress(FileNotFoundError), path.open("r+b") as file:
        head = file.read(_HEADER.size)
        if len(head) == _HEADER.size and head.startswith(_MAGIC):
            version, application = _HEADER.unpack(head)
            if application:  # else the first page may be older than the log
                check_whose(application, version, 1, known)


def _check(connection: sqlite3.Connection) -> None:
    problems = [row[0] for row in connection.execute("PRAGMA quick_check(3)")]
    if problems != ["ok"]:
        raise Damaged("; ".join(problems))


def _settle(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute(f"PRAGMA journal_size_limit = {_LOG}")


def _memory(says: str) -> Opened:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    _settle(connection)
    migrate(connection)
    return Opened(connection, False, says)


def _move_aside(path: Path, now: float) -> Path:
    """Rename the file, with its log, to a name that is free."""
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = path.with_name(f"{path.name}.corrupt-{stamp}")
    count = 1
    while aside.exists():
        count += 1
        aside = path.with_name(f"{path.name}.corrupt-{stamp}-{count}")
    for end in ("-wal", "-shm", ""):  # the file last: what is left after a crash in between is still damaged
        with suppress(FileNotFoundError):
            path.with_name(path.name + end).rename(aside.with_name(aside.name + end))
    return aside
