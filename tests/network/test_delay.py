"""The delay tool by itself: what it does to packets, that it tells the truth about it, and that nothing of it stays."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import pytest

from prober.reasons import Family
from tests.network.lab import plan
from tests.network.lab.delay import Schedule, Wanted
from tests.network.lab.delayed import DelayTool
from tests.network.lab.nfqueue import Packet
from tests.network.lab.passage import SYN, Header, Passage, header_of
from tests.network.lab.process import LabProcess

#: Where packets between the vantage and the other node are held: each passes here once in either direction.
PLACE = plan.CLIENT.node.name
#: Seconds that half of the packets may leave too late: far more than they do, for the machine may be busy.
LATE = 0.001


@contextmanager
def holding(lab: LabProcess, delay: float = 0.0, *, jitter: float = 0.0, loss: float = 0.0,
            **which: object) -> Iterator[DelayTool]:  # fmt: skip
    with DelayTool(lab.command(PLACE), **which) as tool:  # type: ignore[arg-type]  # as it takes them
        tool.hold(delay, jitter=jitter, loss=loss)
        yield tool


def pings(lab: LabProcess, address: str, *options: str) -> list[tuple[int, float]]:
    """(sequence number, seconds as ping(8) has them) of each reply, in the order in which they came."""
    done = lab.run("client", "ping", "-n", "-i", "0.01", *options, address)
    return [
        (int(number), float(took) / 1e3) for number, took in re.findall(r"icmp_seq=(\d+) .*time=(\S+) ms", done.stdout)
    ]


def echoes(passages: list[Passage]) -> list[Passage]:
    return [passage for passage in passages if passage.header.protocol == "icmp"]


@pytest.mark.parametrize("delay", [0.001, 0.02, 0.1])
@pytest.mark.parametrize("family", Family)
def test_each_packet_is_held_for_as_long_as_wanted_and_the_record_is_what_ping_sees(
    lab: LabProcess, family: Family, delay: float
) -> None:
    with holding(lab, delay) as tool:
        seen = pings(lab, plan.WEB2.address(family), "-c", "20")
        record = tool.record()
    held = echoes(record.passages)
    there = [passage for passage in held if passage.header.destination == plan.WEB2.address(family)]
    back = [passage for passage in held if passage.header.source == plan.WEB2.address(family)]
    assert len(seen) == len(there) == len(back) == 20
    assert all(passage.due - passage.came == pytest.approx(delay) for passage in held)
    assert all(passage.error >= 0.0 for passage in held)
    assert median(passage.error for passage in held) < LATE
    beside = [took - one.actual - other.actual for (_, took), one, other in zip(seen, there, back, strict=True)]
    assert min(beside) > -0.005 * seen[0][1]  # ping says three digits
    assert median(beside) < LATE


def test_the_families_are_held_apart(lab: LabProcess) -> None:
    with holding(lab, 0.05, families=["ipv6"]) as tool:
        assert pings(lab, plan.WEB2.address(plan.V4), "-c", "1")[0][1] < 0.05
        assert echoes(tool.record().passages) == []
        assert pings(lab, plan.WEB2.address(plan.V6), "-c", "1")[0][1] >= 0.1
        assert len(echoes(tool.record().passages)) == 2


@pytest.mark.parametrize("family", Family)
def test_one_direction_can_be_held_alone(lab: LabProcess, family: Family) -> None:
    inward = {plan.V4: "flannel.1", plan.V6: "flannel-v6.1"}
    with holding(lab, 0.05, interfaces=[inward[family]]) as tool:
        ((_, took),) = pings(lab, plan.WEB2.address(family), "-c", "1")
        (passage,) = echoes(tool.record().passages)
    assert 0.05 <= took < 0.1
    assert passage.header.destination == plan.CLIENT.address(family)


def test_a_further_match_narrows_what_is_held(lab: LabProcess) -> None:
    with holding(lab, 0.05, match=["-m", "length", "--length", "500:"]) as tool:
        assert pings(lab, plan.WEB2.address(plan.V4), "-c", "1")[0][1] < 0.05
        assert pings(lab, plan.WEB2.address(plan.V4), "-c", "1", "-s", "800")[0][1] >= 0.1
        assert len(echoes(tool.record().passages)) == 2


@pytest.mark.parametrize("family", Family)
def test_jitter_spreads_the_delay_and_keeps_the_order(lab: LabProcess, family: Family) -> None:
    with holding(lab, 0.03, jitter=0.02) as tool:
        seen = pings(lab, plan.WEB2.address(family), "-i", "0.002", "-c", "100")
        held = echoes(tool.record().passages)
    assert [number for number, _ in seen] == list(range(1, 101))
    wanted = [passage.due - passage.came for passage in held]
    assert 0.01 <= min(wanted) < 0.03 < max(wanted) <= 0.05 + 1e-9


@pytest.mark.parametrize("family", Family)
def test_loss_drops_a_share_and_says_which(lab: LabProcess, family: Family) -> None:
    with holding(lab, loss=0.3) as tool:
        seen = pings(lab, plan.WEB2.address(family), "-i", "0.002", "-c", "100", "-W", "0.1")
        held = echoes(tool.record().passages)
    assert 0 < len(seen) < 100
    lost = [passage for passage in held if passage.left is None]
    assert len(seen) + len(lost) == 100  # each of them cost one pair


def test_what_does_not_fit_into_the_queue_is_dropped_and_counted(lab: LabProcess) -> None:
    with holding(lab, 0.5, families=["ipv4"], length=10) as tool:
        seen = pings(lab, plan.WEB2.address(plan.V4), "-i", "0.002", "-c", "50", "-W", "2")
        record = tool.record()
    assert len(seen) == 10
    assert record.lost == 40


_SERVE = """
import socket
listener = socket.create_server(("", 9000))
print(flush=True)
listener.accept()[0].sendall(bytes(range(256)) * 8192)
"""
_FETCH = """
import socket
connection = socket.create_connection(("10.42.2.12", 9000))
print(b"".join(iter(lambda: connection.recv(65536), b"")) == bytes(range(256)) * 8192)
"""


def test_a_stream_passes_whole(lab: LabProcess) -> None:
    """2 MiB, every byte of them held: segments one by one, or many as one packet where offload has merged them."""
    with holding(lab, 0.002) as tool, lab.start("web2", sys.executable, "-c", _SERVE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        server.stdout.readline()
        assert lab.run("client", sys.executable, "-c", _FETCH).stdout == "True\n"
        record = tool.record()
    assert record.lost == 0
    held = [passage.header for passage in record.passages if passage.header.source_port == 9000]
    assert sum(header.size for header in held) >= 256 * 8192


def tables(lab: LabProcess) -> str:
    return (
        lab.run(PLACE, "nft", "list", "tables").stdout
        + lab.run(PLACE, "cat", "/proc/net/netfilter/nfnetlink_queue").stdout
    )


def test_at_its_end_nothing_is_left_and_what_it_held_is_let_go(lab: LabProcess) -> None:
    before = tables(lab)
    with holding(lab, 30.0, families=["ipv4"]) as tool:
        assert tables(lab) != before
        ping = lab.start(
            "client", "ping", "-n", "-c", "1", "-W", "20", plan.WEB2.address(plan.V4), stdout=subprocess.PIPE
        )
        while not tool.record().waiting:
            assert ping.poll() is None
    said, _ = ping.communicate(timeout=20)
    assert "1 received" in said
    assert tables(lab) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_ends_it_and_traffic_goes_on(lab: LabProcess, number: signal.Signals) -> None:
    before = tables(lab)
    with holding(lab, 30.0) as tool:
        assert tool.process is not None
        lab.run(PLACE, "kill", f"-{number.value}", str(tool.pid))
        tool.process.wait(10)
        assert number == signal.SIGKILL or tables(lab) == before
        assert len(pings(lab, plan.WEB2.address(plan.V4), "-c", "1")) == 1
    assert tables(lab) == before


def packet(number: int, interface: int) -> Packet:
    return Packet(number, interface, None, b"")


def test_the_schedule_keeps_the_order_of_each_interface_alone() -> None:
    schedule = Schedule(Wanted(delay=1.0))
    schedule.add(packet(1, interface=1), came=10.0)
    schedule.wanted = Wanted(delay=0.5)
    schedule.add(packet(2, interface=1), came=10.1)
    schedule.add(packet(3, interface=2), came=10.2)
    left = [(waiting.number, due) for waiting, _, due in (schedule.take() for _ in range(len(schedule)))]
    assert left == [(3, 10.7), (1, 11.0), (2, 11.0)]
    assert schedule.next == float("inf")


_V4 = bytes.fromhex("4500003400000000 4006 0000 0a2a010a 0a2a020c")
_V6 = bytes.fromhex("60000000 0014 06 40") + bytes(15) + b"\1" + bytes(15) + b"\2"
_TCP = bytes.fromhex("9c40 1f90 00000007 00000000 5002 0000 0000 0000")
_UDP, _ECHO = bytes.fromhex("9c40 1f90 0020 0000"), bytes.fromhex("0800 0000 1234 0001")
_V4_ENDS = ("10.42.1.10", 40000, "10.42.2.12", 8080)


@pytest.mark.parametrize(
    ("head", "header"),
    [
        (_V4 + _TCP, Header("tcp", *_V4_ENDS, SYN, 12, 7)),
        (_V6 + _TCP, Header("tcp", "::1", 40000, "::2", 8080, SYN, 0, 7)),
        (_V4[:9] + b"\x11" + _V4[10:] + _UDP, Header("udp", *_V4_ENDS, 0, 24)),
        (_V4[:9] + b"\x01" + _V4[10:] + _ECHO, Header("icmp", "10.42.1.10", 0x1234, "10.42.2.12", 1, 0, 32)),
        (_V6[:6] + b"\x2c" + _V6[7:] + bytes(8), Header("44", "::1", 0, "::2", 0, 0, 20)),
    ],
)  # fmt: skip
def test_a_header_says_whose_packet_it_was(head: bytes, header: Header) -> None:
    assert header_of(head) == header
