"""`prober baseline compare`: before and after, as a table, as JSON, or as Markdown for a change ticket."""

from __future__ import annotations

import argparse
import sys
import time

from prober.baseline.compare import Comparison, Finding, compare
from prober.baseline.labels import NOW
from prober.cli.arguments import duration
from prober.cli.baseline.moments import moment, told, told_zone
from prober.cli.baseline.options import MOMENTS, add_output, add_probers, add_window, check_window, probers_of
from prober.cli.baseline.probers import Prober
from prober.cli.baseline.progress import bar
from prober.cli.baseline.report import Report
from prober.cli.baseline.sides import Nothing, Side, side_of, window_of
from prober.cli.configured import UsageError
from prober.cli.exits import FAILED, OK, UNFIT
from prober.units import human_span

#: Kinds of rows below those of the layers.
KINDS = ("path", "family", "target", "node", "zone", "vantage", "series")
#: Seconds: how much of now is looked at, and how much of what was before a moment.
_NOW, _PAST = 6 * 3600.0, 7 * 86400.0
_EPILOG = f"""{MOMENTS} Exit code: 1 if something is worse, 0 if nothing is, 2 where the command cannot be done, 3 if
there is nothing to compare with."""


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `prober baseline compare`."""
    parser.epilog = _EPILOG
    parser.add_argument("before", nargs="?", metavar="A", help="a label, LABEL@2 for its second version, or a file")
    parser.add_argument("after", nargs="?", default=NOW, metavar="B", help="the same, or now (default: now)")
    add_window(parser, "the window of now")
    parser.add_argument("--window", type=duration, metavar="TIME",
                        help="how much of now is looked at, or of what came after a moment (default: the last 6h; "
                        "all that came after)")  # fmt: skip
    moments = parser.add_argument_group("before and after a moment, from what a running prober remembers")
    moments.add_argument("--at", type=moment, metavar="T", help="the moment of the change")
    moments.add_argument("--before", type=moment, metavar="T", dest="ended",
                         help="where it took a while: when it began …")  # fmt: skip
    moments.add_argument("--after", type=moment, metavar="T", dest="began", help="… and when it was done")
    moments.add_argument("--past", type=duration, metavar="TIME", help="how much before it is looked at (default: 7d)")
    parser.add_argument("--by", choices=KINDS, action="append", default=[], help="further rows; may be given again")
    add_output(parser, "markdown")
    add_probers(parser)


def run(args: argparse.Namespace) -> int:
    """1 if something is worse, 0 if nothing is, 3 if there is nothing to compare with."""
    _check(args)
    try:
        before, after = _sides(args, probers_of(args))
        report = report_of(before, after, tuple(args.by), args.urls or ())
    except Nothing as error:
        print(f"prober: nothing to compare with: {error}", file=sys.stderr)
        return UNFIT
    report.show(args.output)
    return FAILED if report.comparison.regressed else OK


def report_of(before: Side, after: Side, by: tuple[str, ...] = (), urls: tuple[str, ...] = ()) -> Report:
    """What changed from one side to the other. UsageError: one has a vantage twice. Nothing: no series is fit to be
    compared."""
    for side in (before, after):
        names = [one.origin.vantage for one in side.recordings]
        if twice := [name for name in side.vantages if names.count(name) > 1]:
            raise UsageError(f"prober: {side.name} has several recordings of {', '.join(twice)}: one of each is wanted")
    with bar("comparing") as moved:
        comparison = compare(before.recordings, after.recordings, moved)
    if not comparison.series:
        raise Nothing(_strangers(before, after))
    if all(row.finding is Finding.UNKNOWN for row in comparison.series):
        raise Nothing(_unfit(comparison))
    return Report(before, after, comparison, by, urls)


def _strangers(before: Side, after: Side) -> str:
    """Why no series is on both sides."""
    if len(before.recordings) + len(after.recordings) > 2 and not set(before.vantages) & set(after.vantages):
        return f"{before.name} is of {', '.join(before.vantages)}, {after.name} of {', '.join(after.vantages)}"
    return f"{before.name} and {after.name} have no series in common"


def _unfit(comparison: Comparison) -> str:
    """What is missing in most series."""
    whys = [row.why for row in comparison.series]
    return f"{max(whys, key=whys.count)} (so it is with {max(map(whys.count, whys))} of {len(whys)} series)"


def _check(args: argparse.Namespace) -> None:
    """UsageError for options that say two things."""
    check_window(args)
    at_moment = [f"--{name}" for name in ("at", "before", "after")
                 if getattr(args, {"before": "ended", "after": "began"}.get(name, name)) is not None]  # fmt: skip
    if args.at is not None and len(at_moment) > 1:
        raise UsageError("prober: --at is both --before and --after: give it alone, or the two of them")
    if len(at_moment) == 1 and args.at is None:
        raise UsageError(f"prober: {at_moment[0]} alone: --before says when the change began, --after when it was done")
    if at_moment and args.before is not None:
        raise UsageError(f"prober: {at_moment[0]} compares what was measured: {args.before} is not asked for then")
    if not at_moment and args.before is None:
        raise UsageError("prober: compare what? A label, two of them, or --at T for before and after a moment")
    if args.before == NOW:
        raise UsageError("prober: now comes second: prober baseline compare LABEL now")
    windowed = args.since is not None or args.until is not None
    if windowed and (at_moment or args.after != NOW):
        raise UsageError("prober: --from and --to are the window of now")
    if args.window is not None and (windowed if not at_moment and args.after == NOW else not at_moment):
        raise UsageError("prober: --window is how much of now is looked at: not with --from, nor without now")
    if args.past is not None and not at_moment:
        raise UsageError("prober: --past goes with --at, or with --before and --after")


def _sides(args: argparse.Namespace, probers: list[Prober]) -> tuple[Side, Side]:
    if args.before is None:
        return _around(args, probers)
    before = side_of(args.before, probers)
    until = args.until
    since = args.since
    if args.after == NOW and since is None:
        since = (time.time() if until is None else until) - (args.window or _NOW)
    return before, side_of(args.after, probers, since, until)


def _around(args: argparse.Namespace, probers: list[Prober]) -> tuple[Side, Side]:
    """What was measured before the change, and after it."""
    ended, began = (args.at, args.at) if args.at is not None else (args.ended, args.began)
    if ended > began:
        raise UsageError(f"prober: the change was done ({told(began)}) before it began ({told(ended)})")
    past = args.past or _PAST
    before = window_of(f"until {told(ended)} {told_zone(ended)}", probers, ended - past, ended)
    until = None if args.window is None or began + args.window > time.time() else began + args.window
    try:
        return before, window_of(f"since {told(began)} {told_zone(began)}", probers, began, until)
    except Nothing as error:
        raise Nothing(f"{error}; the first whole hour after {told(began)} ends in at most {human_span(7200)}") from None
