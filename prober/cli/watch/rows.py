"""The rows of the table, as text: for the terminal, for lines, for Markdown. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from prober.baseline.rolling import Share, Standing
from prober.baseline.values import BLOCKS, Direction, Level, Size
from prober.cli.watch.picture import Picture, both_ways, clock, more_failures, name, verdict
from prober.units import human_change, human_share

HEAD: Final = ("layer", "changed", "control", "difference (95 %)", "verdict", "since", "hours", "would see")
#: Columns of text.
LEFT: Final = (0, 4)
#: Columns that are left out where there is no room, first to last.
DROPPED: Final = (7, 6, 1, 2)
FAILED_HEAD: Final = ("failed runs", "changed", "control", "")


def rows(picture: Picture, *, indent: str = "  ") -> Iterator[tuple[Standing, tuple[str, ...]]]:
    """A row for each layer, below it one for each part in which something was found."""
    both = both_ways(picture)
    for layer in picture.layers:
        yield layer, _row(layer, name(layer.view, both=both), picture.now)
        for part in picture.parts(layer.view):
            yield part, _row(part, f"{indent}{name(part.view, both=both)}", picture.now)


def failed_rows(picture: Picture) -> Iterator[tuple[Standing, tuple[str, ...]]]:
    """A row for each layer in which a run failed on some side."""
    both = both_ways(picture)
    for layer in picture.layers:
        if any(share.failed for share in layer.failed):
            sides = (_failed(share) for share in layer.failed)
            yield layer, (name(layer.view, both=both), *sides, "more" if more_failures(layer) else "")


def style(one: Standing) -> str:
    """How a row is coloured: names of the terminal's palette."""
    if one.found is None:
        return ""
    if one.found.direction is Direction.IMPROVED:
        return "green"
    return "bold red" if one.found.level is Level.CONFIRMED else "yellow"


def difference(size: Size | None) -> str:
    """`+3.1 % (+2.3 to +3.9)`."""
    if size is None:
        return "–"
    low, high = (human_change(bound).removesuffix(" %") for bound in (size.lower, size.upper))
    return f"{human_change(size.change)} ({low} to {high})"


def _row(one: Standing, called: str, now: float) -> tuple[str, ...]:
    sides = ("–" if math.isnan(side) else human_change(side) for side in (one.changed, one.control))
    since = clock(one.found.onset, now) if one.found is not None else ""
    sees = human_change(one.smallest) if math.isfinite(one.smallest) else "–"
    return called, *sides, difference(one.difference), verdict(one), since, f"{one.blocks / BLOCKS:.1f}", sees


def _failed(share: Share) -> str:
    """`2.9 % (2.5 to 3.4 %)`."""
    if not share.runs:
        return "–"
    low, high = (human_share(round(bound, 6)) for bound in share.interval)
    return f"{human_share(share.failed / share.runs)} ({low.removesuffix(' %')} to {high})"
