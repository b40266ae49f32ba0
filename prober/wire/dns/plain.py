"""The plain reply read without ceremony: one question, address records right behind it, or none and an SOA. Pure.

Nearly every answer that a probe gets looks like this, and dnspython takes ten times as long over it. What is not
exactly of this form is nobody's business here: `read` gives None, and dnspython reads it (`prober.wire.dns.message`).
Both come to the same step: tests/wire/test_dnsplain.py holds them against each other.
"""

from __future__ import annotations

import socket
import struct
from functools import lru_cache
from typing import Final, NamedTuple

_COUNTS = struct.Struct("!5H")  # RFC 1035 section 4.1.1, behind the id
_RECORD = struct.Struct("!HHHIH")  # section 4.1.3, with a compressed owner
_REST = struct.Struct("!HHIH")  # the same behind the owner
_HEADER: Final = 12
_OWNER: Final = 0xC00C  # a pointer to the question's name
_QR, _OPCODE_OR_TC = 0x8000, 0x7A00
_IN, _SOA, _OPT = 1, 6, 41
_MAX_NAME: Final = 255
_MAX_TTL: Final = 0x7FFFFFFF  # RFC 2181 section 8: what is greater counts as 0
#: Type → its number, the length of its data, and the family that writes it.
_ADDRESSES: Final = {"A": (1, 4, socket.AF_INET), "AAAA": (28, 16, socket.AF_INET6)}
_EMBEDS_IPV4: Final = bytes(8)  # such addresses are spelled in more than one way: dnspython decides


class Plain(NamedTuple):
    """What a plain reply says: `answers` in its order, each once; `ttl` is the smallest, None without any."""

    flags: int
    answers: tuple[str, ...]
    ttl: int | None


def read(data: bytes, question_end: int, kind: str) -> Plain | None:
    """The reply in `data`, whose question is already known to be ours and ends at `question_end`; None: not plain."""
    flags, questions, answers, authorities, additionals = _COUNTS.unpack_from(data, 2)
    if questions != 1 or not flags & _QR or flags & _OPCODE_OR_TC or additionals > 1:
        return None
    plain, at = Plain(flags, (), None), question_end
    if answers:
        if kind not in _ADDRESSES or authorities:
            return None
        found, ttl = _addresses(data, at, answers, *_ADDRESSES[kind])
        if ttl < 0:
            return None
        plain = Plain(flags, found, ttl)
        at += answers * (_RECORD.size + _ADDRESSES[kind][1])
    elif authorities and (authorities > 1 or (at := _soa(data, at, question_end)) < 0):
        return None
    return plain if not additionals or _is_bare_opt(data, at) else None


def _addresses(
    data: bytes, at: int, count: int, number: int, length: int, family: socket.AddressFamily
) -> tuple[tuple[str, ...], int]:
    """The addresses in the `count` records from `at` on, and their smallest TTL; -1: they are not plain."""
    found: dict[str, None] = {}
    ttl = _MAX_TTL
    if at + count * (_RECORD.size + length) > len(data):
        return (), -1
    for _ in range(count):
        owner, type_, class_, lives, size = _RECORD.unpack_from(data, at)
        at += _RECORD.size
        raw = data[at : at + length]
        at += length
        if owner != _OWNER or type_ != number or class_ != _IN or size != length or raw[:8] == _EMBEDS_IPV4:
            return (), -1
        found[socket.inet_ntop(family, raw)] = None
        ttl = min(ttl, lives if lives <= _MAX_TTL else 0)
    return tuple(found), ttl


def _soa(data: bytes, at: int, question_end: int) -> int:
    """Where the SOA that begins at `at` ends, -1 where it is none or not plain (RFC 1035 section 3.3.13)."""
    labels = _labels(data[_HEADER : question_end - 4])
    at = _name(data, at, labels)
    if at < 0 or at + 10 > len(data):
        return -1
    type_, class_, _, size = _REST.unpack_from(data, at)
    at += 10
    end = at + size
    if type_ != _SOA or class_ != _IN or end > len(data):
        return -1
    at = _name(data, at, labels)
    at = at if at < 0 else _name(data, at, labels)
    return end if at >= 0 and at + 20 == end else -1


@lru_cache(maxsize=4096)
def _labels(name: bytes) -> dict[int, int]:
    """Offset of each label of the question's name in the message → bytes of the name from there on."""
    found, at = {}, 0
    while name[at]:
        found[_HEADER + at] = len(name) - at
        at += 1 + name[at]
    return found


def _name(data: bytes, at: int, labels: dict[int, int]) -> int:
    """Where the name at `at` ends: plain labels, and at most one pointer, to a label of the question. -1: not plain."""
    begin, end = at, len(data)
    while at < end:
        length = data[at]
        if length == 0:
            return at + 1 if at + 1 - begin <= _MAX_NAME else -1
        if length >= 0xC0:
            target = ((length & 0x3F) << 8) | data[at + 1] if at + 1 < end else 0
            return at + 2 if target in labels and at - begin + labels[target] <= _MAX_NAME else -1
        if length > 63:
            return -1
        at += 1 + length
    return -1


def _is_bare_opt(data: bytes, at: int) -> bool:
    """An OPT record without options, of version 0, whose extended response code is 0 (RFC 6891 section 6.1)."""
    if at + 11 > len(data) or data[at]:
        return False
    type_, _, extended, size = _REST.unpack_from(data, at + 1)
    return bool(type_ == _OPT and size == 0 and not extended >> 16)
