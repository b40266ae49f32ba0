"""What a dns probe asks for beside its question (EDNS, NSID, DNSSEC), and what it expects beside the answer's data."""

from __future__ import annotations

from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest

from prober.options import Expect
from prober.reasons import Family, Reason
from tests.layers.test_dns import ADDRESSES, ask, resolve
from tests.support.cells import FAMILIES
from tests.support.nameserver import Answers, Script, dns_server, reply_to, truncated_over_udp, zone


def with_options(*options: dns.edns.Option, rcode: dns.rcode.Rcode = dns.rcode.NOERROR, flags: str = "RA") -> Script:
    """An answer with these EDNS options, to those who ask with EDNS; without them to others."""

    def answer(query: dns.message.Message, transport: str) -> Answers:
        data = [f"{query.question[0].name} 30 IN A 10.0.0.1"] if rcode == dns.rcode.NOERROR else []
        reply = reply_to(query, *data, rcode=rcode, flags=flags)
        if query.edns >= 0:
            reply.use_edns(0, options=list(options))
        return [reply]

    return answer


BOGUS = dns.edns.EDEOption(6, "bad \x1b[31mkey")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_the_servers_own_word_for_a_failure_is_evidence(family: Family, transport: str) -> None:
    async with dns_server(family, with_options(BOGUS, dns.edns.EDEOption(49152), rcode=dns.rcode.SERVFAIL)) as server:
        run = await ask(server, family, transport=transport, edns_size=1232)
        plain = await ask(server, family, transport=transport)
    assert run.blame is not None
    assert run.blame.reason is Reason.SERVER_FAILURE
    evidence = run.outcomes[0].evidence
    assert evidence["ede"] == [
        {"code": 6, "name": "DNSSEC Bogus", "text": "bad ?[31mkey"}, {"code": 49152, "name": "", "text": ""},
    ]  # fmt: skip
    assert evidence["detail"] == "DNSSEC Bogus (6): bad ?[31mkey; extended error (49152)"
    assert "ede" not in plain.outcomes[0].evidence
    assert [asked.message.edns for asked in server.asked] == [0, -1]
    assert server.asked[0].message.payload == 1232


async def test_a_good_answer_may_carry_a_word_too() -> None:
    async with dns_server(Family.IPV4, with_options(dns.edns.EDEOption(3, ""))) as server:
        run = await ask(server, Family.IPV4, edns_size=512)
    assert run.ok
    assert run.outcomes[0].evidence["ede"] == [{"code": 3, "name": "Stale Answer", "text": ""}]


@pytest.mark.parametrize(("raw", "text"), [(b"caf\xe9", "caf\ufffd"), (b"", ""), (b"ok\0", "ok")])
async def test_a_word_that_is_no_utf_8_does_not_spoil_the_answer(raw: bytes, text: str) -> None:
    async with dns_server(Family.IPV4, with_options(dns.edns.GenericOption(15, b"\x00\x03" + raw))) as server:
        run = await ask(server, Family.IPV4, edns_size=512)
    assert run.ok, run.outcomes
    assert run.outcomes[0].evidence["ede"] == [{"code": 3, "name": "Stale Answer", "text": text}]


@pytest.mark.parametrize(("raw", "shown"), [(b"coredns-7f9", "coredns-7f9"), (b"\x00\xff", "00ff"), (b"", "")])
async def test_the_server_says_who_it_is_only_to_those_who_ask(raw: bytes, shown: str) -> None:
    async with dns_server(Family.IPV4, with_options(dns.edns.NSIDOption(raw))) as server:
        run = await ask(server, Family.IPV4, nsid=True)
        await ask(server, Family.IPV4, edns_size=1400)
    assert run.outcomes[0].evidence["nsid"] == shown
    first, second = server.asked
    assert [int(option.otype) for option in first.message.options] == [3]
    assert (first.message.payload, second.message.payload, second.message.options) == (1232, 1400, ())


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_truncated_answer_and_its_retry_over_tcp_are_both_evidence(family: Family) -> None:
    async with dns_server(family, truncated_over_udp("web.c. 5 IN A 10.0.0.7")) as server:
        run = await ask(server, family)
    assert run.ok
    evidence = run.outcomes[0].evidence
    steps = [(step["transport"], step["rcode"], step.get("reason"), step["answers"]) for step in evidence["steps"]]
    assert steps == [("udp", "NOERROR", "truncated", 0), ("tcp", "NOERROR", None, 1)]
    assert (evidence["transport"], evidence["answers"], evidence["amplification"]) == ("tcp", ["10.0.0.7"], 2.0)


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_truncated_answer_with_tcp_53_blocked_says_so(family: Family) -> None:
    async with dns_server(family, truncated_over_udp("web.c. 5 IN A 10.0.0.7"), tcp=False) as server:
        run = await ask(server, family)
    assert run.blame is not None
    assert run.blame.reason is Reason.TRUNCATED
    detail = run.outcomes[0].evidence["detail"]
    assert detail.startswith("truncated over udp, and over tcp unreachable: Connection refused")


async def test_dnssec_sets_do_and_ad_and_nothing_else_does() -> None:
    async with dns_server(Family.IPV4, zone(ADDRESSES)) as server:
        await ask(server, Family.IPV4, dnssec=True)
        await ask(server, Family.IPV4, nsid=True)
        await resolve(server, Family.IPV4, "web.c.")
    asked = [
        (bool(each.message.flags & dns.flags.AD), bool(each.message.ednsflags & dns.flags.DO)) for each in server.asked
    ]
    assert asked == [(True, True), (False, False), (False, False)]


@pytest.mark.parametrize(
    ("expect", "detail"),
    [
        ({"authenticated": True}, "not authenticated: the answer has no AD flag (RFC 4035 section 3.2.3)"),
        ({"answers_within": ("10.0.0.0/31",)}, None),
        ({"answers_within": ("192.0.2.0/24", "10.0.0.1/32")}, None),
        ({"answers_within": ("192.0.2.0/24", "fd00::/8")}, "10.0.0.1 not within 192.0.2.0/24, fd00::/8"),
        ({"ttl_min": 30, "ttl_max": 30}, None),
        ({"ttl_min": 31}, "a TTL of 30 s, expected at least 31 s"),
        ({"ttl_max": 29}, "a TTL of 30 s, expected at most 29 s"),
    ],
)
async def test_what_is_expected_beside_the_data(expect: dict[str, Any], detail: str | None) -> None:
    async with dns_server(Family.IPV4, with_options()) as server:
        run = await ask(server, Family.IPV4, expect=Expect(**expect), dnssec=True)
    assert run.outcomes[0].evidence.get("detail") == detail
    assert run.blame is None if detail is None else run.blame is not None and run.blame.reason is Reason.WRONG_ANSWER


async def test_a_validated_answer_is_authenticated() -> None:
    async with dns_server(Family.IPV4, with_options(flags="RA AD")) as server:
        run = await ask(server, Family.IPV4, expect=Expect(authenticated=True), dnssec=True)
    assert run.ok


@pytest.mark.parametrize("family", FAMILIES)
async def test_amplification_is_the_queries_sent_for_each_one_needed(family: Family) -> None:
    async with dns_server(family, zone(ADDRESSES)) as server:
        searched = await resolve(server, family, "web", search=["a", "b", "c"], ndots=5)
        whole = await resolve(server, family, "web.c.")
    assert (searched.evidence["queries"], searched.evidence["amplification"]) == (3, 3.0)
    assert searched.evidence["wasted_seconds"] > 0
    assert "amplification" not in whole.evidence
