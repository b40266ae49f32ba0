"""`prober dns`: every query that a C library's resolver would send for a name, what came of each, and what it cost."""

from __future__ import annotations

import argparse
import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prober.wire.resolvconf import ResolvConf, Server
    from prober.wire.resolver import Lookup
    from prober.wire.trail import Trail


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `prober dns`."""
    parser.add_argument("name", type=_name, metavar="NAME", help="the name, as a program would give it to getaddrinfo")
    parser.add_argument("--type", type=_types, default=("A", "AAAA"), metavar="A,AAAA", dest="types",
                        help="record types, sent together as getaddrinfo does (default: A,AAAA)")  # fmt: skip
    parser.add_argument("--as", choices=("glibc",), default="glibc", dest="profile",
                        help="whose resolver to be (default: %(default)s)")  # fmt: skip
    parser.add_argument("--ndots", type=_ndots, metavar="N", help="instead of resolv.conf's, 0 to 15")
    parser.add_argument("--search", type=_listed, metavar="A,B",
                        help="search list instead of resolv.conf's; '' for none")  # fmt: skip
    parser.add_argument("--server", type=_server, action="append", metavar="ADDR[:PORT]",
                        help="server instead of resolv.conf's; may be given again")  # fmt: skip
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    """0 if the name was found, 1 if not."""
    lookup, trail, conf = asyncio.run(_look_up(args))
    report = _report(args, lookup, trail, conf)
    if args.output == "json":
        print(json.dumps(report, ensure_ascii=False))
    else:
        _print(report)
    return 0 if lookup.reason is None else 1


async def _look_up(args: argparse.Namespace) -> tuple[Lookup, Trail, ResolvConf]:
    from prober.wire.lookup import look_up
    from prober.wire.resolvconf import system
    from prober.wire.trail import Trail

    conf = system()
    conf = replace(
        conf,
        servers=tuple(args.server) if args.server else conf.servers,
        search=conf.search if args.search is None else args.search,
        ndots=conf.ndots if args.ndots is None else args.ndots,
    )
    trail = Trail()
    return await look_up(args.name, args.types, conf, trail), trail, conf


def _report(args: argparse.Namespace, lookup: Lookup, trail: Trail, conf: ResolvConf) -> dict[str, Any]:
    """The whole lookup as plain JSON values; times in seconds."""
    needed = len(args.types)
    return {
        "name": args.name,
        "profile": args.profile,
        "ndots": conf.ndots,
        "search": list(conf.search),
        "servers": [str(server) for server in conf.servers],
        "found": lookup.name if lookup.reason is None else None,
        "suffix": lookup.suffix if lookup.reason is None else None,
        "reason": None if lookup.reason is None else str(lookup.reason),
        "addresses": [answer for step in lookup.steps for answer in step.answers],
        "sent": trail.asked,
        "needed": needed,
        "amplification": round(trail.asked / needed, 2),
        "seconds": round(trail.seconds, 6),
        "wasted_seconds": round(trail.wasted(lookup), 6),
        "queries": [{**step.shown(), "answers": list(step.answers)} for step in trail.steps],
    }


def _print(report: dict[str, Any]) -> None:
    """The report for people."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 240  # for grep: no line is folded
    search = ", ".join(report["search"]) or "none"
    console.print(Text(f"{report['name']} as {report['profile']}: ndots {report['ndots']}, search {search}"))
    table = Table("#", "name", "type", "server", "result", "ms", "answer", box=None, pad_edge=False)
    for number, query in enumerate(report["queries"], 1):
        server = query["server"] + ("/tcp" if query["transport"] == "tcp" else "")
        answer = ", ".join(query["answers"]) or query.get("detail", "")
        style = "green" if query["answers"] else "yellow" if query["rcode"] else "red"
        cells = (str(number), query["name"], query["type"], server, _result(query), f"{query['seconds'] * 1e3:.2f}")
        table.add_row(*map(Text, cells), Text(answer), style=style)
    console.print(table)
    console.print(Text(_summary(report)))


def _result(query: dict[str, Any]) -> str:
    """The response code, and the reason where the code alone does not tell."""
    if query["rcode"] is None:
        return str(query["reason"])
    return (
        f"{query['rcode']} ({query['reason']})" if query["rcode"] == "NOERROR" and "reason" in query else query["rcode"]
    )


def _summary(report: dict[str, Any]) -> str:
    sent, needed = report["sent"], report["needed"]
    cost = (
        f"{sent} {'query' if sent == 1 else 'queries'} sent, {needed} needed: amplification {report['amplification']:g}"
    )
    times = f"{report['seconds'] * 1e3:.2f} ms, of which {report['wasted_seconds'] * 1e3:.2f} ms wasted on other names"
    if report["found"] is None:
        return f"not found: {report['reason']}. {cost}; {times}"
    where = f" through search {report['suffix']}" if report["suffix"] else ""
    return f"found as {report['found']}{where}. {cost}; {times}"


def _name(text: str) -> str:
    from prober.wire.dnsmessage import is_name

    if not is_name(text):
        raise argparse.ArgumentTypeError(f"not a domain name: {text!r}")
    return text


def _listed(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (part.strip() for part in text.split(","))))


def _types(text: str) -> tuple[str, ...]:
    import dns.rdatatype

    types = tuple(dict.fromkeys(kind.upper() for kind in _listed(text)))
    for kind in types:
        try:
            dns.rdatatype.from_text(kind)
        except (dns.rdatatype.UnknownRdatatype, ValueError):
            raise argparse.ArgumentTypeError(f"unknown record type: {kind}") from None
    if not types:
        raise argparse.ArgumentTypeError("no record type given")
    return types


def _ndots(text: str) -> int:
    from prober.wire.resolvconf import MAX_NDOTS

    if not (text.isascii() and text.isdigit() and int(text) <= MAX_NDOTS):
        raise argparse.ArgumentTypeError(f"not a number from 0 to {MAX_NDOTS}: {text!r}")
    return int(text)


def _server(text: str) -> Server:
    from prober.wire.resolvconf import Server

    try:
        return Server.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
