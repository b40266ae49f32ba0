"""`prober baseline show`: what a baseline knows: the figures of each layer and path, and what it lets be seen."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict

from prober.baseline.labels import versioned
from prober.baseline.values import Recording
from prober.cli.baseline.figures import Figures, figures_of, unfit_of
from prober.cli.baseline.kept import finite
from prober.cli.baseline.moments import length, told, told_span, told_zone
from prober.cli.baseline.options import MOMENTS, add_output, add_probers, add_window, check_window, probers_of
from prober.cli.baseline.progress import bar
from prober.cli.baseline.sides import Nothing, side_of
from prober.cli.columns import fitted
from prober.cli.exits import OK, UNFIT
from prober.cli.machine import emit
from prober.cli.screen import DIM, Screen
from prober.units import human_change, human_seconds, human_share, rfc3339_at

_HEAD = ("layer", "path", "series", "runs", "hours", "p50", "p90", "p99", "failed", "swing", "sees")
#: Columns that are left out where a line is too long, the first one first: p90, hours.
_DROPPED = (6, 4)
_LEGEND = "swing: from fastest to slowest hour of a day. sees: least change suspected in a day."


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `prober baseline show`."""
    parser.epilog = MOMENTS
    parser.add_argument("label", metavar="LABEL", help="LABEL, LABEL@2 for its second version, now, or a file")
    parser.add_argument("--series", action="store_true", help="each series by itself")
    add_window(parser, "the window, of now (default: all that is kept)")
    add_output(parser)
    add_probers(parser)


def run(args: argparse.Namespace) -> int:
    """0; 3 where nothing was measured in the window."""
    check_window(args)
    try:
        side = side_of(args.label, probers_of(args), args.since, args.until)
    except Nothing as error:
        print(f"prober: {error}", file=sys.stderr)
        return UNFIT
    screen, shown = Screen(), []
    for recording in side.recordings:
        with bar("reading") as moved:
            rows = figures_of(recording, by_series=args.series, moved=moved)
        if args.output == "json":
            shown.append(_as_json(recording, rows))
        else:
            _tell(screen, recording, rows)
    if args.output == "json":
        emit(json.dumps({"recordings": shown}, ensure_ascii=False))
    else:
        screen.paragraph("", _LEGEND, indent=0, label_width=0, style=DIM)
    return OK


def _tell(screen: Screen, recording: Recording, rows: Sequence[Figures]) -> None:
    origin = recording.origin
    places = (("node", origin.node), ("zone", origin.zone), ("region", origin.region))
    place = ", ".join(f"{name} {value}" for name, value in places if value and value != origin.vantage)
    name = versioned(recording.label, recording.version)
    screen.line((name, "bold"), f" at {origin.vantage}", (f"  {place}", DIM))
    span = f"{told_span(recording.since, recording.until)} {told_zone(recording.until)}"
    screen.paragraph("window", f"{span}, {length(recording.since, recording.until)}")
    screen.paragraph("recorded", f"{told(recording.recorded_at)}, {len(recording.series)} series")
    if origin.about:
        screen.paragraph("about", ", ".join(f"{key} {value}" for key, value in sorted(origin.about.items())))
    lines = fitted([_HEAD, *map(_cells, rows)], screen.width, left=(0, 1), dropped=_DROPPED)
    screen.line((lines[0], DIM))
    for line in lines[1:]:
        screen.line(line)
    for why, count in unfit_of(rows):
        screen.paragraph("", f"no baseline for {count} series: {why}", indent=0, label_width=0, style=DIM)
    screen.line()


def _cells(row: Figures) -> tuple[str, ...]:
    times = [human_seconds(value) if math.isfinite(value) else "–" for value in (row.p50, row.p90, row.p99)]
    swing = "–" if row.swing is None else human_change(row.swing)
    sees = "–" if row.sees is None else human_change(row.sees)
    return (
        row.layer,
        row.name,
        str(row.series),
        str(row.runs),
        f"{row.hours:.0f}",
        *times,
        human_share(row.failed),
        swing,
        sees,
    )


def _as_json(recording: Recording, rows: Sequence[Figures]) -> dict[str, object]:
    moments = {name: rfc3339_at(getattr(recording, name)) for name in ("since", "until", "recorded_at")}
    return {
        "label": recording.label,
        "version": recording.version,
        **moments,
        "origin": asdict(recording.origin),
        "series": len(recording.series),
        "rows": [finite(asdict(row)) for row in rows],
    }
