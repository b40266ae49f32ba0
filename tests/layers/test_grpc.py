"""The grpc rung against real grpcio servers, and against peers that only look like one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from prober.engine.climb import climb
from prober.layers.base import Kit
from prober.model import Run
from prober.reasons import Family, Kind, Layer, Reason
from tests.support.cells import FAMILIES, LOOPBACK, make_cell

Check = Callable[[health_pb2.HealthCheckRequest, grpc.aio.ServicerContext], Awaitable[health_pb2.HealthCheckResponse]]


class Scripted(health_pb2_grpc.HealthServicer):
    """A health service whose answer is the test's."""

    def __init__(self, check: Check) -> None:
        self.Check = check


@asynccontextmanager
async def server(family: Family, servicer: health_pb2_grpc.HealthServicer | None) -> AsyncIterator[int]:
    running = grpc.aio.server()
    if servicer is not None:
        health_pb2_grpc.add_HealthServicer_to_server(servicer, running)
    host = f"[{LOOPBACK[family]}]" if family is Family.IPV6 else LOOPBACK[family]
    port = running.add_insecure_port(f"{host}:0")
    await running.start()
    try:
        yield port
    finally:
        await running.stop(None)


def serving(status: health_pb2.HealthCheckResponse.ServingStatus = health_pb2.HealthCheckResponse.SERVING) -> Scripted:
    async def check(_: object, __: object) -> health_pb2.HealthCheckResponse:
        return health_pb2.HealthCheckResponse(status=status)

    return Scripted(check)


def refusing(code: grpc.StatusCode, details: str = "because") -> Scripted:
    async def check(_: object, context: grpc.aio.ServicerContext) -> health_pb2.HealthCheckResponse:
        await context.abort(code, details)
        raise AssertionError("abort raises")

    return Scripted(check)


async def ask(family: Family, port: int, timeout: float = 3.0, **grpc_options: object) -> Run:
    address = LOOPBACK[family]
    cell = make_cell(
        Kind.GRPC, "grpc", address, port, family=family, timeout=timeout, options={"grpc": grpc_options}
    )  # fmt: skip
    kit = Kit()
    (run,) = await climb(cell, kit, found=[(address, port)])
    await kit.close()
    return run


@pytest.mark.parametrize("family", FAMILIES)
async def test_serving_holds_and_its_time_is_the_calls_alone(family: Family) -> None:
    async with server(family, serving()) as port:
        run = await ask(family, port)
    outcome = run.outcome(Layer.GRPC)
    assert run.ok
    assert outcome is not None
    assert outcome.evidence["status"] == "SERVING"
    assert outcome.evidence["clock"] == "kernel"
    assert outcome.seconds is not None
    assert sum(o.seconds or 0 for o in run.outcomes) < run.seconds


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (grpc.StatusCode.UNIMPLEMENTED, Reason.UNIMPLEMENTED),
        (grpc.StatusCode.NOT_FOUND, Reason.UNKNOWN_SERVICE),
        (grpc.StatusCode.UNAUTHENTICATED, Reason.UNAUTHENTICATED),
        (grpc.StatusCode.PERMISSION_DENIED, Reason.PERMISSION),
        (grpc.StatusCode.UNAVAILABLE, Reason.UNAVAILABLE),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Reason.STATUS),
    ],
)
async def test_a_status_has_its_reason(family: Family, code: grpc.StatusCode, reason: Reason) -> None:
    async with server(family, refusing(code)) as port:
        run = await ask(family, port)
    assert run.blame is not None
    assert (run.blame.layer, run.blame.reason) == (Layer.GRPC, reason)
    assert run.outcomes[-1].evidence["grpc_status"] == code.name
    assert run.outcomes[-1].evidence["message"] == "because"


@pytest.mark.parametrize("family", FAMILIES)
async def test_not_serving_is_told(family: Family) -> None:
    async with server(family, serving(health_pb2.HealthCheckResponse.NOT_SERVING)) as port:
        run = await ask(family, port)
    assert run.blame is not None
    assert run.blame.reason is Reason.NOT_SERVING


async def test_the_reference_health_service_knows_its_services() -> None:
    servicer = health.aio.HealthServicer()
    await servicer.set("pay", health_pb2.HealthCheckResponse.SERVING)
    async with server(Family.IPV4, servicer) as port:
        known = await ask(Family.IPV4, port, service="pay")
        unknown = await ask(Family.IPV4, port, service="play")
    assert known.ok
    assert unknown.blame is not None
    assert unknown.blame.reason is Reason.UNKNOWN_SERVICE


async def test_a_server_without_a_health_service_is_unimplemented() -> None:
    async with server(Family.IPV4, None) as port:
        run = await ask(Family.IPV4, port)
    assert run.blame is not None
    assert run.blame.reason is Reason.UNIMPLEMENTED


async def test_a_server_that_never_answers_ends_at_the_deadline() -> None:
    async def hang(_: object, __: object) -> health_pb2.HealthCheckResponse:
        await asyncio.sleep(30)
        raise AssertionError("the call is cancelled before")

    async with server(Family.IPV4, Scripted(hang)) as port:
        run = await ask(Family.IPV4, port, timeout=0.4)
    assert run.blame is not None
    assert run.blame.reason is Reason.TIMEOUT
    assert run.seconds < 1.0


async def test_metadata_from_a_file_reaches_the_server_and_is_never_shown(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("s3cret-token\n")
    seen: list[str] = []

    async def check(_: object, context: grpc.aio.ServicerContext) -> health_pb2.HealthCheckResponse:
        sent = dict(context.invocation_metadata() or ())
        seen.append(str(sent["authorization"]))
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, f"bad {sent['authorization']}")
        raise AssertionError("abort raises")

    async with server(Family.IPV4, Scripted(check)) as port:
        run = await ask(Family.IPV4, port, metadata={"Authorization": {"file": str(secret)}})
    assert seen == ["s3cret-token"]
    assert "s3cret-token" not in str(run.outcomes[-1].evidence)


async def test_metadata_that_grpc_cannot_send_is_our_own_fault_and_stays_hidden(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("two\nlines-of-secret")
    async with server(Family.IPV4, serving()) as port:
        run = await ask(Family.IPV4, port, metadata={"authorization": {"file": str(secret)}})
    assert run.ours
    assert "metadata authorization holds what gRPC does not send" in run.outcomes[-1].evidence["detail"]
    assert "lines-of-secret" not in str(run)
