"""The event log: which line comes when, and a reader that is slow or gone."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

import prober.export.events as events_module
from prober.export.events import Choice, EventLog
from prober.export.lines import LineWriter
from prober.model import Vantage
from prober.reasons import Kind, Layer, Reason
from tests.support.runs import failed_run, good_run, named

VANTAGE = Vantage("node-a", zone="eu-1a")
CELL = named(Kind.TCP, "tcp", "l4/web/service")
GOOD, BAD = good_run(CELL), failed_run(CELL, Layer.TCP, Reason.REFUSED)


def said(tmp_path: Path, choice: Choice, say: Callable[[EventLog], None]) -> list[dict[str, Any]]:
    """What `say` made the log write."""
    path = tmp_path / "events"
    with path.open("wb") as out:
        log = EventLog(LineWriter(out.fileno()), VANTAGE, choice)
        say(log)
        log.close()
    return [json.loads(line) for line in path.read_text().splitlines()]


def everything(log: EventLog) -> None:
    log.started(version="1", config="abc", cells=1)
    log.runs((GOOD,))
    log.failed(BAD, BAD.started_at)
    log.runs((BAD,))
    log.recovered(GOOD, GOOD.started_at, BAD.started_at)
    log.reloaded(config="def", cells=2, added=1, removed=0, changed=0)
    log.reload_failed(["probes.yaml:1:1: no"])
    log.missed("overrun", 2)
    log.missed("overrun", 1)
    log.stopped(cancelled=1)


CHANGES = ["started", "cell_failed", "cell_recovered", "reloaded", "reload_failed", "runs_missed", "stopped"]


@pytest.mark.parametrize(
    ("choice", "events"),
    [
        (Choice.NONE, []),
        (Choice.CHANGES, CHANGES),
        (Choice.FAILURES, [*CHANGES[:2], "run", *CHANGES[2:]]),
        (Choice.ALL, ["started", "run", "cell_failed", "run", *CHANGES[2:]]),
    ],
)
def test_each_choice_writes_its_events(tmp_path: Path, choice: Choice, events: list[str]) -> None:
    assert [line["event"] for line in said(tmp_path, choice, everything)] == events


def test_the_lines_of_changes_carry_the_run_and_since_when(tmp_path: Path) -> None:
    lines = {line["event"]: line for line in said(tmp_path, Choice.CHANGES, everything)}
    failed, recovered = lines["cell_failed"], lines["cell_recovered"]
    assert failed["since"] == failed["run"]["started_at"] == "2026-11-22T10:00:00.123456Z"
    assert failed["run"]["blame"] == {"layer": "tcp", "reason": "refused"}
    assert failed["run"]["vantage"]["zone"] == "eu-1a"
    assert (recovered["run"]["ok"], recovered["failed_since"]) == (True, failed["since"])
    assert lines["started"] | {"at": ""} == {"event": "started", "at": "", "version": "1", "config": "abc", "cells": 1}
    assert lines["runs_missed"]["missed"] == {"overrun": 3}
    assert lines["reload_failed"]["errors"] == ["probes.yaml:1:1: no"]


def test_missed_runs_are_summed_up_at_most_once_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(events_module, "monotonic", lambda: now)

    def say(log: EventLog) -> None:
        nonlocal now
        log.tick()
        for _ in range(150):
            log.missed("saturated", 1)
            log.tick()
            now += 1

    sums = [line["missed"] for line in said(tmp_path, Choice.CHANGES, say)]
    assert sums == [{"saturated": 1}, {"saturated": 60}, {"saturated": 60}]


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe whose ends may be closed by the test."""
    reading, writing = os.pipe()
    yield reading, writing
    for end in (reading, writing):
        try:
            os.close(end)
        except OSError:
            continue


def test_a_reader_that_does_not_read_blocks_nobody_and_costs_lines(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    writer = LineWriter(writing, capacity=10)
    log = EventLog(writer, VANTAGE)
    began = monotonic()
    for _ in range(1000):
        log.reload_failed(["x" * 1000])  # a megabyte into a pipe of 64 kB
    assert monotonic() - began < 2
    dropped = log.newly_dropped()
    assert dropped > 500
    assert log.newly_dropped() == 0
    began = monotonic()
    writer.close(timeout=0.1)
    assert monotonic() - began < 1
    drained = threading.Thread(target=lambda: [None for _ in iter(lambda: os.read(reading, 65536), b"")])
    drained.start()
    writer._queue.put(None)
    writer._thread.join(5)
    os.close(writing)
    drained.join(5)
    assert not drained.is_alive()


def test_a_reader_that_has_gone_costs_lines_and_is_told_once(
    pipe: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    reading, writing = pipe
    os.close(reading)
    writer = LineWriter(writing)
    log = EventLog(writer, VANTAGE)
    for _ in range(3):
        log.stopped(cancelled=0)
    log.close()
    assert log.newly_dropped() == 3
    assert caplog.text.count("the event log ends here") == 1


def test_a_descriptor_that_does_not_block_loses_no_line(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.set_blocking(writing, False)
    writer = LineWriter(writing)
    lines = [f"{n:05} " + "x" * 500 for n in range(2000)]
    for line in lines:
        writer.write(line)
    received = bytearray()
    while received.count(b"\n") < len(lines):
        received += os.read(reading, 65536)
    writer.close()
    assert received.decode().splitlines() == lines
    assert writer.dropped == 0
