"""A file that is damaged, locked, not to be written or somebody else's: what becomes of it, and what is said."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from prober.baseline.store import Store
from prober.baseline.store.opening import connect
from prober.baseline.store.schema import APPLICATION, STEPS, SchemaRefused
from prober.baseline.values import HOUR
from tests.support.hours import KEYS, START, block, filled, no_more_than, opened, recording

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "baseline.db"


def test_a_second_process_on_one_file_keeps_to_memory_and_says_why(path: Path) -> None:
    with opened(path) as first:
        program = "import sys, pathlib; from prober.baseline.store import Store; p = pathlib.Path(sys.argv[1]);"
        program += "one = Store.open(p, patience=0.0); print(one.persistent, one.says)"
        answer = subprocess.run(
            [sys.executable, "-c", program, path], cwd=ROOT, text=True, check=True, capture_output=True
        )
        assert answer.stdout.startswith("False ")
        assert answer.stdout.endswith(f"{path}: another process has it open\n")
        first.save_block(block()).result()
    with opened(path) as third:
        assert third.persistent
        assert third.hours_of_current(START).result() == block().hours


def test_a_file_that_is_let_go_of_in_time_is_waited_for(path: Path) -> None:
    first = Store.open(path)
    with ThreadPoolExecutor() as pool:
        second = pool.submit(Store.open, path, patience=20.0)
        first.close()
        assert second.result().persistent
        second.result().close()


@pytest.mark.parametrize("damage", ["overwritten", "cut", "text"])
def test_a_damaged_file_is_moved_aside_and_a_new_one_begun(path: Path, damage: str) -> None:
    with opened(path) as store:
        filled(store, recording(hours=30, series=20))
    data = path.read_bytes()
    damaged = {
        "overwritten": data[:4096] + b"\xa5" * 20_000 + data[24_096:],
        "cut": data[: len(data) // 2],
        "text": b"#\n" * 999,
    }
    path.write_bytes(damaged[damage])
    (path.parent / "baseline.db-wal").write_bytes(b"not a log")
    before = path.read_bytes()
    with opened(path, clock=lambda: float(START)) as store:
        assert store.persistent
        assert f"moved to {path}.corrupt-20261127T000000Z, a new one was begun" in store.says
        assert store.hours_of_current(START).result() == {}
        store.save_block(block()).result()
    aside = path.with_name("baseline.db.corrupt-20261127T000000Z")
    assert aside.read_bytes() == before
    with opened(path) as store:
        assert store.says == f"baselines are kept in {path}"
        assert store.hours_of_current(START).result() == block().hours


def test_a_second_damaged_file_of_the_same_second_does_not_take_the_place_of_the_first(path: Path) -> None:
    path.parent.mkdir()
    for text in (b"first", b"other"):
        path.write_bytes(text * 999)
        with opened(path, clock=lambda: float(START)):
            pass
    aside = sorted(path.parent.glob("*.corrupt-*"))
    assert [one.read_bytes()[:5] for one in aside] == [b"first", b"other"]


def test_a_file_of_a_newer_prober_is_left_as_it_is(path: Path) -> None:
    newer = (*STEPS, ("CREATE TABLE later (id INTEGER PRIMARY KEY)",))
    connect(path, steps=newer).close()
    before = path.read_bytes()
    with pytest.raises(SchemaRefused, match="newer prober"):
        connect(path)
    with opened(path) as store:
        assert not store.persistent
        assert f"newer prober (schema {len(STEPS) + 1}; this one knows up to {len(STEPS)})" in store.says
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_file_of_somebody_else_is_left_as_it_is(path: Path) -> None:
    path.parent.mkdir()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (id INTEGER PRIMARY KEY)")
    other.close()
    before = path.read_bytes()
    with opened(path) as store:
        assert not store.persistent
        assert "not one of prober's" in store.says
    assert path.read_bytes() == before


def test_a_directory_that_cannot_be_made_means_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with opened(tmp_path / "file" / "baseline.db") as store:
        assert not store.persistent
        assert "File exists" in store.says or "Not a directory" in store.says
        store.save_block(block()).result()


def test_a_disk_that_is_full_from_the_start_means_memory_and_is_tried_again_at_the_next(path: Path) -> None:
    with no_more_than(0), opened(path) as store:
        assert not store.persistent
        assert store.says.startswith(
            f"baselines are kept in memory alone, and are gone when this process ends: {path}: "
        )
        store.save_block(block()).result()
    with opened(path) as store:
        assert store.says == f"baselines are kept in {path}"


def test_a_file_is_read_though_the_disk_is_full_and_written_when_it_is_not(path: Path) -> None:
    with opened(path) as store:
        store.save_block(block()).result()
    with no_more_than(0):
        store = Store.open(path)
        assert store.persistent
        assert store.hours_of_current(START).result() == block().hours
        store.save_block(block(START + HOUR)).exception()
        assert store.failures == 1
    store.close()
    with opened(path) as store:
        assert store.hours_of_current(START + HOUR).result() == block(START + HOUR).hours


@contextmanager
def unprivileged() -> Iterator[None]:
    """Not root, for whom no permission counts."""
    before = os.geteuid()
    if not before:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_a_file_that_may_not_be_written_means_memory_and_is_left_as_it_is() -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "baseline.db"
        Store.open(path).close()
        before = path.read_bytes()
        path.chmod(0o444)
        path.parent.chmod(0o555)
        with unprivileged(), opened(path) as store:
            assert not store.persistent
            assert store.says.endswith(f"{path}: Permission denied")
        path.parent.chmod(0o755)
        assert path.read_bytes() == before


def test_a_migration_keeps_what_was_there_and_a_step_that_fails_changes_nothing(path: Path) -> None:
    with opened(path) as store:
        store.save_block(block()).result()
    column = "ALTER TABLE hours ADD COLUMN extra INTEGER NOT NULL DEFAULT 7"
    broken = (*STEPS, (column, "CREATE TABLE hours (id INTEGER)"))
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        connect(path, steps=broken)
    better = (*STEPS, (column,), ("CREATE TABLE later (id INTEGER PRIMARY KEY)",))
    connection = connect(path, steps=better)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(STEPS) + 2,)
    assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION,)
    assert connection.execute("SELECT count(*), sum(extra) FROM hours").fetchone() == (len(KEYS), 7 * len(KEYS))
    connection.close()
