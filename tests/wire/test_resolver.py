"""The stub resolver without a network: a table of name orders, and lookups against a scripted world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from prober.reasons import Reason
from prober.wire.dns.edns import GLIBC_PAYLOAD, Asking
from prober.wire.dns.glibc import candidates, glibc, wait_for
from prober.wire.dns.message import Query, Step
from prober.wire.dns.resolvconf import ResolvConf, Server
from prober.wire.dns.resolver import Ask, Lookup, Sending, conclude
from tests.support.machines import drive

ONE, TWO, THREE = Server("10.0.0.1"), Server("10.0.0.2"), Server("10.0.0.3")
POD = ResolvConf(servers=(ONE,), search=("ns.svc.c", "svc.c", "c"), ndots=5)
World = Callable[[Query], Step | None]


@pytest.mark.parametrize(
    ("name", "ndots", "search", "asked"),
    [
        ("web", 5, ("a", "b"), ["web.a.", "web.b.", "web."]),
        ("web.app", 5, ("a", "b"), ["web.app.a.", "web.app.b.", "web.app."]),
        ("web.app.svc.cluster.local", 5, ("a",), ["web.app.svc.cluster.local.a.", "web.app.svc.cluster.local."]),
        ("a.b.c.d.e.f", 5, ("x",), ["a.b.c.d.e.f.", "a.b.c.d.e.f.x."]),
        ("web", 0, ("a",), ["web.", "web.a."]),
        ("web", 1, ("a",), ["web.a.", "web."]),
        ("example.com", 1, ("a",), ["example.com.", "example.com.a."]),
        ("example.com.", 5, ("a", "b"), ["example.com."]),
        ("web.", 5, ("a",), ["web."]),
        ("web", 5, (), ["web."]),
        ("web", 1, ("a.",), ["web.a.", "web."]),
        ("web", 1, (".a",), ["web.a.", "web."]),
        ("web", 1, ("a", "."), ["web.a.", "web."]),  # the root on the list is the name as it is: not asked again
        ("example.com", 1, (".",), ["example.com.", "example.com."]),
        (".", 1, ("a",), ["."]),
        ("a..b", 1, ("x",), []),
        ("x" * 64, 1, ("a",), []),
        ("ok", 1, ("x" * 64, "b"), ["ok."]),  # a suffix that fits into no query ends the list
        ("ok", 1, ("b", "x..y", "c"), ["ok.b.", "ok."]),
        ("", 1, (), []),
    ],
)
def test_names_are_asked_in_glibc_order(name: str, ndots: int, search: tuple[str, ...], asked: list[str]) -> None:
    conf = ResolvConf(search=search, ndots=ndots)
    assert [candidate.name for candidate in candidates(name, conf)] == asked


def test_no_tld_query_keeps_a_bare_label_from_the_root() -> None:
    conf = ResolvConf(search=("a",), ndots=2, no_tld_query=True)
    assert [candidate.name for candidate in candidates("web", conf)] == ["web.a."]
    assert [candidate.name for candidate in candidates("web.app", conf)] == ["web.app.a.", "web.app."]


@pytest.mark.parametrize(
    ("timeout", "servers", "waits"),
    [
        (5.0, 1, [5.0]),
        (5.0, 2, [5.0, 5.0]),
        (5.0, 3, [5.0, 3.0, 6.0]),
        (1.0, 3, [1.0, 1.0, 1.0]),
        (0.25, 2, [0.25, 0.25]),
    ],
)
def test_later_servers_get_a_share_of_a_growing_time(timeout: float, servers: int, waits: list[float]) -> None:
    conf = ResolvConf(servers=(ONE, TWO, THREE)[:servers], timeout=timeout)
    assert [wait_for(conf, position) for position in range(servers)] == waits


def play(world: World, name: str, conf: ResolvConf, *types: str) -> tuple[Lookup, list[Ask]]:
    """Run a lookup: the world turns each query into a step, None being silence."""

    def answer(ask: Ask) -> list[Step]:
        answered = list[Step]()
        for query in ask.queries:
            answered.append(world(query) or Step(query, Reason.TIMEOUT))
            if ask.sending is not Sending.TOGETHER and answered[-1].rcode is None:
                break
        return answered

    return drive(glibc(name, types or ("A",), conf), answer)


REASONS = {"NOERROR": Reason.NO_DATA, "NXDOMAIN": Reason.NAME_NOT_FOUND, "REFUSED": Reason.REFUSED}


def say(query: Query, what: str) -> Step | None:
    """A step from a word: an rcode, an address, `lame`, `TC`, `bad`, `unreachable` or `silence`."""
    if what == "silence":
        return None
    if what in ("unreachable", "bad"):
        return Step(query, Reason.UNREACHABLE if what == "unreachable" else Reason.MALFORMED)
    if what == "TC":
        return Step(query, Reason.TRUNCATED, rcode="NOERROR", detail="truncated over udp")
    if what == "lame":
        return Step(query, Reason.NO_DATA, rcode="NOERROR", lame=True)
    if what[0].isdigit():
        return Step(query, None, rcode="NOERROR", answers=(what,))
    return Step(query, REASONS.get(what, Reason.SERVER_FAILURE), rcode=what)


def by_name(table: dict[str, str]) -> World:
    return lambda query: say(query, table.get(query.name, "NXDOMAIN"))


@pytest.mark.parametrize(
    ("table", "reason", "last", "asked"),
    [
        ({"web.ns.svc.c.": "10.1.1.1"}, None, "web.ns.svc.c.", 1),
        ({"web.c.": "10.1.1.1"}, None, "web.c.", 3),
        ({"web.": "10.1.1.1"}, None, "web.", 4),
        ({}, Reason.NAME_NOT_FOUND, "web.", 4),
        ({"web.ns.svc.c.": "NOERROR", "web.svc.c.": "10.1.1.1"}, None, "web.svc.c.", 2),
        ({"web.ns.svc.c.": "NOERROR"}, Reason.NO_DATA, "web.ns.svc.c.", 4),
        # SERVFAIL: two attempts at the one server, then the next suffix
        ({"web.ns.svc.c.": "SERVFAIL", "web.c.": "10.1.1.1"}, None, "web.c.", 4),
        ({"web.ns.svc.c.": "SERVFAIL"}, Reason.SERVER_FAILURE, "web.ns.svc.c.", 5),
        ({"web.ns.svc.c.": "SERVFAIL", "web.svc.c.": "NOERROR"}, Reason.NO_DATA, "web.svc.c.", 5),
        # anything else ends the search, but the name as it is gets its try
        ({"web.ns.svc.c.": "REFUSED", "web.svc.c.": "10.1.1.1"}, Reason.NAME_NOT_FOUND, "web.", 3),
        ({"web.ns.svc.c.": "silence", "web.": "10.1.1.1"}, None, "web.", 3),
        ({"web.ns.svc.c.": "FORMERR"}, Reason.NAME_NOT_FOUND, "web.", 2),
        ({"web.ns.svc.c.": "lame"}, Reason.NAME_NOT_FOUND, "web.", 3),
        # no server at all can be reached: nothing more is tried
        ({"web.ns.svc.c.": "unreachable", "web.": "10.1.1.1"}, Reason.UNREACHABLE, "web.ns.svc.c.", 2),
    ],
)
def test_the_search_goes_on_and_ends_as_in_glibc(
    table: dict[str, str], reason: Reason | None, last: str, asked: int
) -> None:
    lookup, asks = play(by_name(table), "web", POD)
    assert (lookup.reason, lookup.name, len(asks)) == (reason, last, asked)


def test_a_name_with_enough_dots_speaks_for_itself_when_all_fails() -> None:
    conf = replace(POD, ndots=1)
    lookup, asks = play(by_name({"example.com.": "SERVFAIL", "example.com.c.": "NOERROR"}), "example.com", conf)
    assert (lookup.reason, lookup.name) == (Reason.SERVER_FAILURE, "example.com.")
    assert [ask.queries[0].name for ask in asks] == [
        "example.com.", "example.com.", "example.com.ns.svc.c.", "example.com.svc.c.", "example.com.c.",
    ]  # fmt: skip


def test_a_name_that_fits_into_no_query_is_never_sent() -> None:
    lookup, asks = play(by_name({}), "a..b", POD)
    assert (lookup, asks) == (Lookup(Reason.NAME_NOT_FOUND), [])
    assert (lookup.decisive, lookup.name) == (None, "")


@pytest.mark.parametrize(
    ("first", "second", "reason", "asked"),
    [
        ("10.1.1.1", "NXDOMAIN", None, [ONE]),
        ("NXDOMAIN", "10.1.1.1", Reason.NAME_NOT_FOUND, [ONE]),
        ("NOERROR", "10.1.1.1", Reason.NO_DATA, [ONE]),
        ("FORMERR", "10.1.1.1", Reason.SERVER_FAILURE, [ONE]),
        ("silence", "10.1.1.1", None, [ONE, TWO]),
        ("SERVFAIL", "10.1.1.1", None, [ONE, TWO]),
        ("REFUSED", "10.1.1.1", None, [ONE, TWO]),
        ("NOTIMP", "10.1.1.1", None, [ONE, TWO]),
        ("lame", "10.1.1.1", None, [ONE, TWO]),
        ("bad", "10.1.1.1", None, [ONE, TWO]),
        ("unreachable", "10.1.1.1", None, [ONE, TWO]),
        ("silence", "silence", Reason.TIMEOUT, [ONE, TWO, ONE, TWO]),
        ("silence", "REFUSED", Reason.REFUSED, [ONE, TWO, ONE, TWO]),
        ("unreachable", "silence", Reason.UNREACHABLE, [ONE, TWO, ONE, TWO]),
        ("SERVFAIL", "silence", Reason.SERVER_FAILURE, [ONE, TWO, ONE, TWO]),
        ("bad", "silence", Reason.MALFORMED, [ONE, TWO, ONE, TWO]),
    ],
)
def test_servers_are_asked_in_turn_and_the_most_telling_failure_is_kept(
    first: str, second: str, reason: Reason | None, asked: list[Server]
) -> None:
    conf = ResolvConf(servers=(ONE, TWO))
    lookup, asks = play(lambda query: say(query, first if query.server == ONE else second), "x.", conf)
    assert lookup.reason is reason
    assert [ask.queries[0].server for ask in asks] == asked


def by_transport(udp: str, tcp: str) -> World:
    return lambda query: say(query, udp if query.transport == "udp" else tcp)


def test_a_truncated_answer_is_asked_for_again_over_tcp_at_the_same_server() -> None:
    lookup, asks = play(by_transport("TC", "10.1.1.1"), "x.", ResolvConf(servers=(ONE, TWO)))
    assert lookup.reason is None
    assert [(ask.queries[0].server, ask.queries[0].transport) for ask in asks] == [(ONE, "udp"), (ONE, "tcp")]


def test_where_tcp_fails_the_answer_stays_truncated_and_the_next_server_is_asked_over_tcp() -> None:
    lookup, asks = play(by_transport("TC", "unreachable"), "x.", ResolvConf(servers=(ONE, TWO), attempts=1))
    assert lookup.reason is Reason.TRUNCATED
    assert lookup.decisive is not None
    assert lookup.decisive.detail == "truncated over udp, and over tcp unreachable"
    assert [ask.queries[0].transport for ask in asks] == ["udp", "tcp", "tcp"]


def test_a_truncated_answer_without_recursion_is_lame() -> None:
    def world(query: Query) -> Step:
        return Step(query, Reason.TRUNCATED, rcode="NOERROR", lame=True)

    lookup, asks = play(world, "x.", ResolvConf(servers=(ONE, TWO), attempts=1))
    assert lookup.reason is Reason.TRUNCATED
    assert [ask.queries[0].transport for ask in asks] == ["udp", "udp"]


def test_over_tcp_whatever_the_server_says_is_final() -> None:
    lookup, asks = play(by_transport("", "SERVFAIL"), "x.", ResolvConf(servers=(ONE, TWO), transport="tcp"))
    assert (lookup.reason, len(asks)) == (Reason.SERVER_FAILURE, 1)


def pair(a: str, aaaa: str) -> World:
    return lambda query: say(query, a if query.type == "A" else aaaa)


def test_a_pair_that_loses_one_answer_is_asked_again_more_and_more_carefully() -> None:
    lookup, asks = play(pair("10.1.1.1", "silence"), "x.", ResolvConf(servers=(ONE,)), "A", "AAAA")
    assert lookup.reason is None
    assert [step.reason for step in lookup.steps] == [None, Reason.TIMEOUT]
    assert [ask.sending for ask in asks] == [Sending.TOGETHER, Sending.IN_TURN, Sending.REOPEN]
    assert sum(ask.wait for ask in asks) == 15.0  # as measured of glibc


def test_single_request_reopen_waits_once_only() -> None:
    conf = ResolvConf(servers=(ONE,), single_request_reopen=True, timeout=1.0)
    _, asks = play(pair("10.1.1.1", "silence"), "x.", conf, "A", "AAAA")
    assert [(ask.sending, ask.wait) for ask in asks] == [(Sending.REOPEN, 1.0)]


@pytest.mark.parametrize(
    ("a", "aaaa", "reason", "asked"),
    [
        ("10.1.1.1", "SERVFAIL", None, 1),
        ("SERVFAIL", "1::1", None, 1),
        ("10.1.1.1", "NXDOMAIN", None, 1),
        ("NOERROR", "NOERROR", Reason.NO_DATA, 1),
        ("NOERROR", "NXDOMAIN", Reason.NAME_NOT_FOUND, 1),
        ("SERVFAIL", "SERVFAIL", Reason.SERVER_FAILURE, 2),
        ("silence", "silence", Reason.TIMEOUT, 2),
    ],
)
def test_one_good_answer_of_a_pair_is_enough(a: str, aaaa: str, reason: Reason | None, asked: int) -> None:
    lookup, asks = play(pair(a, aaaa), "x.", ResolvConf(servers=(ONE,)), "A", "AAAA")
    assert (lookup.reason, len(asks)) == (reason, asked)


def test_getaddrinfo_of_a_public_name_in_a_pod_sends_eight_queries() -> None:
    lookup, asks = play(by_name({"www.example.com.": "10.1.1.1"}), "www.example.com", POD, "A", "AAAA")
    assert lookup.reason is None
    assert sum(len(ask.queries) for ask in asks) == 8
    assert len(play(by_name({"www.example.com.": "10.1.1.1"}), "www.example.com.", POD, "A", "AAAA")[1]) == 1


def test_flags_of_the_file_reach_the_query() -> None:
    conf = ResolvConf(edns0=True, trust_ad=True)
    ask = next(glibc("x.", ("A",), conf, Asking(recursion_desired=False)))
    assert ask.queries[0].asking == Asking(recursion_desired=False, authentic_data=True, payload=GLIBC_PAYLOAD)


def test_no_data_is_the_weakest_failure_of_a_pair() -> None:
    query = Query(ONE, "x.", "A")
    steps = [Step(query, Reason.NO_DATA, rcode="NOERROR"), Step(query, Reason.SERVER_FAILURE, rcode="SERVFAIL")]
    assert conclude(steps, None).reason is Reason.SERVER_FAILURE
