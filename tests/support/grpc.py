"""Climbs of gRPC cells on loopback, and peers that answer with frames of a test's own."""

from __future__ import annotations

from typing import Any

from hpack import Encoder

from prober.engine.climb import climb
from prober.layers.base import Kit
from prober.model import Cell, Run
from prober.reasons import Family, Kind, Layer, Reason
from tests.support.cells import LOOPBACK, make_cell
from tests.support.http import Handler, Http2Peer, frame, speaks_http2
from tests.support.scenarios.grpc import answers

SERVING = answers(0, b"\x08\x01")
HEAD = [(":status", "200"), ("content-type", "application/grpc")]


def cell_for(port: int, family: Family = Family.IPV4, timeout: float = 5.0, **options: Any) -> Cell:
    return make_cell(Kind.GRPC, "grpc", LOOPBACK[family], port, family=family, timeout=timeout, options=options)


async def run_of(cell: Cell, kit: Kit) -> Run:
    (run,) = await climb(cell, kit, found=[(LOOPBACK[cell.family], cell.endpoint.first_hop[1])])
    return run


def reason_of(run: Run) -> Reason | None:
    if run.blame is None:
        return None
    assert run.blame.layer is Layer.GRPC, run
    return run.blame.reason


def replies(*frames: bytes) -> Handler:
    """SETTINGS, then `frames` once the request is there."""

    @speaks_http2
    async def handler(side: Http2Peer) -> None:
        await side.peer.send(b"".join(frames))
        await side.peer.reader.read()

    return handler


def header(*fields: tuple[str, str], flags: int = 4) -> bytes:
    return frame(1, Encoder().encode(fields), flags=flags, stream=1)


def web(status: int) -> bytes:
    """A response of a web server: header section, and a body that ends the stream."""
    return header((":status", str(status)), ("content-type", "text/html")) + frame(0, b"<h1>", flags=1, stream=1)
