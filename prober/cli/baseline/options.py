"""Options that several of the commands have."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from prober.cli.arguments import duration
from prober.cli.asking import DEFAULT_URL, PEERS, addresses_of, http_url, service
from prober.cli.baseline.moments import moment
from prober.cli.baseline.probers import Prober
from prober.cli.configured import UsageError
from prober.units import host_port

#: Seconds: a prober of many series has much to write or to read.
_TIMEOUT = 60.0
MOMENTS = "T is RFC 3339 (2026-11-26T14:20:00Z), 14:20 (today, local time), -2h or now."


def add_probers(parser: argparse.ArgumentParser) -> None:
    """`--url`, `--service` and `--timeout`."""
    parser.add_argument("--url", type=http_url, action="append", metavar="URL", dest="urls",
                        help=f"the prober to ask; again for each vantage (default: {DEFAULT_URL})")  # fmt: skip
    parser.add_argument("--service", type=service, action="append", default=[], metavar="HOST:PORT", dest="services",
                        help="the probers at every address of this name, as of a headless Service: "
                        f"{PEERS}")  # fmt: skip
    parser.add_argument("--timeout", type=duration, default=_TIMEOUT, metavar="TIME",
                        help="how long an answer may take (default: 1m)")  # fmt: skip


def probers_of(args: argparse.Namespace) -> list[Prober]:
    """The probers that were named, each once; or the one here. UsageError for a name without addresses."""
    urls = [url.rstrip("/") for url in args.urls or []]
    for host, port in args.services:
        try:
            urls += addresses_of(host, port)
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or error
            raise UsageError(f"prober: --service {host_port(host, port)}: {why}") from None
    return [Prober(url, args.timeout) for url in dict.fromkeys(urls or [DEFAULT_URL])]


def add_window(parser: argparse.ArgumentParser, what: str) -> None:
    """`--from` and `--to`."""
    parser.add_argument("--from", type=moment, metavar="T", dest="since", help=f"begin of {what}")
    parser.add_argument("--to", type=_end, metavar="T", dest="until", help=f"end of {what} (default: now)")


def _end(text: str) -> float | None:
    """None for now: it is the prober's now then, whatever its clock says."""
    return None if text == "now" else moment(text)


def check_window(args: argparse.Namespace) -> None:
    """UsageError where the window ends before it begins."""
    if args.since is not None and args.until is not None and args.since >= args.until:
        raise UsageError("prober: --from is not before --to")


def add_output(parser: argparse.ArgumentParser, *more: str) -> None:
    """`-o`."""
    parser.add_argument("-o", "--output", choices=("text", "json", *more), default="text", help="default: %(default)s")


def add_yes(parser: argparse.ArgumentParser) -> None:
    """`--yes`."""
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")


def agreed(args: argparse.Namespace, question: str) -> bool:
    """Whether `--yes` or the person at the terminal says so. UsageError where neither is there."""
    if args.yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError("prober: there is no terminal to ask at: --yes does it without asking")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def write(path: Path, data: bytes) -> None:
    """`data` as the file, all of it or nothing. UsageError with what the system said."""
    beside = path.with_name(f"{path.name}.part")
    try:
        beside.write_bytes(data)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise UsageError(f"prober: {path} can't be written: {error.strerror}") from None
