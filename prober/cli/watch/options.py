"""The options of `prober watch`, and the plan that they make."""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from prober.cli.arguments import duration
from prober.cli.asking import DEFAULT_URL, PEERS, http_url, service
from prober.cli.baseline.moments import moment
from prober.cli.configured import UsageError
from prober.cli.watch.following import Plan
from prober.cli.watch.sides import OTHERS, Choice
from prober.cli.watch.vantages import Probers
from prober.kubernetes.api import ApiAccess
from prober.kubernetes.nodesets import SYNTAX, Selector, SelectorError, parse_selector
from prober.options import parse_duration

_HISTORY: Final = 48 * 3600.0
_EVERY: Final = 30.0
#: How long a block waits for probers that are late with it.
_GRACE: Final = 180.0
_CONFIRMED: Final = "confirmed"


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `prober watch`."""
    option = parser.add_argument
    option("--change", required=True, metavar="TEXT", help='what is changed, in your words: "cilium 1.17→1.18"')
    option(
        "--changed", required=True, metavar="NODES", help=f"the changed nodes, or others; {SYNTAX}".replace("%", "%%")
    )
    option("--control", default="others", metavar="NODES",
           help="the nodes that are not changed, likewise (default: others)")  # fmt: skip
    option("--since", type=moment, metavar="T", help="when the change began; RFC 3339, 14:20 (today), -2h or now "
           "(default: now)")  # fmt: skip
    option("--history", type=duration, default=_HISTORY, metavar="TIME",
           help="how much before it is learned from (default: 48h; 12 h are needed)")  # fmt: skip
    option("--url", type=http_url, action="append", metavar="URL", dest="urls", default=[],
           help="a prober to ask; again for each vantage (default: in a Pod the Service "
           f"{PEERS}, else {DEFAULT_URL})")  # fmt: skip
    option("--service", type=service, action="append", metavar="HOST:PORT", default=[],
           help="ask the prober at every address that this name has, as of a headless Service")  # fmt: skip
    option("--api", metavar="URL", help="the API server, for nodes: beside kubectl proxy http://127.0.0.1:8001")
    option("--token-file", type=Path, metavar="FILE", help="goes with --api https://…")
    option("--ca-file", type=Path, metavar="FILE", help="goes with --api https://…")
    option("--until", metavar="confirmed|TIME",
           help="end with 1 once a regression is confirmed; given a time, with 0 when that is over")  # fmt: skip
    option("--once", action="store_true", help="judge what there is by now, and end")
    option("--every", type=duration, default=_EVERY, metavar="TIME", help="between two looks (default: 30s)")
    option("--timeout", type=duration, default=10.0, metavar="TIME", help="how long an answer may take (default: 10s)")
    option("--markdown", type=Path, metavar="FILE", help="write a summary for the change's ticket at the end")
    option("-o", "--output", choices=("text", "json"), default="text", help="json: an event a line; default: text")


def plan_of(args: argparse.Namespace) -> Plan:
    """What is to be followed. UsageError."""
    choice = Choice(_selector(args.changed, "--changed"), _selector(args.control, "--control"))
    if not choice.selectors:
        raise UsageError("prober: --changed and --control can't both be the others")
    if args.api is None and (args.token_file or args.ca_file):
        raise UsageError("prober: --token-file and --ca-file go with --api")
    try:
        access = ApiAccess.from_url(args.api, args.token_file, args.ca_file) if args.api else ApiAccess.in_cluster()
    except ValueError as error:
        raise UsageError(f"prober: --api: {error}") from None
    since = time.time() if args.since is None else args.since
    grace = 0.0 if args.once else _GRACE
    return Plan(args.change, choice, _probers(args), access, since, args.history, grace, time.time)


def _selector(text: str, option: str) -> Selector | None:
    """None: all others."""
    if text.strip() == OTHERS:
        return None
    try:
        return parse_selector(text)
    except SelectorError as error:
        raise UsageError(f"prober: {option}: {error}") from None


def _probers(args: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> Probers:
    services = args.service
    if not services and not args.urls and environment.get("KUBERNETES_SERVICE_HOST"):
        services = [service(PEERS)]
    urls = args.urls or ([] if services else [DEFAULT_URL])
    return Probers(tuple(url.rstrip("/") for url in urls), tuple(services), args.timeout)


def time_of(args: argparse.Namespace) -> float | None:
    """Seconds after which it is over; infinite for a regression to be waited for, None for somebody to end it."""
    if args.until is None:
        return None
    if args.once:
        raise UsageError("prober: --once ends at once: --until has no place beside it")
    if args.until == _CONFIRMED:
        return math.inf
    try:
        return parse_duration(args.until)
    except ValueError:
        raise UsageError(f"prober: --until {args.until}: write {_CONFIRMED}, or a time as in 2h") from None
