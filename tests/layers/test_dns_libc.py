"""getaddrinfo of the C library here, beside the walk of a dns probe."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from prober.engine.climb import climb
from prober.layers.base import Kit
from prober.model import Run
from prober.reasons import Family, Kind, Reason
from prober.wire.dns import libc
from tests.support.cells import FAMILIES, LOOPBACK, make_cell
from tests.support.nameserver import DnsServer, dns_server, silent, zone

TYPES = {Family.IPV4: "A", Family.IPV6: "AAAA"}


async def ask(server: DnsServer, family: Family, *, timeout: float = 2.0, **dns: Any) -> Run:
    """`localhost`, which the hosts file has and the server is asked for, of the Pod's own resolver."""
    options = {
        "dns": {"type": TYPES[family], "getaddrinfo": True, **dns},
        "resolver": {"servers": [server.where], "search": [], "attempts": 1},
    }
    cell = make_cell(Kind.DNS, "dns", "", 53, family=family, timeout=timeout, options=options, resource="localhost")
    (run,) = await climb(cell, Kit())
    return run


@pytest.mark.parametrize("family", FAMILIES)
async def test_it_stands_beside_the_walk_and_agrees_or_not(family: Family) -> None:
    answers = {address: zone({("localhost.", TYPES[family]): [address]}) for address in (LOOPBACK[family], "10.0.0.1")}
    async with dns_server(family, answers[LOOPBACK[family]]) as server:
        run = await ask(server, family)
    evidence = run.outcomes[0].evidence
    assert run.ok, run.outcomes
    here = evidence["getaddrinfo"]
    if here["error"] is not None:
        pytest.skip("this machine's hosts file has no localhost of that family")
    assert (here["addresses"], here["agrees"]) == ([LOOPBACK[family]], True)
    assert here["libc"] == libc.libc()
    assert 0 < here["seconds"] < 2
    assert run.outcomes[0].seconds is not None
    if family is Family.IPV4:
        async with dns_server(family, answers["10.0.0.1"]) as server:
            other = await ask(server, family)
        assert other.ok
        assert other.outcomes[0].evidence["getaddrinfo"]["agrees"] is False


async def test_it_is_not_asked_without_the_option() -> None:
    async with dns_server(Family.IPV4, zone({("localhost.", "A"): ["127.0.0.1"]})) as server:
        run = await ask(server, Family.IPV4, getaddrinfo=False)
    assert "getaddrinfo" not in run.outcomes[0].evidence


async def test_one_that_hangs_fails_nothing_and_is_no_network_time(monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()

    def hang(name: str, types: object) -> dict[str, Any]:
        go.wait(10)
        return {"libc": "", "error": None, "addresses": [], "seconds": 10.0}

    monkeypatch.setattr(libc, "ask", hang)
    async with dns_server(Family.IPV4, zone({("localhost.", "A"): ["127.0.0.1"]})) as server:
        run = await ask(server, Family.IPV4, timeout=0.6)
        go.set()
    assert run.ok, run.outcomes
    outcome = run.outcomes[0]
    assert outcome.evidence["getaddrinfo"]["unfinished"] is True
    assert 0.25 < outcome.evidence["getaddrinfo"]["seconds"] < 0.6
    assert outcome.seconds is not None
    assert outcome.seconds < 0.2
    assert outcome.evidence["local_seconds"] < 0.25


async def test_too_many_that_hang_leave_the_next_one_out() -> None:
    taken = [libc._free.acquire(blocking=False) for _ in range(libc.MAX_CALLS)]
    try:
        found = await libc.ask_beside("localhost", ("A",))
    finally:
        for _ in filter(None, taken):
            libc._free.release()
    assert found["error"] == "busy"


async def test_a_walk_that_fails_still_shows_what_programs_get() -> None:
    async with dns_server(Family.IPV4, silent) as server:
        run = await ask(server, Family.IPV4, timeout=0.4)
    assert run.outcomes[0].reason is Reason.TIMEOUT
    assert run.outcomes[0].evidence["getaddrinfo"]["addresses"] == ["127.0.0.1"]
    assert run.outcomes[0].evidence["getaddrinfo"]["agrees"] is False
