"""Ingresses as they are deployed, by themselves on loopback: what each does when something behind it or in it is
broken, and whom the prober blames.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from prober.diagnosis.run import explain
from prober.engine.climb import climb
from prober.lab.certificates import CertificateFiles
from prober.lab.grpc import Payments
from prober.lab.sockets import Listener, Mode, backlog_trial
from prober.lab.switches import Switches
from prober.lab.tls import make_context
from prober.lab.web import WebApi
from prober.layers.base import Kit
from prober.model import Cell, Run
from prober.options import Expect
from prober.reasons import Family, Kind
from tests.network.lab.fronts.envoy import Envoy
from tests.network.lab.fronts.haproxy import HAProxy
from tests.network.lab.fronts.ingress import GRPC_HOST, WEB_HOST, Ingress, Routing, Side
from tests.network.lab.fronts.nginx import Nginx
from tests.support.cells import LOOPBACK, make_cell
from tests.support.front_cases import CASES, WELL, Case, Seen, seen
from tests.support.fronts import FAMILIES, free_port, listener, start_or_skip

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROGRAMS: dict[str, type[Ingress]] = {"nginx": Nginx, "envoy": Envoy, "haproxy": HAProxy}
WEB, GRPC = (Kind.HTTP, WEB_HOST), (Kind.GRPC, GRPC_HOST)


@dataclass
class Behind:
    """What the ingresses lead to, and the prober's side."""

    switches: Switches
    files: CertificateFiles
    web: Listener
    payments: Listener
    kit: Kit = field(default_factory=Kit)

    def routing(self) -> Routing:
        """A healthy one, on a port of its own."""
        port = free_port()
        certificate, key = self.files.leaf([WEB_HOST, GRPC_HOST])
        sides = [Side((at, port), (at, self.web.port), (at, self.payments.port)) for at in map(LOOPBACK.get, FAMILIES)]
        return Routing(sides, certificate, key)

    async def climb(self, front: Ingress, kind: Kind, host: str, *, timeout: float = 2.0, **options: Any) -> list[Run]:
        """One run in each family."""
        return list(await asyncio.gather(*(
            self._climb(self._cell(front, kind, host, family, timeout, options)) for family in FAMILIES
        )))  # fmt: skip

    def _cell(
        self, front: Ingress, kind: Kind, host: str, family: Family, timeout: float, options: Mapping[str, Any]
    ) -> Cell:
        http = kind is Kind.HTTP
        return make_cell(
            kind, "https" if http else "grpcs", host, 443, family=family, timeout=timeout,
            connect=(LOOPBACK[family], front.routing.sides[0].listen[1]),
            options={"tls": {"ca_file": str(self.files.ca_file)}, "http": {"version": "2"}, **options},
            expect=Expect(http_version="2") if http else Expect(),
        )  # fmt: skip

    async def _climb(self, cell: Cell) -> Run:
        (run,) = await climb(cell, self.kit)
        return run


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def behind(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Behind]:
    """A web application and a gRPC server."""
    switches, files = Switches(), CertificateFiles(tmp_path_factory.mktemp("certificates"))
    payments = Payments(switches, make_context(files, [GRPC_HOST]))
    await payments.start()
    async with listener(WebApi(switches).serve) as web, listener(payments.serve) as grpc:
        behind = Behind(switches, files, web, grpc)
        yield behind
        await behind.kit.close()
    await payments.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=PROGRAMS)
async def front(
    request: pytest.FixtureRequest, behind: Behind, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Ingress]:
    """One ingress, healthy."""
    front = PROGRAMS[request.param](tmp_path_factory.mktemp(request.param), behind.routing())
    await start_or_skip(front)
    yield front
    await front.stop()


@asynccontextmanager
async def fault(case: Case, front: Ingress, behind: Behind) -> AsyncIterator[None]:
    """The case for so long."""
    healthy = front.routing
    if case.mode is Mode.FULL and (why_not := await backlog_trial()) is not None:
        pytest.skip(why_not)
    try:
        for name in case.switches:
            behind.switches.turn(name, True)
        for each in (behind.web, behind.payments):
            await each.become(case.mode)
        if case.routing:
            await front.become(healthy.changed(FAMILIES, **case.routing))
        yield
    finally:
        for name in case.switches:
            behind.switches.turn(name, False)
        for each in (behind.web, behind.payments):
            await each.become(Mode.OPEN)
        if case.routing:
            await front.become(healthy)


def assert_found(runs: list[Run], expected: Seen) -> None:
    """Every run found it."""
    for run in runs:
        blame = "" if run.blame is None else f"{run.blame.layer}/{run.blame.reason}"
        assert blame == expected.blame, (run.cell.id, run.outcomes[-1])
        if run.blame is not None:
            outcome, verdict = run.outcome(run.blame.layer), explain(run)
            assert outcome is not None
            assert verdict is not None
            assert verdict.code == expected.code, verdict
            evidence = {key: outcome.evidence.get(key) for key in expected.evidence}
            assert evidence == expected.evidence, outcome.evidence


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_whom_the_prober_blames(case: Case, front: Ingress, behind: Behind) -> None:
    """One fault at one ingress, in both families, seen by a web and a gRPC probe; then all is well again."""
    async with fault(case, front, behind):
        web, grpc = await asyncio.gather(behind.climb(front, *WEB), behind.climb(front, *GRPC))
    assert_found(web, case.web[front.program])
    assert_found(grpc, case.grpc[front.program])
    web, grpc = await asyncio.gather(behind.climb(front, *WEB), behind.climb(front, *GRPC))
    assert_found([*web, *grpc], WELL)


async def test_a_front_that_hangs_takes_connections_and_says_nothing(front: Ingress, behind: Behind) -> None:
    """The kernel finishes TCP handshakes for a process that is stopped."""
    await front.freeze()
    try:
        assert_found(await behind.climb(front, *WEB, timeout=0.5), seen("tls/timeout", "tls_silent"))
    finally:
        front.resume()
    assert_found(await behind.climb(front, *WEB), WELL)


async def test_a_front_that_is_gone_refuses(front: Ingress, behind: Behind) -> None:
    """Whether it was ended or killed; started again it serves."""
    await front.stop()
    assert_found(await behind.climb(front, *WEB), seen("tcp/refused", "port_closed"))
    await front.start()
    await front.kill()
    assert_found(await behind.climb(front, *GRPC), seen("tcp/refused", "port_closed"))
    await front.start()
    assert_found(await behind.climb(front, *WEB), WELL)


async def test_an_envoy_that_drains_refuses(behind: Behind, tmp_path: Path) -> None:
    """Its process lives on, and started again it serves."""
    front = Envoy(tmp_path, behind.routing())
    await start_or_skip(front)
    try:
        await front.drain()
        assert_found(await behind.climb(front, *WEB), seen("tcp/refused", "port_closed"))
        assert front.pids()
        await front.restart()
        assert_found(await behind.climb(front, *WEB), WELL)
    finally:
        await front.stop()


async def test_a_reload_of_nginx_is_at_worst_a_drain(behind: Behind, tmp_path: Path) -> None:
    """Probes one after the other while it reloads three times: no connection is refused or cut, and what an old worker
    no longer takes ends with GOAWAY.
    """
    front = Nginx(tmp_path, behind.routing())
    await start_or_skip(front)
    try:
        reloading = asyncio.create_task(_reload_thrice(front))
        runs: list[Run] = []
        while not reloading.done():
            runs += await behind.climb(front, *WEB)
        await reloading
    finally:
        await front.stop()
    failed = [run for run in runs if not run.ok]
    assert_found(failed, seen("http/goaway", "http_goaway", error_code="NO_ERROR", last_stream_id=0))
    assert all("is draining" in str(explain(run)) for run in failed)
    assert len(runs) - len(failed) >= 6


async def _reload_thrice(front: Nginx) -> None:
    for _ in range(3):
        await front.reload(front.routing)


async def test_one_frozen_worker_is_what_hangs(behind: Behind, tmp_path: Path) -> None:
    """nginx's master lives on and knows nothing of it."""
    front = Nginx(tmp_path, behind.routing())
    await start_or_skip(front)
    try:
        await front.freeze_workers()
        assert_found(await behind.climb(front, *WEB, timeout=0.5), seen("tls/timeout", "tls_silent"))
        front.resume()
        assert_found(await behind.climb(front, *WEB), WELL)
    finally:
        await front.stop()
