"""What the block `grpc:` and the expectations of a grpc probe get wrong. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

from prober.config.dns_blocks import Finding
from prober.config.words import suggest
from prober.options import Expect, GrpcOptions

#: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md: custom metadata.
_METADATA_KEY = re.compile(r"(?!grpc-)[0-9a-z_.-]+")
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_METHOD = re.compile(rf"{_NAME}(\.{_NAME})*/{_NAME}")
#: Bytes of JSON: a request has to fit into the windows that every server opens with (RFC 9113 section 6.9.2).
MAX_REQUEST: Final = 16 * 1024
#: https://github.com/grpc/grpc/blob/master/doc/statuscodes.md, by number.
STATUSES: Final = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip
#: What is held against the message that a call is answered with.
OF_THE_MESSAGE: Final = ("body_contains", "body_matches", "body_not_contains", "body_json")


def grpc_findings(grpc: GrpcOptions) -> Iterator[Finding]:
    """The block `grpc` by itself."""
    for name in grpc.metadata:
        if not _METADATA_KEY.fullmatch(name):
            yield ("metadata", name), "not a metadata key: lower-case letters, digits, _ . - and no grpc- in front"
    if grpc.call is None:
        if grpc.request:
            yield ("request",), "a request of what? Add call: package.Service/Method"
        return
    if not _METHOD.fullmatch(grpc.call):
        yield ("call",), "{} is not a method: package.Service/Method"
    if grpc.watch is not None:
        yield ("watch",), "either watch or call: only the health service is watched"
    if grpc.service:
        yield ("service",), "the health service is not asked where there is a call"
    if len(json.dumps(grpc.request, default=str)) > MAX_REQUEST:
        yield ("request",), f"more than {MAX_REQUEST} bytes of JSON"


def grpc_expectations(expect: Expect, grpc: GrpcOptions) -> Iterator[Finding]:
    """What a grpc probe expects, beside what it asks for."""
    for position, name in enumerate(expect.grpc_status):
        if name not in STATUSES:
            yield ("grpc_status", position), f"{{}} is not a gRPC status{suggest(name, STATUSES)}"
    if grpc.watch is not None and expect.grpc_status:
        yield ("grpc_status",), "a watch does not end: it has no status"
    for key in OF_THE_MESSAGE:
        if key in expect.model_fields_set and grpc.call is None:
            yield (key,), "only the answer of a grpc.call has a message to look into"
        elif key in expect.model_fields_set and expect.grpc_status and "OK" not in expect.grpc_status:
            yield (key,), "messages come with OK alone: not with the status that is expected"
