"""`prober baseline delete`: a baseline that is not wanted any more."""

from __future__ import annotations

import argparse

from prober.cli.baseline.moments import length, told_span
from prober.cli.baseline.options import add_probers, add_yes, agreed, probers_of
from prober.cli.baseline.probers import each_with
from prober.cli.configured import UsageError
from prober.cli.exits import FAILED, OK
from prober.cli.screen import Screen


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `prober baseline delete`."""
    parser.add_argument("label", metavar="LABEL", help="LABEL, or LABEL@2 for its second version")
    parser.add_argument("--force", action="store_true", help="even if it is active: then nothing is watched by it")
    add_yes(parser)
    add_probers(parser)


def run(args: argparse.Namespace) -> int:
    """0 once it is gone, 1 if the person at the terminal did not want it, 2 where it is active or unknown."""
    have = each_with(probers_of(args), args.label)
    active = [kept for _, kept in have if kept.active]
    if active and not args.force:
        one = active[0]
        raise UsageError(
            f"prober: {one.name} is active for {one.active} series at {one.vantage}: accept another one first, "
            "or --force"
        )
    names = ", ".join(
        f"{kept.name} of {kept.vantage} ({told_span(kept.since, kept.until)}, {length(kept.since, kept.until)})"
        for _, kept in have
    )
    if not agreed(args, f"delete {names}? There is no way back."):
        return FAILED
    for prober, kept in have:
        prober.delete(kept, force=args.force)
        Screen().line(f"deleted {kept.name} at {kept.vantage}")
    return OK
