"""The dns rungs climbed against a scripted server: every reason in both families, and what is kept as evidence."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from typing import Any

import dns.message
import dns.rcode
import pytest

from prober.engine.climb import climb
from prober.layers.base import Kit
from prober.model import Outcome, Run
from prober.options import Expect
from prober.reasons import Family, Kind, Layer, Reason, Result
from tests.support.cells import FAMILIES, LOOPBACK, facts, make_cell
from tests.support.nameserver import (
    Answers,
    DnsServer,
    Script,
    always,
    dns_server,
    reply_to,
    silent,
    truncated_over_udp,
    zone,
)

ADDRESSES = {("web.c.", "A"): ["10.0.0.2", "10.0.0.1"], ("web.c.", "AAAA"): ["fd00::2", "fd00::1"]}
SEARCHED: dict[str, Any] = {"search": ["a", "c"], "ndots": 5}


async def ask(
    server: DnsServer,
    family: Family,
    name: str = "web.c.",
    *,
    expect: Expect | None = None,
    timeout: float = 2.0,
    resolver: dict[str, Any] | None = None,
    **dns: Any,
) -> Run:
    """One dns probe of the server, given as its URL's host."""
    options = {"dns": dns, "resolver": {"attempts": 1, **(resolver or {})}}
    cell = make_cell(Kind.DNS, "dns", server.address, server.port, family=family, timeout=timeout, expect=expect,
                     options=options, resource=name)  # fmt: skip
    (run,) = await climb(cell, Kit())
    return run


async def resolve(server: DnsServer, family: Family, name: str, **resolver: Any) -> Outcome:
    """The dns rung below tcp; nothing listens on the port above it."""
    options = {"resolver": {"servers": [server.where], "search": [], "attempts": 1, **resolver}}
    cell = make_cell(Kind.TCP, "tcp", name, 1, family=family, timeout=1.0, options=options)
    runs = await climb(cell, Kit())
    outcome = runs[0].outcome(Layer.DNS)
    assert outcome is not None
    return outcome


def garbage(query: dns.message.Message, transport: str) -> Answers:
    return [query.to_wire()[:2] + b"\x80\x00" + b"\xff" * 40]


def late_tcp(query: dns.message.Message, transport: str) -> Answers:
    return [] if transport == "tcp" else truncated_over_udp()(query, transport)


REASONS: list[tuple[Script, Reason, str | None]] = [
    (always(dns.rcode.NXDOMAIN), Reason.NAME_NOT_FOUND, "NXDOMAIN"),
    (always(dns.rcode.NOERROR), Reason.NO_DATA, "NOERROR"),
    (always(dns.rcode.SERVFAIL), Reason.SERVER_FAILURE, "SERVFAIL"),
    (always(dns.rcode.NOTIMP), Reason.SERVER_FAILURE, "NOTIMP"),
    (always(dns.rcode.REFUSED), Reason.REFUSED, "REFUSED"),
    (garbage, Reason.MALFORMED, None),
    (late_tcp, Reason.TRUNCATED, "NOERROR"),
]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("script", "reason", "rcode"), REASONS, ids=[f"{r}-{c}" for _, r, c in REASONS])
async def test_each_failure_has_its_reason(family: Family, script: Script, reason: Reason, rcode: str | None) -> None:
    """Both as the subject of a dns probe and below another layer."""
    async with dns_server(family, script) as server:
        run = await ask(server, family)
        below = await resolve(server, family, "web.c.")
    assert run.blame is not None
    assert (run.blame.layer, run.blame.reason) == (Layer.DNS, reason)
    assert (below.result, below.reason) == (Result.FAILED, reason)
    for outcome in (run.outcomes[0], below):
        assert outcome.evidence["rcode"] == rcode
        assert outcome.seconds is not None
        assert 0 < outcome.seconds < 1.0
    json.dumps(run.outcomes[0].evidence)


@pytest.mark.parametrize("family", FAMILIES)
async def test_silence_is_a_timeout_that_says_who_was_asked_for_what(family: Family) -> None:
    async with dns_server(family, silent) as server:
        run = await ask(server, family, timeout=0.1)
        brief = await ask(server, family, timeout=1.0, resolver={"timeout": 0.05})
    for each in (run, brief):
        assert each.blame is not None
        assert each.blame.reason is Reason.TIMEOUT
        assert (each.address, each.port) == (server.address, server.port)
        assert each.outcomes[0].evidence.items() >= {"name": "web.c.", "queries": 1, "server": server.where}.items()
    assert 0.1 <= run.seconds < 1.0
    assert 0.05 <= brief.seconds < 1.0


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_deadline_in_the_middle_of_a_search_keeps_the_steps(family: Family) -> None:
    def second_is_silent(query: dns.message.Message, transport: str) -> Answers:
        return [] if len(server.asked) > 1 else [reply_to(query, rcode=dns.rcode.NXDOMAIN)]

    async with dns_server(family, second_is_silent) as server:
        run = await ask(server, family, "web", timeout=0.1, search=True, resolver=SEARCHED)
    evidence = run.outcomes[0].evidence
    assert run.outcomes[0].reason is Reason.TIMEOUT
    assert evidence["queries"] == 2
    assert [(step["name"], step["rcode"]) for step in evidence["steps"]] == [("web.a.", "NXDOMAIN"), ("web.c.", None)]


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_port_where_nobody_listens_is_unreachable(family: Family) -> None:
    async with dns_server(family, silent) as server:
        pass
    for options in ({}, {"transport": "tcp"}):
        run = await ask(server, family, **options)
        assert run.blame is not None
        assert run.blame.reason is Reason.UNREACHABLE
        assert "refused" in run.outcomes[0].evidence["detail"]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_an_answer_is_kept_with_server_ttl_and_flags(family: Family, transport: str) -> None:
    async with dns_server(family, zone(ADDRESSES)) as server:
        run = await ask(server, family, transport=transport)
    assert run.ok
    assert (run.address, run.port) == (server.address, server.port)
    assert facts(run.outcomes[0]) == {
        "name": "web.c.", "queries": 1, "server": server.where, "answers": ["10.0.0.2", "10.0.0.1"], "rcode": "NOERROR",
        "asked": "web.c.", "type": "A", "transport": transport, "ttl": 30, "flags": ["ra"],
    }  # fmt: skip
    assert [asked.transport for asked in server.asked] == [transport]
    assert run.outcomes[0].seconds is not None
    assert 0 < run.outcomes[0].seconds <= run.seconds


async def test_recursion_is_asked_for_unless_the_probe_says_no() -> None:
    async with dns_server(Family.IPV4, zone(ADDRESSES)) as server:
        await ask(server, Family.IPV4)
        await ask(server, Family.IPV4, recursion_desired=False)
    assert [bool(asked.message.flags & dns.flags.RD) for asked in server.asked] == [True, False]


@pytest.mark.parametrize(
    ("expect", "type_", "reason"),
    [
        ({"answers": ("10.0.0.1", "10.0.0.2")}, "A", None),
        ({"answers": ("10.0.0.1",)}, "A", Reason.WRONG_ANSWER),
        ({"answers": ("10.0.0.1", "10.0.0.9")}, "A", Reason.WRONG_ANSWER),
        ({"answers": ("fd00:0::1", "fd00::2")}, "AAAA", None),
        ({"answers": ("10.0.0.1",)}, "TXT", Reason.NO_DATA),
        ({"rcode": "NOERROR"}, "A", None),
        ({"rcode": "NOERROR"}, "TXT", None),
        ({"rcode": "NXDOMAIN"}, "A", Reason.WRONG_ANSWER),
        ({"rcode": "NXDOMAIN"}, "TXT", Reason.NO_DATA),
        ({"rcode": "NOERROR", "answers": ("10.0.0.9",)}, "A", Reason.WRONG_ANSWER),
    ],
)
async def test_answers_are_compared_with_what_is_expected(
    expect: dict[str, Any], type_: str, reason: Reason | None
) -> None:
    async with dns_server(Family.IPV4, zone(ADDRESSES)) as server:
        run = await ask(server, Family.IPV4, expect=Expect(**expect), type=type_)
    assert (run.blame.reason if run.blame else None) is reason


async def test_a_name_that_must_not_exist_holds_by_its_code() -> None:
    async with dns_server(Family.IPV4, always(dns.rcode.NXDOMAIN)) as server:
        good = await ask(server, Family.IPV4, expect=Expect(rcode="NXDOMAIN"))
    async with dns_server(Family.IPV4, always(dns.rcode.REFUSED)) as server:
        bad = await ask(server, Family.IPV4, expect=Expect(rcode="NXDOMAIN"))
    assert good.ok
    assert bad.blame is not None
    assert bad.blame.reason is Reason.REFUSED
    assert bad.outcomes[0].evidence["detail"] == "rcode REFUSED, expected NXDOMAIN"


async def test_a_truncated_answer_never_holds_by_its_code() -> None:
    async with dns_server(Family.IPV4, late_tcp) as server:
        run = await ask(server, Family.IPV4, expect=Expect(rcode="NOERROR"))
    assert run.blame is not None
    assert run.blame.reason is Reason.TRUNCATED


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_name_is_looked_up_as_musl_where_the_probe_says_so(family: Family) -> None:
    answered = zone({**ADDRESSES, ("web.a.", "TXT"): ["x"]})  # web.a exists, without addresses
    async with dns_server(family, answered) as server:
        as_glibc = await resolve(server, family, "web", **SEARCHED)
        as_musl = await resolve(server, family, "web", **SEARCHED, profile="musl")
        asked = await ask(server, family, "web", search=True, resolver={**SEARCHED, "profile": "musl"})
    assert (as_glibc.result, as_glibc.evidence.get("profile")) == (Result.OK, None)
    assert (as_musl.result, as_musl.reason) == (Result.FAILED, Reason.NO_DATA)
    assert (as_musl.evidence["profile"], as_musl.evidence["queries"]) == ("musl", 1)
    assert asked.blame is not None
    assert asked.blame.reason is Reason.NO_DATA


@pytest.mark.parametrize("family", FAMILIES)
async def test_the_resolvers_own_servers_are_asked_through_the_search_list(family: Family) -> None:
    async with dns_server(family, zone(ADDRESSES)) as server:
        other = "[::1]:9" if family is Family.IPV4 else "127.0.0.1:9"
        options = {"resolver": {"servers": [other, server.where], **SEARCHED}}
        cell = make_cell(Kind.DNS, "dns", "", 53, family=family, options=options, resource="web")
        (run,) = await climb(cell, Kit())
    assert run.ok
    evidence = run.outcomes[0].evidence
    assert server.names == ["web.a.", "web.c."]
    assert (evidence["asked"], evidence["search"], evidence["queries"]) == ("web.c.", "c", 2)
    assert 0 < evidence["wasted_seconds"] < run.seconds
    assert [step["answers"] for step in evidence["steps"]] == [0, 2]


async def test_no_nameserver_of_the_family_is_unreachable() -> None:
    options = {"resolver": {"servers": ["127.0.0.1"]}}
    cell = make_cell(Kind.DNS, "dns", "", 53, family=Family.IPV6, options=options, resource="web")
    (run,) = await climb(cell, Kit())
    assert run.blame is not None
    assert run.blame.reason is Reason.UNREACHABLE
    assert run.outcomes[0].evidence["detail"] == "no ipv6 nameserver among 127.0.0.1"


@pytest.mark.parametrize("family", FAMILIES)
async def test_below_other_layers_only_addresses_of_the_cells_family_are_asked_for(family: Family) -> None:
    """The server's own family does not matter there."""
    async with dns_server(Family.IPV4, zone(ADDRESSES)) as server:
        outcome = await resolve(server, family, "web", **SEARCHED)
    kind = "AAAA" if family is Family.IPV6 else "A"
    assert outcome.result is Result.OK
    assert outcome.evidence["answers"] == ADDRESSES["web.c.", kind]
    assert {asked.type for asked in server.asked} == {kind}


@pytest.mark.parametrize(
    ("host", "address"), [("127.0.0.1", "127.0.0.1"), ("localhost", "127.0.0.1"), ("a.LOCALHOST.", "127.0.0.1")]
)
async def test_a_literal_and_localhost_ask_nobody(host: str, address: str) -> None:
    (run,) = await climb(make_cell(Kind.TCP, "tcp", host, 1), Kit())
    assert (run.outcomes[0].result, run.outcomes[0].reason) == (Result.SKIPPED, Reason.LITERAL)
    assert run.address == address


async def test_a_pinned_first_hop_is_what_is_resolved() -> None:
    async with dns_server(Family.IPV4, zone({("pin.", "A"): ["127.0.0.1"]})) as server:
        options = {"resolver": {"servers": [server.where], "search": []}}
        cell = make_cell(Kind.TCP, "tcp", "shown.example", 1, options=options, connect=("pin", 1))
        await climb(cell, Kit())
    assert server.names == ["pin."]


async def test_what_is_no_name_is_not_found_without_asking() -> None:
    async with dns_server(Family.IPV4, zone({})) as server:
        outcome = await resolve(server, Family.IPV4, "a..b")
    assert (outcome.reason, facts(outcome)) == (
        Reason.NAME_NOT_FOUND, {"name": "a..b", "queries": 0, "detail": "not a domain name"},
    )  # fmt: skip
    assert server.asked == []


@pytest.mark.skipif(shutil.which("dig") is None, reason="dig is not installed")
@pytest.mark.parametrize("family", FAMILIES)
async def test_dig_hears_the_same_from_the_scripted_server(family: Family) -> None:
    async with dns_server(family, zone(ADDRESSES)) as server:
        run = await ask(server, family)
        dig = await asyncio.create_subprocess_exec(
            "dig", f"@{LOOPBACK[family]}", "-p", str(server.port), "web.c.", "A", "+short", "+noedns", "+nocookie",
            stdout=subprocess.PIPE,
        )  # fmt: skip
        printed, _ = await dig.communicate()
    assert printed.decode().split() == run.outcomes[0].evidence["answers"]
    ours, theirs = server.asked
    assert (ours.name, ours.type, ours.message.question) == (theirs.name, theirs.type, theirs.message.question)
