"""A process that writes blocks into a store until it is killed, one after another from the same warm parent.

`python -m tests.support.store_writer PATH SEED`: for each line on stdin the parent forks a child, which writes its
pid, then the number of each block once the store has said that it is written, each as a line; after a few blocks it
closes the store and opens it again, so that every moment of a store's life is there to be killed in. When the child
is dead the parent says `dead`.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import numpy as np

from prober.baseline.sketch import BINS, Sketch
from prober.baseline.store import Block, Retention, State, Store
from prober.baseline.values import BLOCK, BLOCKS, HOUR, Hour, SeriesKey
from tests.support.hours import START, key, regression, shifts

KEYS = tuple(key(n) for n in range(20))
#: Short, so that what is too old is deleted and its room given back while blocks are written.
RETENTION = Retention(hours=12 * HOUR, shifts=10**9)


def one_block(number: int, series: int) -> Hour:
    """What a series did in a block, by itself."""
    start = START + number * BLOCK
    bins = np.unique([(series * 7 + number) % BINS, (series + number * 13) % BINS])
    covered = 1 << start % HOUR // BLOCK
    return Hour(start // HOUR * HOUR, Sketch(bins, bins * 0 + number % 5 + 1), {"timeout": number % 3 + 1}, covered)


def state(number: int) -> State:
    """What the detectors would have kept after a block: it spans pages."""
    return State(1, f"{number}.".encode() * 2000)


def open_store(path: Path) -> Store:
    """The store as the writer has it."""
    return Store.open(path, retention=RETENTION, patience=20.0)


def next_block(before: dict[SeriesKey, Hour], number: int) -> Block:
    """The block of this number; `before` is what the hour has so far."""
    start = START + number * BLOCK
    hours = {one: one_block(number, n) for n, one in enumerate(KEYS)}
    merged = {one: before[one].merged(hour) if one in before else hour for one, hour in hours.items()}
    told = regression(KEYS[number // BLOCKS % len(KEYS)], START + number // BLOCKS * HOUR, evidence=float(number))
    return Block(start, merged, shifts(start, KEYS), state(number), (told,))


def number_of(store: Store) -> int:
    """The newest block's; -1 where there is none."""
    saved = store.load_state().result()
    return -1 if saved is None else (saved[0] - START) // BLOCK


def write_on(path: Path, draw: random.Random) -> None:
    """Until killed."""
    while True:
        store = open_store(path)
        number = number_of(store)
        for _ in range(draw.randint(1, 8)):
            number += 1
            start = START + number * BLOCK
            before = store.hours_of_current(start // HOUR * HOUR).result()
            store.save_block(next_block(before, number)).result()
            os.write(1, f"{number}\n".encode())
        store.close()


def main() -> None:
    """The warm parent."""
    path, draw = Path(sys.argv[1]), random.Random(int(sys.argv[2]))
    next_block({}, 0)  # what is imported at first use is not imported by every child
    for _ in sys.stdin:
        seed = draw.random()
        child = os.fork()
        if not child:
            os.write(1, f"{os.getpid()}\n".encode())
            write_on(path, random.Random(seed))
        os.waitpid(child, 0)
        os.write(1, b"dead\n")


if __name__ == "__main__":
    main()
