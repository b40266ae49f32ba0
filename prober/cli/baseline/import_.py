"""`prober baseline import`: baselines from files, each to the prober of its vantage. None becomes active by it."""

from __future__ import annotations

import argparse
from pathlib import Path
from shlex import quote

from prober.baseline.file import write
from prober.baseline.labels import NOW
from prober.baseline.values import Recording
from prober.cli.baseline.options import add_probers, probers_of
from prober.cli.baseline.probers import Prober, each
from prober.cli.baseline.sides import from_file
from prober.cli.configured import UsageError
from prober.cli.exits import OK
from prober.cli.screen import DIM, RESULT_STYLES, SIGNS, Screen
from prober.reasons import Result


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `prober baseline import`."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="what prober baseline export has written")
    add_probers(parser)


def run(args: argparse.Namespace) -> int:
    """0 once all are there."""
    recordings = [one for path in args.files for one in from_file(path)]
    if any(one.label == NOW for one in recordings):
        raise UsageError("prober: a window of now is no baseline: prober baseline compare takes it as it is")
    chosen = _chosen(recordings, probers_of(args))
    theirs = dict(chosen)
    put = each(list(theirs), "importing", lambda prober: [prober.put(write(one)) for one in theirs[prober]])
    screen = Screen()
    for kept in (kept for those in put for kept in those):
        screen.line((f"{SIGNS[Result.OK]} ", RESULT_STYLES[Result.OK]), (kept.name, "bold"), f" of {kept.vantage}")
    labels = dict.fromkeys(one.label for one in recordings)
    screen.line((f"not active by that: prober baseline accept {quote(next(iter(labels)))}", DIM))
    return OK


def _chosen(recordings: list[Recording], probers: list[Prober]) -> list[tuple[Prober, list[Recording]]]:
    """Which go where: those of one vantage to every prober that was named, those of several each to its own.

    UsageError where one of them belongs to none.
    """
    vantages = dict.fromkeys(one.origin.vantage for one in recordings)
    if len(vantages) == 1:
        return [(prober, recordings) for prober in probers]
    names = each(probers, "asking", Prober.vantage)
    if strange := [vantage for vantage in vantages if vantage not in names]:
        raise UsageError(
            f"prober: nobody here is {', '.join(strange)}: these probers are {', '.join(filter(None, names)) or '?'} "
            "(a file of one vantage goes to whichever --url says)"
        )
    return [
        (prober, [one for one in recordings if one.origin.vantage == name])
        for prober, name in zip(probers, names, strict=True)
        if name in vantages
    ]
