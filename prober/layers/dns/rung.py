"""The dns rungs: names into addresses below every other layer (`resolve`), and the query as the subject (`query`).

Held: an answer of the asked type came, or the one that the probe expects. The walking is `prober.wire.dns.resolver`'s;
here stand what counts and what is kept as evidence.
"""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import replace
from functools import lru_cache

from prober.addresses import literal_family
from prober.layers.base import Ascent, Failed, Skipped
from prober.layers.dns.judge import answers_of, as_expected, detail_of
from prober.layers.dns.pair import heard, lost_half, note_race, types_of
from prober.model import Cell, Evidence
from prober.options import KindOptions, Profile
from prober.reasons import Family, Reason
from prober.wire.dns.edns import USUAL_PAYLOAD, Asking
from prober.wire.dns.exchange import Channel
from prober.wire.dns.lookup import look_up
from prober.wire.dns.numeric import numeric
from prober.wire.dns.resolvconf import ENCRYPTED_PORTS, ResolvConf, Server, system
from prober.wire.dns.resolver import Lookup
from prober.wire.dns.trail import Trail

ADDRESS_TYPES = {Family.IPV4: "A", Family.IPV6: "AAAA"}
_LOOPBACK = {Family.IPV4: "127.0.0.1", Family.IPV6: "::1"}
_PLAIN = Asking()


class Plans:
    """What cells that ask alike have in common, found out once: a part of the kit.

    A plan holds as long as resolv.conf says what it said.
    """

    _MAX = 20_000

    def __init__(self) -> None:
        self._plans: dict[tuple[int, str, int, Family], tuple[KindOptions, ResolvConf, ResolvConf]] = {}

    def get(self, cell: Cell, *, subject: bool) -> ResolvConf:
        """The resolver's configuration for a cell. Failed where it has no server of a dns probe's family."""
        options, own = cell.options, system(profile=cell.options.resolver.profile[0])
        host, port = cell.endpoint.first_hop if subject else ("", 0)
        key = (id(options), host, port, cell.family)
        plan = self._plans.get(key)
        if plan is None or plan[0] is not options or plan[1] is not own:
            if len(self._plans) >= self._MAX:
                self._plans.clear()
            conf = own.override(options.resolver)
            plan = self._plans[key] = (options, own, _conf_of(cell, conf) if subject else conf)
        return plan[2]

    def close(self) -> None:
        """Forget them all."""
        self._plans.clear()


async def resolve(ascent: Ascent) -> None:
    """Find the addresses of the first hop, in the cell's family only, as the Pod's C library would."""
    cell = ascent.cell
    host = cell.endpoint.first_hop[0]
    address = _LOOPBACK[cell.family] if _is_localhost(host) else numeric(host)
    if address is not None:
        if literal_family(address) is not cell.family:
            raise Failed(Reason.NO_DATA, f"{host} is the address {address}")
        ascent.addresses, ascent.address = [address], address
        raise Skipped(Reason.LITERAL)
    conf = ascent.kit.get(Plans).get(cell, subject=False)
    lookup = await _traced(ascent, host, (ADDRESS_TYPES[cell.family],), conf)
    ascent.addresses = _held(lookup)


def _is_localhost(host: str) -> bool:
    """`localhost` and the names below it never leave the machine (RFC 6761 section 6.3)."""
    return host.rstrip(".").lower().rpartition(".")[2] == "localhost"


async def query(ascent: Ascent) -> None:
    """Ask the dns probe's own question, and compare what came with what the probe expects."""
    cell = ascent.cell
    ascent.evidence["name"] = cell.endpoint.resource
    conf = ascent.kit.get(Plans).get(cell, subject=True)
    name, options = cell.endpoint.resource, cell.options.dns
    types, asking = types_of(options.type), asking_of(cell)
    if options.getaddrinfo and not cell.endpoint.host:
        from prober.layers.dns.libc import beside

        async with beside(ascent, types):
            await _asked(ascent, name, types, conf, asking)
    else:
        await _asked(ascent, name, types, conf, asking)


async def _asked(ascent: Ascent, name: str, types: tuple[str, ...], conf: ResolvConf, asking: Asking) -> None:
    """Look the name up in the way of the probe, and judge it."""
    cell, options = ascent.cell, ascent.cell.options.dns
    if len(types) == 1:
        as_expected(cell, await _traced(ascent, name, types, conf, asking, subject=True))
        return
    if options.sockets == "both":
        lookup = await _compared(ascent, name, types, conf, asking)
    else:
        asking = asking._replace(own_sockets=options.sockets == "two")
        lookup = await _traced(ascent, name, types, conf, asking, subject=True)
    if (lost := ascent.evidence.get("lost")) is not None:
        raise Failed(Reason.TIMEOUT, f"{lost['type']} of the pair was lost")
    as_expected(cell, lookup)


async def _compared(ascent: Ascent, name: str, types: tuple[str, ...], conf: ResolvConf, asking: Asking) -> Lookup:
    """The pair from one socket, and at the same time each from its own, which is asked once and not again."""
    trail = Trail()
    beside = asyncio.ensure_future(
        look_up(name, types, replace(conf, attempts=1), trail, asking=asking._replace(own_sockets=True))
    )
    try:
        lookup = await _traced(ascent, name, types, conf, asking, subject=True)
        await beside
    finally:
        beside.cancel()
        ascent.evidence["two_sockets"] = heard(trail)
        note_race(ascent.evidence)
    return lookup


def asking_of(cell: Cell) -> Asking:
    """How the question of a dns probe is put: EDNS only where an option needs it, as the C libraries do."""
    options = cell.options.dns
    payload = options.edns_size
    if payload is None and (options.nsid or options.dnssec):
        payload = USUAL_PAYLOAD
    if payload is None and options.recursion_desired:
        return _PLAIN
    return Asking(options.recursion_desired, options.dnssec, payload, options.dnssec, options.nsid)


def _conf_of(cell: Cell, conf: ResolvConf) -> ResolvConf:
    """The configuration for a dns probe's own question."""
    options = cell.options.dns
    searched = options.search if options.search is not None else not cell.endpoint.host
    return replace(
        conf,
        servers=_servers(cell, conf),
        search=conf.search if searched else (),
        transport=conf.transport if options.transport == "udp" else options.transport,
    )


def _servers(cell: Cell, conf: ResolvConf) -> tuple[Server, ...]:
    """The servers to ask: the one that the URL names, else the resolver's; of the cell's family only."""
    host, port = cell.endpoint.first_hop
    servers = tuple(
        server.over(cell.options.dns.transport) for server in ((Server(host, port),) if host else conf.servers)
    )
    usable = tuple(server for server in servers if server.family is cell.family)
    if not usable:
        raise Failed(Reason.UNREACHABLE, f"no {cell.family} nameserver among {', '.join(map(str, servers))}")
    return usable


async def _traced(
    ascent: Ascent,
    name: str,
    types: tuple[str, ...],
    conf: ResolvConf,
    asking: Asking = _PLAIN,
    *,
    subject: bool = False,
) -> Lookup:
    """Look up `name`, with the evidence and the network's time written into `ascent` however it ends.

    `subject`: the run goes to the server that is asked, so that is its address and port.
    """
    trail = Trail()
    profile = ascent.cell.options.resolver.profile[0]
    lookup: Lookup | None = None
    try:
        channel = channel_of(ascent, conf)
        lookup = await look_up(name, types, conf, trail, asking=asking, profile=profile, channel=channel)
    finally:
        if subject and (latest := trail.latest) is not None:
            ascent.address, ascent.port = latest.server.address, latest.server.port
        ascent.evidence.update(_progress(name, trail))
        if len(types) > 1 and (lost := lost_half(trail)) is not None:
            ascent.evidence["lost"] = lost
            note_race(ascent.evidence)
        if profile is not Profile.GLIBC:
            ascent.evidence["profile"] = str(profile)
        if lookup is not None:
            if trail.asked:
                ascent.took(trail.seconds, kernel=trail.kernel)
            ascent.evidence.update(_findings(lookup, trail, subject=subject))
    return lookup


def channel_of(ascent: Ascent, conf: ResolvConf) -> Channel | None:
    """The encrypted way to the servers, if that is what is asked for. TLS and HTTP are imported only then."""
    if conf.transport not in ENCRYPTED_PORTS:
        return None
    from prober.layers.dns.channel import EncryptedChannel

    return EncryptedChannel(ascent)


def _progress(name: str, trail: Trail) -> Evidence:
    """What is known of a lookup wherever it stands: it must tell enough if the deadline ends it."""
    evidence: Evidence = {"name": name, "queries": trail.asked}
    if (latest := trail.latest) is not None:
        evidence["server"] = str(latest.server)
    if trail.asked > 1:
        evidence["steps"] = [step.shown() for step in trail.steps]
    evidence |= trail.lost
    return evidence


def _findings(lookup: Lookup, trail: Trail, *, subject: bool) -> Evidence:
    """What the lookup came to: the answer that decided it, and what other names cost: `amplification` is the queries
    sent for each one needed, `wasted_seconds` their time.
    """
    step = lookup.decisive
    if step is None:
        return {}
    answers = step.answers if len(lookup.steps) == 1 else answers_of(lookup)
    evidence: Evidence = {"answers": list(answers), "server": str(step.query.server), "rcode": step.rcode}
    if lookup.suffix is not None:
        evidence["search"] = lookup.suffix
    if trail.asked > 1:
        evidence["amplification"] = round(trail.asked / len(lookup.steps), 2)
        evidence["wasted_seconds"] = round(trail.wasted(lookup), 6)
    if step.edns is not None:
        evidence |= step.edns.shown()
    if subject:
        evidence |= {
            "asked": step.query.name,
            "type": "+".join(each.query.type for each in lookup.steps),
            "transport": step.query.transport,
        }
        evidence |= {"ttl": step.ttl, "flags": list(step.flags)}
    return evidence


def _held(lookup: Lookup) -> list[str]:
    """The addresses of an answered lookup. Failed with the lookup's reason otherwise."""
    step = lookup.decisive
    if lookup.reason is not None or step is None:
        raise Failed(lookup.reason or Reason.NO_DATA, detail_of(step))
    return [_shortest(answer) for answer in step.answers]


@lru_cache(maxsize=8192)
def _shortest(address: str) -> str:
    return str(ipaddress.ip_address(address))
