"""Requests, replies and misbehaviour: what the lab's applications get and give, whatever HTTP version is spoken."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `host` is Host or `:authority` without its port, in lower case; `headers` have lower-case names."""

    method: str
    target: str
    host: str
    headers: Mapping[str, str]
    family: socket.AddressFamily

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


@dataclass(frozen=True, slots=True)
class Response:
    """One response: the body as bytes, or as chunks that go on until the client leaves (a watch)."""

    status: int
    body: bytes | AsyncIterator[bytes] = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Misbehaviour(Enum):
    """What a server does instead of answering."""

    HANG = auto()
    CLOSE = auto()
    RESET = auto()
    GARBAGE = auto()
    TRUNCATED = auto()
    """The answer announces a body and ends in the middle of it."""
    GOAWAY = auto()
    """HTTP/2 only (RFC 9113 section 6.8); over HTTP/1.1 the connection is closed."""
    STREAM_RESET = auto()
    """HTTP/2 only (RFC 9113 section 6.4); over HTTP/1.1 the connection is reset."""


Reply = Response | Misbehaviour
App = Callable[[Request], Awaitable[Reply]]

PROMISED, SENT = 1000, b"ok\n"  # of a truncated body: the bytes announced, and what comes of them
GARBAGE = b"\xff\x01\x02 this is neither HTTP/1.1 nor HTTP/2 \xff\xfe\r\n\r\n" * 4


def text(status: int, body: str, **headers: str) -> Response:
    """A `text/plain` response; underscores in header names become dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, body.encode(), {"content-type": "text/plain; charset=utf-8", **named})


def as_json(status: int, body: Mapping[str, Any]) -> Response:
    """An `application/json` response."""
    return Response(status, json.dumps(body).encode() + b"\n", {"content-type": "application/json"})


def without_port(authority: str) -> str:
    """The host of `host[:port]` or `[v6][:port]`, in lower case (RFC 9110 section 4.2.3)."""
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority.partition(":")[0].lower()
