"""`prober dns`: every query that a C library's resolver would send for a name, what came of each, and what it cost."""

from __future__ import annotations

import argparse
import asyncio
import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prober.cli.machine import emit

if TYPE_CHECKING:
    from prober.model import Cell
    from prober.options import Profile
    from prober.wire.dns.resolvconf import ResolvConf, Server

#: Seconds for which an answer over TCP is waited for, where the C library would wait for ever.
_PATIENCE = 30.0


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `prober dns`."""
    parser.add_argument("name", type=_name, metavar="NAME", help="the name, as a program would give it to getaddrinfo")
    parser.add_argument("--type", type=_types, default=("A", "AAAA"), metavar="A,AAAA", dest="types",
                        help="record types, sent together as getaddrinfo does (default: A,AAAA)")  # fmt: skip
    parser.add_argument("--as", type=_profiles, default="glibc", dest="profiles", metavar="glibc,musl",
                        help="whose resolver to be, side by side (default: %(default)s)")  # fmt: skip
    parser.add_argument("--ndots", type=_ndots, metavar="N", help="instead of resolv.conf's, 0 to 15")
    parser.add_argument("--search", type=_listed, metavar="A,B",
                        help="search list instead of resolv.conf's; '' for none")  # fmt: skip
    parser.add_argument("--server", type=_server, action="append", metavar="ADDR[:PORT]",
                        help="server instead of resolv.conf's; may be given again")  # fmt: skip
    parser.add_argument("--transport", choices=("udp", "tcp", "tls", "https"), default="udp",
                        help="tls and https verify the server (default: %(default)s)")  # fmt: skip
    parser.add_argument("--server-name", metavar="NAME", help="name on the server's certificate, for tls and https "
                        "(default: its address)")  # fmt: skip
    parser.add_argument("--ca-file", type=Path, metavar="FILE", help="PEM bundle trusted instead of the system's")
    parser.add_argument("--edns", type=_edns, metavar="BYTES",
                        help="ask with EDNS of this datagram size: servers then say why they fail")  # fmt: skip
    parser.add_argument("--nsid", action="store_true", help="ask the server who it is (RFC 5001)")
    parser.add_argument("--dnssec", action="store_true", help="ask for signatures and the AD flag")
    parser.add_argument("--getaddrinfo", action=argparse.BooleanOptionalAction,
                        help="ask the C library here as well (default: unless --server is given)")  # fmt: skip
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    """0 if the name was found as every profile, 1 if not."""
    from prober.cli.walks import show
    from prober.redact import redact

    report = redact(asyncio.run(_report(args)), {})
    if args.output == "json":
        emit(json.dumps(report, ensure_ascii=False))
    else:
        show(report)
    return int(any(walk["reason"] for walk in report["walks"]))


async def _report(args: argparse.Namespace) -> dict[str, Any]:
    """All lookups at the same time, so that they meet the servers in the same state, as plain JSON values."""
    from prober.cli.walks import differ
    from prober.wire.dns.resolvconf import system
    from prober.wire.stamps import StampKeeper

    own = system()
    conf = _changed(own, args)
    wanted = not args.server if args.getaddrinfo is None else args.getaddrinfo
    asked = wanted and set(args.types) <= {"A", "AAAA"}
    here = asyncio.create_task(_own_libc(args.name, args.types)) if asked else None
    with closing(StampKeeper()):
        walks = await asyncio.gather(*(_walk(args, profile) for profile in args.profiles))
    return {
        "name": args.name,
        "types": list(args.types),
        "ndots": conf.ndots,
        "search": list(conf.search),
        "servers": [str(server) for server in conf.servers],
        "walks": walks,
        "differ": differ(walks),
        "here": None if here is None else {**await here, "ndots": own.ndots, "search": list(own.search)},
    }


def _changed(conf: ResolvConf, args: argparse.Namespace) -> ResolvConf:
    from prober.options import ResolverOptions

    servers = tuple(map(str, args.server or ()))
    conf = conf.override(ResolverOptions(servers=servers, search=args.search, ndots=args.ndots))
    over = tuple(server.over(args.transport) for server in conf.servers)
    return replace(conf, servers=over, transport=args.transport)


async def _walk(args: argparse.Namespace, profile: Profile) -> dict[str, Any]:
    from prober.cli.walks import walked
    from prober.layers.base import Ascent, Kit
    from prober.layers.dns.rung import asking_of, channel_of
    from prober.wire.dns.lookup import look_up
    from prober.wire.dns.resolvconf import system
    from prober.wire.dns.trail import Trail

    conf = _changed(system(profile=profile), args)
    trail, kit = Trail(), Kit()
    ascent = Ascent(_cell(args), kit)
    try:
        lookup = await look_up(args.name, args.types, conf, trail, asking=asking_of(ascent.cell), profile=profile,
                               channel=channel_of(ascent, conf), patience=_PATIENCE)  # fmt: skip
    finally:
        await kit.close()
    return {**walked(profile, args.types, lookup, trail), **ascent.evidence}


def _cell(args: argparse.Namespace) -> Cell:
    """The probe that these options would be: how it asks, and whom it trusts."""
    from prober.model import Cell, Endpoint
    from prober.options import DnsOptions, KindOptions, TlsOptions
    from prober.reasons import Family, Kind

    dns = DnsOptions(transport=args.transport, edns_size=args.edns, nsid=args.nsid, dnssec=args.dnssec)
    options = KindOptions(dns=dns, tls=TlsOptions(server_name=args.server_name, ca_file=args.ca_file))
    return Cell("dns", Kind.DNS, args.name, "", Family.IPV4, Endpoint("dns", "", 53, args.name), 0.0, 0.0, options)


async def _own_libc(name: str, types: tuple[str, ...]) -> dict[str, Any]:
    """getaddrinfo of the C library that this process runs on: in a thread, for it blocks."""
    from prober.wire.dns.libc import ask

    return await asyncio.to_thread(ask, name, types)


def _profiles(text: str) -> tuple[Profile, ...]:
    from prober.options import Profile

    given = tuple(dict.fromkeys(_listed(text)))
    for word in given:
        if word not in [*Profile]:
            raise argparse.ArgumentTypeError(f"no such profile: {word} (known: {', '.join(Profile)})")
    if not given:
        raise argparse.ArgumentTypeError("no profile given")
    return tuple(map(Profile, given))


def _name(text: str) -> str:
    from prober.wire.dns.message import is_name

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


def _edns(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 512 <= int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"not a number from 512 to 65535: {text!r}")
    return int(text)


def _ndots(text: str) -> int:
    from prober.wire.dns.resolvconf import MAX_NDOTS

    if not (text.isascii() and text.isdigit() and int(text) <= MAX_NDOTS):
        raise argparse.ArgumentTypeError(f"not a number from 0 to {MAX_NDOTS}: {text!r}")
    return int(text)


def _server(text: str) -> Server:
    from prober.wire.dns.resolvconf import Server

    try:
        return Server.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
