"""The messages of grpc.health.v1 (github.com/grpc/grpc-proto, grpc/health/v1/health.proto). No I/O."""

from __future__ import annotations

from typing import Final

from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2

CHECK: Final = "/grpc.health.v1.Health/Check"
WATCH: Final = "/grpc.health.v1.Health/Watch"


def health_request(service: str) -> bytes:
    """A HealthCheckRequest; `service` "" asks for the server as a whole."""
    return health_pb2.HealthCheckRequest(service=service).SerializeToString()


def serving_status(message: bytes) -> str:
    """The status of a HealthCheckResponse, `SERVING` for one. ValueError for what is none."""
    try:
        number = health_pb2.HealthCheckResponse.FromString(message).status
    except DecodeError as error:
        raise ValueError("not a HealthCheckResponse") from error
    names = health_pb2.HealthCheckResponse.ServingStatus
    return names.Name(number) if number in names.values() else f"status {number}"
