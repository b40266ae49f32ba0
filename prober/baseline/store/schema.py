"""The tables, as steps from each version of the schema to the next. A released step stays as it is: one is added."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

#: "prbl": tells our files from those of others.
APPLICATION = 0x7072626C

#: Statements that lead from schema n (the index) to n + 1. An empty file has schema 0.
STEPS: tuple[tuple[str, ...], ...] = (
    (
        # Ids are never used twice: the arrays of `shifts` name series by id alone.
        """CREATE TABLE series (
             id INTEGER PRIMARY KEY AUTOINCREMENT,
             probe TEXT NOT NULL, target TEXT NOT NULL, path TEXT NOT NULL, family TEXT NOT NULL, layer TEXT NOT NULL,
             node TEXT NOT NULL,
             settings TEXT,                         -- hash of how its cell is probed
             settings_since INTEGER NOT NULL,       -- the block from which on it is probed so
             seen INTEGER NOT NULL,                 -- its newest hour
             UNIQUE (probe, target, path, family, layer, node))""",
        # By hour first: a block's rows lie side by side, and so do those that grow too old. `series` is no foreign key:
        # each that is deleted would cost a scan of the whole table. It goes by `seen`, when none of its hours is left.
        """CREATE TABLE hours (
             start INTEGER NOT NULL, series INTEGER NOT NULL,
             covered INTEGER NOT NULL, successes INTEGER NOT NULL, failed TEXT NOT NULL, sketch BLOB NOT NULL,
             PRIMARY KEY (start, series)) WITHOUT ROWID""",
        "CREATE TABLE shifts (start INTEGER PRIMARY KEY, arrays BLOB NOT NULL)",
        """CREATE TABLE state (
             id INTEGER PRIMARY KEY CHECK (id = 1), block INTEGER NOT NULL,
             version INTEGER NOT NULL, data BLOB NOT NULL)""",
        # Of a series, or of a group by its name: exactly one of the two.
        """CREATE TABLE regressions (
             id INTEGER PRIMARY KEY, series INTEGER REFERENCES series, grouped TEXT,
             channel TEXT NOT NULL, reason TEXT NOT NULL, direction TEXT NOT NULL,
             onset REAL NOT NULL, cleared REAL, rest TEXT NOT NULL,
             CHECK ((series IS NULL) <> (grouped IS NULL)))""",
        "CREATE INDEX regressions_by_end ON regressions (cleared)",
        """CREATE INDEX regressions_by_subject ON regressions (series, grouped, channel, reason, direction)""",
        "CREATE TABLE labels (label TEXT PRIMARY KEY, newest INTEGER NOT NULL) WITHOUT ROWID",
        """CREATE TABLE baselines (
             id INTEGER PRIMARY KEY, label TEXT NOT NULL, version INTEGER NOT NULL,
             since REAL NOT NULL, until REAL NOT NULL, recorded_at REAL NOT NULL,
             origin TEXT NOT NULL, settings TEXT NOT NULL, digest BLOB NOT NULL,
             UNIQUE (label, version))""",
        """CREATE TABLE baseline_series (
             id INTEGER PRIMARY KEY, baseline INTEGER NOT NULL REFERENCES baselines ON DELETE CASCADE,
             series INTEGER NOT NULL REFERENCES series, hours BLOB NOT NULL,
             UNIQUE (baseline, series))""",
        # Derived, so it is replaced at will; by itself, so that replacing one does not rewrite the hours beside it.
        """CREATE TABLE fits (
             member INTEGER PRIMARY KEY REFERENCES baseline_series ON DELETE CASCADE,
             version INTEGER NOT NULL, fit BLOB NOT NULL)""",
        """CREATE TABLE active (
             series INTEGER PRIMARY KEY REFERENCES series,
             baseline INTEGER NOT NULL REFERENCES baselines ON DELETE CASCADE)""",
        "CREATE INDEX active_by_baseline ON active (baseline)",
        "CREATE INDEX baseline_series_by_series ON baseline_series (series)",
    ),
)


class SchemaRefused(Exception):
    """The file is not ours, or of a newer prober. It was left as it is."""


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing, on disk when it ends. What was raised within is raised after the rollback."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # some errors have rolled it back already
            connection.execute("ROLLBACK")
        raise


def number(connection: sqlite3.Connection, sql: str, *values: object) -> int:
    """The one number that a query gives."""
    return int(connection.execute(sql, values).fetchone()[0])


def check_whose(application: int, version: int, tables: int, known: int = len(STEPS)) -> None:
    """SchemaRefused where a file with this application id, schema and number of tables is not for us to open."""
    if application != APPLICATION and (tables or application or version):
        raise SchemaRefused("it is an SQLite file, but not one of prober's")
    if version > known:
        raise SchemaRefused(f"it was written by a newer prober (schema {version}; this one knows up to {known})")


def migrate(connection: sqlite3.Connection, steps: Sequence[Sequence[str]] = STEPS) -> None:
    """Bring the file to the newest schema, each step in a transaction of its own. SchemaRefused: see `check_whose`."""
    tables = number(connection, "SELECT count(*) FROM sqlite_master")
    version = number(connection, "PRAGMA user_version")
    check_whose(number(connection, "PRAGMA application_id"), version, tables, len(steps))
    for reached, statements in enumerate(steps[version:], version + 1):
        with transaction(connection):
            for statement in statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {reached}")
