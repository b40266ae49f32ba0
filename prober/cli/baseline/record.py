"""`prober baseline record`: what was measured in a window becomes a baseline, at each vantage."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable

from prober.baseline.labels import checked_label
from prober.cli.arguments import pair
from prober.cli.baseline.kept import as_json, in_force
from prober.cli.baseline.moments import length, told_span, told_zone
from prober.cli.baseline.options import MOMENTS, add_output, add_probers, add_window, check_window, probers_of
from prober.cli.baseline.probers import NotRecorded, Prober, Recorded, each
from prober.cli.exits import OK, USAGE
from prober.cli.machine import emit
from prober.cli.screen import DIM, RESULT_STYLES, SIGNS, Screen
from prober.reasons import Result

#: Series that are named for each reason why they are not in it.
_NAMED = 3


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `prober baseline record`."""
    parser.epilog = MOMENTS
    parser.add_argument("--label", type=_label, required=True, metavar="LABEL", help="its name: cilium-1.17.3")
    add_window(parser, "the window (default: the last 48 h)")
    parser.add_argument("--about", type=_about, nargs="+", action="extend", default=[], metavar="KEY=VALUE",
                        help="what ran then: cni=cilium-1.17.3 kernel=6.12.8")  # fmt: skip
    parser.add_argument("--regressed", action="store_true",
                        help="take in what had regressed in the window, too: it is usual from now on")  # fmt: skip
    add_output(parser)
    add_probers(parser)


def run(args: argparse.Namespace) -> int:
    """0 if every vantage has recorded it, 2 if one refused."""
    check_window(args)

    def record(prober: Prober) -> Recorded | NotRecorded:
        try:
            return prober.record(args.label, args.since, args.until, dict(args.about), regressed=args.regressed)
        except NotRecorded as error:
            return error

    probers = probers_of(args)
    done = list(zip(probers, each(probers, "recording", record), strict=True))
    if args.output == "json":
        emit(json.dumps({"vantages": [_as_json(*one) for one in done]}, ensure_ascii=False))
    else:
        screen = Screen()
        for prober, recorded in done:
            _tell(screen, prober, recorded)
    return USAGE if any(isinstance(recorded, NotRecorded) for _, recorded in done) else OK


def _label(text: str) -> str:
    try:
        return checked_label(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _about(text: str) -> tuple[str, str]:
    if not text.isprintable():
        raise argparse.ArgumentTypeError(f"{text!r} has control characters")
    return pair(text)


def _as_json(prober: Prober, recorded: Recorded | NotRecorded) -> dict[str, object]:
    refused = [{"series": series, "why": why} for series, why in recorded.refused]
    if isinstance(recorded, NotRecorded):
        return {"url": prober.url, "baseline": None, "error": str(recorded), "refused": refused}
    return {"url": prober.url, "baseline": as_json(recorded.baseline), "error": None, "refused": refused}


def _tell(screen: Screen, prober: Prober, recorded: Recorded | NotRecorded) -> None:
    if isinstance(recorded, NotRecorded):
        sign = (f"{SIGNS[Result.FAILED]} ", RESULT_STYLES[Result.FAILED])
        screen.line(sign, (f"{prober.url}: nothing was recorded: {recorded}", RESULT_STYLES[Result.FAILED]))
    else:
        kept = recorded.baseline
        screen.line((f"{SIGNS[Result.OK]} ", RESULT_STYLES[Result.OK]), (kept.name, "bold"), f" at {kept.vantage}")
        span = f"{told_span(kept.since, kept.until)} {told_zone(kept.until)} ({length(kept.since, kept.until)})"
        screen.paragraph("window", span)
        screen.paragraph("series", f"{kept.series}, {in_force(kept)}")
        if kept.about:
            screen.paragraph("about", ", ".join(f"{key} {value}" for key, value in sorted(kept.about.items())))
    for why, series in _by_reason(recorded.refused):
        more = f" and {len(series) - _NAMED} more" if len(series) > _NAMED else ""
        screen.paragraph("left out", f"{', '.join(series[:_NAMED])}{more}: {why}", style=DIM)


def _by_reason(refused: Iterable[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    """Why, and the series that it holds for; the reason of most series first."""
    found: dict[str, list[str]] = {}
    for series, why in refused:
        found.setdefault(why, []).append(series)
    return sorted(found.items(), key=lambda one: -len(one[1]))
