"""How far it is: bars on stderr, where somebody watches, and nothing anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from prober.cli.screen import Screen

T = TypeVar("T")
#: Of fewer there is no share that is done.
_FEW = 2


def steps(things: Sequence[T], what: str) -> Iterator[T]:
    """Each of them, with a bar that moves."""
    with bar(what) as moved:
        for number, thing in enumerate(things):
            moved(number, len(things))
            yield thing


@contextmanager
def bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar to be told how many of how many are done; until then, and of one alone, it says that something goes on."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    screen = Screen(sys.stderr)
    progress = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=screen.console, transient=True, disable=not screen.live,
    )  # fmt: skip
    task = progress.add_task(what, total=None)

    def moved(done: int, whole: int) -> None:
        if whole >= _FEW:
            progress.update(task, completed=done, total=whole)

    with progress:
        yield moved
