"""Rows as lines whose columns stand below each other. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence


def aligned(rows: Sequence[Sequence[str]], left: Collection[int] = ()) -> list[str]:
    """A line for each row, two spaces between columns; those in `left` begin below each other, the others end so."""
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            part.ljust(width) if n in left else part.rjust(width)
            for n, (part, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def fitted(
    rows: Sequence[Sequence[str]], room: int, left: Collection[int] = (), dropped: Iterable[int] = ()
) -> list[str]:
    """The same in `room` columns of text, as far as that can be had without the columns `dropped`, first to last."""
    kept = list(range(len(rows[0]))) if rows else []
    order = iter(dropped)
    while True:
        chosen = [[row[n] for n in kept] for row in rows]
        lines = aligned(chosen, [kept.index(n) for n in left if n in kept])
        if max(map(len, lines), default=0) <= room or (column := next(order, None)) is None:
            return lines
        kept.remove(column)
