"""Killed at any moment, a store has every block that it said was written, and of the next one all or nothing."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from prober.baseline.store import Store
from prober.baseline.values import BLOCK, BLOCKS, HOUR, Hour
from tests.support.hours import START
from tests.support.store_writer import KEYS, next_block, number_of, one_block, open_store, state

ROUNDS = 200
ROOT = Path(__file__).parents[2]


@cache
def so_far(number: int, series: int) -> Hour:
    """What a series has of the hour of block `number` after it."""
    block = one_block(number, series)
    return block if number % BLOCKS == 0 else so_far(number - 1, series).merged(block)


def check_whole(store: Store, number: int, since: int = 0) -> None:
    """Block `number` is the newest, and all of it is there; nothing of those from `since` on is missing."""
    assert store.persistent, store.says
    assert "damaged" not in store.says
    saved = store.load_state().result()
    assert saved is not None
    assert saved[1] == state(number)
    for newest in {number, number // BLOCKS * BLOCKS - 1} - {-1}:
        wanted = {key: so_far(newest, n) for n, key in enumerate(KEYS)}
        assert store.hours_of_current(wanted[KEYS[0]].start).result() == wanted
    (*_, told) = store.regressions(START + number * BLOCK - HOUR).result()
    assert told.evidence == number
    found = store.shifts(START + since * BLOCK, float("inf")).result()
    assert [one.start for one in found] == [START + at * BLOCK for at in range(since, number + 1)]
    assert {one.series for one in found} == {KEYS}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "baseline.db"


@pytest.fixture
def writer(path: Path) -> Iterator[subprocess.Popen[str]]:
    seed = str(random.SystemRandom().randrange(10**6))
    print(f"seed {seed}")
    command = [sys.executable, "-m", "tests.support.store_writer", str(path), seed]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # no thread but ours may be there at a fork
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        yield parent
        parent.stdin.close()
    assert parent.returncode == 0


def killed_once(writer: subprocess.Popen[str], draw: random.Random) -> int | None:
    """Let it write a few blocks, kill it a random moment later; the last block that it announced."""
    writer.stdin.write("go\n")
    writer.stdin.flush()
    child = int(writer.stdout.readline())
    last = None
    for _ in range(draw.choice((0, 0, 0, 1, 2, 4))):
        last = int(writer.stdout.readline())
    time.sleep(draw.uniform(0, 0.015))  # not for anything to happen: the moment is what is drawn
    os.kill(child, signal.SIGKILL)
    while (line := writer.stdout.readline()) != "dead\n":
        last = int(line)
    return last


def test_in_200_rounds_of_kill_9_no_block_that_was_announced_is_lost_and_none_is_there_by_half(
    path: Path, writer: subprocess.Popen[str]
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed of the moments {seed}")
    draw = random.Random(seed)
    announced = -1
    for _ in range(ROUNDS):
        last = killed_once(writer, draw)
        announced = announced if last is None else last
        store = open_store(path)
        number = number_of(store)
        assert number in (announced, announced + 1)
        if number >= 0:
            check_whole(store, number, max(0, announced - 2))
        store.close()
        announced = number
    store = open_store(path)
    check_whole(store, announced)
    store.close()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()
    assert announced > ROUNDS / 2


@pytest.mark.parametrize("damage", ["cut", "garbled"])
def test_a_log_that_lost_its_end_with_the_power_still_gives_whole_blocks(path: Path, damage: str) -> None:
    """What the disk had not kept is gone from some block on: never half a block, never one in the middle."""
    last = 12
    store = open_store(path)
    for number in range(last + 1):
        before = store.hours_of_current((START + number * BLOCK) // HOUR * HOUR).result()
        store.save_block(next_block(before, number)).result()
    log = path.with_name("baseline.db-wal")
    whole, kept = path.read_bytes(), log.read_bytes()
    store.close()
    draw, found = random.Random(damage), []
    for at in sorted({*draw.sample(range(len(kept)), 25), len(kept)}):
        path.write_bytes(whole)
        log.write_bytes(kept[:at] if damage == "cut" else kept[:at] + bytes(len(kept) - at))
        store = open_store(path)
        found.append(number_of(store))
        if found[-1] >= 0:
            check_whole(store, found[-1])
        store.close()
    assert found == sorted(found)
    assert found[-1] == last
    assert len(set(found)) > last / 2
