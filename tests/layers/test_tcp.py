"""The tcp rung against real sockets and, in a namespace, against a far side that answers as routers do."""

from __future__ import annotations

import errno
import json
import socket
from typing import Any

import pytest

from prober.diagnosis.run import explain
from prober.engine.climb import climb
from prober.layers.base import Kit
from prober.layers.tcp.rung import reason_of
from prober.model import Run
from prober.reasons import Family, Kind, Layer, Reason
from prober.wire.errqueue import LINUX, IcmpError, parse_extended_error
from tests.support.cells import FAMILIES, LOOPBACK, facts, has_ipv6, make_cell
from tests.support.netns import run_in_namespace, why_not

OTHER = {Family.IPV4: LOOPBACK[Family.IPV6], Family.IPV6: LOOPBACK[Family.IPV4]}
IPV6_SOURCE = pytest.param(
    Family.IPV6, "::1", marks=pytest.mark.skipif(not has_ipv6(), reason="no IPv6 loopback on this machine")
)


async def connect(family: Family, port: int, timeout: float = 2.0, **options: Any) -> Run:
    cell = make_cell(Kind.TCP, "tcp", LOOPBACK[family], port, family=family, timeout=timeout, options=options)
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
        evidence = tcp.evidence
        assert (evidence["clock"], evidence["retransmits"]) == ("kernel", 0)
        assert evidence["advmss"] >= evidence["mss"] > 500
        assert evidence["path_mtu"] > evidence["mss"]
        assert evidence["rtt"] == pytest.approx(tcp.seconds, abs=1e-6)
        assert "sack" in evidence["options"]
        assert "wscale" in evidence["options"]


@pytest.mark.parametrize(("family", "source"), [(Family.IPV4, "127.0.0.5"), IPV6_SOURCE])
async def test_a_connection_comes_from_the_source_that_was_asked_for(family: Family, source: str) -> None:
    with listener(family) as server:
        run = await connect(family, server.getsockname()[1], tcp={"source": [source, OTHER[family]]})
        accepted, peer = server.accept()
        accepted.close()
    assert run.ok
    assert peer[0] == source
    assert run.outcomes[-1].evidence["source"] == source


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_source_that_is_not_ours_is_not_the_target_s_fault(family: Family) -> None:
    run = await connect(family, 9, tcp={"source": {Family.IPV4: "192.0.2.9", Family.IPV6: "2001:db8::9"}[family]})
    assert run.blame is not None
    assert run.blame.reason is Reason.NOT_PERMITTED
    assert run.outcomes[-1].evidence["errno"] == "EADDRNOTAVAIL"
    verdict = explain(run)
    assert verdict is not None
    assert verdict.code == "source_missing"


@pytest.mark.parametrize("family", FAMILIES)
async def test_of_a_family_without_a_source_the_kernel_chooses(family: Family) -> None:
    with listener(family) as server:
        run = await connect(family, server.getsockname()[1], tcp={"source": OTHER[family]})
    assert run.ok
    assert "source" not in run.outcomes[-1].evidence


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
    "17": (Reason.UNREACHABLE, "11/0", "3/0"),
    "18": (Reason.REFUSED, None, None),
    "19": (Reason.TIMEOUT, None, None),
    "20": (Reason.TIMEOUT, None, None),
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


@pytest.mark.parametrize("net", ["10.9.0.", "fd00:9::"], ids=["ipv4", "ipv6"])
def test_silence_keeps_what_the_kernel_did_about_it(far_side: dict[str, dict[str, object]], net: str) -> None:
    """The deadline came before any answer: what is known is how often the SYN was sent again, after a second each."""
    short, long = (far_side[net + last]["evidence"] for last in ("10", "19"))
    assert isinstance(short, dict)
    assert isinstance(long, dict)
    assert (short["retransmits"], long["retransmits"]) == (0, 1)


@pytest.mark.parametrize("net", ["10.9.0.", "fd00:9::"], ids=["ipv4", "ipv6"])
def test_so_does_a_connect_that_the_kernel_gives_up(far_side: dict[str, dict[str, object]], net: str) -> None:
    evidence = far_side[net + "20"]["evidence"]
    assert isinstance(evidence, dict)
    assert evidence["errno"] == "ETIMEDOUT"
    assert evidence["retransmits"] >= 1


@pytest.mark.parametrize("net", ["10.9.0.", "fd00:9::"], ids=["ipv4", "ipv6"])
def test_the_class_of_service_is_on_the_syn(far_side: dict[str, dict[str, object]], net: str) -> None:
    """The far side resets what is marked with EF, and is silent otherwise."""
    assert far_side[net + "18"]["reason"] == Reason.REFUSED


@pytest.mark.parametrize("address", ["10.9.0.11", "fd00:9::11", "10.9.0.12", "fd00:9::12"])
def test_resets_and_icmp_errors_arrive_at_once(far_side: dict[str, dict[str, object]], address: str) -> None:
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
