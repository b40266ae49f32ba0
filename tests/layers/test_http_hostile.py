"""Servers that mean harm: each climb ends soon, with a reason of http, in bounded memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from prober.engine.climb import climb
from prober.layers.base import Kit
from prober.model import Run
from prober.reasons import Kind, Layer, Reason
from tests.support.cells import make_cell
from tests.support.http import Handler, Http2Peer, Peer, frame, serving, speaks_http2
from tests.support.runs import http

SETTINGS, PING, CONTINUATION, HEADERS, DATA = 4, 6, 9, 1, 0
STATUS_200 = b"\x88"  # HPACK, static table index 8


async def once(handler: Handler, version: str = "1.1", timeout: float = 5.0, **http: Any) -> Run:
    kit = Kit()
    async with serving(handler) as server:
        cell = make_cell(Kind.HTTP, "http", server.address, server.port, timeout=timeout,
                         options={"http": {"version": version, **http}})  # fmt: skip
        (run,) = await climb(cell, kit, found=[(server.address, server.port)])
    await kit.close()
    return run


def floods(beginning: bytes, unit: bytes, pieces: int = 200) -> Handler:
    """After the request's head: `beginning`, then `unit` without end."""

    async def handler(peer: Peer) -> None:
        await peer.read_head()
        await peer.send(beginning)
        await peer.flood(unit * pieces)

    return handler


_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
_LARGE_100 = b"HTTP/1.1 100 Continue\r\nX: " + b"a" * 8000 + b"\r\n\r\n"
HTTP1_FLOODS = {
    "endless headers": (floods(b"HTTP/1.1 200 OK\r\n", b"X-Filler: aaaaaaaaaaaaaaaa\r\n"), Reason.PROTOCOL),
    "one endless header": (floods(b"HTTP/1.1 200 OK\r\nX: ", b"a"), Reason.PROTOCOL),
    "endless 1xx": (floods(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"), Reason.PROTOCOL),
    "endless 1xx with large heads": (floods(b"", _LARGE_100, 2), Reason.PROTOCOL),
    "endless body": (floods(b"HTTP/1.1 200 OK\r\n\r\n", b"a" * 100), Reason.BODY),
    "endless body of tiny chunks": (floods(_CHUNKED, b"1\r\na\r\n"), Reason.PROTOCOL),
    "endless chunk extension": (floods(_CHUNKED + b"5;", b"x=y;"), Reason.PROTOCOL),
    "endless trailers": (floods(_CHUNKED + b"0\r\n", b"X: y\r\n"), Reason.PROTOCOL),
    "garbage": (floods(b"", bytes(range(256))), Reason.PROTOCOL),
    "zeros": (floods(b"", b"\0"), Reason.PROTOCOL),
    "empty lines": (floods(b"", b"\r\n"), Reason.PROTOCOL),
}  # fmt: skip


@pytest.mark.parametrize("name", HTTP1_FLOODS)
async def test_a_flood_over_http1_ends_with_a_reason(name: str) -> None:
    handler, reason = HTTP1_FLOODS[name]
    run = await once(handler)
    assert run.blame is not None
    assert run.blame.reason is reason
    assert run.seconds < 4.5


async def test_a_dripping_body_ends_at_the_deadline() -> None:
    async def handler(peer: Peer) -> None:
        await peer.read_head()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await peer.send(b".")
            await asyncio.sleep(0.01)

    run = await once(handler, timeout=0.3)
    assert run.blame is not None
    assert run.blame.reason is Reason.TIMEOUT
    assert 0.3 <= run.seconds < 0.5
    assert http(run).evidence["status"] == 200
    assert 0 < http(run).evidence["bytes"] < 60


async def test_a_flood_leaves_the_loop_to_others() -> None:
    """While 32 MiB come in as fast as they can, another task is never kept waiting for long."""
    waits: list[float] = []

    async def tick() -> None:
        clock = asyncio.get_running_loop().time
        while True:
            before = clock()
            await asyncio.sleep(0.001)
            waits.append(clock() - before)

    ticking = asyncio.create_task(tick())
    run = await once(floods(b"HTTP/1.1 200 OK\r\n\r\n", b"a" * 4096, 16), max_body=32 * 1024 * 1024)
    ticking.cancel()
    assert run.blame is not None
    assert run.blame.reason is Reason.BODY
    assert max(waits) < 0.5


def http2_flood(unit: Callable[[], bytes], beginning: bytes = b"") -> Handler:
    """After the request: `beginning`, then what `unit` gives without end."""

    async def handler(side: Http2Peer) -> None:
        reading = asyncio.create_task(side.peer.reader.read(-1))  # acknowledgements must not block the client
        try:
            await side.peer.send(beginning)
            await side.peer.flood(unit() * 50)
        finally:
            reading.cancel()

    return speaks_http2(handler)


_HEAD = frame(HEADERS, STATUS_200, flags=0x4, stream=1)
HTTP2_FLOODS = {
    "ping": http2_flood(lambda: frame(PING, bytes(8))),
    "ping acknowledged": http2_flood(lambda: frame(PING, bytes(8), flags=1)),
    "settings": http2_flood(lambda: frame(SETTINGS)),
    "settings acknowledged": http2_flood(lambda: frame(SETTINGS, flags=1)),
    "window updates": http2_flood(lambda: frame(8, b"\0\0\0\1")),
    "priority": http2_flood(lambda: frame(2, bytes(5), stream=1)),
    "unknown frames": http2_flood(lambda: frame(0xBE, b"x" * 100)),
    "continuation": http2_flood(lambda: frame(CONTINUATION, b"", stream=1), frame(HEADERS, STATUS_200, stream=1)),
    "large continuation": http2_flood(
        lambda: frame(CONTINUATION, b"\0\1x\x7f\x81\7" + b"y" * 1000, stream=1), frame(HEADERS, STATUS_200, stream=1)
    ),
    "empty data": http2_flood(lambda: frame(DATA, stream=1), _HEAD),
    "padding only": http2_flood(lambda: frame(DATA, b"\xff" + bytes(255), flags=0x8, stream=1), _HEAD),
    "1xx": http2_flood(lambda: frame(HEADERS, b"\x08\x03103", flags=0x4, stream=1)),
    "goaway that spares us": http2_flood(lambda: frame(7, b"\0\0\0\1" + bytes(4))),
    "push": http2_flood(lambda: frame(5, bytes(4) + STATUS_200, flags=0x4, stream=1)),
    "frame too large": http2_flood(lambda: b"\xff\xff\xff\0\0\0\0\0\1"),
    "header bomb": http2_flood(
        lambda: frame(HEADERS, STATUS_200 + b"\x40\1x\x7f\xa1\x1e" + b"y" * 4000 + b"\xbe" * 10000, flags=0x4, stream=1)
    ),
    "garbage": http2_flood(lambda: bytes(range(256))),
}


@pytest.mark.parametrize("name", HTTP2_FLOODS)
async def test_a_flood_over_http2_ends_as_a_violation(name: str) -> None:
    run = await once(HTTP2_FLOODS[name], version="2")
    assert run.blame is not None
    assert (run.blame.layer, run.blame.reason) == (Layer.HTTP, Reason.PROTOCOL)
    assert run.seconds < 3


async def test_an_endless_body_over_http2_ends_at_the_limit() -> None:
    async def handler(side: Http2Peer) -> None:
        await side.respond(200, b"x" * 8_000_000)

    run = await once(speaks_http2(handler), version="2", max_body=3_000_000)
    assert run.blame is not None
    assert run.blame.reason is Reason.BODY
    assert http(run).evidence["max_body"] == 3_000_000
