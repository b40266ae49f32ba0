"""The block `grpc:`."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from prober.options.base import Duration, Options, Secret


class GrpcOptions(Options):
    """`grpc:` a health check (grpc.health.v1), or a call of any unary method."""

    service: str = ""
    """Service asked for; empty asks for the server as a whole."""
    watch: Duration | None = None
    """Watch the health instead of asking once: the first status has to be SERVING, and to stay so for this long."""
    call: str | None = None
    """`package.Service/Method`, a unary method to call instead; its messages are known by server reflection."""
    request: dict[str, Any] = Field(default_factory=dict)
    """Its request, as JSON (https://protobuf.dev/programming-guides/json)."""
    authority: str | None = None
    """`:authority`; default: the URL's host and port."""
    metadata: dict[str, Secret] = Field(default_factory=dict)
