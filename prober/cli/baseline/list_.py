"""`prober baseline list`: the baselines of each vantage."""

from __future__ import annotations

import argparse
import json
import time

from prober.cli.baseline.kept import as_json
from prober.cli.baseline.moments import length, told_span, told_zone
from prober.cli.baseline.options import add_output, add_probers, probers_of
from prober.cli.baseline.probers import Kept, Prober, each
from prober.cli.columns import fitted
from prober.cli.exits import OK
from prober.cli.machine import emit
from prober.cli.screen import DIM, Screen

_HEAD = ("label", "version", "vantage", "from – to", "length", "series", "active")


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `prober baseline list`."""
    add_output(parser)
    add_probers(parser)


def run(args: argparse.Namespace) -> int:
    """0."""
    probers = probers_of(args)
    answers = each(probers, "asking", Prober.list)
    listed = [kept for answer in answers for kept in answer.baselines]
    if args.output == "json":
        emit(json.dumps({"baselines": [as_json(kept) for kept in listed]}, ensure_ascii=False))
        return OK
    screen = Screen()
    if listed:
        _table(screen, listed)
    else:
        screen.line("no baseline was recorded yet: prober baseline record --label LABEL")
    for prober, answer in zip(probers, answers, strict=True):
        if not answer.persistent:
            screen.line((f"{prober.url}: {answer.store}", DIM))
    return OK


def _table(screen: Screen, listed: list[Kept]) -> None:
    """A line for each, and one with what ran then."""
    lines = fitted([_HEAD, *map(_row, listed)], screen.width, left=(0, 2, 3), dropped=(4,))
    screen.line((lines[0], DIM))
    for line, kept in zip(lines[1:], listed, strict=True):
        screen.line((line, "bold" if kept.active else ""))
        if kept.about:
            about = ", ".join(f"{key} {value}" for key, value in sorted(kept.about.items()))
            screen.paragraph("", about, indent=2, label_width=0, style=DIM)
    screen.line((f"times are {told_zone(time.time())}", DIM))


def _row(kept: Kept) -> tuple[str, ...]:
    active = "all" if kept.active == kept.series else str(kept.active or "no")
    span, long = told_span(kept.since, kept.until), length(kept.since, kept.until)
    return kept.label, str(kept.version), kept.vantage, span, long, str(kept.series), active
