"""One reply judged: what counts as an answer, what is passed over, and what hostile bytes become."""

from __future__ import annotations

import time
from collections.abc import Callable

import dns.flags
import dns.message
import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prober.reasons import REASONS, Layer, Reason
from prober.wire.dns.edns import Asking
from prober.wire.dns.message import MAX_RECORDS, Query, Sent, Step, encode, is_name, judge, same_records
from prober.wire.dns.resolvconf import Server
from tests.support.nameserver import reply_to

QUERY = Query(Server("127.0.0.1"), "web.example.", "A")
SENT = encode(QUERY)
ASKED = dns.message.from_wire(SENT.wire)
Reply = Callable[[dns.message.Message], dns.message.Message]


def judged(wire: bytes, query: Query = QUERY, sent: Sent = SENT) -> Step | None:
    return judge({query: sent}, wire)


def outcome(*answers: str, flags: str = "RA", code: str = "NOERROR") -> Step:
    step = judged(reply_to(ASKED, *answers, rcode=dns.rcode.from_text(code), flags=flags).to_wire())
    assert step is not None
    return step


def test_addresses_are_kept_in_the_order_of_the_reply_with_ttl_and_flags() -> None:
    step = outcome("web.example. 60 IN A 10.0.0.2", "web.example. 60 IN A 10.0.0.1", flags="RA AA AD")
    assert (step.reason, step.rcode, step.answers, step.ttl) == (None, "NOERROR", ("10.0.0.2", "10.0.0.1"), 60)
    assert step.flags == ("aa", "ra", "ad")


def test_a_cname_chain_within_the_answer_is_followed() -> None:
    step = outcome(
        "web.example. 60 IN CNAME a.example.", "a.example. 50 IN CNAME b.example.", "b.example. 5 IN A 10.0.0.1"
    )
    assert (step.reason, step.answers, step.ttl) == (None, ("10.0.0.1",), 5)


@pytest.mark.parametrize(
    ("answers", "code", "reason"),
    [
        ([], "NOERROR", Reason.NO_DATA),
        (["web.example. 60 IN CNAME a.example."], "NOERROR", Reason.NO_DATA),
        (["web.example. 60 IN AAAA ::1"], "NOERROR", Reason.NO_DATA),
        (["other.example. 60 IN A 10.0.0.1"], "NOERROR", Reason.NO_DATA),
        (["web.example. 60 IN CNAME web.example."], "NOERROR", Reason.MALFORMED),
        (["web.example. 60 IN CNAME a.example.", "a.example. 60 IN CNAME web.example."], "NOERROR", Reason.MALFORMED),
        ([], "NXDOMAIN", Reason.NAME_NOT_FOUND),
        (["web.example. 60 IN CNAME a.example."], "NXDOMAIN", Reason.NAME_NOT_FOUND),
        (["web.example. 60 IN A 10.0.0.1"], "NXDOMAIN", Reason.NAME_NOT_FOUND),
        ([], "SERVFAIL", Reason.SERVER_FAILURE),
        ([], "NOTIMP", Reason.SERVER_FAILURE),
        ([], "FORMERR", Reason.SERVER_FAILURE),
        ([], "NOTAUTH", Reason.SERVER_FAILURE),
        ([], "REFUSED", Reason.REFUSED),
    ],
)
def test_codes_and_contents_have_their_reasons(answers: list[str], code: str, reason: Reason) -> None:
    step = outcome(*answers, code=code)
    assert (step.reason, step.rcode, step.answers) == (reason, code, ())


@pytest.mark.parametrize(("flags", "lame"), [("", True), ("RA", False), ("AA", False), ("TC", True), ("RA TC", False)])
def test_an_empty_answer_without_authority_or_recursion_is_lame(flags: str, lame: bool) -> None:
    step = outcome(flags=flags)
    assert step.lame is lame
    assert step.reason is (Reason.TRUNCATED if "TC" in flags else Reason.NO_DATA)


def test_a_truncated_reply_counts_as_one_even_if_it_is_cut_in_the_middle() -> None:
    whole = reply_to(ASKED, "web.example. 60 IN A 10.0.0.2", "web.example. 60 IN A 10.0.0.1", flags="RA TC").to_wire()
    for end in (len(whole), len(whole) - 3, len(whole) - 20):
        step = judged(whole[:end])
        assert step is not None
        assert step.reason is Reason.TRUNCATED


def test_more_plain_addresses_than_dnspython_is_given_are_read_all_the_same() -> None:
    """A headless Service of thousands of Pods has as many."""
    answers = [f"web.example. 5 IN A 10.0.{number // 256}.{number % 256}" for number in range(2 * MAX_RECORDS)]
    assert len(outcome(*answers).answers) == 2 * MAX_RECORDS


def test_more_other_records_than_the_event_loop_can_wait_for_are_not_read() -> None:
    """However short the reply is cut: what the header counts decides."""
    wire = bytearray(reply_to(ASKED, "web.example. 60 IN CNAME a.example.").to_wire())
    wire[8:10] = MAX_RECORDS.to_bytes(2, "big")
    step = judged(bytes(wire))
    assert step is not None
    assert (step.reason, step.detail) == (Reason.MALFORMED, "1001 records, of which at most 1000 are read")


def test_over_tcp_the_truncation_bit_means_nothing() -> None:
    query = Query(Server("127.0.0.1"), "web.example.", "A", "tcp")
    step = judged(reply_to(ASKED, "web.example. 60 IN A 10.0.0.2", flags="RA TC").to_wire(), query)
    assert step is not None
    assert step.reason is None


def another_id(reply: dns.message.Message) -> dns.message.Message:
    reply.id ^= 1
    return reply


def another_question(reply: dns.message.Message) -> dns.message.Message:
    return reply_to(dns.message.make_query("evil.example.", "A", id=SENT.id), "evil.example. 60 IN A 10.6.6.6")


def another_type(reply: dns.message.Message) -> dns.message.Message:
    return reply_to(dns.message.make_query("web.example.", "AAAA", id=SENT.id))


def no_question(reply: dns.message.Message) -> dns.message.Message:
    reply.question = []
    return reply


def a_query(reply: dns.message.Message) -> dns.message.Message:
    reply.flags &= ~dns.flags.QR
    return reply


@pytest.mark.parametrize("change", [another_id, another_question, another_type, no_question, a_query])
def test_what_answers_another_question_is_passed_over(change: Reply) -> None:
    assert judged(change(reply_to(ASKED, "web.example. 60 IN A 10.0.0.1")).to_wire()) is None


def test_an_error_without_its_question_still_counts() -> None:
    reply = no_question(reply_to(ASKED, rcode=dns.rcode.REFUSED))
    step = judged(reply.to_wire())
    assert step is not None
    assert step.reason is Reason.REFUSED


def test_of_a_pair_each_reply_finds_its_own_query() -> None:
    four, six = QUERY, Query(QUERY.server, QUERY.name, "AAAA")
    waiting = {four: SENT, six: encode(six)}
    step = judge(
        waiting, reply_to(dns.message.from_wire(waiting[six].wire), "web.example. 5 IN AAAA fd00::1").to_wire()
    )
    assert step is not None
    assert (step.query, step.answers) == (six, ("fd00::1",))
    broken = judge(waiting, waiting[six].wire[:2] + b"\xff" * 30)
    assert broken is not None
    assert (broken.query, broken.reason) == (six, Reason.MALFORMED)


HEAD = SENT.wire[:2] + b"\x80\x00"
LOOP = HEAD + b"\x00\x01\x00\x01\x00\x00\x00\x00" + SENT.wire[12:] + b"\xc0\x1d\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04"


@pytest.mark.parametrize(
    "wire",
    [b"", b"\x00", b"not dns at all", HEAD, HEAD + b"\xff" * 8, HEAD + b"\xff" * 65000, LOOP, LOOP + b"\xc0\x1d" * 9000,
     SENT.wire[:2] + b"\xa8\x00" + SENT.wire[4:]],
    ids=["empty", "a byte", "text", "a cut head", "counts only", "huge", "compression loop", "many loops", "an update"],
)  # fmt: skip
def test_unreadable_bytes_are_malformed(wire: bytes) -> None:
    began = time.perf_counter()
    step = judged(wire)
    assert time.perf_counter() - began < 1.0
    assert step is not None
    assert step.reason is Reason.MALFORMED
    assert (step.rcode, step.astray) == (("NOERROR", True) if wire.startswith(LOOP) else (None, False))


FULL = reply_to(
    ASKED, "web.example. 60 IN CNAME a.example.", "a.example. 60 IN A 10.0.0.1", "a.example. 5 IN HTTPS 1 . alpn=h2",
    'a.example. 5 IN TXT "x"', "a.example. 5 IN SRV 1 2 3 b.example.",
).to_wire()  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, len(FULL) - 1), st.integers(0, 255)), max_size=6), st.integers(0, len(FULL)))
def test_no_damaged_reply_raises_or_leaves_the_closed_reasons(damage: list[tuple[int, int]], end: int) -> None:
    wire = bytearray(FULL)
    for place, byte in damage:
        wire[place] = byte
    step = judged(bytes(wire[:end]))
    assert step is None or step.reason is None or step.reason in REASONS[Layer.DNS]


@given(st.binary(max_size=300))
def test_no_bytes_behind_our_id_raise(tail: bytes) -> None:
    step = judged(SENT.wire[:2] + tail)
    assert step is None or step.reason in REASONS[Layer.DNS]


@pytest.mark.parametrize(
    ("kind", "expected", "got", "same"),
    [
        ("A", ["10.0.0.1", "10.0.0.2"], ["10.0.0.2", "10.0.0.1"], True),
        ("A", ["10.0.0.1"], ["10.0.0.1", "10.0.0.2"], False),
        ("AAAA", ["fd00:0:0::1"], ["fd00::1"], True),
        ("CNAME", ["Web.Example"], ["web.example."], True),
        ("MX", ["10 mail.example"], ["10 mail.example."], True),
        ("SRV", ["0 100 443 web.example."], ["0 100 443 web.example."], True),
        ("TXT", ["hello"], ['"hello"'], True),
        ("TXT", ['"hello world"'], ['"hello world"'], True),
        ("A", ["not an address"], ["10.0.0.1"], False),
        ("A", [], [], True),
    ],
)
def test_records_compare_as_a_set_however_they_are_spelled(
    kind: str, expected: list[str], got: list[str], same: bool
) -> None:
    assert same_records(kind, expected, got) is same


def test_a_query_carries_the_flags_it_was_given() -> None:
    plain = dns.message.from_wire(encode(QUERY).wire)
    assert (plain.flags, plain.edns) == (dns.flags.RD, -1)
    asking = Asking(recursion_desired=False, authentic_data=True, payload=1400, dnssec_ok=True, nsid=True)
    full = dns.message.from_wire(encode(Query(QUERY.server, "x.", "A", asking=asking)).wire)
    assert (full.flags, full.edns, full.payload) == (dns.flags.AD, 0, 1400)
    assert (full.ednsflags & dns.flags.DO, [int(option.otype) for option in full.options]) == (dns.flags.DO, [3])
    assert len({encode(QUERY).id for _ in range(50)}) > 40


@pytest.mark.parametrize(
    ("name", "fits"),
    [("web", True), ("web.example.", True), (".", True), ("_srv._tcp.web", True), ("", False), ("a..b", False),
     ("x" * 63, True), ("x" * 64, False), (".".join(["x" * 60] * 5), False), ("bücher.example", True)],
)  # fmt: skip
def test_what_fits_into_a_query_is_a_name(name: str, fits: bool) -> None:
    assert is_name(name) is fits
