"""musl's stub resolver without a network: a table of names, and what a race does at each step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from prober.options import Profile
from prober.reasons import Reason
from prober.wire.dns.eai import error_of
from prober.wire.dns.message import Query, Step
from prober.wire.dns.musl import MAX_LINE, Heat, candidates, musl
from prober.wire.dns.resolvconf import ResolvConf, Server, parse
from prober.wire.dns.resolver import Lookup, Race
from tests.support.machines import drive

ONE, TWO = Server("10.0.0.1"), Server("10.0.0.2")
POD = ResolvConf(servers=(ONE,), search=("ns.svc.c", "svc.c"), ndots=5)
BOTH = ("A", "AAAA")


@pytest.mark.parametrize(
    ("name", "ndots", "search", "asked"),
    [
        ("web", 5, ("a", "b"), ["web.a.", "web.b.", "web."]),
        ("a.b.c.d.e.f", 5, ("x",), ["a.b.c.d.e.f."]),
        ("example.com", 1, ("a",), ["example.com."]),
        ("web", 0, ("a",), ["web."]),
        ("web.", 5, ("a",), ["web."]),
        ("web", 5, (), ["web."]),
        ("web", 5, ("a.",), ["web.a.", "web."]),
        ("web", 5, (".", "b"), ["web.b.", "web."]),
        ("web", 5, (".a", "b"), ["web.b.", "web."]),
        ("web", 5, ("x" * 64, "b"), ["web.b.", "web."]),
        ("web..", 5, ("a",), []),
        (".", 1, ("a",), []),
        ("", 1, ("a",), []),
        ("a." * 127 + "a", 1, (), []),
        ("x" * 64, 1, (), []),
    ],
)
def test_names_are_asked_in_musls_order(name: str, ndots: int, search: tuple[str, ...], asked: list[str]) -> None:
    conf = ResolvConf(search=search, ndots=ndots)
    assert [candidate.name for candidate in candidates(name, conf)] == asked


def test_a_search_line_that_is_too_long_is_no_search_list() -> None:
    room = MAX_LINE - len("search ")
    fits = ResolvConf(search=("a" * 60, "b" * (room - 61)), ndots=5)
    assert len(candidates("w", fits)) == 2  # the second suffix is no name
    assert len(candidates("w", replace(fits, search=(*fits.search, "c")))) == 1


def test_the_domain_of_the_host_name_is_glibcs_idea_alone() -> None:
    assert [c.name for c in candidates("web", parse("", hostname="h.example.com"))] == ["web."]


def test_before_1_2_4_a_suffix_that_fits_into_no_query_ended_the_search() -> None:
    conf = ResolvConf(search=("a", ".b", "c"), ndots=5)
    assert [c.name for c in candidates("web", conf, modern=False)] == ["web.a."]


def step(query: Query, word: str) -> Step:
    """A step from a word: an rcode, an address, `TC`, or `silence`."""
    if word == "silence":
        return Step(query, Reason.TIMEOUT)
    if word == "TC":
        return Step(query, Reason.TRUNCATED, rcode="NOERROR")
    if word[0].isdigit():
        return Step(query, None, rcode="NOERROR", answers=(word,))
    reasons = {"NOERROR": Reason.NO_DATA, "NXDOMAIN": Reason.NAME_NOT_FOUND, "REFUSED": Reason.REFUSED}
    return Step(query, reasons.get(word, Reason.SERVER_FAILURE), rcode=word)


def play(words: dict[str, str], name: str, conf: ResolvConf = POD) -> tuple[Lookup, list[Race]]:
    """Run a lookup of A and AAAA: `name/TYPE` or `name` → word, NXDOMAIN without."""

    def answer(race: Race) -> list[Step]:
        assert isinstance(race, Race)
        return [step(q, words.get(f"{q.name}/{q.type}", words.get(q.name, "NXDOMAIN"))) for q in race.queries]

    return drive(musl(name, BOTH, conf), answer)


@pytest.mark.parametrize(
    ("words", "reason", "name", "races", "error"),
    [
        ({"web.svc.c.": "10.1.1.1"}, None, "web.svc.c.", 2, None),
        ({}, Reason.NAME_NOT_FOUND, "web.", 3, "EAI_NONAME"),
        ({"web.ns.svc.c.": "NOERROR"}, Reason.NO_DATA, "web.ns.svc.c.", 1, "EAI_NODATA"),
        ({"web.ns.svc.c.": "SERVFAIL"}, Reason.SERVER_FAILURE, "web.ns.svc.c.", 1, "EAI_AGAIN"),
        ({"web.ns.svc.c.": "REFUSED"}, Reason.REFUSED, "web.ns.svc.c.", 1, "EAI_AGAIN"),
        ({"web.ns.svc.c.": "silence"}, Reason.TIMEOUT, "web.ns.svc.c.", 1, "EAI_AGAIN"),
        ({"web.ns.svc.c./A": "10.1.1.1", "web.ns.svc.c./AAAA": "NOERROR"}, None, "web.ns.svc.c.", 1, None),
        ({"web.ns.svc.c./A": "10.1.1.1", "web.ns.svc.c./AAAA": "silence"}, Reason.TIMEOUT, "web.ns.svc.c.", 1,
         "EAI_AGAIN"),
        ({"web.ns.svc.c./A": "10.1.1.1", "web.svc.c.": "10.2.2.2"}, None, "web.svc.c.", 2, None),
        ({"web./A": "10.1.1.1"}, Reason.NAME_NOT_FOUND, "web.", 3, "EAI_NONAME"),
    ],
)  # fmt: skip
def test_only_no_such_name_leads_to_the_next(
    words: dict[str, str], reason: Reason | None, name: str, races: int, error: str | None
) -> None:
    lookup, asked = play(words, "web")
    assert (lookup.reason, lookup.name, len(asked)) == (reason, name, races)
    assert error_of(lookup, Profile.MUSL) == error


def test_the_timeout_is_shared_by_the_attempts_and_all_three_servers_are_asked_at_once() -> None:
    servers = tuple(Server(f"10.0.0.{n}") for n in range(1, 5))
    _, (race, *_) = play({}, "web.", ResolvConf(servers=servers, timeout=5.0, attempts=3))
    assert (race.interval, race.wait) == (1.666, 5.0)
    assert [(query.type, query.server) for query in race.queries] == [(t, s) for t in BOTH for s in servers[:3]]


def race_of(*servers: Server, kinds: Sequence[str] = BOTH) -> Race:
    return Race(tuple(Query(server, "x.", kind) for kind in kinds for server in servers), 1.0, 2.0)


def test_the_first_usable_answer_of_a_type_settles_it_for_all_servers() -> None:
    race = race_of(ONE, TWO, kinds=("A",))
    one, two = race.queries
    heat = Heat(race)
    assert heat.due() == (one, two)
    assert heat.hear(step(one, "REFUSED")) is None
    assert not heat.over
    assert heat.hear(step(two, "10.1.1.1")) is None
    assert heat.over
    assert not heat.wants(one)


def test_servfail_is_asked_again_at_once_twice_per_type_and_round() -> None:
    race = race_of(ONE)
    heat = Heat(race)
    for _ in range(2):
        a, aaaa = heat.due()
        again = [heat.hear(step(query, "SERVFAIL")) for query in (a, aaaa, a, aaaa, a, aaaa)]
        assert again == [a, aaaa, a, aaaa, None, None]


def test_what_is_truncated_is_asked_again_over_tcp_and_its_failure_ends_it_all() -> None:
    race = race_of(ONE)
    heat = Heat(race)
    a, aaaa = heat.due()
    over_tcp = heat.hear(step(a, "TC"))
    assert over_tcp == a._replace(transport="tcp")
    assert heat.due() == (aaaa,)
    assert heat.wants(over_tcp)
    heat.hear(step(over_tcp, "SERVFAIL"))
    assert heat.over


def test_a_truncated_answer_without_tcp_behind_it_says_why() -> None:
    machine = musl("web.", ("A",), POD)
    race = next(machine)
    (query,) = race.queries
    failed = Step(query._replace(transport="tcp"), Reason.UNREACHABLE, detail="Connection refused")
    with pytest.raises(StopIteration) as over:
        machine.send([step(query, "TC"), failed])
    lookup: Lookup = over.value.value
    assert lookup.reason is Reason.TRUNCATED
    assert lookup.steps[0].detail == "truncated over udp, and over tcp unreachable: Connection refused"
