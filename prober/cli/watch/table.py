"""Where people read: a table that is drawn anew on a terminal, and lines for what changed anywhere else."""

from __future__ import annotations

from rich.text import Text

from prober.baseline.rolling import Standing, View
from prober.cli.baseline.moments import told, told_zone
from prober.cli.columns import fitted
from prober.cli.screen import ADVICE_STYLE, DIM, Part, Screen
from prober.cli.watch.picture import Picture, bad, both_ways, clock, headline, more_failures, name, verdict
from prober.cli.watch.rows import DROPPED, FAILED_HEAD, HEAD, LEFT, difference, failed_rows, rows, style

#: What was said of a view: its verdict.
Said = dict[View, str]


def table(screen: Screen, picture: Picture, *, ends: str = "") -> Text:
    """All of it: what is changed and how far it is, the headline, the table, failures, notes. `ends` says how it is
    ended."""
    room = screen.width
    lines: list[Text] = [
        screen.text((picture.change, "bold"), ("  ", ""), (picture.progress, "cyan"), (_span(picture), DIM), room=room)
    ]
    if picture.differ:
        lines += screen.text((f"changed against control: {picture.differ}", DIM)).wrap(screen.console, room)
    shown = "bold red" if picture.regressed else "bold"
    lines += [screen.text(), *screen.text((headline(picture), shown)).wrap(screen.console, room), screen.text()]
    told_rows = list(rows(picture))
    head, *body = fitted([HEAD, *(row for _, row in told_rows)], room, LEFT, DROPPED)
    lines.append(screen.text((head, DIM), room=room))
    lines += [
        screen.text((line, style(one)), room=room) for line, (one, _) in zip(body, told_rows, strict=True)
    ]  # fmt: skip
    lines += _failures(screen, picture)
    notes = [screen.text((f"· {note}", ADVICE_STYLE)).wrap(screen.console, room) for note in picture.notes]
    lines += [screen.text(), *(line for note in notes for line in note)] if notes else []
    if ends:
        lines += [screen.text(), screen.text((ends, DIM), room=room)]
    for line in lines:
        line.rstrip()
    return Text("\n").join(lines)


def _failures(screen: Screen, picture: Picture) -> list[Text]:
    told_rows = list(failed_rows(picture))
    if not told_rows:
        return []
    head, *body = fitted([FAILED_HEAD, *(row for _, row in told_rows)], screen.width, (0, 3))
    styles = ["bold red" if more_failures(one) else "" for one, _ in told_rows]
    lines: list[Part] = [(head, DIM), *zip(body, styles, strict=True)]
    return [screen.text(), *(screen.text(line, room=screen.width) for line in lines)]


def _span(picture: Picture) -> str:
    judged = f", judged to {clock(picture.until, picture.now)}" if picture.block is not None else ""
    return f"  since {told(picture.since)}{judged} {told_zone(picture.now)}"


class Lines:
    """Without a terminal: a line for each block, each verdict that is another, each node that moved, each new note."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._said: Said = {}
        self._notes: tuple[str, ...] = ()
        self._block: int | None = None
        self._told = False

    def tell(self, picture: Picture) -> None:
        """What is new since the last time."""
        at = clock(picture.now, picture.now)
        if not self._told:
            self._line(at, f"{picture.change}: {picture.progress}{_span(picture)}")
        for moved in picture.moved:
            self._line(at, f"{moved.node} moved from {moved.before} to {moved.now}: {picture.progress}")
        for note in picture.notes:
            if note not in self._notes:
                self._line(at, note, ADVICE_STYLE)
        both = both_ways(picture)
        if picture.block != self._block:
            layers = [f"{name(one.view, both=both)} {difference(one.difference)}" for one in picture.layers]
            self._line(clock(picture.until, picture.now), f"{', '.join(layers)}; {picture.progress}", DIM)
        for one in picture.standings:
            self._tell_verdict(picture, one, both=both)
        self._notes, self._block, self._told = picture.notes, picture.block, True
        self._screen.console.file.flush()

    def _tell_verdict(self, picture: Picture, one: Standing, *, both: bool) -> None:
        said, before = verdict(one), self._said.get(one.view)
        self._said[one.view] = said
        if said == before or (one.found is None and (before is None or one.view.part)):
            return
        part = f" of {one.view.part} {one.view.name}" if one.view.part else ""
        layer = name(View(one.view.layer, one.view.to_nodes), both=both)
        since = "" if one.found is None else f" since {clock(one.found.onset, picture.now)}"
        what = f"{layer}{part}: {said}{since}, {difference(one.difference)}"
        self._line(clock(picture.until, picture.now), what, "bold red" if bad(one) else style(one))

    def end(self, picture: Picture) -> None:
        """The whole table."""
        self._screen.line()
        self._screen.show(table(self._screen, picture))

    def _line(self, at: str, what: str, shown: str = "") -> None:
        self._screen.line((f"{at} ", DIM), (what, shown))
