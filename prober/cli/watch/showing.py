"""How pictures are shown: drawn anew on a terminal, as lines elsewhere, as events to machines; a file at the end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from rich.live import Live

from prober.cli.configured import UsageError
from prober.cli.machine import emit
from prober.cli.screen import Screen
from prober.cli.watch.machine import Events, markdown
from prober.cli.watch.picture import Picture
from prober.cli.watch.table import Lines, table


class Showing(Protocol):
    """Somebody who wants to know."""

    def show(self, picture: Picture) -> None:
        """After each look."""
        ...

    def end(self, picture: Picture, code: int) -> None:
        """Once, with the exit code."""
        ...


@contextmanager
def shown(output: str) -> Iterator[Showing]:
    """What fits `output` (`text` or `json`) and where it goes."""
    screen = Screen()
    if output == "json":
        yield _Machine()
    elif not screen.live:
        yield _Lines(screen)
    else:
        with Live(console=screen.console, auto_refresh=False, transient=True, vertical_overflow="crop") as live:
            yield _Drawn(screen, live)


@contextmanager
def asking() -> Iterator[None]:
    """Says on a terminal that it takes a moment."""
    screen = Screen(sys.stderr)
    if not screen.live:
        yield
        return
    with screen.console.status("asking the probers what was measured before"):
        yield


def write_markdown(path: Path, picture: Picture) -> None:
    """The summary as a file. UsageError with what the system said."""
    try:
        path.write_text(markdown(picture), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"prober: {path} can't be written: {error.strerror}") from None


class _Drawn:
    def __init__(self, screen: Screen, live: Live) -> None:
        self._screen, self._live = screen, live

    def show(self, picture: Picture) -> None:
        self._live.update(table(self._screen, picture, ends="Ctrl-C ends"), refresh=True)

    def end(self, picture: Picture, _code: int) -> None:
        self._live.stop()
        self._screen.show(table(self._screen, picture))


class _Lines:
    def __init__(self, screen: Screen) -> None:
        self._lines = Lines(screen)

    def show(self, picture: Picture) -> None:
        self._lines.tell(picture)

    def end(self, picture: Picture, _code: int) -> None:
        self._lines.end(picture)


class _Machine:
    def __init__(self) -> None:
        self._events = Events()

    def show(self, picture: Picture) -> None:
        for event in self._events.of(picture):
            emit(event)

    def end(self, picture: Picture, code: int) -> None:
        emit(self._events.end(picture, code))
