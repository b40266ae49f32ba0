"""The shared echo socket: which packets count, and what happens to requests that nobody waits for any more."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator

import pytest

from prober.reasons import Family
from prober.wire import icmp, stamps
from prober.wire.echo import Echo, EchoReply, checksum
from prober.wire.errqueue import LINUX, IcmpError
from prober.wire.icmp import EchoSocket, SendFailed
from prober.wire.pinger import Pinger
from prober.wire.stamps import Instant

PARTNER = "192.0.2.7"


@pytest.fixture
async def raw() -> AsyncIterator[EchoSocket]:
    """An IPv4 socket whose packets are fed by hand, each with an IP header in front, as raw sockets give them."""
    try:
        sock = EchoSocket(Family.IPV4)
    except OSError as error:
        pytest.skip(f"no ICMP socket here: {error}")
    sock.raw = sock._icmp._privileged = True
    yield sock
    sock.close()


def waiting(sock: EchoSocket) -> Echo:
    echo = Echo(sock._next_sequence(), b"8 bytes!", sock.loop.create_future())
    echo.sent = Instant.now()
    sock._waiting[echo.sequence] = echo
    return echo


def packet(sock: EchoSocket, echo: Echo, kind: int = 0, options: bytes = b"", **changes: int | bytes) -> bytes:
    """An ICMP message about `echo` behind an IP header with `options`."""
    first = 0x45 + len(options) // 4
    head = struct.pack("!BBHHHBBH4s4s", first, 0, 0, 0, 0, 57, 1, 0, socket.inet_aton(PARTNER), b"\x7f\0\0\1") + options
    identifier, sequence = changes.get("identifier", sock._id), changes.get("sequence", echo.sequence)
    token = changes.get("token", echo.token)
    assert isinstance(token, bytes)
    return head + struct.pack("!BBHHH", kind, 0, 0, identifier, sequence) + token + b"\0" * 8


@pytest.mark.parametrize("options", [b"", b"\x01" * 12], ids=["plain", "with IP options"])
async def test_a_reply_settles_its_request_with_sender_and_ttl(raw: EchoSocket, options: bytes) -> None:
    echo = waiting(raw)
    raw._take(packet(raw, echo, options=options), [], PARTNER)
    reply = echo.answer.result()
    assert isinstance(reply, EchoReply)
    assert (reply.ttl, reply.source) == (57, PARTNER)
    assert 0 < reply.seconds < 1
    raw._take(packet(raw, echo), [], "192.0.2.8")
    assert echo.answer.result() is reply
    assert echo.duplicates == 1


@pytest.mark.parametrize(
    "change", [{"identifier": 1}, {"sequence": 1}, {"token": b"another!"}, {"kind": 8}, {"kind": 3}]
)
async def test_what_is_not_our_reply_is_passed_over(raw: EchoSocket, change: dict[str, int]) -> None:
    """Among them our own request, which a raw socket sees on loopback."""
    raw._id, raw._sequence = 4711, 99
    echo = waiting(raw)
    raw._take(packet(raw, echo, **change), [], PARTNER)
    assert not echo.answer.done()


@pytest.mark.parametrize("length", [20, 21, 24, 28, 35])
async def test_a_cut_packet_is_passed_over(raw: EchoSocket, length: int) -> None:
    echo = waiting(raw)
    raw._take(packet(raw, echo)[:length], [], PARTNER)
    assert not echo.answer.done()


async def test_where_there_is_no_error_queue_errors_come_as_packets(
    raw: EchoSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(icmp, "LINUX", False)
    echo = waiting(raw)
    error = packet(raw, echo)[:20] + struct.pack("!BBHI", 3, 13, 0, 0) + packet(raw, echo, kind=8)
    raw._take(error, [], PARTNER)
    assert echo.answer.result() == IcmpError(4, 3, 13, PARTNER)


async def test_sequence_numbers_in_use_are_left_out() -> None:
    pinger = Pinger()
    try:
        sock = pinger.socket(Family.IPV4)
    except OSError as error:
        pytest.skip(f"no ICMP socket here: {error}")
    sock._sequence = 0xFFFE
    echoes = [waiting(sock) for _ in range(3)]
    assert [echo.sequence for echo in echoes] == [0xFFFF, 0, 1]
    sock._sequence = 0xFFFE
    assert sock._next_sequence() == 2
    sock._waiting = dict.fromkeys(range(1 << 16), echoes[0])
    with pytest.raises(BlockingIOError):
        sock._next_sequence()
    pinger.close()
    assert echoes[0].answer.cancelled()


def test_a_new_event_loop_gets_sockets_of_its_own() -> None:
    pinger = Pinger()

    async def once() -> EchoSocket:
        sock = pinger.socket(Family.IPV4)
        assert pinger.socket(Family.IPV4) is sock
        reply = await sock.send("127.0.0.1", 16).answer
        assert isinstance(reply, EchoReply)
        return sock

    try:
        first = asyncio.run(once())
    except OSError as error:
        pytest.skip(f"no ICMP socket here: {error}")
    assert asyncio.run(once()) is not first
    pinger.close()


async def test_identifiers_are_not_the_process_id(raw: EchoSocket) -> None:
    """In every container the process id is 1."""
    others = [EchoSocket(Family.IPV4) for _ in range(4)]
    identifiers = {sock._id for sock in (raw, *others)}
    for sock in others:
        sock.close()
    assert len(identifiers) > 1


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (bytes.fromhex("0001f203f4f5f6f7"), 0x220D),  # the example of RFC 1071 section 3
        (b"\x08\0\0\0\0\1\0\1", 0xF7FD),
        (b"\xff", 0x00FF),
        (b"\xff\xff", 0xFFFF),  # minus zero is zero too
    ],
)
def test_the_checksum_is_that_of_rfc_1071(message: bytes, expected: int) -> None:
    assert checksum(message) == expected


async def test_a_stamp_of_leaving_finds_its_request_even_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """A packet that waits in the device's queue is stamped after sendto has returned, perhaps after another one."""
    pinger = Pinger()
    try:
        sock = pinger.socket(Family.IPV4)
    except OSError as error:
        pytest.skip(f"no ICMP socket here: {error}")
    with monkeypatch.context() as patch:
        patch.setattr(EchoSocket, "_read_one", lambda self: None)
        echoes = [sock.send("127.0.0.1", 16) for _ in range(3)]
        assert [echo.left_ns for echo in echoes] == [None] * 3
    sock._read_errors()
    moments = [echo.left_ns or 0 for echo in echoes]
    if LINUX:
        assert echoes[0].sent.wall_ns < moments[0] < moments[1] < moments[2]
        assert moments[0] < echoes[1].sent.wall_ns
    pinger.close()
    assert sock._leaving == {}


async def test_requests_that_could_not_be_sent_do_not_shift_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    pinger = Pinger()
    try:
        sock = pinger.socket(Family.IPV4)
    except OSError as error:
        pytest.skip(f"no ICMP socket here: {error}")
    with pytest.raises(SendFailed):
        sock.send("255.255.255.255", 16)  # broadcast: EACCES
    for _ in range(3):
        echo = sock.send("127.0.0.1", 16)
        assert isinstance(await echo.answer, EchoReply)
        assert not LINUX or echo.left_ns is not None
        sock.forget(echo)
    pinger.close()


async def test_a_reply_from_this_machine_is_read_in_the_turn_of_its_request() -> None:
    """After the first one has shown how near it is; a far target costs the loop its wake-up, and nothing more."""
    pinger = Pinger()
    try:
        sock = pinger.socket(Family.IPV4)
    except OSError as error:
        pytest.skip(f"no ICMP socket here: {error}")
    sock._near = True
    echo = sock.send("127.0.0.1", 16)
    assert not LINUX or echo.answer.done()
    assert isinstance(await echo.answer, EchoReply)
    sock.forget(echo)
    assert sock._unanswered == 0
    pinger.close()


async def test_without_a_stamp_of_leaving_the_moment_before_it_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels refuse flags that they do not know; receipt is stamped all the same."""
    monkeypatch.setattr(stamps, "_BOTH_WAYS", 1 << 30)
    pinger = Pinger()
    try:
        sock = pinger.socket(Family.IPV4)
    except OSError as error:
        pytest.skip(f"no ICMP socket here: {error}")
    assert sock._stamped is False
    echo = sock.send("127.0.0.1", 16)
    reply = await echo.answer
    assert isinstance(reply, EchoReply)
    assert echo.left_ns is None
    assert reply.took.kernel is LINUX
    pinger.close()
