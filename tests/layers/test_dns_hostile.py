"""A hostile DNS server: whatever it sends, the run ends in time with a reason of the closed list."""

from __future__ import annotations

import random
import socket

import dns.message
import pytest

from prober.engine.climb import climb
from prober.layers.base import Kit
from prober.reasons import REASONS, Family, Kind, Layer, Reason
from tests.support.cells import FAMILIES, make_cell
from tests.support.nameserver import Answers, Script, dns_server, reply_to
from tests.support.threaded import read_to_the_end, serve

HEAD = b"\x80\x00\x00\x01\x00\x01\x00\x00\x00\x00"
RECORD = b"\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04\x0a\x00\x00\x01"


def raw(tail: bytes) -> Script:
    """The query's id, then these bytes."""
    return lambda query, transport: [query.to_wire()[:2] + tail]


def questioned(*records: bytes) -> Script:
    """A reply to the right question with these records as bytes."""

    def answer(query: dns.message.Message, transport: str) -> Answers:
        count = len(records).to_bytes(2, "big")
        wire = query.to_wire()
        return [wire[:2] + b"\x80\x00\x00\x01" + count + b"\x00" * 4 + wire[12:] + b"".join(records)]

    return answer


def wrong_id(query: dns.message.Message, transport: str) -> Answers:
    reply = reply_to(query, "web.c. 5 IN A 10.6.6.6")
    reply.id ^= 1
    return [reply]


def wrong_name(query: dns.message.Message, transport: str) -> Answers:
    return [reply_to(dns.message.make_query("evil.", "A", id=query.id), "evil. 5 IN A 10.6.6.6")]


def cname_maze(query: dns.message.Message, transport: str) -> Answers:
    return [reply_to(query, "web.c. 5 IN CNAME n0.", *(f"n{i}. 5 IN CNAME n{i + 1}." for i in range(200)))]


def noise(query: dns.message.Message, transport: str) -> Answers:
    dice = random.Random(query.id)
    return [dice.randbytes(dice.randrange(600)) for _ in range(300)]


HOSTILE: dict[str, tuple[Script, Reason]] = {
    "one byte": (lambda query, transport: [b"\x00"], Reason.MALFORMED),
    "no body": (raw(HEAD), Reason.MALFORMED),
    "counts beyond the message": (raw(b"\x80\x00" + b"\xff" * 8), Reason.MALFORMED),
    "compression loop": (questioned(b"\xc0\x17" + RECORD), Reason.MALFORMED),
    "pointer forward": (questioned(b"\xff\xff" + RECORD), Reason.MALFORMED),
    "reserved label": (questioned(b"\x80" + RECORD), Reason.MALFORMED),
    "length beyond the end": (questioned(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\xff\xff\x0a"), Reason.MALFORMED),
    "short address": (questioned(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x01\x0a"), Reason.MALFORMED),
    "cname to itself": (questioned(b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x00\x00\x02\xc0\x0c"), Reason.MALFORMED),
    "cname maze": (cname_maze, Reason.MALFORMED),
    "huge": (raw(HEAD + b"\xff" * 60000), Reason.MALFORMED),
    "huge and for another question": (raw(HEAD + b"\x00" * 60000), Reason.TIMEOUT),
    "thousands of records": (questioned(*[b"\xc0\x0c" + RECORD] * 3500), Reason.MALFORMED),
    "wrong id": (wrong_id, Reason.TIMEOUT),
    "wrong name": (wrong_name, Reason.TIMEOUT),
    "the query itself": (lambda query, transport: [query], Reason.TIMEOUT),
    "noise": (noise, Reason.MALFORMED),
}
ANSWERED_AFTER_ALL = frozenset({"thousands of records"})  # one address, said 3500 times: odd, but an answer


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("what", HOSTILE)
async def test_the_run_ends_in_time_with_a_closed_reason(what: str, transport: str, family: Family) -> None:
    script, reason = HOSTILE[what]
    async with dns_server(family, script) as server:
        wait = 0.15 if reason is Reason.TIMEOUT else 5.0
        options = {"dns": {"transport": transport}, "resolver": {"attempts": 1, "timeout": wait}}
        cell = make_cell(Kind.DNS, "dns", server.address, server.port, family=family, timeout=6.0, options=options,
                         resource="web.c.")  # fmt: skip
        (run,) = await climb(cell, Kit())
    if what in ANSWERED_AFTER_ALL:
        assert run.ok
        return
    assert run.blame is not None
    assert run.blame.reason is reason
    assert reason in REASONS[Layer.DNS]
    assert run.seconds < 3.0


@pytest.mark.parametrize("frame", [b"\xff\xff" + b"\x00" * 10, b"\x00\x00" * 50, b"\x00"])
async def test_broken_frames_over_tcp_end_in_time(frame: bytes) -> None:
    """A length that never comes, and empty messages without end."""

    def talk(sock: socket.socket) -> None:
        sock.sendall(frame)
        read_to_the_end(sock)

    with serve(Family.IPV4, talk) as port:
        endless = frame.startswith(b"\x00\x00")
        options = {"dns": {"transport": "tcp"}, "resolver": {"attempts": 1, "timeout": 1.5 if endless else 0.1}}
        (run,) = await climb(make_cell(Kind.DNS, "dns", "127.0.0.1", port, options=options, resource="web."), Kit())
    assert run.blame is not None
    assert run.blame.reason is (Reason.MALFORMED if endless else Reason.TIMEOUT)
