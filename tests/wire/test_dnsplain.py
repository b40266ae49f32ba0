"""The plain reader against dnspython: whatever bytes come, both say the same of them, or the plain one says nothing."""

from __future__ import annotations

from collections.abc import Mapping

import dns.message
import dns.rcode
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from prober.wire.dns import plain as dnsplain
from prober.wire.dns.edns import Asking
from prober.wire.dns.message import Query, Sent, Step, encode, judge
from prober.wire.dns.resolvconf import Server
from tests.support.fuzz import fuzzed
from tests.support.nameserver import reply_to

NAME = "web.app.example."
SERVER = Server("127.0.0.1")
QUERIES = {kind: Query(SERVER, NAME, kind) for kind in ("A", "AAAA", "TXT", "ANY")}
SENT: Mapping[str, Sent] = {kind: encode(query, 4711) for kind, query in QUERIES.items()}
SOA = "example. 30 IN SOA ns.example. root.web.app.example. 1 2 3 4 5"
V4 = st.ip_addresses(v=4).map(str)
V6 = st.ip_addresses(v=6).map(str)


def asked(kind: str) -> dns.message.Message:
    return dns.message.from_wire(SENT[kind].wire)


def both(kind: str, wire: bytes) -> tuple[Step | None, Step | None]:
    """What the two readers make of a reply; the first is the one that takes plain ones by itself."""
    waiting = {QUERIES[kind]: SENT[kind]}
    with pytest.MonkeyPatch.context() as patched:
        mine = judge(waiting, wire)
        patched.setattr(dnsplain, "read", lambda *_: None)
        theirs = judge(waiting, wire)
    return mine, theirs


def is_plain(kind: str, wire: bytes) -> bool:
    return dnsplain.read(wire, SENT[kind].question_end, kind) is not None


@given(st.lists(V4, max_size=12), st.integers(0, 2**32 - 1), st.sampled_from(["RA", "AA RA AD", ""]))
def test_address_records_are_read_alike(addresses: list[str], ttl: int, flags: str) -> None:
    reply = reply_to(asked("A"), flags=flags)
    for address in addresses:
        reply.answer.append(dns.rrset.from_text(NAME, ttl & 0x7FFFFFFF, "IN", "A", address))
    wire = reply.to_wire()
    mine, theirs = both("A", wire)
    assert mine == theirs
    assert is_plain("A", wire)


@given(st.lists(V6, min_size=1, max_size=8))
@example(["::1", "::", "::ffff:1.2.3.4", "::1.2.3.4", "1::", "1:0:0:2::3", "1:0:2:3:4:5:6:7", "0:1:2:3:4:5:6:7"])
@example(["fd00:0:0:1:0:0:0:1", "2001:db8:0:1:1:1:1:1", "64:ff9b::1.2.3.4"])
def test_ipv6_is_spelled_alike(addresses: list[str]) -> None:
    wire = reply_to(asked("AAAA"), *(f"{NAME} 5 IN AAAA {address}" for address in addresses)).to_wire()
    mine, theirs = both("AAAA", wire)
    assert mine == theirs


@pytest.mark.parametrize("kind", ["A", "AAAA", "TXT"])
@pytest.mark.parametrize("code", range(16))
@pytest.mark.parametrize("authority", [None, SOA, "web.app.example. 5 IN SOA . . 1 2 3 4 5"])
def test_codes_and_negative_answers_are_read_alike(kind: str, code: int, authority: str | None) -> None:
    reply = reply_to(asked(kind), rcode=dns.rcode.Rcode(code))
    if authority:
        reply.authority.append(dns.rrset.from_text(*authority.split(None, 4)))
    wire = reply.to_wire()
    mine, theirs = both(kind, wire)
    assert mine == theirs
    assert is_plain(kind, wire)


def test_a_bare_opt_record_is_plain_and_one_with_something_to_say_is_not() -> None:
    query = QUERIES["A"]._replace(asking=Asking(payload=1232))
    sent = encode(query)
    for errors, plain in (([], True), ([dns.edns.EDEOption(18, "no")], False)):
        reply = reply_to(dns.message.from_wire(sent.wire), f"{NAME} 5 IN A 10.0.0.1")
        reply.use_edns(0, options=errors)
        wire = reply.to_wire()
        assert (dnsplain.read(wire, sent.question_end, "A") is not None) is plain
        step = judge({query: sent}, wire)
        assert step is not None
        assert step.answers == ("10.0.0.1",)
        assert (step.edns is None) is plain


BASES = [
    reply_to(asked("A"), f"{NAME} 60 IN A 10.0.0.1", f"{NAME} 5 IN A 10.0.0.2").to_wire(),
    reply_to(asked("A"), f"{NAME} 60 IN CNAME b.example.", "b.example. 5 IN A 10.0.0.2").to_wire(),
    reply_to(asked("A"), f"{NAME} 60 IN A 10.0.0.1", f"{NAME} 60 IN A 10.0.0.1").to_wire(),
]
_negative = reply_to(asked("A"), rcode=dns.rcode.NXDOMAIN)
_negative.authority.append(dns.rrset.from_text(*SOA.split(None, 4)))
_with_opt = reply_to(asked("A"), f"{NAME} 60 IN A 10.0.0.1")
_with_opt.use_edns(0, payload=1232)
BASES += [_negative.to_wire(), _with_opt.to_wire()]
DAMAGE = st.lists(st.tuples(st.integers(0, 120), st.integers(0, 255)), max_size=4)


@fuzzed(600)
@given(st.sampled_from(BASES), DAMAGE, st.integers(0, 140), st.binary(max_size=30))
def test_damaged_replies_are_read_alike(base: bytes, damage: list[tuple[int, int]], end: int, tail: bytes) -> None:
    wire = bytearray(base)
    for place, byte in damage:
        wire[place % len(wire)] = byte
    mine, theirs = both("A", bytes(wire[:end]) + tail)
    assert mine == theirs


@fuzzed(400)
@given(st.sampled_from(sorted(QUERIES)), st.binary(min_size=10, max_size=10), st.binary(max_size=60))
def test_any_bytes_behind_our_question_are_read_alike(kind: str, head: bytes, tail: bytes) -> None:
    sent = SENT[kind]
    counts = bytes([head[0] | 0x80, head[1], 0, 1, 0, head[5] % 3, 0, head[7] % 2, 0, head[9] % 2])
    mine, theirs = both(kind, sent.wire[:2] + counts + sent.wire[12 : sent.question_end] + tail)
    assert mine == theirs
