"""One DNS query and what came of it: messages built and judged (RFC 1035, RFC 2308, RFC 5452). Pure, over dnspython.

A reply is hostile until it has shown otherwise: whatever it holds, it becomes a `Step` with a closed reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from prober.reasons import Reason
from prober.wire.resolvconf import Server

Transport = Literal["udp", "tcp"]
EDNS_PAYLOAD: Final = 1200  # bytes: what glibc announces (resolv/resolv-internal.h RESOLV_EDNS_BUFFER_SIZE)

#: What a response code means; every other one is `server_failure` (RFC 1035 section 4.1.1).
RCODE_REASONS: Mapping[str, Reason] = MappingProxyType(
    {"NXDOMAIN": Reason.NAME_NOT_FOUND, "REFUSED": Reason.REFUSED, "SERVFAIL": Reason.SERVER_FAILURE}
)
_SHOWN_FLAGS = {"aa": dns.flags.AA, "tc": dns.flags.TC, "ra": dns.flags.RA, "ad": dns.flags.AD}


@dataclass(frozen=True, slots=True)
class Query:
    """One question to one server. `name` is absolute, with its trailing dot; `type` as in zone files."""

    server: Server
    name: str
    type: str
    transport: Transport = "udp"
    recursion_desired: bool = True
    edns0: bool = False
    trust_ad: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """A query and what came of it.

    `reason` is None where data of the asked type came; `answers` are that data in presentation format, in the order
    of the reply (with `truncated`: as far as they came).
    `rcode` is None where no reply could be read. `lame`: the server neither knows nor asks others.
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
        return shown


def is_name(name: str) -> bool:
    """`name` fits into a query: labels of 1 to 63 bytes, 255 in all (RFC 1035 section 2.3.4)."""
    try:
        dns.name.from_text(name)
    except (dns.exception.DNSException, UnicodeError):
        return False
    return bool(name)


def encode(query: Query) -> dns.message.QueryMessage:
    """The message of `query` with a random id. dns.rdatatype.UnknownRdatatype for a type nobody knows."""
    flags = dns.flags.Flag(0)
    if query.recursion_desired:
        flags |= dns.flags.RD
    if query.trust_ad:
        flags |= dns.flags.AD
    if query.edns0:
        return dns.message.make_query(query.name, query.type, flags=flags, use_edns=0, payload=EDNS_PAYLOAD)
    return dns.message.make_query(query.name, query.type, flags=flags)


def judge(waiting: Mapping[Query, dns.message.QueryMessage], data: bytes) -> Step | None:
    """The step that `data` makes of one of the queries still `waiting`, its seconds left at 0.

    None where it answers none of them (id, opcode or question differ: RFC 5452 section 9.1). What cannot be read
    is `malformed`, and counts against the query with its id, else against the first.
    """
    message = _parse(data)
    if message is None:
        return Step(_owner(waiting, data), Reason.MALFORMED, detail=f"unreadable reply of {len(data)} bytes")
    for query, sent in waiting.items():
        if sent.is_response(message):
            return _step(query, message)
    return None


def _parse(data: bytes) -> dns.message.Message | None:
    try:
        return dns.message.from_wire(data, ignore_trailing=True, raise_on_truncation=True)
    except dns.message.Truncated as cut:
        message: dns.message.Message = cut.message()  # type: ignore[no-untyped-call]  # dnspython left it untyped
        return message if message.question else None  # cut so short that nobody knows what it answers
    except (dns.exception.DNSException, ValueError, LookupError, ArithmeticError, AssertionError):
        return None  # hostile bytes: the parser may trip over more than its own errors


def _owner(waiting: Mapping[Query, dns.message.QueryMessage], data: bytes) -> Query:
    same_id = (query for query, sent in waiting.items() if data[:2] == sent.id.to_bytes(2, "big"))
    return next(same_id, next(iter(waiting)))


def _step(query: Query, message: dns.message.Message) -> Step:
    """The step of a reply that belongs to `query`."""
    rcode = dns.rcode.to_text(message.rcode())
    flags = tuple(name for name, bit in _SHOWN_FLAGS.items() if message.flags & bit)
    lame = rcode == "NOERROR" and not (message.answer or message.additional or {"aa", "ra"} & set(flags))
    if "tc" in flags and query.transport == "udp":
        held = _held(query, message)
        return Step(query, Reason.TRUNCATED, 0.0, rcode, held, None, flags, lame, "truncated over udp")
    if rcode != "NOERROR":
        return Step(query, RCODE_REASONS.get(rcode, Reason.SERVER_FAILURE), rcode=rcode, flags=flags)
    try:
        found = _data(query, message)
    except (dns.exception.DNSException, LookupError) as error:  # a CNAME loop
        return Step(query, Reason.MALFORMED, rcode=rcode, flags=flags, detail=f"answer section: {error}")
    if not found:
        return Step(query, Reason.NO_DATA, rcode=rcode, flags=flags, lame=lame, detail="lame server" if lame else "")
    answers = tuple(record.to_text() for rrset in found for record in rrset)
    return Step(query, None, rcode=rcode, flags=flags, answers=answers, ttl=min(rrset.ttl for rrset in found))


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


def _record(kind: str, text: str) -> dns.rdata.Rdata | str:
    try:
        return dns.rdata.from_text(dns.rdataclass.IN, kind, text, origin=dns.name.root, relativize=False)
    except (dns.exception.DNSException, ValueError):
        return text
