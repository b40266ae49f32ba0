"""Lookups over real sockets: who is asked from which port, what survives a deadline, and what an error becomes."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Sequence
from dataclasses import replace

import dns.message
import dns.rcode
import pytest

from prober.options import Profile
from prober.reasons import Family, Reason
from prober.wire.datagram import DatagramSocket
from prober.wire.dns import kept
from prober.wire.dns.eai import ENDLESS, error_of
from prober.wire.dns.exchange import MAX_STRAYS
from prober.wire.dns.lookup import look_up
from prober.wire.dns.message import Query
from prober.wire.dns.resolvconf import ResolvConf, Server
from prober.wire.dns.resolver import Lookup
from prober.wire.dns.trail import Trail
from prober.wire.errqueue import LINUX
from prober.wire.stamps import Instant
from tests.support.cells import FAMILIES, LOOPBACK
from tests.support.nameserver import Answers, DnsServer, always, dns_server, reply_to, silent, truncated_over_udp, zone

BOTH = ("A", "AAAA")
WEB = zone({("web.c.", "A"): ["10.0.0.1"], ("web.c.", "AAAA"): ["fd00::1"]})


async def ask(
    *servers: DnsServer, name: str = "web.c.", types: tuple[str, ...] = ("A",), conf: ResolvConf | None = None
) -> tuple[Lookup, Trail]:
    trail = Trail()
    asked = tuple(Server(server.address, server.port) for server in servers)
    return await look_up(name, types, replace(conf or ResolvConf(timeout=0.2), servers=asked), trail), trail


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_pair_leaves_one_socket_at_once(family: Family) -> None:
    async with dns_server(family, WEB) as server:
        lookup, trail = await ask(server, name="web", types=BOTH, conf=ResolvConf(search=("a", "c")))
    assert lookup.reason is None
    assert [step.answers for step in lookup.steps] == [("10.0.0.1",), ("fd00::1",)]
    assert [(asked.name, asked.type) for asked in server.asked] == [
        ("web.a.", "A"), ("web.a.", "AAAA"), ("web.c.", "A"), ("web.c.", "AAAA"),
    ]  # fmt: skip
    ports = [asked.port for asked in server.asked]
    assert ports[0] == ports[1] != ports[2] == ports[3]
    assert 0 < trail.wasted(lookup) < trail.seconds


async def test_single_request_waits_for_the_first_answer_and_reopen_takes_a_new_socket() -> None:
    async with dns_server(Family.IPV4, WEB) as server:
        await ask(server, types=BOTH, conf=ResolvConf(single_request=True))
        await ask(server, types=BOTH, conf=ResolvConf(single_request_reopen=True))
    ports = [asked.port for asked in server.asked]
    assert ports[0] == ports[1]
    assert ports[2] != ports[3]


async def test_a_lost_answer_of_a_pair_is_the_signature_of_the_race() -> None:
    def lose_aaaa(query: dns.message.Message, transport: str) -> Answers:
        return [] if query.question[0].rdtype == dns.rdatatype.AAAA else WEB(query, transport)

    async with dns_server(Family.IPV4, lose_aaaa) as server:
        lookup, trail = await ask(server, types=BOTH, conf=ResolvConf(timeout=0.05))
    assert lookup.reason is None
    assert [step.reason for step in lookup.steps] == [None, Reason.TIMEOUT]
    assert (len(server.asked), trail.asked) == (6, 6)


@pytest.mark.parametrize("family", FAMILIES)
async def test_tcp_carries_both_questions_on_one_connection(family: Family) -> None:
    async with dns_server(family, WEB) as server:
        lookup, _ = await ask(server, types=BOTH, conf=ResolvConf(transport="tcp"))
    assert lookup.reason is None
    assert {asked.transport for asked in server.asked} == {"tcp"}
    assert len({asked.port for asked in server.asked}) == 1


async def test_a_truncated_answer_is_completed_over_tcp() -> None:
    async with dns_server(Family.IPV4, truncated_over_udp("web.c. 5 IN A 10.0.0.7")) as server:
        lookup, trail = await ask(server)
    assert lookup.decisive is not None
    assert lookup.decisive.answers == ("10.0.0.7",)
    assert [step.query.transport for step in trail.steps] == ["udp", "tcp"]


async def test_answers_over_tcp_may_come_in_any_order_and_in_pieces() -> None:
    held: list[dns.message.Message] = []

    def backwards(query: dns.message.Message, transport: str) -> Answers:
        held.insert(0, WEB(query, transport)[0])  # type: ignore[arg-type]  # zone() gives messages
        return [b"\x00" * 12] if len(held) < 2 else held

    async with dns_server(Family.IPV4, backwards) as server:
        lookup, trail = await ask(server, types=BOTH, conf=ResolvConf(transport="tcp", timeout=1.0))
    assert lookup.reason is None
    assert [step.query.type for step in trail.steps] == ["AAAA", "A"]
    assert [step.query.type for step in lookup.steps] == ["A", "AAAA"]


async def test_servers_take_turns_where_the_file_says_rotate() -> None:
    async with dns_server(Family.IPV4, WEB) as one, dns_server(Family.IPV4, WEB) as two:
        for _ in range(4):
            await ask(one, two, conf=ResolvConf(rotate=True))
    assert (len(one.asked), len(two.asked)) == (2, 2)


async def test_the_next_server_answers_where_the_first_fails() -> None:
    async with dns_server(Family.IPV4, always(dns.rcode.SERVFAIL)) as one, dns_server(Family.IPV4, WEB) as two:
        lookup, trail = await ask(one, two)
    assert lookup.reason is None
    assert [step.rcode for step in trail.steps] == ["SERVFAIL", "NOERROR"]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tcp", [False, True])
async def test_nobody_listening_is_unreachable_at_once(family: Family, tcp: bool) -> None:
    async with dns_server(family, WEB) as server:
        pass
    lookup, trail = await ask(server, conf=ResolvConf(attempts=1, transport="tcp" if tcp else "udp"))
    assert lookup.reason is Reason.UNREACHABLE
    assert trail.seconds < 1.0
    if LINUX and not tcp:
        label = "1/4" if family is Family.IPV6 else "3/3"
        assert trail.steps[0].detail == f"Connection refused (ICMP {label} from {LOOPBACK[family]})"


async def test_a_zone_that_does_not_exist_is_unreachable() -> None:
    lookup = await look_up("x.", ("A",), ResolvConf(servers=(Server("fe80::1%nowhere"),), attempts=1), Trail())
    assert lookup.reason is Reason.UNREACHABLE


@pytest.mark.parametrize("tcp", [False, True])
async def test_a_connection_closed_without_an_answer_is_the_servers_failure(tcp: bool) -> None:
    async with dns_server(Family.IPV4, silent) as server:
        lookup, trail = await ask(server, conf=ResolvConf(attempts=1, transport="tcp" if tcp else "udp", timeout=0.05))
    assert lookup.reason is (Reason.SERVER_FAILURE if tcp else Reason.TIMEOUT)
    assert trail.steps[0].detail == ("connection closed before the answer" if tcp else "")


async def test_wrong_answers_are_passed_over_and_counted() -> None:
    def stray(query: dns.message.Message, transport: str) -> Answers:
        wrong = reply_to(query, "web.c. 5 IN A 10.6.6.6")
        wrong.id ^= 0x5555
        return [wrong, *WEB(query, transport)] if len(server.asked) > 1 else [wrong]

    async with dns_server(Family.IPV4, stray) as server:
        lookup, trail = await ask(server, conf=ResolvConf(timeout=0.05))
    assert [step.reason for step in trail.steps] == [Reason.TIMEOUT, None]
    assert trail.steps[0].detail == "1 answers to other questions passed over"
    assert lookup.decisive is not None
    assert lookup.decisive.answers == ("10.0.0.1",)


@pytest.mark.parametrize("tcp", [False, True])
async def test_a_flood_of_wrong_answers_ends_as_malformed(tcp: bool) -> None:
    def flood(query: dns.message.Message, transport: str) -> Answers:
        wrong = reply_to(query)
        wrong.id ^= 1
        return [wrong] * (MAX_STRAYS + 1)

    async with dns_server(Family.IPV4, flood) as server:
        lookup, _ = await ask(server, conf=ResolvConf(attempts=1, timeout=5.0, transport="tcp" if tcp else "udp"))
    assert lookup.reason is Reason.MALFORMED


async def test_what_was_asked_survives_a_deadline() -> None:
    trail = Trail()
    async with dns_server(Family.IPV4, silent) as server:
        conf = ResolvConf(servers=(Server(server.address, server.port),), timeout=60.0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await look_up("web", ("A",), conf, trail)
    assert [(step.query.name, step.reason) for step in trail.steps] == [("web.", Reason.TIMEOUT)]
    assert trail.steps[0].seconds >= 0.04


async def test_where_the_c_library_would_wait_for_ever_somebody_else_has_to_end_it() -> None:
    with socket.create_server((LOOPBACK[Family.IPV4], 0)) as mute:
        conf = ResolvConf(servers=(Server(*mute.getsockname()),), use_vc=True, timeout=0.05, attempts=1)
        lookup = await look_up("web", BOTH, conf, Trail(), patience=0.3)
        assert (lookup.reason, lookup.endless) == (Reason.TIMEOUT, True)
        assert error_of(lookup, Profile.GLIBC) == ENDLESS
        trail = Trail()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(look_up("web", BOTH, conf, trail), 0.3)
        assert [(step.query.transport, step.reason) for step in trail.steps] == [("tcp", Reason.TIMEOUT)] * 2
        probed = await look_up("web", ("A",), replace(conf, use_vc=False, transport="tcp"), Trail())
        assert (probed.reason, probed.endless) == (Reason.TIMEOUT, False)


async def test_no_descriptors_left_is_our_own_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(address: str, port: int) -> DatagramSocket:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(kept, "DatagramSocket", full)
    with pytest.raises(OSError, match="Too many open files"):
        await look_up("web", ("A",), ResolvConf(), Trail())


async def test_a_busy_loop_does_not_read_as_a_slow_server() -> None:
    if not LINUX:
        pytest.skip("datagrams are stamped by the kernel on Linux")
    loop = asyncio.get_running_loop()

    def answer_then_block(query: dns.message.Message, transport: str) -> Answers:
        loop.call_soon(_spin)
        return WEB(query, transport)

    async with dns_server(Family.IPV4, answer_then_block) as server:
        _, trail = await ask(server, conf=ResolvConf(timeout=5.0))
    assert trail.asked == 1
    assert trail.steps[0].seconds < 0.15


def _spin() -> None:
    """Hold the event loop for 200 ms."""
    end = asyncio.get_running_loop().time() + 0.2
    while asyncio.get_running_loop().time() < end:
        pass


def test_the_trail_knows_what_was_asked_last() -> None:
    trail = Trail()
    assert (trail.latest, trail.asked, trail.seconds) == (None, 0, 0)
    queries: Sequence[Query] = [Query(Server("10.0.0.1"), "a.", kind) for kind in BOTH]
    for query in queries:
        trail.ask(query, Instant.now())
    assert trail.latest == queries[-1]
