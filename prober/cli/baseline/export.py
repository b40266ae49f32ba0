"""`prober baseline export`: a baseline, or what was measured, as one file that outlives the prober."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from prober.baseline.labels import NOW
from prober.cli.baseline.moments import length, told_span
from prober.cli.baseline.options import MOMENTS, add_probers, add_window, check_window, probers_of, write
from prober.cli.baseline.probers import Prober, each, each_with
from prober.cli.baseline.sides import SUFFIX, Nothing, read
from prober.cli.configured import UsageError
from prober.cli.exits import OK, UNFIT
from prober.units import human_bytes


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `prober baseline export`."""
    parser.epilog = MOMENTS
    parser.add_argument("label", metavar="LABEL", help="LABEL, LABEL@2 for its second version, or now")
    parser.add_argument("-f", "--file", metavar="FILE", help=f"default: LABEL{SUFFIX}; - is stdout")
    add_window(parser, "the window, of now")
    add_probers(parser)


def run(args: argparse.Namespace) -> int:
    """0 once the file is written; 3 where nothing was measured in the window."""
    check_window(args)
    if args.label != NOW and (args.since is not None or args.until is not None):
        raise UsageError(f"prober: {args.label} has its window: --from and --to are for now")
    path = Path(args.file or f"./{args.label}{SUFFIX}")
    if args.file is None and path.exists():
        raise UsageError(f"prober: {path} is there already: -f {path} writes over it")
    if args.file == "-" and sys.stdout.isatty():
        raise UsageError("prober: a baseline is nothing to read: redirect stdout, or name a file")
    probers = probers_of(args)
    if args.label == NOW:
        got = each(probers, "fetching", lambda prober: prober.export_now(args.since, args.until))
    else:
        have = dict(each_with(probers, args.label))
        probers = list(have)
        got = each(probers, "fetching", lambda prober: prober.export(have[prober]))
    try:
        told = [_checked(prober, data) for prober, data in zip(probers, got, strict=True)]
    except Nothing as error:
        print(f"prober: {error}", file=sys.stderr)
        return UNFIT
    data = b"".join(got)
    if args.file == "-":
        sys.stdout.buffer.write(data)
        return OK
    write(path, data)
    print(f"{path}: {', '.join(told)}, {human_bytes(len(data))}", file=sys.stderr)
    return OK


def _checked(prober: Prober, data: bytes) -> str:
    """What is in it, in a few words: a file that was cut on its way is noticed here rather than a year later."""
    recordings = read(prober, data)
    if not any(one.series for one in recordings):
        raise Nothing(f"{prober.url} has measured nothing in that window")
    return ", ".join(
        f"{len(one.series)} series of {one.origin.vantage}, {told_span(one.since, one.until)} "
        f"({length(one.since, one.until)})"
        for one in recordings
    )
