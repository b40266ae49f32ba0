"""gRPC over TLS: what breaks in the terminator is blamed on tls. The server is the lab's, here on loopback."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from prober.engine.climb import climb
from prober.lab.faults import FAULTS
from prober.layers.base import Kit
from prober.model import Run
from prober.reasons import Family, Kind, Layer, Reason
from tests.network.lab import plan
from tests.network.lab.servers import Servers, bound_to
from tests.support.cells import FAMILIES, LOOPBACK, make_cell

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: Switch → whom a call has to blame.
BLAMES = {fault.name: (fault.layer, fault.reason) for fault in FAULTS.values() if fault.layer is Layer.TLS} | {
    "tls-no-http2": (Layer.TLS, Reason.NO_ALPN),  # without h2 there is no gRPC
    "tls-client-certificate": (Layer.GRPC, Reason.CLIENT_CERTIFICATE),
    "tls-mtls-tls12": (Layer.TLS, Reason.CLIENT_CERTIFICATE),
    "tls-revoked": (Layer.TLS, Reason.REVOKED),
    "tls-half": (Layer.TLS, Reason.TIMEOUT),
    "grpc-no-trailers": (Layer.GRPC, Reason.NOT_GRPC),
    "grpc-http1": (Layer.GRPC, Reason.NOT_GRPC),
}
_ADDRESSES = {int(socket.AF_INET): LOOPBACK[Family.IPV4], int(socket.AF_INET6): LOOPBACK[Family.IPV6]}


def _open(_place: str, family: int, kind: int, _port: int) -> socket.socket:
    """Every Pod is this machine here, so ports are any."""
    return bound_to(_ADDRESSES[family], family, kind, 0)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=FAMILIES)
async def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Servers, Family]]:
    directory: Path = tmp_path_factory.mktemp("servers")
    async with Servers(directory, _open, [request.param]) as servers:
        yield servers, request.param


async def _call(servers: Servers, family: Family) -> Run:
    port = servers.port("payments", family, plan.GRPCS)
    cell = make_cell(Kind.GRPC, "grpcs", "payments.app.svc.cluster.local", port, family=family, timeout=1.0,
                     options={"tls": {"ca_file": str(servers.ca_file)}})  # fmt: skip
    kit = Kit()
    try:
        (run,) = await climb(cell, kit, found=[(LOOPBACK[family], port)])
    finally:
        await kit.close()
    return run


@pytest.mark.parametrize("switch", BLAMES)
async def test_a_call_over_tls_blames_the_layer_that_broke(served: tuple[Servers, Family], switch: str) -> None:
    servers, family = served
    async with servers.fault("payments", switch, [family]):
        run = await _call(servers, family)
    assert (run.blame and (run.blame.layer, run.blame.reason)) == BLAMES[switch], run.outcomes[-1]
    assert (await _call(servers, family)).ok
