"""Peers that are no gRPC servers, or bad ones: each has its reason, and none spoils the next climb."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hpack import Encoder

from prober.layers.base import Kit
from prober.reasons import Family, Reason
from tests.support.cells import FAMILIES
from tests.support.grpc import HEAD, SERVING, cell_for, header, reason_of, replies, run_of, web
from tests.support.http import Handler, Http2Peer, Peer, frame, response, says, serving, speaks_http2
from tests.support.scenarios.grpc import answers

GRPC_HEAD = header(*HEAD)
MESSAGE = frame(0, b"\0\0\0\0\x02\x08\x01", stream=1)


def envoy(status: int, *fields: tuple[str, str]) -> Handler:
    """A response of one header section (Trailers-Only), as Envoy makes them."""
    head = [*HEAD, ("grpc-status", str(status)), *fields, ("server", "envoy")]
    return replies(header(*head, flags=5))


#: name → what the peer does, the reason, and evidence that has to be there.
PEERS: dict[str, tuple[Handler, Reason, dict[str, Any]]] = {
    "HTTP/1.1": (says(response("400 Bad Request")), Reason.NOT_GRPC, {"peer_speaks": "HTTP/1.x"}),
    "SMTP": (says(b"220 mail.example.com ESMTP\r\n"), Reason.NOT_GRPC, {"peer_speaks": "SMTP or FTP"}),
    "a few bytes": (says(b"ok"), Reason.NOT_GRPC, {}),
    "hangs up": (says(), Reason.CLOSED, {}),
    "a web page": (replies(web(404)), Reason.NOT_GRPC, {"http_status": 404, "content_type": "text/html"}),
    "a web page, 200": (replies(web(200)), Reason.NOT_GRPC, {"content_type": "text/html"}),
    "a front end, 401": (replies(web(401)), Reason.UNAUTHENTICATED, {"http_status": 401}),
    "a front end, 403": (replies(web(403)), Reason.PERMISSION, {"http_status": 403}),
    "a front end, 503": (replies(web(503)), Reason.UNAVAILABLE, {"http_status": 503}),
    "a front end that passed on what it could not read": (
        replies(header((":status", "000"), ("server", "nginx"), flags=5)), Reason.NOT_GRPC,
        {"http_status": 0, "server": "nginx"},
    ),
    "Envoy without a route": (envoy(12), Reason.UNIMPLEMENTED, {"envoy_flag": "NR", "server": "envoy"}),
    "a method that the server behind Envoy does not have": (
        envoy(12, ("grpc-message", "unknown service")), Reason.UNIMPLEMENTED, {"envoy_flag": None}
    ),
    "UNIMPLEMENTED without a word from behind Envoy": (
        envoy(12, ("x-envoy-upstream-service-time", "3")), Reason.UNIMPLEMENTED, {"envoy_flag": None}
    ),
    "Envoy without a backend": (
        envoy(14, ("grpc-message", "no healthy upstream")), Reason.UNAVAILABLE, {"envoy_flag": "UH"}
    ),
    "no trailers": (replies(GRPC_HEAD, MESSAGE, frame(0, flags=1, stream=1)), Reason.NOT_GRPC,
                    {"detail": "the answer has no trailers"}),
    "OK, and no message": (answers(0), Reason.NOT_GRPC, {"detail": "OK, and no message"}),
    "OK after half a message": (replies(GRPC_HEAD, MESSAGE[:-4], header(("grpc-status", "0"), flags=5)),
                                Reason.NOT_GRPC, {}),
    "TLS": (says(b"\x15\x03\x03\0\x02\x02\x32"), Reason.NOT_GRPC, {"peer_speaks": "TLS"}),
    "no health message": (answers(0, b"\xff"), Reason.NOT_GRPC, {"detail": "not a HealthCheckResponse"}),
    "REFUSED_STREAM": (replies(frame(3, (7).to_bytes(4), stream=1)), Reason.STREAM_RESET,
                       {"error_code": "REFUSED_STREAM"}),
    "GOAWAY": (replies(frame(7, bytes(4) + (11).to_bytes(4) + b"too many pings")), Reason.GOAWAY,
               {"error_code": "ENHANCE_YOUR_CALM", "debug_data": "too many pings", "last_stream_id": 0}),
    "PUSH_PROMISE": (replies(frame(5, (2).to_bytes(4), flags=4, stream=1)), Reason.NOT_GRPC, {}),
    "DATA before HEADERS": (replies(MESSAGE, frame(1, b"", flags=5, stream=1)), Reason.NOT_GRPC, {}),
    "bad HPACK": (replies(frame(1, b"\xff\xff\xff\xff\xff\xff", flags=5, stream=1)), Reason.NOT_GRPC, {}),
    "a header section in another": (replies(frame(1, b"", stream=1), frame(9, b"", stream=3)), Reason.NOT_GRPC, {}),
    "CONTINUATION of nothing": (replies(frame(9, b"", flags=4, stream=1)), Reason.NOT_GRPC, {}),
    "a header section without end": (replies(frame(1, b"", stream=1), *[frame(9, bytes(16000), stream=1)] * 5),
                                     Reason.NOT_GRPC, {}),
    "a frame too long": (replies((2**20).to_bytes(3) + bytes(6)), Reason.NOT_GRPC, {}),
    "a flood of PING": (replies(frame(6, bytes(8)) * 1000), Reason.NOT_GRPC, {}),
    "a flood of DATA": (replies(GRPC_HEAD, frame(0, b"\0", stream=1) * 9000), Reason.NOT_GRPC, {}),
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", PEERS)
async def test_what_is_no_grpc_has_its_reason_and_spoils_nothing_for_the_next_climb(
    name: str, family: Family, kit: Kit
) -> None:
    handler, reason, evidence = PEERS[name]
    async with serving(handler, family) as bad, serving(SERVING, family) as good:
        run = await run_of(cell_for(bad.port, family), kit)
        after = await run_of(cell_for(good.port, family), kit)
    assert reason_of(run) is reason, run.outcomes[-1]
    seen = run.outcomes[-1].evidence
    assert {key: seen.get(key) for key in evidence} == evidence
    assert after.ok, after.outcomes[-1]


async def test_a_server_with_header_compression_of_its_own_mind_is_understood_climb_after_climb(kit: Kit) -> None:
    """It never says that it has no table, though it was asked to have none, and refers to it."""

    @speaks_http2
    async def handler(side: Http2Peer) -> None:
        encoder = Encoder()
        many = [("x-long", "v" * 300), *((f"x-{number}", "w" * 200) for number in range(100))]
        head = frame(1, encoder.encode([*HEAD, ("x-node", "n1")]), flags=4, stream=1)
        trailers = encoder.encode([("grpc-status", "5"), ("x-node", "n1"), *many])
        pieces = [trailers[at : at + 9000] for at in range(0, len(trailers), 9000)]
        await side.peer.send(head + frame(1, pieces[0], flags=1, stream=1))
        for piece in pieces[1:]:
            await side.peer.send(frame(9, piece, flags=4 if piece is pieces[-1] else 0, stream=1))
        await side.peer.reader.read()

    async with serving(handler) as server, serving(SERVING) as good:
        for _ in range(3):
            run = await run_of(cell_for(server.port), kit)
            assert reason_of(run) is Reason.UNKNOWN_SERVICE, run.outcomes[-1]
            assert run.outcomes[-1].evidence["trailers"]["x-node"] == "n1"
            assert (await run_of(cell_for(good.port), kit)).ok


async def test_nothing_is_left_behind_by_climbs_that_fail_in_every_way(kit: Kit) -> None:
    handlers = [SERVING, *(handler for handler, _, _ in PEERS.values())]
    turns = iter(range(1_000_000))

    async def any_of(peer: Peer) -> None:
        await (handlers[next(turns) % len(handlers)])(peer)

    def held() -> tuple[int, int]:
        return len(list(Path("/proc/self/fd").iterdir())), len(asyncio.all_tasks())

    async with serving(any_of) as server, serving(replies()) as silent:
        cell, short = cell_for(server.port), cell_for(silent.port, timeout=0.02)

        async def rounds(number: int) -> None:
            for turn in range(number):
                await asyncio.gather(*(run_of(cell, kit) for _ in range(len(handlers))), run_of(short, kit))
                cancelled = asyncio.create_task(run_of(cell_for(silent.port), kit))
                for _ in range(turn):
                    await asyncio.sleep(0)
                cancelled.cancel()
                await asyncio.gather(cancelled, return_exceptions=True)
            for peers in (server, silent):
                await asyncio.gather(*peers._tasks, return_exceptions=True)

        await rounds(2)
        before = held()
        await rounds(10)
        after = held()
    assert after[0] <= before[0] + 4
    assert after[1] <= before[1] + 2
