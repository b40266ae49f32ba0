"""Bytes from the network as hypothesis makes them: the same few each time in CI, as many as asked for by hand."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from time import thread_time

from hypothesis import settings
from hypothesis import strategies as st

#: Examples of each test instead of the few of CI, at random: `PROBER_FUZZ=20000`, or `make fuzz`.
ASKED = int(os.environ.get("PROBER_FUZZ") or 0)
#: Seconds of CPU that one example may take, and bytes of text that may come of it.
MOST_TIME, MOST_TEXT = 1.0, 64 * 1024


def fuzzed(examples: int) -> settings:
    """The settings of a test: `examples` in CI, beside what all property tests share (`tests/conftest.py`)."""
    return settings(max_examples=ASKED or examples)


class Recorded:
    """A stream whose peer says `pieces` and ends."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = [piece for piece in pieces if piece]

    async def receive(self, max_bytes: int = 65536) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    async def send(self, data: bytes) -> None:
        """Taken and forgotten."""

    def close(self) -> None:
        """Nothing to close."""


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """What happens inside takes no longer than MOST_TIME."""
    began = thread_time()
    yield
    assert thread_time() - began < MOST_TIME


def damaged(*seeds: bytes) -> st.SearchStrategy[bytes]:
    """One of `seeds` with up to six places overwritten, cut or grown; now and then bytes of no origin at all."""
    edit = st.tuples(st.integers(0, max(map(len, seeds))), st.binary(max_size=6), st.integers(0, 8))

    def apply(seed: bytes, edits: list[tuple[int, bytes, int]]) -> bytes:
        for position, more, fewer in edits:
            seed = seed[:position] + more + seed[position + fewer :]
        return seed

    changed = st.builds(apply, st.sampled_from(seeds), st.lists(edit, max_size=6))
    return st.one_of(changed, changed, changed, st.binary(max_size=200))


def in_pieces(data: st.SearchStrategy[bytes]) -> st.SearchStrategy[list[bytes]]:
    """`data` as two reads, cut anywhere."""
    return st.builds(lambda whole, cut: [whole[:cut], whole[cut:]], data, st.integers(0, 60))
