"""`prober explain`: what fails or has changed, what was ruled out, what to check next, and the line that proves it.

Asks a running prober, or with `-c` climbs the cells itself, once.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from prober.cli.asking import DEFAULT_URL, http_url
from prober.cli.changes import Changes, changes_of
from prober.cli.exits import FAILED, OK, USAGE
from prober.cli.findings import TIMEOUT, Finding, UsageError, climbed, fetched
from prober.cli.render import tell
from prober.cli.screen import (
    ADVICE_SIGN,
    ADVICE_STYLE,
    DIM,
    PARTLY_SIGN,
    PARTLY_STYLE,
    RESULT_STYLES,
    SIGNS,
    Screen,
)
from prober.reasons import Result


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `prober explain`."""
    parser.add_argument("target", nargs="?", metavar="TARGET", help="only this target's cells")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("-c", "--config", type=Path, metavar="FILE",
                        help="climb the cells of this configuration once, from here")  # fmt: skip
    source.add_argument("--url", type=http_url, default=DEFAULT_URL, metavar="URL",
                        help="ask the prober that runs there (default: %(default)s)")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """1 if anything fails that is more than advice, else 0; 2 if there is nobody to ask or the configuration is bad."""
    changes = Changes()
    try:
        if args.config is not None:
            findings = asyncio.run(climbed(args.config, args.target))
        else:
            findings = fetched(args.url, args.target)
            changes = changes_of(args.url, args.target, timeout=TIMEOUT)
    except UsageError as error:
        print(error, file=sys.stderr)
        return USAGE
    return _show(Screen(), findings, changes)


def _show(screen: Screen, findings: Sequence[Finding], changes: Changes) -> int:
    failing = [finding for finding in findings if finding.failed and not finding.advisory]
    advice = [finding for finding in findings if finding.advisory]
    for finding in (*failing, *advice):
        _tell_one(screen, finding)
        screen.line()
    _tell_changes(screen, changes)
    unknown = sum(not finding.known for finding in findings)
    held = len(findings) - len(failing) - len(advice) - unknown
    parts = [f"{len(failing)} of {len(findings)} cells fail" if failing else f"nothing fails, {held} held"]
    if advice:
        parts.append(f"{len(advice)} only to be noted")
    if unknown:
        parts.append(f"{unknown} not climbed yet")
    if changes.pressing:
        parts.append(f"{len(changes.pressing)} not as usual")
    result = Result.FAILED if failing else Result.OK
    screen.line((f"{SIGNS[result]} {', '.join(parts)}.", RESULT_STYLES[result]))
    return FAILED if failing else OK


def _tell_changes(screen: Screen, changes: Changes) -> None:
    """What is not as it was: no failure, so it changes nothing of the end."""
    signed = ((PARTLY_SIGN, PARTLY_STYLE, changes.pressing), (ADVICE_SIGN, ADVICE_STYLE, changes.noted))
    for sign, style, told in signed:
        for says in told:
            screen.paragraph(sign, says, indent=0, label_width=2, label_style=style)
    if changes.suspects:
        screen.line((f"  {changes.suspects} suspected of a change, no more than chance allows", DIM))
    if changes.pressing or changes.noted or changes.suspects:
        screen.line()


def _tell_one(screen: Screen, finding: Finding) -> None:
    since = f"  since {finding.since}" if finding.since else ""
    sign, style = (ADVICE_SIGN, ADVICE_STYLE) if finding.advisory else (SIGNS[Result.FAILED], "bold red")
    screen.line((f"{sign} {finding.id}", style), (since, DIM))
    if finding.verdict is not None:
        screen.paragraph("verdict", f"{finding.verdict.code}: {finding.verdict.says}")
    if finding.evidence:
        screen.paragraph(finding.layer, finding.evidence)
    if finding.verdict is not None:
        tell(screen, finding.verdict)
    if finding.reproduce:
        screen.line("  ", (f"{'by hand':<11}", DIM), (finding.reproduce, "cyan"))
