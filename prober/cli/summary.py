"""The live summary of `prober demo`: a row for each cell, its layers in columns, its state since when, its blame."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from rich.live import Live
from rich.text import Text

from prober.cli.screen import DIM, RESULT_STYLES, SIGNS, Part, Screen
from prober.engine.board import Board, Entry, State
from prober.model import Run
from prober.reasons import Family, Layer, Reason, Result
from prober.units import human_seconds, human_span

_STATES = {State.OK: Result.OK, State.FAILED: Result.FAILED, State.UNKNOWN: Result.SKIPPED}
_FAMILY = {Family.IPV4: "4", Family.IPV6: "6"}
#: Seconds between two looks at the board; drawing is work for the loop that measures.
REFRESH = 0.5
#: Lines that are no rows: the head, the totals with a line before them, and the cursor's.
_FRAME = 4
#: Columns of layers: those of one height on the ladder share one. Title, layers, width.
_LAYERS = (
    ("dns", (Layer.DNS,), 8),
    ("icmp/tcp", (Layer.ICMP, Layer.TCP), 9),
    ("proxy", (Layer.PROXY,), 8),
    ("tls", (Layer.TLS,), 8),
    ("http/grpc", (Layer.HTTP, Layer.GRPC), 10),
)
_SINCE, _BLAME, _FIXED = 8, 20, 5
_NARROW = 100


class Summary:
    """Shows a board: redrawn in place on a terminal, else a line for each change.

    `faults` gives those switched on; `above` is how many lines of the terminal shall stay as they are.
    """

    def __init__(self, screen: Screen, board: Board, faults: Callable[[], Sequence[str]], above: int = 0) -> None:
        self._screen = screen
        self._board = board
        self._faults = faults
        self._frame = _FRAME + above
        self._told: dict[str, str] = {}
        self._began = False

    async def show(self, stop: asyncio.Event) -> None:
        """Look at the board again and again until `stop`."""
        if not self._screen.live:
            while not await _over(stop):
                self.tell()
            return
        with Live(self.table(), console=self._screen.console, auto_refresh=False, vertical_overflow="crop") as live:
            while not await _over(stop):
                live.update(self.table(), refresh=True)

    def table(self) -> Text:
        """The board as it is now; where not all of its rows fit, the failing ones come first."""
        entries = list(self._board.entries())
        room = max(5, self._screen.console.height - self._frame)
        shown = entries
        if len(entries) > room:
            shown = sorted(entries, key=lambda entry: entry.state is not State.FAILED)[: room - 1]
        layout = _Layout(self._screen.width)
        rows = [layout.head(), *(layout.row(entry) for entry in shown)]
        if len(shown) < len(entries):
            rows.append([(f"  and {len(entries) - len(shown)} more", DIM)])
        lines = [self._screen.text(*row, room=self._screen.width) for row in rows]
        return Text("\n").join([*lines, Text(), self._totals(entries)])

    def _totals(self, entries: Sequence[Entry]) -> Text:
        count = {state: sum(entry.state is state for entry in entries) for state in State}
        on = self._faults()
        waiting = f", {count[State.UNKNOWN]} not climbed yet" if count[State.UNKNOWN] else ""
        failed = count[State.FAILED]
        return self._screen.text(
            (f"{count[State.OK]} ok", "green"), ", ", (f"{failed} failed", "bold red" if failed else ""), waiting,
            (f" · faults on: {', '.join(on)}" if on else " · no fault on", "yellow" if on else DIM),
            (" · Ctrl-C stops", DIM), room=self._screen.width,
        )  # fmt: skip

    def tell(self) -> None:
        """Without a terminal: the totals once every cell was climbed, and a line for each change of a cell."""
        entries = list(self._board.entries())
        if not self._began:
            if not entries or any(entry.state is State.UNKNOWN for entry in entries):
                return
            self._began = True
            self._screen.show(self._totals(entries))
            self._told = {entry.cell.id: _story(entry) for entry in entries if entry.state is State.OK}
        for entry in entries:
            story = _story(entry)
            if entry.state is not State.UNKNOWN and self._told.get(entry.cell.id) != story:
                self._told[entry.cell.id] = story
                result = _STATES[entry.state]
                what = f"{SIGNS[result]} {entry.cell.id}  {story}"
                self._screen.line((f"{datetime.now(UTC):%H:%M:%S} ", DIM), (what, RESULT_STYLES[result]))
        self._screen.console.file.flush()


class _Layout:
    """Which columns `width` has room for, and the parts of each row."""

    def __init__(self, width: int) -> None:
        self.columns = _LAYERS if width >= _NARROW else tuple(column for column in _LAYERS if column[0] != "proxy")
        self.since = _SINCE if width >= _NARROW else 0
        self.cell = max(12, width - sum(column[2] for column in self.columns) - self.since - _BLAME - _FIXED)

    def head(self) -> list[Part]:
        """The titles."""
        layers = "".join(f"{title:>{width}}" for title, _, width in self.columns)
        since = f"{'since':>{self.since}}" if self.since else ""
        return [(f"  {'cell':<{self.cell}} ip{layers}{since}  blame", DIM)]

    def row(self, entry: Entry) -> list[Part]:
        """One cell."""
        run, result = entry.worst, _STATES[entry.state]
        name = _shortened(entry.cell.id.removesuffix(f"/{entry.cell.family}"), self.cell)
        probe, slash, rest = name.partition("/")
        since = ""
        if self.since and entry.since is not None:
            since = human_span((datetime.now(UTC) - entry.since).total_seconds())
        return [
            (f"{SIGNS[result]} ", RESULT_STYLES[result]),
            (probe, "bold"),
            (f"{slash}{rest}{' ' * (self.cell - len(name))}", ""),
            (f"  {_FAMILY[entry.cell.family]}", DIM),
            *(_square(run, layers, width) for _, layers, width in self.columns),
            (f"{since:>{self.since}}", DIM),
            (f"  {_blame(run)}", RESULT_STYLES[Result.FAILED]),
        ]


def _shortened(text: str, room: int) -> str:
    """`text` in at most `room` columns, its middle left out."""
    if len(text) <= room:
        return text
    tail = (room - 1) // 2
    return f"{text[: room - 1 - tail]}…{text[len(text) - tail :]}"


def _square(run: Run | None, layers: Sequence[Layer], width: int) -> Part:
    """One layer's time, or a sign for what was skipped, in `width` columns; blank where the ladder has no such rung."""
    outcome = next((o for o in run.outcomes if o.layer in layers), None) if run is not None else None
    if run is None or outcome is None:
        return " " * width, ""
    if outcome.result is Result.SKIPPED:
        return f"{'–' if outcome.reason is Reason.LITERAL else SIGNS[Result.SKIPPED]:>{width}}", DIM
    good = outcome.result is Result.OK or run.ok  # a failure that was expected is a success
    style = RESULT_STYLES[Result.OK] if good else RESULT_STYLES[Result.FAILED]
    return f"{human_seconds(outcome.seconds or 0.0):>{width}}", style


def _story(entry: Entry) -> str:
    return "ok" if entry.state is State.OK else _blame(entry.worst)


def _blame(run: Run | None) -> str:
    return f"{run.blame.layer} {run.blame.reason}" if run is not None and run.blame is not None else ""


async def _over(stop: asyncio.Event) -> bool:
    """Whether `stop` was set, `REFRESH` seconds from now at the latest."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), REFRESH)
    return stop.is_set()
