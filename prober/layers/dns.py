"""The dns rungs: names into addresses below every other layer (`resolve`), and the query as the subject (`query`).

Held: an answer of the asked type came, or the one that the probe expects. The walking is `prober.wire.resolver`'s;
here stand what counts and what is kept as evidence.
"""

from __future__ import annotations

import ipaddress
from dataclasses import replace

from prober.addresses import is_literal
from prober.layers.base import Ascent, Failed, Skipped
from prober.model import Cell, Evidence
from prober.options import Profile
from prober.reasons import Family, Reason
from prober.wire.dnsmessage import Step, same_records
from prober.wire.lookup import look_up
from prober.wire.resolvconf import ResolvConf, Server, system
from prober.wire.resolver import Lookup
from prober.wire.trail import Trail

ADDRESS_TYPES = {Family.IPV4: "A", Family.IPV6: "AAAA"}
_LOOPBACK = {Family.IPV4: "127.0.0.1", Family.IPV6: "::1"}


async def resolve(ascent: Ascent) -> None:
    """Find the addresses of the first hop, in the cell's family only, as the Pod's C library would."""
    cell = ascent.cell
    host = cell.endpoint.first_hop[0]
    if is_literal(host) or _is_localhost(host):
        address = host if is_literal(host) else _LOOPBACK[cell.family]
        ascent.addresses, ascent.address = [address], address
        raise Skipped(Reason.LITERAL)
    conf = system().override(cell.options.resolver)
    lookup = await _traced(ascent, host, ADDRESS_TYPES[cell.family], conf)
    ascent.addresses = _held(lookup)


def _is_localhost(host: str) -> bool:
    """`localhost` and the names below it never leave the machine (RFC 6761 section 6.3)."""
    return host.rstrip(".").lower().rpartition(".")[2] == "localhost"


async def query(ascent: Ascent) -> None:
    """Ask the dns probe's own question, and compare what came with what the probe expects."""
    cell = ascent.cell
    options = cell.options.dns
    ascent.evidence["name"] = cell.endpoint.resource
    conf = system().override(cell.options.resolver)
    searched = options.search if options.search is not None else not cell.endpoint.host
    conf = replace(
        conf,
        servers=_servers(cell, conf),
        search=conf.search if searched else (),
        use_tcp=conf.use_tcp or options.transport == "tcp",
    )
    lookup = await _traced(
        ascent, cell.endpoint.resource, options.type, conf, recursion_desired=options.recursion_desired, subject=True
    )
    _as_expected(cell, lookup)


def _servers(cell: Cell, conf: ResolvConf) -> tuple[Server, ...]:
    """The servers to ask: the one that the URL names, else the resolver's; of the cell's family only."""
    host, port = cell.endpoint.first_hop
    servers = (Server(host, port),) if host else conf.servers
    usable = tuple(server for server in servers if server.family is cell.family)
    if not usable:
        raise Failed(Reason.UNREACHABLE, f"no {cell.family} nameserver among {', '.join(map(str, servers))}")
    return usable


async def _traced(
    ascent: Ascent,
    name: str,
    kind: str,
    conf: ResolvConf,
    *,
    recursion_desired: bool = True,
    subject: bool = False,
) -> Lookup:
    """Look up `name`, with the evidence and the network's time written into `ascent` at every step.

    `subject`: the run goes to the server that is asked, so that is its address and port.
    """
    trail = Trail()

    def write() -> None:
        ascent.evidence.update(_progress(name, trail))
        if subject and trail.latest is not None:
            ascent.address, ascent.port = trail.latest.server.address, trail.latest.server.port

    trail.changed = write
    write()
    profile, *_ = ascent.cell.options.resolver.profile
    if profile is not Profile.GLIBC:
        ascent.evidence["profile"] = str(profile)
    lookup = await look_up(name, (kind,), conf, trail, recursion_desired=recursion_desired, profile=profile)
    if trail.asked:
        ascent.took(trail.seconds, kernel=trail.kernel)
    ascent.evidence.update(_findings(lookup, trail, subject=subject))
    return lookup


def _progress(name: str, trail: Trail) -> Evidence:
    """What is known while the lookup is under way: it must tell enough if the deadline ends it."""
    evidence: Evidence = {"name": name, "queries": trail.asked}
    if trail.latest is not None:
        evidence["server"] = str(trail.latest.server)
    if trail.asked > 1:
        evidence["steps"] = [step.shown() for step in trail.steps]
    return evidence


def _findings(lookup: Lookup, trail: Trail, *, subject: bool) -> Evidence:
    """What the lookup came to: the answer that decided it, and the time that other names cost (`wasted_seconds`)."""
    step = lookup.decisive
    if step is None:
        return {}
    evidence: Evidence = {"answers": list(step.answers), "server": str(step.query.server), "rcode": step.rcode}
    if lookup.suffix is not None:
        evidence["search"] = lookup.suffix
    if trail.asked > 1:
        evidence["wasted_seconds"] = round(trail.wasted(lookup), 6)
    if subject:
        evidence |= {"asked": step.query.name, "type": step.query.type, "transport": step.query.transport}
        evidence |= {"ttl": step.ttl, "flags": list(step.flags)}
    return evidence


def _held(lookup: Lookup) -> list[str]:
    """The addresses of an answered lookup. Failed with the lookup's reason otherwise."""
    step = lookup.decisive
    if lookup.reason is not None or step is None:
        raise Failed(lookup.reason or Reason.NO_DATA, _detail(step))
    return [str(ipaddress.ip_address(answer)) for answer in step.answers]


def _detail(step: Step | None) -> str:
    return "not a domain name" if step is None else step.detail


def _as_expected(cell: Cell, lookup: Lookup) -> None:
    """Failed unless the probe's expectation holds; without one, unless data came."""
    expect, step = cell.expect, lookup.decisive
    if step is None or step.rcode is None or step.reason in (Reason.TRUNCATED, Reason.MALFORMED):
        raise Failed(lookup.reason or Reason.MALFORMED, _detail(step))
    if expect.rcode is not None and step.rcode != expect.rcode:
        raise Failed(step.reason or Reason.WRONG_ANSWER, f"rcode {step.rcode}, expected {expect.rcode}")
    if expect.rcode is None and step.reason is not None:
        raise Failed(step.reason, step.detail)
    if expect.answers and not same_records(step.query.type, expect.answers, step.answers):
        raise Failed(Reason.WRONG_ANSWER, f"expected {', '.join(expect.answers)}")
