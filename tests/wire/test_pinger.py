"""Which echo socket a run gets: flows of their own to each address, on as few sockets as that takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from prober.reasons import Family
from prober.wire import pinger as module
from prober.wire.echo import EchoReply
from prober.wire.pinger import Pinger

HERE, THERE = "127.0.0.1", "127.0.0.2"


@pytest.fixture
async def pinger() -> AsyncIterator[Pinger]:
    pinger = Pinger()
    try:
        pinger.socket(Family.IPV4, "127.0.0.9")
    except OSError as error:
        pytest.skip(f"no ICMP socket here: {error}")
    yield pinger
    pinger.close()


async def test_for_a_moment_all_runs_share_a_socket(pinger: Pinger) -> None:
    sock = pinger.socket(Family.IPV4, HERE)
    assert pinger.socket(Family.IPV4, HERE) is sock
    assert pinger.socket(Family.IPV4, THERE) is sock


async def test_an_address_that_was_asked_before_gets_another_flow(
    pinger: Pinger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another socket, and so another identifier; other addresses move along with it, and need no socket more."""
    monkeypatch.setattr(module, "FLOW", 0.0)
    first = pinger.socket(Family.IPV4, HERE)
    assert pinger.socket(Family.IPV4, THERE) is first
    second = pinger.socket(Family.IPV4, HERE)
    assert second is not first
    assert second._id != first._id
    assert pinger.socket(Family.IPV4, THERE) is second
    assert first.closed


async def test_a_socket_that_is_followed_by_another_ends_with_its_last_request(
    pinger: Pinger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FLOW", 0.0)
    first = pinger.socket(Family.IPV4, HERE)
    echoes = [first.send(HERE, 16) for _ in range(2)]
    assert pinger.socket(Family.IPV4, HERE) is not first
    for echo in echoes:
        assert not first.closed
        assert isinstance(await asyncio.wait_for(echo.answer, 5), EchoReply)
        first.forget(echo)
    assert first.closed
    first.close()


async def test_closing_ends_requests_on_older_sockets_too(pinger: Pinger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FLOW", 0.0)
    first = pinger.socket(Family.IPV4, HERE)
    echo = first.send("192.0.2.1", 16)
    second = pinger.socket(Family.IPV4, HERE)
    pinger.close()
    assert (first.closed, second.closed) == (True, True)
    assert echo.answer.cancelled()
