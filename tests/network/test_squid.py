"""squid as explicit proxy, by itself on loopback: what it says where it will not or cannot, and whom the prober
blames.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import pytest_asyncio

from prober.engine.climb import climb
from prober.lab.sockets import Listener, Mode, backlog_trial
from prober.lab.switches import Switches
from prober.lab.web import WebApi
from prober.layers.base import Kit
from prober.model import Endpoint, Run
from prober.options import BasicAuth
from prober.reasons import Family, Kind
from tests.network.lab.fronts.squid import PASSWORD, USER, Rules, Squid
from tests.support.cells import LOOPBACK, make_cell
from tests.support.fronts import FAMILIES, free_port, listener, start_or_skip

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOGIN = BasicAuth(username=USER, password=PASSWORD)


@dataclass
class Way:
    """A web application and the proxy that leads to it."""

    proxy: Squid
    web: Listener
    kit: Kit = field(default_factory=Kit)

    async def climb(self, *, host: str = "web.example.com", pinned: bool = True, timeout: float = 2.5,
                    basic: BasicAuth | None = None) -> list[Run]:  # fmt: skip
        """One run in each family: to the application's address where `pinned`, else to what squid makes of the name."""
        return list(await asyncio.gather(*(self._climb(family, host, pinned, timeout, basic) for family in FAMILIES)))

    async def _climb(self, family: Family, host: str, pinned: bool, timeout: float, basic: BasicAuth | None) -> Run:
        at = LOOPBACK[family]
        proxy = Endpoint("http", at, self.proxy.rules.listen[0][1], basic=basic)
        cell = make_cell(Kind.HTTP, "http", host, 80, family=family, timeout=timeout, proxy=proxy,
                         connect=(at, self.web.port) if pinned else None)  # fmt: skip
        (run,) = await climb(cell, self.kit)
        return run


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def way(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Way]:
    """All of it, healthy."""
    port = free_port()
    proxy = Squid(tmp_path_factory.mktemp("squid"), Rules([(LOOPBACK[family], port) for family in FAMILIES]))
    await start_or_skip(proxy)
    async with listener(WebApi(Switches()).serve) as web:
        way = Way(proxy, web)
        yield way
        await way.kit.close()
    await proxy.stop()


def assert_found(runs: list[Run], blame: str = "", **evidence: Any) -> None:
    """Every run blames `layer/reason` with this evidence; none where all is well."""
    for run in runs:
        assert ("" if run.blame is None else f"{run.blame.layer}/{run.blame.reason}") == blame, run.outcomes[-1]
        if run.blame is not None:
            outcome = run.outcome(run.blame.layer)
            assert outcome is not None
            assert evidence.items() <= outcome.evidence.items(), outcome.evidence


async def test_it_leads_to_the_application(way: Way) -> None:
    assert_found(await way.climb())


@pytest.mark.parametrize(
    ("rules", "basic", "blame", "evidence"),
    [
        ({"allowed": False}, None, "proxy/proxy_refused", {"status": 403, "x-squid-error": "ERR_ACCESS_DENIED 0"}),
        ({"login": True}, None, "proxy/proxy_auth", {"status": 407, "proxy-authenticate": 'Basic realm="lab"'}),
        ({"login": True}, BasicAuth(username=USER, password="wrong"), "proxy/proxy_auth", {"credentials": "basic"}),
        ({"login": True}, LOGIN, "", {}),
    ],
    ids=["denied", "login-wanted", "login-wrong", "login-right"],
)
async def test_whom_it_lets_through(
    way: Way, rules: Mapping[str, Any], basic: BasicAuth | None, blame: str, evidence: Mapping[str, Any]
) -> None:
    """Its rules decide, and it says which of them."""
    healthy = way.proxy.rules
    await way.proxy.become(replace(healthy, **rules))
    try:
        assert_found(await way.climb(basic=basic), blame, **evidence)
    finally:
        await way.proxy.become(healthy)
    assert_found(await way.climb())


@pytest.mark.parametrize(("mode", "number"), [(Mode.CLOSED, 111), (Mode.FULL, 110)])
async def test_what_it_cannot_reach(way: Way, mode: Mode, number: int) -> None:
    """503 with the errno: refused, or no answer within its patience."""
    if mode is Mode.FULL and (why_not := await backlog_trial()) is not None:
        pytest.skip(why_not)
    await way.web.become(mode)
    try:
        runs = await way.climb(timeout=6.0)
    finally:
        await way.web.become(Mode.OPEN)
    assert_found(runs, "proxy/proxy_failed", status=503, **{"x-squid-error": f"ERR_CONNECT_FAIL {number}"})
    assert_found(await way.climb())


async def test_a_name_that_it_does_not_know(way: Way) -> None:
    """Names are the proxy's business, and without a name server it waits for a while."""
    healthy = way.proxy.rules
    await way.proxy.become(replace(healthy, nameservers=["127.0.0.1"]))
    try:
        runs = await way.climb(host="nowhere.invalid", pinned=False, timeout=5.0)
    finally:
        await way.proxy.become(healthy)
    assert_found(runs, "proxy/proxy_failed")
    assert_found(await way.climb())


async def test_a_proxy_that_hangs_takes_connections_and_says_nothing(way: Way) -> None:
    """The kernel finishes TCP handshakes for a process that is stopped."""
    await way.proxy.freeze()
    try:
        assert_found(await way.climb(timeout=0.5), "proxy/timeout")
    finally:
        way.proxy.resume()
    assert_found(await way.climb())


async def test_a_proxy_that_is_gone_refuses(way: Way) -> None:
    """tcp is the proxy's own."""
    await way.proxy.stop()
    assert_found(await way.climb(), "tcp/refused")
    await way.proxy.start()
    assert_found(await way.climb())
