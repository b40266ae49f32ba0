"""musl's way of asking over real sockets: all servers from one port, the first answer, and what became of the rest."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from prober.options import Profile
from prober.reasons import Family, Reason
from prober.wire.dns.exchange import MAX_STRAYS
from prober.wire.dns.lookup import look_up
from prober.wire.dns.resolvconf import ResolvConf, Server
from prober.wire.dns.resolver import Lookup
from prober.wire.dns.trail import Trail
from prober.wire.errqueue import LINUX
from tests.support.cells import FAMILIES
from tests.support.nameserver import Answers, DnsServer, always, dns_server, reply_to, silent, truncated_over_udp, zone

BOTH = ("A", "AAAA")
WEB = zone({("web.c.", "A"): ["10.0.0.1"], ("web.c.", "AAAA"): ["fd00::1"]})


async def ask(
    *servers: DnsServer, name: str = "web.c.", types: tuple[str, ...] = ("A",), conf: ResolvConf | None = None
) -> tuple[Lookup, Trail]:
    trail = Trail()
    asked = tuple(Server(server.address, server.port) for server in servers)
    conf = replace(conf or ResolvConf(timeout=0.2), servers=asked)
    return await look_up(name, types, conf, trail, profile=Profile.MUSL), trail


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_pair_goes_to_every_server_from_one_socket(family: Family) -> None:
    async with dns_server(family, WEB) as one, dns_server(Family.IPV4, silent) as two:
        lookup, trail = await ask(one, two, name="web", types=BOTH, conf=ResolvConf(search=("c",), timeout=2.0))
    assert lookup.reason is None
    assert [step.answers for step in lookup.steps] == [("10.0.0.1",), ("fd00::1",)]
    assert len({asked.port for asked in [*one.asked, *two.asked]}) == 1
    cancelled = [(str(step.query.server), step.reason, step.detail) for step in trail.steps if not step.rcode]
    assert cancelled == [(two.where, Reason.CANCELLED, "another server answered first")] * 2
    assert trail.wasted(lookup) == 0 < trail.seconds < 1.0


async def test_a_server_that_fails_is_asked_again_until_the_time_is_over() -> None:
    async with dns_server(Family.IPV4, always(dns.rcode.SERVFAIL)) as one:
        lookup, trail = await ask(one)
    assert lookup.reason is Reason.SERVER_FAILURE
    assert [step.rcode for step in trail.steps] == ["SERVFAIL"] * 6  # two rounds, twice more in each
    assert trail.asked == len(one.asked) == 6
    assert 0.2 <= trail.seconds < 1.0  # musl waits for the end of its time


@pytest.mark.parametrize("family", FAMILIES)
async def test_nobody_listening_is_unreachable_after_the_whole_time(family: Family) -> None:
    async with dns_server(family, WEB) as server:
        pass
    lookup, trail = await ask(server)
    assert lookup.reason is (Reason.UNREACHABLE if LINUX else Reason.TIMEOUT)
    assert [step.reason for step in trail.steps] == [lookup.reason] * 2
    if LINUX:
        assert trail.steps[0].detail == f"ICMP {'3/3' if family is Family.IPV4 else '1/4'} from {server.address}"


async def test_one_server_that_is_gone_does_not_hide_the_other() -> None:
    async with dns_server(Family.IPV4, WEB) as gone:
        pass
    async with dns_server(Family.IPV4, WEB) as server:
        lookup, _ = await ask(gone, server, types=BOTH)
    assert lookup.reason is None


async def test_each_truncated_answer_is_completed_over_a_connection_of_its_own() -> None:
    async with dns_server(Family.IPV4, truncated_over_udp("web.c. 5 IN A 10.0.0.7")) as server:
        lookup, trail = await ask(server, types=BOTH, conf=ResolvConf(timeout=2.0))
    assert lookup.reason is None
    assert lookup.steps[0].answers == ("10.0.0.7",)
    assert sorted(step.query.transport for step in trail.steps) == ["tcp", "tcp", "udp", "udp"]
    assert len({asked.port for asked in server.asked if asked.transport == "tcp"}) == 2


async def test_tcp_that_closes_ends_the_lookup_at_once() -> None:
    def cut(query: dns.message.Message, transport: str) -> Answers:
        return [reply_to(query, flags="RA TC")] if transport == "udp" else []

    async with dns_server(Family.IPV4, cut) as server:
        lookup, trail = await ask(server, conf=ResolvConf(timeout=5.0))
    assert lookup.reason is Reason.TRUNCATED
    assert trail.seconds < 2.0


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_probe_may_ask_over_tcp_where_musl_itself_would_not(family: Family) -> None:
    async with dns_server(family, WEB) as one, dns_server(family, always(dns.rcode.REFUSED)) as two:
        lookup, _ = await ask(one, two, types=BOTH, conf=ResolvConf(transport="tcp", timeout=2.0))
        assert lookup.reason is None
        assert {asked.transport for asked in one.asked} == {"tcp"}
        obeyed, _ = await ask(one, conf=ResolvConf(use_vc=True, timeout=2.0))
    assert obeyed.reason is None
    assert one.asked[-1].transport == "udp"  # musl does not know the option of the file


async def test_a_late_answer_still_counts_in_the_next_round() -> None:
    held: list[dns.message.Message] = []

    def late(query: dns.message.Message, transport: str) -> Answers:
        held.append(WEB(query, transport)[0])  # type: ignore[arg-type]  # zone() gives messages
        return held[:1] if len(held) == 2 else []

    async with dns_server(Family.IPV4, late) as server:
        lookup, trail = await ask(server)
    assert lookup.reason is None
    assert [step.reason for step in trail.steps] == [Reason.TIMEOUT, None]
    assert len({asked.port for asked in server.asked}) == 1


async def test_a_flood_of_strays_ends_as_malformed() -> None:
    def flood(query: dns.message.Message, transport: str) -> Answers:
        return [b"\xff" * 12] * (MAX_STRAYS + 50)

    async with dns_server(Family.IPV4, flood) as server:
        lookup, _ = await ask(server, conf=ResolvConf(timeout=5.0))
    assert lookup.decisive is not None
    assert lookup.reason in (Reason.MALFORMED, Reason.TIMEOUT)


async def test_what_was_asked_survives_a_deadline() -> None:
    trail = Trail()
    async with dns_server(Family.IPV4, silent) as server:
        conf = ResolvConf(servers=(Server(server.address, server.port),))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await look_up("web.c.", BOTH, conf, trail, profile=Profile.MUSL)
    assert [(step.query.type, step.reason) for step in trail.steps] == [("A", Reason.TIMEOUT), ("AAAA", Reason.TIMEOUT)]
    assert not trail.waiting
