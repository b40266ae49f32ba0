"""`prober baseline accept`: tell old against new, ask, and make the new one what is watched by."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

from prober.cli.baseline.compare import report_of
from prober.cli.baseline.options import add_output, add_probers, add_yes, agreed, probers_of
from prober.cli.baseline.probers import Kept, Prober, each, each_with
from prober.cli.baseline.sides import Nothing, Side, joined
from prober.cli.exits import FAILED, OK
from prober.cli.screen import RESULT_STYLES, SIGNS, Screen
from prober.reasons import Result


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `prober baseline accept`."""
    parser.add_argument("label", metavar="LABEL", help="LABEL, or LABEL@2 for its second version")
    add_yes(parser)
    add_output(parser, "markdown")
    add_probers(parser)


def run(args: argparse.Namespace) -> int:
    """0 once it is active, 1 if the person at the terminal did not want it, 2 where it is unknown."""
    new = each_with(probers_of(args), args.label)
    probers = [prober for prober, _ in new]
    answers = each(probers, "asking", Prober.list)
    done = [kept for _, kept in new if kept.active == kept.series]
    if len(done) == len(new):
        Screen().line(f"{done[0].name} is active already")
        return OK
    old = [
        (prober, best)
        for (prober, chosen), answer in zip(new, answers, strict=True)
        if (best := _active(answer.baselines, chosen)) is not None
    ]
    _compare(args, old, new)
    if not agreed(args, f"watch by {new[0][1].name} from now on, at {', '.join(kept.vantage for _, kept in new)}?"):
        return FAILED
    screen = Screen(sys.stderr) if args.output != "text" else Screen()
    for prober, kept in new:
        prober.accept(kept)
        sign = (f"{SIGNS[Result.OK]} ", RESULT_STYLES[Result.OK])
        screen.line(sign, (kept.name, "bold"), f" is active at {kept.vantage}")
    return OK


def _active(baselines: Sequence[Kept], chosen: Kept) -> Kept | None:
    """The other baseline that most series have now."""
    others = [
        kept for kept in baselines if kept.active and (kept.label, kept.version) != (chosen.label, chosen.version)
    ]
    return max(others, key=lambda kept: kept.active, default=None)


def _compare(args: argparse.Namespace, old: Sequence[tuple[Prober, Kept]], new: Sequence[tuple[Prober, Kept]]) -> None:
    """Show what would be taken for usual from now on, beside what was."""
    if not old:
        print("prober: no other baseline is active: nothing to compare with", file=sys.stderr)
        return
    before, after = _side(old), _side(new)
    try:
        replace(report_of(before, after), steps=False).show(args.output)
    except Nothing as error:
        print(f"prober: {before.name} and {after.name} can't be compared: {error}", file=sys.stderr)


def _side(have: Sequence[tuple[Prober, Kept]]) -> Side:
    chosen = dict(have)
    names = ", ".join(dict.fromkeys(kept.name for kept in chosen.values()))
    return Side(names, joined(list(chosen), lambda prober: prober.export(chosen[prober])))
