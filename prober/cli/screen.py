"""Where people read: a console with our habits. Colour and redrawing only on a terminal, width 100 in a pipe."""

from __future__ import annotations

import sys
from typing import TextIO

from rich.console import Console, RenderableType
from rich.text import Text

from prober.reasons import Layer, Result

PIPE_WIDTH = 100
#: Our signs where the output cannot carry UTF-8: one character for one, so that columns stay.
_ASCII = str.maketrans(dict(zip("█▌▐✓✗◐·○…µ→×—–", "###+x%.o~u>x--", strict=True)))

#: The colour of each layer's bars and of the results. Names of the terminal's own palette, so that themes apply.
LAYER_STYLES: dict[Layer, str] = {
    Layer.DNS: "blue",
    Layer.ICMP: "cyan",
    Layer.TCP: "cyan",
    Layer.PROXY: "bright_blue",
    Layer.TLS: "magenta",
    Layer.HTTP: "green",
    Layer.GRPC: "green",
}
RESULT_STYLES: dict[Result, str] = {Result.OK: "green", Result.FAILED: "bold red", Result.SKIPPED: "bright_black"}
SIGNS: dict[Result, str] = {Result.OK: "✓", Result.FAILED: "✗", Result.SKIPPED: "·"}
#: Of several runs some held and some failed.
PARTLY_SIGN, PARTLY_STYLE = "◐", "bold yellow"
#: A failure that harms nobody.
ADVICE_SIGN, ADVICE_STYLE = "○", "yellow"
DIM = "bright_black"
#: Text and its style.
Part = tuple[str, str]


class Screen:
    """A console on `file` (default: stdout), and the text helpers that all views share."""

    def __init__(self, file: TextIO | None = None, *, console: Console | None = None) -> None:
        self.console = console or _console(file or sys.stdout)
        self._ascii = not self.console.encoding.lower().startswith("utf")

    @property
    def width(self) -> int:
        """Columns that a line may fill."""
        return self.console.width

    @property
    def live(self) -> bool:
        """Somebody watches: lines can be redrawn."""
        return self.console.is_terminal and not self.console.is_dumb_terminal

    def text(self, *parts: str | Part, room: int | None = None) -> Text:
        """Text from plain parts and (part, style) pairs, in signs that this console can show; cut to `room` columns."""
        text = Text.assemble(*parts)
        if room is not None:
            text.truncate(room, overflow="ellipsis")
        if self._ascii:
            text.plain = text.plain.translate(_ASCII).encode("ascii", "replace").decode("ascii")
        return text

    def line(self, *parts: str | Part) -> None:
        """Print one line as it is: never wrapped, never cut."""
        self.console.print(self.text(*parts), soft_wrap=True)

    def show(self, what: RenderableType) -> None:
        """Print anything that rich can render."""
        self.console.print(what)

    def paragraph(
        self, label: str, body: str, *, indent: int = 2, label_width: int = 11, label_style: str = DIM, style: str = ""
    ) -> None:
        """A label and wrapped text beside it, the text aligned under itself; no trailing spaces."""
        column = indent + label_width
        lines = self.text((body, style)).wrap(self.console, max(20, self.width - column))
        for number, line in enumerate(lines):
            line.rstrip()
            head = " " * indent + f"{label:<{label_width}}" if number == 0 else " " * column
            self.console.print(self.text((head, label_style)).append_text(line), soft_wrap=True)


class _Console(Console):
    """rich's console with two habits changed: plain text is never marked up, and a closed pipe is the caller's."""

    def __init__(self, file: TextIO, width: int | None = None) -> None:
        super().__init__(file=file, highlight=False, markup=False, emoji=False, width=width)

    def on_broken_pipe(self) -> None:
        """rich would end the process here."""
        raise BrokenPipeError


def _console(file: TextIO) -> Console:
    console = _Console(file)
    return console if console.is_terminal else _Console(file, PIPE_WIDTH)
