"""glibc's stub resolver without a network: ids and sockets, TCP, options, and what getaddrinfo returns."""

from __future__ import annotations

import errno
import math
from collections.abc import Callable

import pytest

from prober.options import Profile
from prober.reasons import Reason
from prober.wire.dns.eai import error_of
from prober.wire.dns.glibc import glibc
from prober.wire.dns.message import Query, Step
from prober.wire.dns.resolvconf import ResolvConf, Server
from prober.wire.dns.resolver import Ask, Fresh, Lookup, is_cut
from tests.support.machines import drive

ONE, TWO, THREE = Server("10.0.0.1"), Server("10.0.0.2"), Server("10.0.0.3")
BOTH = ("A", "AAAA")
CANCELLED = Reason.CANCELLED
_STEPS: dict[str, Callable[[Query], Step]] = {
    "silence": lambda query: Step(query, Reason.TIMEOUT),
    "refused": lambda query: Step(query, Reason.UNREACHABLE, errno=errno.ECONNREFUSED),
    "reset": lambda query: Step(query, Reason.SERVER_FAILURE, errno=errno.ECONNRESET),
    "closed": lambda query: Step(query, Reason.SERVER_FAILURE),
    "short": lambda query: Step(query, Reason.MALFORMED),
    "garbage": lambda query: Step(query, Reason.MALFORMED, rcode="NOERROR", astray=True),
    "TC": lambda query: Step(query, Reason.TRUNCATED, rcode="NOERROR"),
    "lame": lambda query: Step(query, Reason.NO_DATA, rcode="NOERROR", lame=True),
    "cname": lambda query: Step(query, Reason.NO_DATA, rcode="NOERROR", astray=True),
    "NOERROR": lambda query: Step(query, Reason.NO_DATA, rcode="NOERROR"),
    "NXDOMAIN": lambda query: Step(query, Reason.NAME_NOT_FOUND, rcode="NXDOMAIN"),
    "SERVFAIL": lambda query: Step(query, Reason.SERVER_FAILURE, rcode="SERVFAIL"),
    "FORMERR": lambda query: Step(query, Reason.SERVER_FAILURE, rcode="FORMERR"),
    "found": lambda query: Step(query, None, rcode="NOERROR", answers=("10.1.1.1",)),
}


def play(
    says: Callable[[Query], str], name: str, conf: ResolvConf, types: tuple[str, ...] = BOTH, turn: int = 0
) -> tuple[Lookup, list[Ask]]:
    """Run a lookup against a world of words, as the I/O would: a hasty ask ends with what is cut or unreadable."""

    def answer(ask: Ask) -> list[Step]:
        steps = [_step(query, says(query)) for query in ask.queries]
        if ask.hasty and any(is_cut(step) or step.reason is Reason.MALFORMED for step in steps):
            return [step._replace(reason=CANCELLED) if step.reason is Reason.TIMEOUT else step for step in steps]
        return steps

    return drive(glibc(name, types, conf, turn=turn), answer)


def _step(query: Query, word: str) -> Step:
    """`found N`: with N addresses."""
    word, _, count = word.partition(" ")
    step = _STEPS[word](query)
    return step._replace(answers=step.answers * int(count)) if count else step


def pair(a: str, aaaa: str) -> Callable[[Query], str]:
    return lambda query: a if query.type == "A" else aaaa


def by_transport(udp: str, tcp: str) -> Callable[[Query], str]:
    return lambda query: udp if query.transport == "udp" else tcp


ALL, SOCKETS, NOTHING = Fresh
TWICE = ResolvConf(servers=(ONE, TWO), timeout=1.0)


@pytest.mark.parametrize(
    ("a", "aaaa", "types", "asks"),
    [
        # silence keeps sockets and ids: a late answer to the first query still counts
        ("silence", "silence", BOTH, [(ALL, 0), (NOTHING, 1), (NOTHING, 0), (NOTHING, 1)]),
        ("SERVFAIL", "SERVFAIL", BOTH, [(ALL, 0), (NOTHING, 1), (NOTHING, 0), (NOTHING, 1)]),
        # a failure of a single question, an ICMP error and bytes that are too few close them all
        ("SERVFAIL", "", ("A",), [(ALL, 0), (SOCKETS, 1), (SOCKETS, 0), (SOCKETS, 1)]),
        ("refused", "refused", BOTH, [(ALL, 0), (SOCKETS, 1), (SOCKETS, 0), (SOCKETS, 1)]),
        ("short", "silence", BOTH, [(ALL, 0), (SOCKETS, 1), (SOCKETS, 0), (SOCKETS, 1)]),
        # one of a pair lost: again from the same socket, then each from its own
        ("found", "silence", BOTH, [(ALL, 0), (NOTHING, 0), (SOCKETS, 0)]),
        ("found", "found", BOTH, [(ALL, 0)]),
    ],
)
def test_ids_and_sockets_are_kept_until_an_error_closes_them(
    a: str, aaaa: str, types: tuple[str, ...], asks: list[tuple[Fresh, int]]
) -> None:
    _, asked = play(pair(a, aaaa), "x.", TWICE, types)
    assert [(ask.fresh, ask.place) for ask in asked] == asks


def test_every_name_has_ids_and_sockets_of_its_own() -> None:
    _, asked = play(pair("NXDOMAIN", "NXDOMAIN"), "x", ResolvConf(servers=(ONE,), search=("a", "b")))
    assert [(ask.queries[0].name, ask.fresh) for ask in asked] == [("x.a.", ALL), ("x.b.", ALL), ("x.", ALL)]


@pytest.mark.parametrize(
    ("a", "aaaa", "modes"),
    [("SERVFAIL", "silence", 1), ("silence", "SERVFAIL", 1), ("lame", "silence", 1), ("FORMERR", "silence", 3)],
)
def test_only_an_answer_that_counts_makes_it_ask_more_carefully(a: str, aaaa: str, modes: int) -> None:
    _, asked = play(pair(a, aaaa), "x.", ResolvConf(servers=(ONE,), attempts=1))
    assert len({ask.sending for ask in asked}) == modes


def test_over_tcp_it_has_one_round_and_waits_without_an_end() -> None:
    _, asked = play(pair("closed", "closed"), "x.", ResolvConf(servers=(ONE, TWO), use_vc=True))
    assert [(ask.queries[0].server, ask.wait) for ask in asked] == [(ONE, math.inf), (TWO, math.inf)]
    _, probed = play(pair("closed", "closed"), "x.", ResolvConf(servers=(ONE,), transport="tcp"))
    assert [ask.wait for ask in probed] == [5.0, 5.0]


def test_a_truncated_answer_is_asked_for_with_the_same_ids_and_nothing_more_over_udp() -> None:
    lookup, asked = play(by_transport("TC", "closed"), "x.", ResolvConf(servers=(ONE, TWO)))
    assert [(ask.queries[0].transport, ask.fresh) for ask in asked] == [
        ("udp", ALL),
        ("tcp", SOCKETS),
        ("tcp", SOCKETS),
    ]
    assert lookup.reason is Reason.TRUNCATED


def test_a_connection_that_is_reset_is_opened_once_more() -> None:
    _, asked = play(by_transport("TC", "reset"), "x.", ResolvConf(servers=(ONE,)))
    assert [ask.queries[0].transport for ask in asked] == ["udp", "tcp", "tcp"]


def test_over_tcp_half_an_answer_is_none() -> None:
    def says(query: Query) -> str:
        return "closed" if query.type == "AAAA" and query.server == ONE else "found"

    lookup, asked = play(says, "x.", ResolvConf(servers=(ONE, TWO), use_vc=True))
    assert lookup.reason is None
    assert [ask.queries[0].server for ask in asked] == [ONE, TWO]


def test_where_tcp_is_refused_the_search_ends() -> None:
    conf = ResolvConf(servers=(ONE,), search=("a", "b"), ndots=2)
    lookup, asked = play(by_transport("TC", "refused"), "x", conf)
    assert {ask.queries[0].name for ask in asked} == {"x.a."}
    assert error_of(lookup, Profile.GLIBC) == "EAI_AGAIN"


def test_servers_take_turns_from_name_to_name() -> None:
    conf = ResolvConf(servers=(ONE, TWO, THREE), search=("a", "b"), rotate=True, timeout=3.0)
    _, asked = play(pair("NXDOMAIN", "NXDOMAIN"), "x", conf, turn=1)
    assert [ask.queries[0].server for ask in asked] == [TWO, THREE, ONE]
    assert [ask.wait for ask in asked] == [2.0, 4.0, 3.0]  # by its place in the file


def test_no_aaaa_asks_for_ipv4_alone() -> None:
    _, asked = play(pair("found", "found"), "x.", ResolvConf(no_aaaa=True))
    assert [query.type for ask in asked for query in ask.queries] == ["A"]


@pytest.mark.parametrize("name", ["-web", "w*b", "w b", "wéb", "web/x"])
def test_what_is_no_host_name_is_not_asked_for(name: str) -> None:
    assert play(pair("found", "found"), name, ResolvConf(search=("a",))) == (Lookup(Reason.NAME_NOT_FOUND), [])
    assert play(lambda query: "found", name, ResolvConf(), ("TXT",))[1]


def test_no_attempts_are_none() -> None:
    lookup, asked = play(pair("found", "found"), "x.", ResolvConf(attempts=0))
    assert (lookup, asked) == (Lookup(Reason.TIMEOUT), [])
    assert error_of(lookup, Profile.GLIBC) == "EAI_AGAIN"


@pytest.mark.parametrize(
    ("types", "count", "rounds"),
    [(BOTH, 12, 1), (BOTH, 13, 2), (BOTH, 25, 2), (BOTH, 26, 3), (("A",), 83, 1), (("A",), 84, 2), (("AAAA",), 41, 1),
     (("AAAA",), 42, 2)],
)  # fmt: skip
def test_an_answer_that_does_not_fit_into_its_buffer_is_asked_for_again(
    types: tuple[str, ...], count: int, rounds: int
) -> None:
    lookup, asked = play(lambda query: f"found {count}", "web.", ResolvConf(servers=(ONE,)), types)
    assert [ask.fresh for ask in asked] == [ALL] * rounds
    assert lookup.reason is None


@pytest.mark.parametrize(
    ("a", "aaaa", "error"),
    [
        ("found", "silence", None),
        ("NXDOMAIN", "NXDOMAIN", "EAI_NONAME"),
        ("NOERROR", "NOERROR", "EAI_NODATA"),
        ("NOERROR", "silence", "EAI_NODATA"),
        ("NOERROR", "SERVFAIL", "EAI_NODATA"),
        ("NOERROR", "NXDOMAIN", "EAI_NONAME"),
        ("silence", "silence", "EAI_AGAIN"),
        ("SERVFAIL", "SERVFAIL", "EAI_AGAIN"),
        ("refused", "refused", "EAI_AGAIN"),
        ("lame", "lame", "EAI_AGAIN"),
        ("FORMERR", "FORMERR", "EAI_NONAME"),
        ("cname", "cname", "EAI_NONAME"),
        ("garbage", "garbage", "EAI_NONAME"),
        ("cname", "found", None),
    ],
)
def test_what_getaddrinfo_returns_for_a_pair(a: str, aaaa: str, error: str | None) -> None:
    lookup, _ = play(pair(a, aaaa), "x.", ResolvConf(servers=(ONE,), attempts=1))
    assert error_of(lookup, Profile.GLIBC) == error


@pytest.mark.parametrize(
    ("kind", "says", "error"),
    [
        ("A", by_transport("cname", ""), "EAI_NODATA"),
        ("AAAA", by_transport("cname", ""), "EAI_NONAME"),
        ("A", by_transport("SERVFAIL", ""), "EAI_AGAIN"),
        ("A", by_transport("TC", "SERVFAIL"), "EAI_NONAME"),
        ("A", by_transport("TC", "closed"), "EAI_NONAME"),
        ("A", by_transport("TC", "refused"), "EAI_AGAIN"),
        ("AAAA", by_transport("TC", "closed"), "EAI_AGAIN"),
    ],
)
def test_what_getaddrinfo_returns_for_one_type(kind: str, says: Callable[[Query], str], error: str) -> None:
    lookup, _ = play(says, "x.", ResolvConf(servers=(ONE,), attempts=1), (kind,))
    assert error_of(lookup, Profile.GLIBC) == error


def test_an_answer_of_other_records_ends_the_search() -> None:
    lookup, asked = play(pair("cname", "cname"), "x", ResolvConf(servers=(ONE,), search=("a", "b"), ndots=2))
    assert (lookup.name, len(asked)) == ("x.a.", 1)
