"""Listeners at the level of connect(2): accepting, refusing, and dropping SYNs."""

from __future__ import annotations

import asyncio
import socket

import pytest

from prober.lab.lab import Lab
from prober.lab.sockets import bind_alike, loopback_families


def dial(address: str, port: int, timeout: float = 2.0) -> str:
    """`ok`, or the class of the error."""
    try:
        with socket.create_connection((address, port), timeout=timeout):
            return "ok"
    except OSError as error:
        return type(error).__name__


@pytest.mark.parametrize(
    ("fault", "expected"), [("tcp-refused", "ConnectionRefusedError"), ("tcp-timeout", "TimeoutError")]
)
async def test_the_port_of_web_api_stops_taking_connections_and_comes_back(
    lab: Lab, loopback: str, fault: str, expected: str
) -> None:
    if fault in lab.unavailable:
        pytest.skip(lab.unavailable[fault])
    for _ in range(2):  # switching leaves nothing behind
        await lab.set_fault(fault, True)
        assert await asyncio.to_thread(dial, loopback, lab.ports.web, 0.2) == expected
        assert await asyncio.to_thread(dial, loopback, lab.ports.ingress) == "ok"
        await lab.set_fault(fault, False)
        assert await asyncio.to_thread(dial, loopback, lab.ports.web) == "ok"


async def test_a_full_backlog_holds_beyond_the_first_retransmission_of_a_syn(lab: Lab) -> None:
    if "tcp-timeout" in lab.unavailable:
        pytest.skip(lab.unavailable["tcp-timeout"])
    await lab.set_fault("tcp-timeout", True)
    dials = [asyncio.to_thread(dial, "127.0.0.1", lab.ports.web, 1.2) for _ in range(4)]
    assert await asyncio.gather(*dials) == ["TimeoutError"] * 4


async def test_both_tcp_faults_at_once_leave_what_remains_on(lab: Lab) -> None:
    if "tcp-timeout" in lab.unavailable:
        pytest.skip(lab.unavailable["tcp-timeout"])
    await lab.set_fault("tcp-timeout", True)
    await lab.set_fault("tcp-refused", True)
    assert await asyncio.to_thread(dial, "127.0.0.1", lab.ports.web) == "ConnectionRefusedError"
    await lab.set_fault("tcp-refused", False)
    assert await asyncio.to_thread(dial, "127.0.0.1", lab.ports.web, 0.2) == "TimeoutError"
    await lab.set_fault("tcp-timeout", False)
    assert await asyncio.to_thread(dial, "127.0.0.1", lab.ports.web) == "ok"


async def test_the_forbidden_port_is_closed_until_it_is_opened(lab: Lab, loopback: str) -> None:
    assert await asyncio.to_thread(dial, loopback, lab.ports.forbidden) == "ConnectionRefusedError"
    await lab.set_fault("canary-open", True)
    assert await asyncio.to_thread(dial, loopback, lab.ports.forbidden) == "ok"
    await lab.set_fault("canary-open", False)
    assert await asyncio.to_thread(dial, loopback, lab.ports.forbidden) == "ConnectionRefusedError"


def test_sockets_of_all_families_and_kinds_share_one_port_number() -> None:
    wanted = [(family, kind) for family in loopback_families() for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)]
    sockets = bind_alike(wanted)
    assert len({sock.getsockname()[1] for sock in sockets}) == 1
    assert [(sock.family, sock.type) for sock in sockets] == wanted
    for sock in sockets:
        sock.close()
