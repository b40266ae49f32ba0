"""grpc.watch: the stream of the health service's statuses."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from prober.layers.base import Kit
from prober.model import Cell
from prober.reasons import Family, Reason
from tests.support.cells import FAMILIES, LOOPBACK
from tests.support.grpc import cell_for, reason_of, run_of

Status = health_pb2.HealthCheckResponse


@asynccontextmanager
async def serving(servicer: health_pb2_grpc.HealthServicer, family: Family = Family.IPV4) -> AsyncIterator[int]:
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port(f"[{LOOPBACK[family]}]:0" if family is Family.IPV6 else f"{LOOPBACK[family]}:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


class Scripted(health_pb2_grpc.HealthServicer):
    """Says the given statuses, then does `then`."""

    def __init__(self, *statuses: int, then: Callable[[Any], Awaitable[object]]) -> None:
        self._statuses, self._then = statuses, then

    async def Watch(self, _request: object, context: Any) -> AsyncIterator[Any]:  # noqa: N802 - the protocol's name
        for status in self._statuses:
            yield Status(status=status)  # type: ignore[arg-type]  # the enum is an int
        await self._then(context)


def watching(port: int, hold: str, family: Family = Family.IPV4, **options: Any) -> Cell:
    return cell_for(port, family, grpc={"watch": hold} | options)


async def stays(_context: object) -> None:
    await asyncio.Event().wait()


async def ends(_context: object) -> None:
    return


async def breaks(context: Any) -> None:
    await context.abort(grpc.StatusCode.UNAVAILABLE, "shutting down")


@pytest.mark.parametrize("family", FAMILIES)
async def test_serving_for_as_long_as_asked_holds(family: Family, kit: Kit) -> None:
    servicer = health.aio.HealthServicer()
    await servicer.set("pay", Status.SERVING)
    async with serving(servicer, family) as port:
        run = await run_of(watching(port, "100ms", family, service="pay"), kit)
    assert run.ok, run.outcomes[-1]
    outcome = run.outcomes[-1]
    assert outcome.evidence["status"] == "SERVING"
    assert outcome.evidence["clock"] == "kernel"
    assert outcome.evidence["watched_seconds"] >= 0.1
    assert outcome.seconds is not None
    assert outcome.seconds < 0.1 < run.seconds


async def test_a_change_while_it_is_watched_fails_at_once(kit: Kit) -> None:
    async with serving(Scripted(Status.SERVING, Status.NOT_SERVING, then=stays)) as port:
        run = await run_of(watching(port, "4s"), kit)
    assert reason_of(run) is Reason.NOT_SERVING
    assert run.outcomes[-1].evidence["watched_seconds"] < 3


@pytest.mark.parametrize(
    ("servicer", "reason"),
    [
        (Scripted(Status.NOT_SERVING, then=stays), Reason.NOT_SERVING),
        (Scripted(Status.SERVICE_UNKNOWN, then=stays), Reason.UNKNOWN_SERVICE),
        (Scripted(Status.SERVING, Status.NOT_SERVING, then=stays), Reason.NOT_SERVING),
        (Scripted(Status.SERVING, then=ends), Reason.CLOSED),
        (Scripted(Status.SERVING, then=breaks), Reason.UNAVAILABLE),
        (Scripted(then=breaks), Reason.UNAVAILABLE),
        (Scripted(then=stays), Reason.TIMEOUT),
        (health_pb2_grpc.HealthServicer(), Reason.UNIMPLEMENTED),
    ],
)
async def test_what_the_watch_says_has_its_reason(
    servicer: health_pb2_grpc.HealthServicer, reason: Reason, kit: Kit
) -> None:
    async with serving(servicer) as port:
        cell = cell_for(port, timeout=0.5, grpc={"watch": "300ms"})
        run = await run_of(cell, kit)
    assert reason_of(run) is reason, run.outcomes[-1]


async def test_a_server_that_dies_while_it_is_watched_is_noticed(kit: Kit) -> None:
    watched = asyncio.Event()

    async def stays_watched(_context: object) -> None:
        watched.set()
        await asyncio.Event().wait()

    async with serving(Scripted(Status.SERVING, then=stays_watched)) as port:
        climbing = asyncio.create_task(run_of(watching(port, "4s"), kit))
        await watched.wait()
    run = await climbing
    assert reason_of(run) in (Reason.GOAWAY, Reason.CLOSED, Reason.RESET, Reason.UNAVAILABLE, Reason.STREAM_RESET)
    assert run.seconds < 3


async def test_watches_and_calls_that_fail_leave_nothing_behind(kit: Kit) -> None:
    """Descriptors and tasks stay as many, climb after climb."""
    scripts = [Scripted(Status.SERVING, then=stays), Scripted(Status.NOT_SERVING, then=stays),
               Scripted(Status.SERVING, then=breaks), Scripted(then=ends)]  # fmt: skip

    def held() -> tuple[int, int]:
        return len(list(Path("/proc/self/fd").iterdir())), len(asyncio.all_tasks())

    async with contextlib.AsyncExitStack() as stack:
        ports = [await stack.enter_async_context(serving(script)) for script in scripts]
        cells = [watching(port, "5ms") for port in ports]
        cells += [cell_for(ports[0], timeout=0.03, grpc={"watch": "1s"})]
        cells += [cell_for(ports[0], grpc={"call": "payments.v1.Payments/Get"})]
        counts = []
        for _ in range(3):
            for _ in range(5):
                await asyncio.gather(*(run_of(cell, kit) for cell in cells))
            counts.append(held())
    assert counts[2][0] <= counts[0][0] + 6
    assert counts[2][1] <= counts[0][1] + 4
