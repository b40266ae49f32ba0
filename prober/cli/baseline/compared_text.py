"""A comparison on a screen: what was compared, a row for each layer, what got worse, what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prober.baseline.compare import Finding, Row
from prober.cli.baseline.moments import length, told, told_hour, told_span, told_zone
from prober.cli.baseline.notes import by_chance, left_out, next_steps, too_short
from prober.cli.baseline.report import Report
from prober.cli.baseline.rows import HEAD, told_row
from prober.cli.baseline.sentences import climbing, improved, named, sentences, worst_first
from prober.cli.baseline.sides import Side
from prober.cli.columns import fitted
from prober.cli.screen import ADVICE_SIGN, ADVICE_STYLE, DIM, RESULT_STYLES, SIGNS, Part, Screen
from prober.reasons import Result

_GOOD, _BAD = RESULT_STYLES[Result.OK], RESULT_STYLES[Result.FAILED]
#: The longest name that stands on the line of its figures.
_NAME = 24
#: Columns that are left out where a line is too long, the first one first: slowest, since, interval.
_DROPPED = (7, 6, 4)


def tell(screen: Screen, report: Report) -> None:
    """All of it."""
    comparison = report.comparison
    _side(screen, "before", report.before)
    _side(screen, "after", report.after)
    screen.line()
    _table(screen, "layer", [(row.layer, row) for row in climbing(comparison.layers)])
    for kind, why in report.rows_by:
        screen.line()
        if why:
            screen.line((why, DIM))
        else:
            _table(screen, f"by {kind}", list(_named(report, kind)))
    screen.line()
    _found(screen, report)
    notes_of = (
        ("too short", too_short(report)), ("by chance", by_chance(report)), ("left out", left_out(report)),
        ("next", next_steps(report)),
    )  # fmt: skip
    for label, notes in notes_of:
        for note in notes:
            screen.paragraph(label, note)
            label = ""


def _side(screen: Screen, label: str, side: Side) -> None:
    vantages = side.vantages
    where = vantages[0] if len(vantages) == 1 else f"{len(vantages)} vantages"
    screen.line((f"{label:<8}", DIM), (side.name, "bold"), f" at {where}")
    span = f"{told_span(side.since, side.until)} {told_zone(side.until)} ({length(side.since, side.until)})"
    screen.paragraph("", span, indent=8, label_width=0)
    if side.about:
        about = ", ".join(f"{key} {' or '.join(values)}" for key, values in side.about.items())
        screen.paragraph("", about, indent=8, label_width=0, style=DIM)


def _named(report: Report, kind: str) -> Iterator[tuple[str, Row]]:
    """The rows of a kind, worst first, with what they are called."""
    if kind == "series":
        rows = worst_first(report.comparison.series)
        names = named(report.comparison, rows)
        yield from ((f"{row.layer} {name}", row) for name, row in zip(names, rows, strict=True))
    else:
        yield from ((f"{row.layer} {row.name}", row) for row in worst_first(report.comparison.parts[kind]))


def _table(screen: Screen, what: str, rows: Sequence[tuple[str, Row]]) -> None:
    """A line for each row; long names stand above their figures."""
    long = any(len(name) > _NAME for name, _ in rows)
    cells = [(what, *HEAD), *(("" if long else name, *told_row(row, told_hour)) for name, row in rows)]
    head, *lines = fitted(cells, screen.width - 2, left=(0, 5), dropped=_DROPPED)
    screen.line((f"  {head}", DIM))
    for line, (name, row) in zip(lines, rows, strict=True):
        sign, style = _sign(row)
        if long:
            screen.line((f"{sign} ", style), name)
            screen.line((f"  {line}", style))
        else:
            screen.line((f"{sign} {line}", style))


def _sign(row: Row) -> Part:
    if row.bad:
        return (SIGNS[Result.FAILED], _BAD) if row.sure else (ADVICE_SIGN, ADVICE_STYLE)
    if row.finding is Finding.UNKNOWN:
        return SIGNS[Result.SKIPPED], DIM
    return SIGNS[Result.OK], _GOOD if row.finding is Finding.FASTER else ""


def _found(screen: Screen, report: Report) -> None:
    """What got worse, a sentence each; then what got faster."""
    found = sentences(report.comparison, report.origins)
    for one in found:
        since = "" if one.onset is None else f"since {told(one.onset)}"
        screen.paragraph(SIGNS[Result.FAILED], f"{one.told(since)}.", indent=0, label_width=2, label_style=_BAD)
    if not found:
        sign = SIGNS[Result.OK]
        screen.paragraph(sign, "Nothing is worse.", indent=0, label_width=2, label_style=_GOOD, style="bold")
    for one in improved(report.comparison, report.origins):
        screen.paragraph(SIGNS[Result.OK], f"{one.told('')}.", indent=0, label_width=2, label_style=_GOOD)
