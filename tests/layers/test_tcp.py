"""The tcp rung against real sockets and, in a namespace, against a far side that answers as routers do."""

from __future__ import annotations

import errno
import json
import socket

import pytest

from prober.engine.climb import climb
from prober.layers.base import Kit
from prober.layers.tcp import reason_of
from prober.model import Run
from prober.reasons import Family, Kind, Layer, Reason
from prober.wire.errqueue import LINUX, IcmpError, parse_extended_error
from tests.support.cells import FAMILIES, LOOPBACK, facts, make_cell
from tests.support.netns import run_in_namespace, why_not


async def connect(family: Family, port: int, timeout: float = 2.0) -> Run:
    cell = make_cell(Kind.TCP, "tcp", LOOPBACK[family], port, family=family, timeout=timeout)
    (run,) = await climb(cell, Kit(), found=[(LOOPBACK[family], port)])
    return run


def listener(family: Family, backlog: int = 5) -> socket.socket:
    number = socket.AF_INET6 if family is Family.IPV6 else socket.AF_INET
    return socket.create_server((LOOPBACK[family], 0), family=number, backlog=backlog)


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_listener_holds_and_the_kernel_tells_the_time(family: Family) -> None:
    with listener(family) as server:
        run = await connect(family, server.getsockname()[1])
    tcp = run.outcome(Layer.TCP)
    assert tcp is not None
    assert run.ok
    assert tcp.seconds is not None
    assert 0 < tcp.seconds < run.seconds
    assert run.address == LOOPBACK[family]
    if LINUX:
        assert tcp.evidence["clock"] == "kernel"
        assert tcp.evidence["retransmits"] == 0
        assert tcp.evidence["mss"] > 500


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_closed_port_is_refused(family: Family) -> None:
    with listener(family) as server:
        port = server.getsockname()[1]
    run = await connect(family, port)
    assert run.blame is not None
    assert (run.blame.layer, run.blame.reason) == (Layer.TCP, Reason.REFUSED)
    assert facts(run.outcomes[-1]) == {"errno": "ECONNREFUSED"}


@pytest.mark.skipif(not LINUX, reason="a full backlog drops SYNs on Linux")
@pytest.mark.parametrize("family", FAMILIES)
async def test_a_silent_listener_times_out_at_the_deadline(family: Family) -> None:
    with listener(family, backlog=0) as server:
        address = server.getsockname()[:2]
        waiting = [socket.create_connection(address), socket.socket(server.family)]
        waiting[1].setblocking(False)
        waiting[1].connect_ex(address)
        run = await connect(family, address[1], timeout=0.2)
        for sock in waiting:
            sock.close()
    assert run.blame is not None
    assert run.blame.reason is Reason.TIMEOUT
    assert 0.2 <= run.seconds < 0.4
    assert run.outcomes[-1].seconds == pytest.approx(run.seconds, abs=0.05)


async def test_the_socket_is_closed_whatever_happened() -> None:
    with listener(Family.IPV4) as server:
        run = await connect(Family.IPV4, server.getsockname()[1])
        peer, _ = server.accept()
        with peer:
            peer.settimeout(2)
            assert run.ok
            assert peer.recv(1) == b""


FAR_SIDE = {
    "10": (Reason.TIMEOUT, None, None),
    "11": (Reason.REFUSED, None, None),
    "12": (Reason.REJECTED, "3/3", "1/4"),
    "13": (Reason.PROHIBITED, "3/13", "1/1"),
    "14": (Reason.UNREACHABLE, "3/1", "1/3"),
    "15": (Reason.UNREACHABLE, "3/0", "1/0"),
    "16": (Reason.PROHIBITED, "3/9", "1/5"),
}


@pytest.fixture(scope="module")
def far_side() -> dict[str, dict[str, object]]:
    if (reason := why_not(tun=True)) is not None:
        pytest.skip(reason)
    addresses = [net + last for net in ("10.9.0.", "fd00:9::") for last in FAR_SIDE]
    printed = run_in_namespace("far_side.py", *addresses, "10.8.0.1", "fd00:8::1", "10.7.0.1", "fd00:7::1")
    return {line["address"]: line for line in map(json.loads, printed.splitlines())}


@pytest.mark.parametrize("last", FAR_SIDE)
@pytest.mark.parametrize("net", ["10.9.0.", "fd00:9::"], ids=["ipv4", "ipv6"])
def test_what_the_path_answers_is_told_apart(far_side: dict[str, dict[str, object]], net: str, last: str) -> None:
    """RST, ICMP reject, administrative prohibition and silence have their own reasons, in both families alike."""
    reason, *labels = FAR_SIDE[last]
    icmp = labels[":" in net]
    seen = far_side[net + last]
    evidence = seen["evidence"]
    assert isinstance(evidence, dict)
    assert seen["reason"] == reason
    assert evidence.get("icmp") == icmp
    assert evidence.get("from") == (None if icmp is None else "fd00:9::fe" if ":" in net else "10.9.0.254")


@pytest.mark.parametrize("address", ["10.9.0.12", "fd00:9::12"])
def test_icmp_errors_arrive_at_once_in_both_families(far_side: dict[str, dict[str, object]], address: str) -> None:
    """Without IPV6_RECVERR an ICMPv6 error would surface only with the SYN's retransmission after a second."""
    assert isinstance(seconds := far_side[address]["seconds"], float)
    assert seconds < 0.4


@pytest.mark.parametrize("address", ["10.8.0.1", "fd00:8::1", "10.7.0.1", "fd00:7::1"])
def test_no_route_is_unreachable(far_side: dict[str, dict[str, object]], address: str) -> None:
    assert far_side[address]["reason"] == Reason.UNREACHABLE


def test_a_family_without_any_address_here_is_unreachable_and_no_lack_of_ports() -> None:
    if (missing := why_not()) is not None:
        pytest.skip(missing)
    run, code = run_in_namespace("without_ipv6.py", "try", "-o", "ndjson", "tcp://[::1]:1").splitlines()
    assert json.loads(run)["blame"] == {"layer": "tcp", "reason": "unreachable"}
    assert code == "exit code 1"


@pytest.mark.parametrize(
    ("number", "icmp", "reason"),
    [
        (errno.ECONNREFUSED, None, Reason.REFUSED),
        (errno.ECONNREFUSED, IcmpError(4, 3, 3, "10.0.0.1"), Reason.REJECTED),
        (errno.ECONNREFUSED, IcmpError(6, 1, 4, "fd00::1"), Reason.REJECTED),
        (errno.EHOSTUNREACH, IcmpError(4, 3, 10, "10.0.0.1"), Reason.PROHIBITED),
        (errno.EHOSTUNREACH, IcmpError(6, 3, 0, "fd00::1"), Reason.UNREACHABLE),
        (errno.EADDRNOTAVAIL, None, Reason.NO_LOCAL_PORT),
        (errno.EPERM, None, Reason.NOT_PERMITTED),
        (errno.EAFNOSUPPORT, None, Reason.UNREACHABLE),
        (errno.ECONNRESET, None, Reason.RESET),
        (9999, None, Reason.UNREACHABLE),
    ],
)
def test_errno_and_icmp_decide_the_reason(number: int, icmp: IcmpError | None, reason: Reason) -> None:
    assert reason_of(number, icmp) is reason


@pytest.mark.parametrize("data", [b"", b"\0" * 15, b"\0" * 16, b"\x6f\0\0\0\1" + b"\0" * 20])
def test_an_error_that_is_not_from_icmp_is_none(data: bytes) -> None:
    assert parse_extended_error(data) is None
