"""The icmp rung on loopback and, in a namespace, against a far side that answers as hosts and routers do."""

from __future__ import annotations

import asyncio
import errno
import json
from typing import Any

import pytest
from icmplib import ICMPSocketError, SocketPermissionError

from prober.engine.climb import climb
from prober.layers.base import Kit
from prober.layers.icmp.rung import reason_of
from prober.model import Run
from prober.reasons import Family, Kind, Layer, Reason
from prober.wire import icmp
from prober.wire.echo import Echo
from prober.wire.errqueue import IcmpError
from prober.wire.icmp import EchoSocket, NotPermittedError
from prober.wire.pinger import Pinger
from prober.wire.stamps import Instant
from tests.support.cells import FAMILIES, LOOPBACK, make_cell
from tests.support.netns import run_in_namespace, why_not


@pytest.fixture
async def kit() -> Any:
    kit = Kit()
    try:
        for family in Family:
            kit.get(Pinger).socket(family)
    except OSError as error:
        pytest.skip(f"no ICMP sockets here: {error}")
    yield kit
    await kit.close()


async def ping(kit: Kit, family: Family, timeout: float = 2.0, **options: Any) -> Run:
    cell = make_cell(Kind.ICMP, "icmp", LOOPBACK[family], family=family, timeout=timeout, options={"icmp": options})
    (run,) = await climb(cell, kit)
    return run


@pytest.mark.parametrize("family", FAMILIES)
async def test_loopback_answers_with_its_ttl(kit: Kit, family: Family) -> None:
    run = await ping(kit, family)
    outcome = run.outcome(Layer.ICMP)
    assert run.ok
    assert run.address == LOOPBACK[family]
    assert outcome is not None
    assert outcome.seconds is not None
    assert 0 < outcome.seconds < run.seconds
    assert outcome.evidence.items() >= {"sent": 1, "received": 1, "ttl": 64}.items()
    assert "from" not in outcome.evidence


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("size", [16, 56, 1472, 9000, 65000])
async def test_a_train_of_any_size_is_counted_and_timed(kit: Kit, family: Family, size: int) -> None:
    run = await ping(kit, family, count=3, gap="1ms", size=size)
    outcome = run.outcomes[-1]
    evidence = outcome.evidence
    assert (evidence["sent"], evidence["received"]) == (3, 3)
    assert 0 < evidence["rtt_min"] <= evidence["rtt_avg"] <= evidence["rtt_max"]
    assert outcome.seconds == pytest.approx(evidence["rtt_avg"], abs=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
async def test_twenty_at_once_over_one_socket_are_never_mixed(kit: Kit, family: Family) -> None:
    runs = await asyncio.gather(*(ping(kit, family, count=5, gap="1ms", size=16 + n) for n in range(20)))
    assert all(run.ok for run in runs)
    assert [run.outcomes[-1].evidence["received"] for run in runs] == [5] * 20
    assert kit.get(Pinger).socket(family)._waiting == {}
    assert kit.get(Pinger).socket(family)._unanswered == 0


async def test_families_do_not_disturb_each_other(kit: Kit) -> None:
    runs = await asyncio.gather(*(ping(kit, family) for family in (Family.IPV4, Family.IPV6) * 5))
    assert all(run.ok for run in runs)


async def test_one_lost_of_a_train_does_not_wait_for_the_deadline(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first answer the rest is waited for as long as two round trips, as ping(8) does."""
    transmit = EchoSocket._transmit
    sent: list[bytes] = []

    def lose_the_second(self: EchoSocket, echo: Echo, packet: bytes, peer: Any) -> None:
        sent.append(packet)
        echo.sent = Instant.now()
        if len(sent) != 2:
            transmit(self, echo, packet, peer)

    monkeypatch.setattr(EchoSocket, "_transmit", lose_the_second)
    run = await ping(kit, Family.IPV4, count=3, gap="10ms", timeout=5.0)
    assert run.ok
    assert (run.outcomes[-1].evidence["sent"], run.outcomes[-1].evidence["received"]) == (3, 2)
    assert run.seconds < 1.0


async def test_silence_lasts_until_the_deadline_and_is_counted(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EchoSocket, "_transmit", lambda self, echo, packet, peer: None)
    run = await ping(kit, Family.IPV4, count=2, gap="1ms", timeout=0.1)
    assert run.outcomes[-1].reason is Reason.TIMEOUT
    assert run.outcomes[-1].evidence.items() >= {"sent": 2, "received": 0}.items()
    assert kit.get(Pinger).socket(Family.IPV4)._waiting == {}
    assert kit.get(Pinger).socket(Family.IPV4)._unanswered == 0


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENETUNREACH, Reason.UNREACHABLE),
        (errno.EACCES, Reason.PROHIBITED),
        (errno.EPERM, Reason.PROHIBITED),
        (errno.EMSGSIZE, Reason.TOO_BIG),
        (errno.ENOBUFS, Reason.INTERNAL),
    ],
)
async def test_an_error_of_sendto_has_its_reason(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, number: int, reason: Reason
) -> None:
    def refuse(self: EchoSocket, echo: Echo, packet: bytes, peer: Any) -> None:
        raise OSError(number, "as the kernel says")

    monkeypatch.setattr(EchoSocket, "_transmit", refuse)
    run = await ping(kit, Family.IPV4)
    assert run.outcomes[-1].reason is reason
    if reason is not Reason.INTERNAL:
        assert run.outcomes[-1].evidence["errno"] == errno.errorcode[number]


async def test_without_rights_the_detail_says_what_to_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(privileged: bool) -> None:
        raise SocketPermissionError(privileged)

    monkeypatch.setattr(icmp, "ICMPv4Socket", refuse)
    run = await ping(Kit(), Family.IPV4)
    assert run.blame is not None
    assert run.blame.reason is Reason.NOT_PERMITTED
    assert "net.ipv4.ping_group_range" in run.outcomes[-1].evidence["detail"]
    assert "NET_RAW" in run.outcomes[-1].evidence["detail"]
    with pytest.raises(NotPermittedError):
        EchoSocket(Family.IPV4)


async def test_a_family_that_does_not_exist_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(privileged: bool) -> None:
        try:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        except OSError as error:
            raise ICMPSocketError(str(error))  # noqa: B904 - as icmplib raises it

    monkeypatch.setattr(icmp, "ICMPv6Socket", missing)
    run = await ping(Kit(), Family.IPV6)
    assert run.outcomes[-1].reason is Reason.UNREACHABLE
    assert run.outcomes[-1].evidence["errno"] == "EAFNOSUPPORT"


@pytest.mark.parametrize(
    ("version", "kind", "code", "reason"),
    [
        (4, 3, 0, Reason.UNREACHABLE), (4, 3, 1, Reason.UNREACHABLE), (4, 3, 3, Reason.UNREACHABLE),
        (4, 3, 4, Reason.TOO_BIG), (4, 3, 9, Reason.PROHIBITED), (4, 3, 10, Reason.PROHIBITED),
        (4, 3, 13, Reason.PROHIBITED), (4, 11, 0, Reason.UNREACHABLE), (4, 12, 0, Reason.UNREACHABLE),
        (6, 1, 0, Reason.UNREACHABLE), (6, 1, 1, Reason.PROHIBITED), (6, 1, 3, Reason.UNREACHABLE),
        (6, 1, 4, Reason.UNREACHABLE), (6, 1, 5, Reason.PROHIBITED), (6, 1, 6, Reason.PROHIBITED),
        (6, 2, 0, Reason.TOO_BIG), (6, 3, 0, Reason.UNREACHABLE), (6, 4, 0, Reason.UNREACHABLE),
    ],
)  # fmt: skip
def test_icmp_errors_have_their_reasons(version: int, kind: int, code: int, reason: Reason) -> None:
    assert reason_of(IcmpError(version, kind, code, "192.0.2.1")) is reason


FAR_SIDE: dict[str, tuple[Reason | None, str | None, str | None]] = {
    "10": (Reason.TIMEOUT, None, None),
    "11": (None, None, None),
    "12": (Reason.UNREACHABLE, "3/1", "1/3"),
    "13": (Reason.PROHIBITED, "3/13", "1/1"),
    "14": (Reason.UNREACHABLE, "3/0", "1/0"),
    "15": (Reason.UNREACHABLE, "11/0", "3/0"),
    "16": (Reason.TOO_BIG, "3/4", "2/0"),
    "17": (Reason.UNREACHABLE, "3/3", "1/4"),
    "19": (Reason.TIMEOUT, None, None),
    "20": (None, None, None),
    "21": (Reason.TOO_BIG, "3/4", "2/0"),
    "22": (Reason.UNREACHABLE, "11/0", "3/0"),
    "23": (None, None, None),
    "24": (None, None, None),
    "25": (None, None, None),
    "26": (Reason.TIMEOUT, None, None),
    "27": (Reason.TOO_BIG, None, None),
}


@pytest.fixture(scope="module", params=["datagram", "raw"])
def far_side(request: pytest.FixtureRequest) -> dict[str, Any]:
    if (reason := why_not(tun=True)) is not None:
        pytest.skip(reason)
    printed = run_in_namespace("far_ping.py", request.param)
    lines = {line["address"]: line for line in map(json.loads, printed.splitlines())}
    assert {line["evidence"]["socket"] for line in lines.values()} == {request.param}
    return lines


@pytest.mark.parametrize("net", ["10.9.0.", "fd00:9::"], ids=["ipv4", "ipv6"])
def test_what_the_path_answers_is_told_apart(far_side: dict[str, Any], net: str) -> None:
    """Over one socket, all at once: replies, ICMP errors, silence and forged payloads each find their own run."""
    for last, (reason, *labels) in FAR_SIDE.items():
        seen = far_side[net + last]
        label = labels[":" in net]
        assert (seen["reason"], seen["evidence"].get("icmp")) == (reason, label), last
        if label is not None:
            assert seen["evidence"]["from"] == ("fd00:9::fe" if ":" in net else "10.9.0.254")
            assert seen["seconds"] < 0.4
    assert far_side[net + "16"]["evidence"]["mtu"] == 1280


@pytest.mark.parametrize("net", ["10.9.0.", "fd00:9::"], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize(
    ("last", "evidence"),
    [
        ("20", {"sent": 4, "received": 2, "loss": 0.5, "reordered": 0}),
        ("24", {"sent": 4, "received": 4, "loss": 0.0}),
        ("25", {"sent": 4, "received": 4, "loss": 0.0, "reordered": 2}),
        ("26", {"loss": 0.5, "detail": "2 of 4 lost: icmp.max_loss is 0.4"}),
    ],
)
def test_loss_order_and_duplicates_of_a_train_are_counted(
    far_side: dict[str, Any], net: str, last: str, evidence: dict[str, Any]
) -> None:
    assert far_side[net + last]["evidence"].items() >= evidence.items()
    assert far_side[net + "24"]["evidence"]["duplicates"] >= 3  # the last one's may come when nobody waits any more


@pytest.mark.parametrize("net", ["10.9.0.", "fd00:9::"], ids=["ipv4", "ipv6"])
def test_what_may_not_be_fragmented_names_the_mtu_that_it_met(far_side: dict[str, Any], net: str) -> None:
    """A router's at the second request of a train as well, though the kernel has learnt it by then; our device's."""
    narrow, huge = far_side[net + "21"]["evidence"], far_side[net + "27"]["evidence"]
    assert narrow.items() >= {"sent": 2, "received": 0, "mtu": 1280}.items()
    assert huge.items() >= {"sent": 0, "errno": "EMSGSIZE", "mtu": 1500}.items()
    assert far_side[net + "27"]["seconds"] < 0.2


@pytest.mark.parametrize("net", ["10.9.0.", "fd00:9::"], ids=["ipv4", "ipv6"])
def test_marks_of_one_probe_do_not_stick_to_the_next(far_side: dict[str, Any], net: str) -> None:
    """One socket for all: the far host is met with its few hops, the others with the system's."""
    assert far_side[net + "22"]["evidence"]["icmp"] == ("3/0" if ":" in net else "11/0")
    assert far_side[net + "23"]["evidence"]["received"] == 1
    assert far_side[net + "11"]["evidence"]["received"] == 1


def test_both_ways_are_on_the_kernel_s_clock(far_side: dict[str, Any]) -> None:
    assert {far_side[net + last]["evidence"]["clock"] for net in ("10.9.0.", "fd00:9::") for last in ("11", "24")} == {
        "kernel"
    }


@pytest.mark.parametrize(
    ("address", "word"),
    [
        ("10.8.0.1", "EHOSTUNREACH"),
        ("fd00:8::1", "EHOSTUNREACH"),
        ("10.7.0.1", "ENETUNREACH"),
        ("fd00:7::1", "ENETUNREACH"),
    ],
)
def test_no_route_is_unreachable_at_once(far_side: dict[str, Any], address: str, word: str) -> None:
    assert far_side[address]["reason"] == Reason.UNREACHABLE
    assert far_side[address]["evidence"].items() >= {"errno": word, "sent": 0, "received": 0}.items()
