"""One DNS query and what came of it: messages built and judged (RFC 1035, RFC 2308, RFC 5452). Pure, over dnspython.

A reply is hostile until it has shown otherwise: whatever it holds, it becomes a `Step` with a closed reason.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from prober.options import Transport
from prober.reasons import Reason
from prober.wire.dns import plain as dnsplain
from prober.wire.dns.edns import Asking, ReplyEdns, reply_edns, request_options
from prober.wire.dns.resolvconf import Server

#: What a response code means; every other one is `server_failure` (RFC 1035 section 4.1.1).
RCODE_REASONS: Mapping[str, Reason] = MappingProxyType(
    {"NXDOMAIN": Reason.NAME_NOT_FOUND, "REFUSED": Reason.REFUSED, "SERVFAIL": Reason.SERVER_FAILURE}
)
_SHOWN_FLAGS = {"aa": dns.flags.AA, "tc": dns.flags.TC, "ra": dns.flags.RA, "ad": dns.flags.AD}
_RCODES: Final = tuple(dns.rcode.to_text(dns.rcode.Rcode(number)) for number in range(16))
#: Codes with which a server may leave the question out (RFC 1035 section 4.1.1: it could not read it, or would not).
_WITHOUT_QUESTION: Final = frozenset({"FORMERR", "SERVFAIL", "NOTIMP", "REFUSED"})
#: Codes with which nothing is cut off that TCP could bring: another server is asked.
_FAILED: Final = frozenset({"SERVFAIL", "NOTIMP", "REFUSED"})
_HEADER: Final = 12
_QR, _QR_AND_OPCODE = 0x80, 0xF8  # of the header's third byte: a response, and to a query
#: Records of a reply that is not plain: dnspython takes 0.1 ms for each, and the event loop waits. Sixty thousand bytes
#: of plain addresses are read all the same.
MAX_RECORDS: Final = 1000


class Query(NamedTuple):
    """One question to one server. `name` is absolute, with its trailing dot; `type` as in zone files.

    `nth`: where a server is listed more than once, for which of them.
    """

    server: Server
    name: str
    type: str
    transport: Transport = "udp"
    asking: Asking = Asking()
    nth: int = 0


class Step(NamedTuple):
    """A query and what came of it.

    `reason` is None where data of the asked type came; `answers` are that data in presentation format, in the order
    of the reply (with `truncated`: as far as they came).
    `rcode` is None where no reply could be read. `lame`: the server neither knows nor asks others. `edns`: what the
    reply says beside the answer, where it says something.
    """

    query: Query
    reason: Reason | None
    seconds: float = 0.0
    rcode: str | None = None
    answers: tuple[str, ...] = ()
    ttl: int | None = None
    flags: tuple[str, ...] = ()
    lame: bool = False
    detail: str = ""
    edns: ReplyEdns | None = None
    astray: bool = False
    """The answer section holds records, but none that answers the question: a CNAME without a target, say."""
    errno: int = 0
    """The kernel's error that ended it, if one did."""

    def shown(self) -> dict[str, Any]:
        """The step for people and machines, as plain JSON values; the answers as their number."""
        shown: dict[str, Any] = {
            "server": str(self.query.server),
            "name": self.query.name,
            "type": self.query.type,
            "transport": self.query.transport,
            "rcode": self.rcode,
            "seconds": round(self.seconds, 6),
            "answers": len(self.answers),
        }
        if self.reason is not None:
            shown["reason"] = str(self.reason)
        if self.detail:
            shown["detail"] = self.detail
        if self.edns is not None:
            shown |= self.edns.shown()
        return shown


class Sent(NamedTuple):
    """A query as it is sent. A reply repeats the id and the question, which ends at `question_end` of `wire`."""

    id: int
    wire: bytes
    question_end: int


@lru_cache(maxsize=16384)
def is_name(name: str) -> bool:
    """`name` fits into a query: labels of 1 to 63 bytes, 255 in all (RFC 1035 section 2.3.4)."""
    try:
        dns.name.from_text(name)
    except (dns.exception.DNSException, UnicodeError):
        return False
    return bool(name)


def encode(query: Query, number: int | None = None) -> Sent:
    """The message of `query` with a random id, or `number`. dns.rdatatype.UnknownRdatatype for a type nobody knows."""
    rest, question_end = _body(query.name, query.type, query.asking)
    head = os.urandom(2) if number is None else number.to_bytes(2, "big")
    return Sent(int.from_bytes(head, "big"), head + rest, question_end)


@lru_cache(maxsize=16384)
def _body(name: str, kind: str, asking: Asking) -> tuple[bytes, int]:
    """A query's bytes behind its id, which are the same every time, and where its question ends."""
    flags = dns.flags.Flag(0)
    if asking.recursion_desired:
        flags |= dns.flags.RD
    if asking.authentic_data:
        flags |= dns.flags.AD
    if asking.payload is None:
        message = dns.message.make_query(name, kind, flags=flags, id=0)
    else:
        message = dns.message.make_query(name, kind, flags=flags, id=0, use_edns=0, payload=asking.payload,
                                         want_dnssec=asking.dnssec_ok, options=request_options(asking))  # fmt: skip
    question = message.question[0].name.to_wire() or b""
    return message.to_wire()[2:], _HEADER + len(question) + 4


def judge(waiting: Mapping[Query, Sent], data: bytes) -> Step | None:
    """The step that `data` makes of one of the queries still `waiting`, its seconds left at 0.

    None where it answers none of them (id, opcode or question differ: RFC 5452 section 9.1). What cannot be read
    is `malformed`, and counts against the query with its id, else against the first.
    """
    for query, sent in waiting.items():
        end = sent.question_end
        if data[:2] == sent.wire[:2] and data[_HEADER:end] == sent.wire[_HEADER:end] and len(data) >= end:
            plain = dnsplain.read(data, end, query.type)
            if plain is not None:
                return _plain_step(query, plain)
    if (records := _records(data)) > MAX_RECORDS:
        detail = f"{records} records, of which at most {MAX_RECORDS} are read"
        return Step(_owner(waiting, data), Reason.MALFORMED, detail=detail)
    message = _parse(data)
    if message is None:
        return _unreadable(waiting, data)
    for query, sent in waiting.items():
        if _answers_it(query, sent, message):
            return _step(query, message)
    return None


def _plain_step(query: Query, plain: dnsplain.Plain) -> Step:
    bits = plain.flags
    rcode = _RCODES[bits & 15]
    flags = _flags(bits)
    if rcode != "NOERROR":
        return Step(query, RCODE_REASONS.get(rcode, Reason.SERVER_FAILURE), 0.0, rcode, (), None, flags)
    if plain.answers:
        return Step(query, None, 0.0, rcode, plain.answers, plain.ttl, flags)
    lame = not ("aa" in flags or "ra" in flags)
    return Step(query, Reason.NO_DATA, 0.0, rcode, (), None, flags, lame, "lame server" if lame else "")


@lru_cache(maxsize=256)
def _flags(bits: int) -> tuple[str, ...]:
    return tuple(name for name, bit in _SHOWN_FLAGS.items() if bits & bit)


def _records(data: bytes) -> int:
    """How many records the header counts, in all sections but the question's (RFC 1035 section 4.1.1)."""
    return sum(int.from_bytes(data[at : at + 2], "big") for at in (6, 8, 10))


def _parse(data: bytes) -> dns.message.Message | None:
    try:
        return dns.message.from_wire(data, ignore_trailing=True, raise_on_truncation=True)
    except dns.message.Truncated as cut:
        message: dns.message.Message = cut.message()  # type: ignore[no-untyped-call]  # dnspython left it untyped
        return message if message.question else None  # cut so short that nobody knows what it answers
    except (dns.exception.DNSException, ValueError, LookupError, ArithmeticError, AssertionError):
        return None  # hostile bytes: the parser may trip over more than its own errors


def _unreadable(waiting: Mapping[Query, Sent], data: bytes) -> Step:
    """What is readable of it: the code, where the reply repeats id and question."""
    owner = _owner(waiting, data)
    sent = waiting[owner]
    detail = f"unreadable reply of {len(data)} bytes"
    repeats = data[:2] == sent.wire[:2] and data[_HEADER : sent.question_end] == sent.wire[_HEADER : sent.question_end]
    if not repeats or data[2] & _QR_AND_OPCODE != _QR:
        return Step(owner, Reason.MALFORMED, detail=detail)
    return Step(owner, Reason.MALFORMED, rcode=_RCODES[data[3] & 15], detail=detail, astray=data[6:8] != bytes(2))


def _owner(waiting: Mapping[Query, Sent], data: bytes) -> Query:
    same_id = (query for query, sent in waiting.items() if data[:2] == sent.wire[:2])
    return next(same_id, next(iter(waiting)))


def _answers_it(query: Query, sent: Sent, message: dns.message.Message) -> bool:
    """The reply has the query's id, opcode and question; an error need not repeat the question."""
    if message.id != sent.id or not message.flags & dns.flags.QR or message.opcode() != dns.opcode.QUERY:
        return False
    if not message.question:
        return dns.rcode.to_text(message.rcode()) in _WITHOUT_QUESTION
    name, kind = dns.name.from_text(query.name), dns.rdatatype.from_text(query.type)
    return all(q.name == name and q.rdclass == dns.rdataclass.IN and q.rdtype == kind for q in message.question)


def _step(query: Query, message: dns.message.Message) -> Step:
    """The step of a reply that belongs to `query`."""
    rcode = dns.rcode.to_text(message.rcode())
    flags = _flags(message.flags & 0xFFF0)
    edns = reply_edns(message)
    lame = rcode == "NOERROR" and not (message.answer or message.additional or {"aa", "ra"} & set(flags))
    if "tc" in flags and query.transport == "udp" and rcode not in _FAILED:
        held = _held(query, message)
        return Step(query, Reason.TRUNCATED, 0.0, rcode, held, None, flags, lame, "truncated over udp", edns)
    if rcode != "NOERROR":
        return Step(query, RCODE_REASONS.get(rcode, Reason.SERVER_FAILURE), rcode=rcode, flags=flags, edns=edns)
    try:
        found = _data(query, message)
    except (dns.exception.DNSException, LookupError) as error:  # a CNAME loop
        detail = f"answer section: {error}"
        return Step(query, Reason.MALFORMED, 0.0, rcode, (), None, flags, False, detail, edns, astray=True)
    if not found:
        why = "lame server" if lame else ""
        return Step(query, Reason.NO_DATA, 0.0, rcode, (), None, flags, lame, why, edns, astray=bool(message.answer))
    answers = tuple(record.to_text() for rrset in found for record in rrset)
    return Step(query, None, 0.0, rcode, answers, min(rrset.ttl for rrset in found), flags, edns=edns)


def _data(query: Query, message: dns.message.Message) -> list[dns.rrset.RRset]:
    """The record sets of the asked type at the end of the CNAME chain, or all of the name's for ANY; none: []."""
    if query.type == "ANY":
        return list(message.answer)
    if not isinstance(message, dns.message.QueryMessage):
        return []
    answer = message.resolve_chaining().answer
    return [] if answer is None else [answer]


def _held(query: Query, message: dns.message.Message) -> tuple[str, ...]:
    """What a truncated reply holds of the asked type."""
    try:
        return tuple(record.to_text() for rrset in _data(query, message) for record in rrset)
    except (dns.exception.DNSException, LookupError):
        return ()


def same_records(kind: str, expected: Iterable[str], got: Iterable[str]) -> bool:
    """Both are the same set of records of type `kind`, however they are spelled; names need no trailing dot."""
    return {_record(kind, text) for text in expected} == {_record(kind, text) for text in got}


@lru_cache(maxsize=4096)
def _record(kind: str, text: str) -> dns.rdata.Rdata | str:
    try:
        return dns.rdata.from_text(dns.rdataclass.IN, kind, text, origin=dns.name.root, relativize=False)
    except (dns.exception.DNSException, ValueError):
        return text
