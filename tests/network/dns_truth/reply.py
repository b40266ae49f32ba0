"""What a server says, as bytes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from tests.network.dns_truth.case import FOUND

_TARGET = "target.example."


def replies(query: dns.message.Message, word: str, transport: str) -> Iterator[tuple[float, bytes]]:
    """Seconds to wait and the message to send, for each part of `word`: `A & B` are two, `A @ 0.7` is a late one.

    A part is a response code (NOERROR: no data), addresses (`10.1.1.1 10.2.2.2`; AAAA records are made of them), a name
    of `_ODD`, `many N` (addresses), `cut` (TC, all of it over TCP), or `half` (TC with one address of two).
    """
    for part in word.split(" & "):
        what, _, delay = part.partition(" @ ")
        yield float(delay or 0), _reply(query, what, transport)


def _reply(query: dns.message.Message, word: str, transport: str) -> bytes:
    if word in _ODD:
        return _ODD[word](query)
    if word in ("cut", "half"):
        held = () if word == "cut" else (FOUND,)
        return _answer(query, *held, tc=True) if transport == "udp" else _answer(query, FOUND, "10.2.2.2")
    if word.startswith("many "):
        return _answer(query, *(f"10.8.0.{number + 1}" for number in range(int(word[5:]))))
    if word[0].isdigit():
        return _answer(query, *word.split())
    return _answer(query, rcode=word)


def _answer(
    query: dns.message.Message, *addresses: str, rcode: str = "NOERROR", tc: bool = False, owner: str = "",
    ra: bool = True, change: Callable[[dns.message.Message], None] | None = None,
) -> bytes:  # fmt: skip
    """An answer of a server that asks others (RA), without EDNS, as the oldest do."""
    reply = dns.message.make_response(query)
    reply.use_edns(False)
    reply.flags |= (dns.flags.RA if ra else 0) | (dns.flags.TC if tc else 0)
    reply.set_rcode(dns.rcode.from_text(rcode))
    question = reply.question[0]
    if owner == _TARGET:
        reply.answer.append(dns.rrset.from_text(question.name, 5, "IN", "CNAME", owner))
    for one in addresses:  # a set of its own for each: dnspython shuffles the records of a set
        data = f"fd00::{one}" if question.rdtype == dns.rdatatype.AAAA else one
        name = dns.name.from_text(owner) if owner else question.name
        reply.answer.append(dns.rrset.from_text(name, 5, "IN", question.rdtype, data))
    if change is not None:
        change(reply)
    return reply.to_wire()


def _header(query: dns.message.Message, rcode: str) -> bytes:
    """A header alone, as servers send that could not read the question."""
    return query.to_wire()[:2] + bytes([0x81, 0x80 | dns.rcode.from_text(rcode)]) + bytes(8)


def _asks(name: str, kind: str = "") -> Callable[[dns.message.Message], None]:
    """A change: the reply repeats another question than was asked."""

    def change(reply: dns.message.Message) -> None:
        question = reply.question[0]
        reply.question[0] = dns.rrset.RRset(
            dns.name.from_text(name) if name else question.name, question.rdclass,
            dns.rdatatype.from_text(kind) if kind else question.rdtype,
        )  # fmt: skip

    return change


def _upper(reply: dns.message.Message) -> None:
    """The question in capitals: names are equal all the same (RFC 4343)."""
    _asks(reply.question[0].name.to_text().upper())(reply)


def _wrong_id(reply: dns.message.Message) -> None:
    reply.id ^= 0x5555


_ODD: Mapping[str, Callable[[dns.message.Message], bytes]] = {
    "lame": lambda query: _answer(query, ra=False),
    "no ra": lambda query: _answer(query, FOUND, ra=False),
    "no ra, NXDOMAIN": lambda query: _answer(query, rcode="NXDOMAIN", ra=False),
    "cut, NXDOMAIN": lambda query: _answer(query, rcode="NXDOMAIN", tc=True),
    "cut, SERVFAIL": lambda query: _answer(query, rcode="SERVFAIL", tc=True),
    "cname": lambda query: _answer(query, owner=_TARGET),
    "cname, NXDOMAIN": lambda query: _answer(query, owner=_TARGET, rcode="NXDOMAIN"),
    "chain": lambda query: _answer(query, FOUND, owner=_TARGET),
    "other owner": lambda query: _answer(query, FOUND, owner="other.example."),
    "SERVFAIL, with data": lambda query: _answer(query, FOUND, rcode="SERVFAIL"),
    "wrong id": lambda query: _answer(query, FOUND, change=_wrong_id),
    "wrong name": lambda query: _answer(query, FOUND, change=_asks("other.example.")),
    "wrong type": lambda query: _answer(query, change=_asks("", "MX")),
    "in capitals": lambda query: _answer(query, FOUND, change=_upper),
    "FORMERR, header alone": lambda query: _header(query, "FORMERR"),
    "SERVFAIL, header alone": lambda query: _header(query, "SERVFAIL"),
    "NOERROR, header alone": lambda query: _header(query, "NOERROR"),
    "NXDOMAIN, header alone": lambda query: _header(query, "NXDOMAIN"),
    "REFUSED, header alone": lambda query: _header(query, "REFUSED"),
    "NOTIMP, header alone": lambda query: _header(query, "NOTIMP"),
    "garbage": lambda query: _answer(query, FOUND)[:-3],
    "short": lambda query: query.to_wire()[:7],
    "a query": lambda query: query.to_wire(),
}
