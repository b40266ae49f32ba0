"""The connection, and the series that the file has by their ids."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from prober.baseline.store import schema
from prober.baseline.values import SeriesKey


class Database:
    """What everything in the store works on. Of the store's thread alone."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        rows = connection.execute("SELECT id, probe, target, path, family, layer, node FROM series")
        self.connection = connection
        self.execute = connection.execute
        self.executemany = connection.executemany
        self.keys: dict[int, SeriesKey] = {number: SeriesKey(*parts) for number, *parts in rows}
        self.ids: dict[SeriesKey, int] = {key: number for number, key in self.keys.items()}

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, on disk when it ends; ids that were given in one that fails are forgotten."""
        before = len(self.keys)
        try:
            with schema.transaction(self.connection):
                yield
        except BaseException:
            for number in list(self.keys)[before:]:
                del self.ids[self.keys.pop(number)]
            raise

    def add(self, keys: Iterable[SeriesKey], seen: int) -> None:
        """Give an id to those that have none; within a transaction."""
        for key in keys:
            if key not in self.ids:
                number = self.inserted(
                    "INSERT INTO series (probe, target, path, family, layer, node, settings_since, seen)"
                    " VALUES (?, ?, ?, ?, ?, ?, 0, ?)",
                    (key.probe, key.target, key.path, key.family, key.layer, key.node, seen),
                )
                self.ids[key], self.keys[number] = number, key

    def inserted(self, sql: str, values: tuple[Any, ...]) -> int:
        """Insert one row; returns its id."""
        number = self.execute(sql, values).lastrowid
        if number is None:
            raise AssertionError("SQLite gives every row its id")
        return number

    def some(self, keys: Iterable[SeriesKey] | None) -> list[int]:
        """The ids of these series, as far as they are known, in rising order; of all of them where none are named."""
        if keys is None:
            return sorted(self.keys)
        return sorted({self.ids[key] for key in keys if key in self.ids})

    def settle(self, settings: Mapping[str, str], start: int) -> None:
        """Note from which block on each cell is probed as it is now; within a transaction."""
        rows = self.execute("SELECT id, settings FROM series").fetchall() if settings else ()
        changed = [
            (now, start if before is not None else 0, number)
            for number, before in rows
            if (now := settings.get(self.keys[number].cell)) is not None and now != before
        ]
        self.executemany("UPDATE series SET settings = ?, settings_since = ? WHERE id = ?", changed)

    def prune(self, before: float) -> None:
        """Delete series that nothing refers to, with no hour since this moment; in a transaction of its own."""
        rows = self.execute(
            "SELECT id FROM series WHERE seen < ? AND id NOT IN (SELECT series FROM baseline_series)"
            " AND id NOT IN (SELECT series FROM regressions WHERE series IS NOT NULL)"
            " AND id NOT IN (SELECT series FROM active)",
            (before,),
        ).fetchall()
        with self.transaction():
            self.executemany("DELETE FROM series WHERE id = ?", rows)
        for (number,) in rows:
            del self.ids[self.keys.pop(number)]
