"""`prober doctor`: is this place fit to measure? Rights, resolver, files, limits, and how steady loop and clock are."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

from prober.cli.configured import UsageError, cells_of
from prober.cli.exits import OK, UNFIT, USAGE
from prober.cli.fitness import Check, State, families, files, hosts, icmp, resolver
from prober.cli.screen import Screen
from prober.cli.steadiness import clock, cpu, descriptors, local_ports, loop
from prober.kubernetes.vantage import find_vantage

_SIGNS = {State.FIT: ("✓", "green"), State.NOTE: ("○", "yellow"), State.UNFIT: ("✗", "bold red")}


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `prober doctor`."""
    parser.add_argument("-c", "--config", type=Path, metavar="FILE",
                        help="look at what this configuration needs; without it, at what any could")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """3 where something that is needed cannot work here, else 0; 2 for a bad configuration."""
    vantage = find_vantage()
    try:
        cells = None if args.config is None else cells_of(args.config, vantage)
    except UsageError as error:
        print(error, file=sys.stderr)
        return USAGE
    checks = [
        families(vantage, cells),
        *asyncio.run(icmp(vantage, cells)),
        *resolver(vantage),
        *hosts(cells),
        *files(cells, os.environ),
        descriptors(cells),
        local_ports(),
        cpu(),
        *asyncio.run(loop()),
        *clock(),
    ]
    return _show(Screen(), checks)


def _show(screen: Screen, checks: list[Check]) -> int:
    width = max(len(check.name) for check in checks) + 2
    for check in checks:
        sign, style = _SIGNS[check.state]
        screen.paragraph(f"{sign} {check.name}", check.says, indent=0, label_width=width + 2, label_style=style)
    unfit = [check.name for check in checks if check.state is State.UNFIT]
    notes = sum(check.state is State.NOTE for check in checks)
    told = f"{notes} note{'s' if notes != 1 else ''}"
    screen.line()
    if unfit:
        screen.line((f"✗ Unfit: {', '.join(unfit)} ({told}).", "bold red"))
        return UNFIT
    screen.line((f"✓ Fit to measure ({told}).", "bold green"))
    return OK
