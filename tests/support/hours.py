"""Series, hours, blocks and recordings that tests of baselines are made of. The same for the same arguments."""

from __future__ import annotations

import resource
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from prober.baseline.sketch import Sketch
from prober.baseline.store import Block, Shifts, Store
from prober.baseline.values import (
    BLOCK,
    BLOCKS,
    HOUR,
    Channel,
    Direction,
    Hour,
    Level,
    Origin,
    Recording,
    Regression,
    SeriesKey,
)

#: A whole hour, and the beginning of a day, in Unix seconds.
START = 1_795_737_600
DAY = 24 * HOUR
#: Every block of an hour.
ALL = (1 << BLOCKS) - 1
ORIGIN = Origin("node-a", "node-a", "eu-1a", "eu-1", {"kernel": "6.12.8"})


def key(number: int = 0, layer: str = "tcp") -> SeriesKey:
    """One of any number of series, each of a cell of its own."""
    return SeriesKey("web", f"target-{number}", "service", "ipv4", layer)


#: Five of them.
KEYS = [key(n) for n in range(5)]


def hour(
    start: int, runs: int = 60, *, seconds: float = 0.001, covered: int = (1 << BLOCKS) - 1, seed: int = 0
) -> Hour:
    """An hour of as many successes and two failures."""
    drawn = np.random.default_rng((seed, start)).lognormal(np.log(seconds), 0.1, runs)
    return Hour(start, Sketch.of(drawn), {"timeout": 1, "refused": 1}, covered)


def shifts(start: int, keys: Iterable[SeriesKey]) -> Shifts:
    """Of these series in one block."""
    series = tuple(keys)
    drawn = np.random.default_rng(start).normal(0, 0.1, (2, len(series))).astype(np.float32)
    ones = np.ones(len(series), np.int64)
    return Shifts(start, series, 40 * ones, 2 * ones, drawn[0], drawn[1])


def regression(subject: SeriesKey | str, onset: float, **changed: object) -> Regression:
    """A suspect, open unless told otherwise."""
    fields: dict[str, object] = {
        "layer": "tcp",
        "channel": Channel.LOCATION,
        "level": Level.SUSPECT,
        "direction": Direction.REGRESSED,
        "since": onset + BLOCK,
        "evidence": 1.2,
        "size": None,
        "baseline": "healthy v1",
    }
    return Regression(subject=subject, onset=onset, **(fields | changed))  # type: ignore[arg-type] # a table of fields


def recording(
    label: str = "healthy", series: int = 2, hours: int = 48, *, version: int = 1, seed: int = 0
) -> Recording:
    """A good one of as many series and hours, from `START` on."""
    held = {key(n): tuple(hour(START + h * HOUR, seed=100 * seed + n) for h in range(hours)) for n in range(series)}
    settings = {one.cell: "a1" for one in held}
    until = START + hours * HOUR
    return Recording(label, ORIGIN, float(START), float(until), until + 5.0, version, held, settings)


def filled(store: Store, recorded: Recording) -> Store:
    """The store, after it has been told all hours of the recording, one block for each hour."""
    for at in range(int(recorded.since), int(recorded.until), HOUR):
        hours = {one: h for one, held in recorded.series.items() for h in held if h.start == at}
        store.save_block(Block(at + HOUR - BLOCK, hours)).result()
    return store


@contextmanager
def opened(path: Path | None, **options: object) -> Iterator[Store]:
    """The store at this path, or in memory, closed at the end. Waits for no lock."""
    store = Store.open(path, **({"patience": 0.0} | options))  # type: ignore[arg-type] # options of open
    try:
        yield store
    finally:
        store.close()


def block(start: int = START, **parts: object) -> Block:
    """A block of five series."""
    hours = {one: hour(start // HOUR * HOUR, seed=n) for n, one in enumerate(KEYS)}
    return Block(start, hours, **parts)  # type: ignore[arg-type] # parts of a block


@contextmanager
def no_more_than(size: int) -> Iterator[None]:
    """No file of this process may grow beyond this many bytes: what a full disk does to it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
