"""A comparison as Markdown, for a change ticket: what came out, the table, what was compared. In UTC. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from prober.baseline.compare import Row
from prober.cli.baseline.moments import length
from prober.cli.baseline.notes import by_chance, left_out, next_steps, too_short
from prober.cli.baseline.report import Report
from prober.cli.baseline.rows import HEAD, told_row
from prober.cli.baseline.sentences import climbing, improved, named, sentences, worst_first
from prober.cli.baseline.sides import Side


def as_markdown(report: Report) -> str:
    """The whole ticket."""
    return "\n".join(_lines(report))


def _lines(report: Report) -> Iterator[str]:
    comparison = report.comparison
    yield f"## Latencies: {_safe(report.before.name)} → {_safe(report.after.name)}"
    yield ""
    found = sentences(comparison, report.origins)
    yield f"**{'Regressed' if comparison.regressed else 'Nothing is worse'}.**"
    if found:
        yield ""
    for one in found:
        yield f"- {_safe(one.told('' if one.onset is None else f'since {_when(one.onset)} UTC'))}"
    if better := improved(comparison, report.origins):
        yield ""
        yield f"Faster: {'; '.join(_safe(one.told('')) for one in better)}."
    yield ""
    yield from _table("layer", [(row.layer, row) for row in climbing(comparison.layers)])
    for kind, why in report.rows_by:
        yield ""
        yield f"### By {kind}"
        yield ""
        if why:
            yield f"{why[0].upper()}{why[1:]}."
        elif kind == "series":
            rows = worst_first(comparison.series)
            names = named(comparison, rows)
            yield from _table("layer, series", [(f"{r.layer}, {n}", r) for n, r in zip(names, rows, strict=True)])
        else:
            rows = worst_first(comparison.parts[kind])
            yield from _table(f"layer, {kind}", [(f"{row.layer}, {row.name}", row) for row in rows])
    yield ""
    yield from _sides(report.before, report.after)
    for notes in (too_short(report), by_chance(report), left_out(report), next_steps(report)):
        if notes:
            yield ""
        yield from (f"- {_safe(note)}" for note in notes)


def _table(what: str, rows: Sequence[tuple[str, Row]]) -> Iterator[str]:
    """A row for each; times in UTC."""
    yield f"| {what} | {' | '.join(HEAD[:5])} | since (UTC) | slowest hour |"
    yield f"|---|{'---:|' * 4}---|---|---|"
    for name, row in rows:
        told = told_row(row, _when)
        worse = [f"**{told.verdict}**" if row.bad and row.sure else told.verdict, told.since, told.slowest]
        yield f"| {' | '.join([_safe(name), *told[:4], *worse])} |"


def _sides(before: Side, after: Side) -> Iterator[str]:
    """What was compared; bold is what differs of what ran."""
    yield "| | before | after |"
    yield "|---|---|---|"
    yield f"| what | {_safe(before.name)} | {_safe(after.name)} |"
    yield f"| window | {_window(before)} | {_window(after)} |"
    yield f"| vantages | {_vantages(before)} | {_vantages(after)} |"
    was, now = before.about, after.about
    for key in sorted({*was, *now}):
        then, there = (_safe(", ".join(side.get(key, ()))) for side in (was, now))
        bold = then and there and then != there
        yield f"| {_safe(key)} | {then or '–'} | {f'**{there}**' if bold else there or '–'} |"


def _window(side: Side) -> str:
    since, until = (datetime.fromtimestamp(at, UTC) for at in (side.since, side.until))
    return f"{since:%Y-%m-%d %H:%M} – {until:%Y-%m-%d %H:%M} UTC ({length(side.since, side.until)})"


def _vantages(side: Side) -> str:
    shown = side.vantages[:5]
    more = f" and {len(side.vantages) - len(shown)} more" if len(side.vantages) > len(shown) else ""
    return _safe(", ".join(shown) + more)


def _when(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}"


def _safe(text: str) -> str:
    """`text` in a cell of a table: no bar ends it, no markup is read out of it."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*") if text else text
