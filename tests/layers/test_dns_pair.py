"""A and AAAA asked for together: a lost half is named, and so is whether the socket mattered."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import dns.message
import dns.rdatatype
import pytest

from prober.diagnosis.run import explain
from prober.export.reproduce import reproduce
from prober.model import Run
from prober.options import Expect
from prober.reasons import Family, Reason
from tests.layers.test_dns import ADDRESSES, ask
from tests.support.cells import FAMILIES, LOOPBACK
from tests.support.nameserver import Answers, DnsServer, dns_server, silent, zone

ANSWER = zone(ADDRESSES)
PAIR = "A+AAAA"


@contextlib.contextmanager
def racing(family: Family) -> Iterator[DnsServer]:
    """A server behind a conntrack that loses the second of two datagrams that are under way from one port."""
    number = socket.AF_INET6 if family is Family.IPV6 else socket.AF_INET
    with socket.socket(number, socket.SOCK_DGRAM) as sock:
        sock.bind((LOOPBACK[family], 0))
        server = DnsServer(*sock.getsockname()[:2], ANSWER)
        thread = threading.Thread(target=_race, args=(sock, server), daemon=True)
        thread.start()
        yield server
        sock.sendto(b"", sock.getsockname())
        thread.join(5)


def _race(sock: socket.socket, server: DnsServer) -> None:
    while True:
        sock.settimeout(20)
        under_way: dict[Any, bytes] = {}
        with contextlib.suppress(TimeoutError):
            while True:
                data, peer = sock.recvfrom(4096)
                if not data:
                    return
                under_way.setdefault(peer, data)
                sock.settimeout(0.01)  # what else is under way comes within this time
        for peer, data in under_way.items():
            for reply in server.replies(data, "udp", peer[1]):
                sock.sendto(reply, peer)


def without_aaaa(query: dns.message.Message, transport: str) -> Answers:
    return [] if query.question[0].rdtype == dns.rdatatype.AAAA else ANSWER(query, transport)


def verdict_of(run: Run) -> str:
    verdict = explain(run)
    assert verdict is not None
    return verdict.code


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("sockets", ["one", "two", "both"])
async def test_a_pair_that_is_answered_holds(family: Family, sockets: str) -> None:
    expect = Expect(answers=("10.0.0.1", "10.0.0.2", "fd00::1", "fd00::2"))
    async with dns_server(family, ANSWER) as server:
        run = await ask(server, family, type=PAIR, sockets=sockets, expect=expect)
    assert run.ok, run.outcomes
    evidence = run.outcomes[0].evidence
    assert evidence["answers"] == ["10.0.0.2", "10.0.0.1", "fd00::2", "fd00::1"]
    assert (evidence["type"], evidence["queries"], evidence["amplification"]) == (PAIR, 2, 1.0)
    assert "lost" not in evidence
    ports = [asked.port for asked in server.asked]
    assert sorted(asked.type for asked in server.asked) == sorted(["A", "AAAA"] * (len(ports) // 2))
    assert len(set(ports)) == {"one": 1, "two": 2, "both": 3}[sockets]
    assert evidence.get("two_sockets") == ({"A": "NOERROR", "AAAA": "NOERROR"} if sockets == "both" else None)


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_half_that_comes_at_the_retry_was_lost_to_the_race(family: Family) -> None:
    """The retry of glibc: one after the other."""
    with racing(family) as server:
        run = await ask(server, family, type=PAIR, resolver={"timeout": 0.2})
    assert run.blame is not None
    assert run.blame.reason is Reason.TIMEOUT
    evidence = run.outcomes[0].evidence
    assert evidence["lost"] == {
        "type": "AAAA", "name": "web.c.", "server": server.where, "came": True, "race": True,
    }  # fmt: skip
    assert evidence["detail"] == "AAAA of the pair was lost"
    assert len(evidence["answers"]) == 4
    assert run.outcomes[0].seconds is not None
    assert run.outcomes[0].seconds > 0.2
    assert verdict_of(run) == "dns_pair_race"


@pytest.mark.parametrize("family", FAMILIES)
async def test_two_sockets_tell_the_race_within_the_deadline_of_one(family: Family) -> None:
    with racing(family) as server:
        run = await ask(server, family, type=PAIR, sockets="both", timeout=0.3)
        apart = await ask(server, family, type=PAIR, sockets="two", timeout=0.3)
    evidence = run.outcomes[0].evidence
    assert run.outcomes[0].reason is Reason.TIMEOUT
    assert (evidence["lost"]["came"], evidence["lost"]["race"]) == (None, True)
    assert evidence["two_sockets"] == {"A": "NOERROR", "AAAA": "NOERROR"}
    assert verdict_of(run) == "dns_pair_race"
    assert apart.ok


async def test_a_deadline_before_the_retry_leaves_open_what_it_was() -> None:
    with racing(Family.IPV4) as server:
        run = await ask(server, Family.IPV4, type=PAIR, timeout=0.3)
    assert (run.outcomes[0].evidence["lost"]["came"], run.outcomes[0].evidence["lost"]["race"]) == (None, None)
    verdict = explain(run)
    assert verdict is not None
    assert (verdict.code, "sockets: both" in verdict.next_check) == ("dns_pair_race", True)


@pytest.mark.parametrize("sockets", ["one", "two", "both"])
async def test_a_server_that_drops_one_type_is_no_race(sockets: str) -> None:
    async with dns_server(Family.IPV4, without_aaaa) as server:
        run = await ask(server, Family.IPV4, type=PAIR, sockets=sockets, resolver={"timeout": 0.1})
    assert run.outcomes[0].reason is Reason.TIMEOUT
    assert run.outcomes[0].evidence["lost"]["type"] == "AAAA"
    assert run.outcomes[0].evidence["lost"]["race"] is (None if sockets == "two" else False)
    assert verdict_of(run) == ("dns_pair_race" if sockets == "two" else "dns_type_silent")


@pytest.mark.parametrize("sockets", ["one", "two", "both"])
async def test_silence_is_a_timeout_and_no_race(sockets: str) -> None:
    async with dns_server(Family.IPV4, silent) as server:
        run = await ask(server, Family.IPV4, type=PAIR, sockets=sockets, resolver={"timeout": 0.1})
    assert run.outcomes[0].reason is Reason.TIMEOUT
    assert "lost" not in run.outcomes[0].evidence
    assert verdict_of(run) == "dns_silent"


async def test_a_port_where_nobody_listens_ends_both_sockets() -> None:
    async with dns_server(Family.IPV4, silent) as server:
        pass
    run = await ask(server, Family.IPV4, type=PAIR, sockets="two")
    assert run.outcomes[0].reason is Reason.UNREACHABLE


async def test_a_pair_may_have_one_type_alone_and_is_compared_by_type() -> None:
    async with dns_server(Family.IPV4, zone({("web.c.", "A"): ["10.0.0.1"]})) as server:
        good = await ask(server, Family.IPV4, type=PAIR, expect=Expect(answers=("10.0.0.1",)))
        bad = await ask(server, Family.IPV4, type=PAIR, expect=Expect(answers=("10.0.0.1", "fd00::1")))
        within = await ask(server, Family.IPV4, type=PAIR, expect=Expect(answers_within=("10.0.0.0/8",)))
    assert good.ok
    assert bad.blame is not None
    assert bad.blame.reason is Reason.WRONG_ANSWER
    assert within.ok
    assert reproduce(good).endswith(" web.c. A web.c. AAAA")


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_musl_and_tcp_carry_a_pair_too(transport: str) -> None:
    async with dns_server(Family.IPV4, ANSWER) as server:
        run = await ask(server, Family.IPV4, type=PAIR, transport=transport, resolver={"profile": "musl"})
        tcp = await ask(server, Family.IPV4, type=PAIR, transport="tcp")
    assert run.ok, run.outcomes
    assert tcp.ok
    assert len(run.outcomes[0].evidence["answers"]) == 4
