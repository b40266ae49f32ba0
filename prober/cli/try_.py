"""`prober try URL`: one climb in each family, without any configuration, shown as waterfalls with a verdict."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from prober.addresses import literal_family, parse_server
from prober.cli.arguments import duration
from prober.cli.climbing import climb_all
from prober.cli.exits import USAGE, exit_code
from prober.cli.machine import emit
from prober.config.address import parse_connect, parse_url
from prober.config.single import cell_for_url
from prober.export.runs import run_as_dict
from prober.kubernetes.vantage import find_vantage, loopback_families
from prober.model import Cell, Run, Vantage
from prober.options import KindOptions
from prober.options.tls import Starttls
from prober.reasons import Family, Kind
from prober.units import host_port

URL_HELP = (
    "icmp://host, tcp://host:port, tls://host:port, http(s)://…, grpc(s)://host:port, dns://[server]/name?type=AAAA"
)


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `prober try`."""
    parser.add_argument("url", metavar="URL", help=URL_HELP)
    family = parser.add_mutually_exclusive_group()
    family.add_argument("-4", dest="family", action="store_const", const=Family.IPV4, help="IPv4 only")
    family.add_argument("-6", dest="family", action="store_const", const=Family.IPV6, help="IPv6 only")
    parser.add_argument("--kind", choices=[kind.value for kind in Kind],
                        help="climb less than the URL offers (tcp on an https:// URL, say)")  # fmt: skip
    parser.add_argument("--timeout", type=duration, default=3.0, metavar="DURATION",
                        help="for the whole climb of a family (default: 3s)")  # fmt: skip
    parser.add_argument("--connect", type=_connect, metavar="HOST:PORT",
                        help="connect there; name, SNI and Host stay those of the URL")  # fmt: skip
    parser.add_argument("--server", type=_server, action="append", metavar="ADDR[:PORT]",
                        help="ask this DNS server instead of resolv.conf's; may be given again")  # fmt: skip
    parser.add_argument("--ca", type=Path, metavar="FILE", help="PEM bundle to trust instead of the system's")
    parser.add_argument("--insecure", action="store_true", help="show what is wrong with a certificate, and go on")
    parser.add_argument("--starttls", choices=get_args(Starttls), metavar="PROTOCOL",
                        help=f"tls://: ask for TLS in the words of {', '.join(get_args(Starttls))}")  # fmt: skip
    parser.add_argument("--http-version", choices=("auto", "1.1", "2"), default="auto", help="default: auto")
    parser.add_argument("-H", "--header", type=_header, action="append", default=[], metavar="'NAME: VALUE'",
                        help="a field of the request; may be given again")  # fmt: skip
    parser.add_argument("-L", "--follow", type=int, default=0, metavar="N", help="follow up to N redirects")
    parser.add_argument("-o", "--output", choices=("text", "ndjson"), default="text", help="default: text")


def run(args: argparse.Namespace) -> int:
    """0 if all families hold, 1 if one fails, 2 for a wrong URL, 3 if this place is unfit to measure.

    Without `-4` or `-6` a family in which the name has no address is no failure where the other one holds.
    """
    vantage = find_vantage()
    try:
        cells = _cells(args, vantage)
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        print(f"prober try: {told}", file=sys.stderr)
        return USAGE
    except ValueError as error:
        shown = re.sub(r"//[^/?#@]*@", "//***@", args.url)  # a password was given where none belongs
        print(f"prober try: {shown}: {error}", file=sys.stderr)
        return USAGE
    return _show(args, vantage, cells)


def _show(args: argparse.Namespace, vantage: Vantage, cells: Sequence[Cell]) -> int:
    if args.output == "ndjson":
        runs = asyncio.run(_climb(cells))
        for each in runs:
            emit(json.dumps(run_as_dict(each, vantage), ensure_ascii=False, separators=(",", ":")))
        return exit_code(runs)
    from prober.cli.render import absent, show
    from prober.cli.screen import Screen

    screen = Screen()
    with screen.console.status(f"climbing to {args.url}") if screen.live else nullcontext():
        runs = asyncio.run(_climb(cells))
    calm = absent(runs) if args.family is None else []
    show(screen, args.url, runs, vantage, calm)
    return exit_code(each for each in runs if each not in calm)


async def _climb(cells: Sequence[Cell]) -> list[Run]:
    """One family after the other, so that neither's work shows in the other's times."""
    runs: list[Run] = []
    await climb_all(cells, jobs=1, done=lambda _cell, new: runs.extend(new))
    return runs


def _cells(args: argparse.Namespace, vantage: Vantage) -> list[Cell]:
    """A cell for each family that is wanted and possible. ValueError where the URL or an option will not do."""
    kind = None if args.kind is None else Kind(args.kind)
    cells, refused = [], ValueError("this place has no address of that family")
    for family in _families(args, vantage):
        try:
            cell = cell_for_url(args.url, family, kind, args.timeout, options=_options(args))
        except ValidationError:
            raise
        except ValueError as error:
            refused = error
            continue
        if args.starttls is not None and cell.kind is not Kind.TLS:
            raise ValueError(f"--starttls is for tls:// URLs, this is kind {cell.kind}")
        cells.append(replace(cell, endpoint=replace(cell.endpoint, connect=args.connect)) if args.connect else cell)
    if not cells:
        raise refused
    return cells


def _families(args: argparse.Namespace, vantage: Vantage) -> Sequence[Family]:
    """What was asked for, else the family of the address that is pinned or stands in the URL, else all there are."""
    if args.family is not None:
        return (args.family,)
    host = args.connect[0] if args.connect else parse_url(args.url).host
    own = literal_family(host)
    if own is not None:
        return (own,)
    return (host.rstrip(".").lower() == "localhost" and loopback_families()) or vantage.families


def _options(args: argparse.Namespace) -> KindOptions:
    blocks: dict[str, dict[str, Any]] = {
        "http": {"version": args.http_version, "headers": dict(args.header), "follow": args.follow},
        "tls": {"ca_file": args.ca, "verify": not args.insecure, "starttls": args.starttls},
        "resolver": {"servers": tuple(args.server or ())},
    }
    return KindOptions.model_validate(blocks)


def _connect(text: str) -> tuple[str, int]:
    try:
        return parse_connect(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _server(text: str) -> str:
    try:
        host, port = parse_server(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return host if port == 53 else host_port(host, port)


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise argparse.ArgumentTypeError(f"not a header: {text!r} (write 'Name: value')")
    return name.strip(), value.strip()
