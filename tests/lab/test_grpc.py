"""The service payments, seen by grpcio's own client: health in the clear and over TLS, reflection, and faults."""

from __future__ import annotations

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from prober.lab.grpc import SERVICE
from prober.lab.lab import Lab

OPTIONS = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0), ("grpc.enable_retries", 0)]


def channel(lab: Lab, address: str, secure: bool = False) -> grpc.aio.Channel:
    """A channel of its own, pinned to one address."""
    pinned = f"ipv6:[{address}]:" if ":" in address else f"ipv4:{address}:"
    if not secure:
        return grpc.aio.insecure_channel(f"{pinned}{lab.ports.grpc}", options=OPTIONS)
    credentials = grpc.ssl_channel_credentials(lab.ca_file.read_bytes())
    named = [*OPTIONS, ("grpc.default_authority", "payments.pay.svc.cluster.local")]
    return grpc.aio.secure_channel(f"{pinned}{lab.ports.grpcs}", credentials, options=named)


async def check(lab: Lab, address: str, *, secure: bool = False, service: str = SERVICE, timeout: float = 2.0) -> str:
    """The health status, or the code of the error."""
    async with channel(lab, address, secure) as open_channel:
        call = open_channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            answer = await call(health_pb2.HealthCheckRequest(service=service), timeout=timeout)
        except grpc.aio.AioRpcError as error:
            return error.code().name
        return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
async def test_payments_is_serving(lab: Lab, loopback: str, secure: bool) -> None:
    assert await check(lab, loopback, secure=secure) == "SERVING"
    assert await check(lab, loopback, secure=secure, service="") == "SERVING"
    assert await check(lab, loopback, secure=secure, service="nothing") == "NOT_FOUND"


async def test_reflection_lists_the_health_service(lab: Lab) -> None:
    async with channel(lab, "127.0.0.1") as open_channel:
        call = open_channel.stream_stream(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
        answer = await anext(aiter(call))
        names = {service.name for service in answer.list_services_response.service}
    assert "grpc.health.v1.Health" in names


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("grpc-not-serving", "NOT_SERVING"),
        ("grpc-unknown-service", "NOT_FOUND"),
        ("grpc-unimplemented", "UNIMPLEMENTED"),
        ("grpc-unavailable", "UNAVAILABLE"),
        ("grpc-unauthenticated", "UNAUTHENTICATED"),
        ("grpc-permission", "PERMISSION_DENIED"),
        ("grpc-hang", "DEADLINE_EXCEEDED"),
        ("grpc-not-grpc", "UNIMPLEMENTED"),  # what HTTP's 404 becomes in gRPC's table of codes
    ],
)
async def test_a_fault_shows_in_the_call_and_undoes_itself(lab: Lab, fault: str, expected: str) -> None:
    timeout = 0.2 if fault == "grpc-hang" else 2.0
    await lab.set_fault(fault, True)
    assert await check(lab, "127.0.0.1", timeout=timeout) == expected
    assert await check(lab, "127.0.0.1", secure=True, timeout=timeout) == expected
    await lab.set_fault(fault, False)
    assert await check(lab, "127.0.0.1") == "SERVING"
    assert await check(lab, "127.0.0.1", secure=True) == "SERVING"
