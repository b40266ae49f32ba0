"""The bridge between grpcio and the stream of a climb, piece by piece."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import any_pb2
from hpack import Decoder, Encoder

from prober.wire.grpc import Answer, Bridges, local, wires
from prober.wire.grpc.answer import Response, header_block, read_response
from prober.wire.grpc.bridge import Bridge, Names
from prober.wire.grpc.health import serving_status
from prober.wire.http.frames import Frames
from prober.wire.tcp import open_tcp
from tests.support.grpc import SERVING
from tests.support.http import serving

NAMES = Names("pay.example.com", "http")
STATUS = b"\x08\x08\x12\x04busy\x21\0\0\0\0\0\0\0\0"  # code, message, and a field of a kind that nobody sends


def test_a_header_section_written_anew_is_the_same_for_a_decoder_without_a_table() -> None:
    fields = [(b":status", b"200"), (b"x", b"v" * 126), (b"y", b"v" * 127), (b"z", b"v" * 400), (b"zz", b"w" * 40000)]
    raw, block = wires.header_frames(7, fields, wires.END_STREAM)
    decoder = Decoder(max_header_list_size=2**20)
    decoder.max_allowed_table_size = 0
    assert [(name, value) for name, value in decoder.decode(block, raw=True)] == fields
    frames = Frames()
    frames._started = True
    pieces = list(frames.split(raw))
    assert [(p.kind, p.raw[4], p.stream) for p in pieces] == [(1, 1, 7), (9, 0, 7), (9, 4, 7)]
    assert b"".join(piece.payload for piece in pieces) == block


def test_padding_and_priority_are_no_part_of_a_header_block() -> None:
    assert header_block(0x4, b"block") == b"block"
    assert header_block(0x8, b"\x02block\0\0") == b"block"
    assert header_block(0x20, b"\0\0\0\0\x10block") == b"block"
    assert header_block(0x28, b"\x01\0\0\0\0\x10block\0") == b"block"
    assert header_block(0x8, b"\xffblock") == b""


def test_a_response_is_read_from_its_header_sections() -> None:
    encoder = Encoder()
    encoder.header_table_size = 0
    head = encoder.encode([(":status", "200"), ("content-type", "application/grpc+proto")])
    trailers = encoder.encode([("grpc-status", "5")])
    assert read_response([head, trailers]) == Response(200, "application/grpc+proto", "5")
    assert read_response([head]) == Response(200, "application/grpc+proto", None)
    alone = encoder.encode([(":status", "200"), ("grpc-status", "12"), ("server", "envoy")])
    assert read_response([alone]) == Response(200, "", "12", "envoy", alone=True)
    assert read_response([encoder.encode([(":status", "many")])]) == Response(0, "", None)
    assert read_response([b"\xff\xff"]) is None
    assert read_response([]) is None


def test_rich_details_are_named_by_their_types() -> None:
    detail = any_pb2.Any(type_url="type.googleapis.com/google.rpc.RetryInfo", value=b"x").SerializeToString()
    status = b"\x1a" + bytes([len(detail)]) + detail + b"\x1a\x01\xff" + STATUS
    answer = Answer("UNAVAILABLE", "", (("grpc-status-details-bin", status), ("a", "b"), ("c-bin", b"\0\1")))
    assert answer.details() == ["google.rpc.RetryInfo", "unreadable"]
    assert answer.shown_trailers() == {"a": "b", "c-bin": "AAE="}
    assert Answer("OK").details() == []
    assert Answer("OK", "", (("grpc-status-details-bin", b"\x1a\xff"),)).details() == []


def test_a_status_that_the_protocol_does_not_have_is_shown_as_its_number() -> None:
    assert serving_status(b"\x08\x01") == "SERVING"
    assert serving_status(b"\x08\x63") == "status 99"
    with pytest.raises(ValueError, match="not a HealthCheckResponse"):
        serving_status(b"\xff")


def test_grpcios_side_is_answered_and_its_streams_are_told_apart() -> None:
    client = wires.Client()
    reply, carried = client.take(wires.PREFACE[:10])
    assert (reply, carried) == (wires.GREETING, [])
    ping = wires.frame(wires.PING, payload=b"12345678")
    one, two = (wires.frame(wires.HEADERS, 4, stream, b"h") for stream in (1, 3))
    reply, carried = client.take(wires.PREFACE[10:] + ping + one)
    assert reply == wires.SETTINGS_ACK + wires.frame(wires.PING, wires.ACK, 0, b"12345678")
    assert [piece.stream for piece in carried] == [1]
    client.forget()
    late = wires.frame(wires.RST_STREAM, 0, 1, bytes(4))
    _, carried = client.take(late + two)
    assert [(piece.kind, piece.stream) for piece in carried] == [(wires.HEADERS, 3)]


def test_grpcios_window_is_opened_again_before_it_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wires, "_LOW", 10)
    client = wires.Client()
    client.take(wires.PREFACE)
    reply, _ = client.take(wires.frame(wires.HEADERS, 4, 1) + wires.frame(wires.DATA, 0, 1, bytes(11)))
    assert reply == wires.window_update(0, 11)


@pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")
async def test_a_stranger_on_the_local_socket_is_turned_away() -> None:
    """Another process that found the abstract name is closed; our own connection is taken."""
    with local.listening() as (listener, target):
        name = target.partition(":")[2]
        knocks = "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect('\\0'+sys.argv[1]); print(s.recv(1))"
        accepting = asyncio.create_task(local.accept_ours(listener))
        stranger = await asyncio.create_subprocess_exec(sys.executable, "-c", knocks, name, stdout=subprocess.PIPE)
        said, _ = await stranger.communicate()
        assert said == b"b''\n"
        assert not accepting.done()
        with socket.socket(socket.AF_UNIX) as ours:
            ours.connect(f"\0{name}")
            with await accepting as accepted:
                assert accepted.getblocking() is False


def test_without_abstract_sockets_it_lies_where_only_we_may_enter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "LINUX", False)
    with local.listening() as (_, target):
        path = Path(target.partition(":")[2])
        assert path.parent.stat().st_mode & 0o777 == 0o700
    assert not path.exists()


async def test_without_abstract_sockets_calls_are_made_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "LINUX", False)
    bridges = Bridges()
    async with serving(SERVING) as server:
        stream = await open_tcp(server.address, server.port)
        async with bridges.talk(stream, *NAMES) as talk:
            answer = await talk.unary("/grpc.health.v1.Health/Check", b"", (), 5)
        stream.close()
    await bridges.close()
    assert answer.payload == b"\x08\x01"


async def test_a_bridge_that_is_not_opened_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_listener: socket.socket) -> socket.socket:
        waiting.set()
        await asyncio.Event().wait()
        raise AssertionError("cancelled before")

    waiting = asyncio.Event()
    monkeypatch.setattr("prober.wire.grpc.bridge.accept_ours", never)
    opening = asyncio.create_task(Bridge.open(NAMES))
    await waiting.wait()
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    assert opening.cancelled()


async def test_a_bridge_that_grpcio_left_is_not_used_again() -> None:
    bridges = Bridges()
    async with serving(SERVING) as server:

        async def ask() -> Bridge:
            stream = await open_tcp(server.address, server.port)
            async with bridges.talk(stream, *NAMES) as talk:
                assert (await talk.unary("/grpc.health.v1.Health/Check", b"", (), 5)).code == "OK"
            stream.close()
            return next(iter(bridges._order))

        first = await ask()
        assert await ask() is first
        await first._channel.close(None)
        while first.alive:  # noqa: ASYNC110 - grpcio closes in its own time, and tells nobody
            await asyncio.sleep(0.01)
        second = await ask()
        assert second is not first
        second._local.shutdown(socket.SHUT_RDWR)
        with pytest.raises(OSError, match="Broken pipe"):
            await second._feed(b"x")
        assert not second.alive
    await bridges.close()


async def test_more_than_a_socket_takes_at_once_is_handed_over_whole() -> None:
    bridge = await Bridge.open(NAMES)
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    bridge._loop.remove_reader(bridge._local.fileno())
    bridge._local.close()
    ours.setblocking(False)
    theirs.setblocking(False)
    bridge._local = ours
    feeding = asyncio.create_task(bridge._feed(bytes(2**20)))
    received = 0
    while received < 2**20:
        received += len(await asyncio.get_running_loop().sock_recv(theirs, 2**16))
    await feeding
    assert bridge.alive
    feeding = asyncio.create_task(bridge._feed(bytes(2**21)))
    await asyncio.sleep(0)
    feeding.cancel()
    await asyncio.gather(feeding, return_exceptions=True)
    assert not bridge.alive
    theirs.close()
    await bridge.close()
