"""What the end of a gRPC call means: its status, the response on the wire, or the connection that broke. Tables.

Where the server itself gave a status, that is the reason. Where it gave none, what stood on the wire is: grpcio's own
texts are for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from prober.reasons import Reason
from prober.wire.http.errors import HttpBroken, peer_speaks

#: gRPC status → reason; what is not here is `status`, with the code as evidence.
STATUS_REASONS: Final[Mapping[str, Reason]] = {
    "UNIMPLEMENTED": Reason.UNIMPLEMENTED,
    "NOT_FOUND": Reason.UNKNOWN_SERVICE,  # health.proto: an unknown service
    "UNAUTHENTICATED": Reason.UNAUTHENTICATED,
    "PERMISSION_DENIED": Reason.PERMISSION,
    "DEADLINE_EXCEEDED": Reason.TIMEOUT,
    "UNAVAILABLE": Reason.UNAVAILABLE,
}
#: HTTP status of a response without a gRPC status → reason, where front ends answer for the server behind them
#: (doc/http-grpc-status-mapping.md of gRPC). Any other is `not_grpc`: a web server that knows of no gRPC.
HTTP_REASONS: Final[Mapping[int, Reason]] = {
    401: Reason.UNAUTHENTICATED,
    403: Reason.PERMISSION,
    429: Reason.UNAVAILABLE,
    502: Reason.UNAVAILABLE,
    503: Reason.UNAVAILABLE,
    504: Reason.UNAVAILABLE,
}
#: How a connection broke, in the words of HTTP → in those of gRPC; what is not here stays as it is.
BROKEN_REASONS: Final[Mapping[Reason, Reason]] = {
    Reason.PROTOCOL: Reason.NOT_GRPC,
    Reason.VERSION: Reason.NOT_GRPC,
}


def status_reason(code: str, *, health: bool) -> Reason:
    """The reason behind a status that the server gave. Only a health service says NOT_FOUND of a service."""
    if code == "NOT_FOUND" and not health:
        return Reason.STATUS
    return STATUS_REASONS.get(code, Reason.STATUS)


def http_reason(status: int) -> Reason:
    """The reason behind a response that is not gRPC, by its HTTP status."""
    return HTTP_REASONS.get(status, Reason.NOT_GRPC)


def broken_reason(broken: HttpBroken, first: bytes) -> Reason:
    """The reason behind a connection that ended before the call was answered; `first` are the peer's first bytes."""
    if broken.reason in (Reason.CLOSED, Reason.RESET) and first and peer_speaks(first) != "HTTP/2":
        return Reason.NOT_GRPC  # it said something, and then hung up on what we said
    return BROKEN_REASONS.get(broken.reason, broken.reason)
