"""The bridge: grpcio's connection to ourselves, kept from climb to climb, and the calls made over it.

To grpcio we are a server that never goes away: its HTTP/2 connection is set up once, and each climb only adds streams
to it. A fresh channel for each climb costs two and a half times the CPU. Nothing is shared on the network: `carrier`
puts the streams of a climb on that climb's own connection. Header compression would be state that passes from one climb
to the next, so there is none in either direction (SETTINGS_HEADER_TABLE_SIZE 0, RFC 7541 section 4.2).
One climb uses a bridge at a time; a climb that finds all taken makes another.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, NamedTuple

import grpc
import grpc.aio

from prober.wire.grpc.carrier import Carrier
from prober.wire.grpc.local import accept_ours, listening
from prober.wire.grpc.talk import Talk, UnaryMethods
from prober.wire.grpc.wires import Client
from prober.wire.http.guard import MAX_HEAD
from prober.wire.stream import Stream

#: Bridges kept for climbs to come, by the longest-unused first out. Each holds one descriptor pair and some 100 kB.
MAX_IDLE: Final = 256
#: Bytes of one message that are taken.
MAX_MESSAGE: Final = 512 * 1024
_READ: Final = 65536
_FOREVER: Final = 2**31 - 1

Metadata = Sequence[tuple[str, str | bytes]]


class Names(NamedTuple):
    """What a channel says in every call: `:authority` and `:scheme`."""

    authority: str
    scheme: str


class Bridge:
    """One channel of grpcio, and our end of its only connection."""

    def __init__(self, names: Names, channel: grpc.aio.Channel, local: socket.socket) -> None:
        self.names = names
        self.alive = True
        self._channel = channel
        self._local = local
        self._methods: UnaryMethods = {}
        self._client = Client()
        self._carrier: Carrier | None = None
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(local.fileno(), self._on_readable)

    @classmethod
    async def open(cls, names: Names) -> Bridge:
        """Have grpcio connect to us. OSError where there is no local socket to be had."""
        with listening() as (listener, target):
            channel = grpc.aio.insecure_channel(target, options=_options(names))
            try:
                channel.get_state(try_to_connect=True)
                local = await accept_ours(listener)
            except BaseException:
                await channel.close(None)
                raise
        return cls(names, channel, local)

    @contextlib.asynccontextmanager
    async def talk(self, stream: Stream) -> AsyncIterator[Talk]:
        """Calls made inside are carried by `stream`."""
        self._carrier = carrier = Carrier(stream, self._feed)
        talk = Talk(self._channel, self._methods, carrier)
        try:
            yield talk
        finally:
            self._carrier = None
            self._client.forget()
            # a call that was cancelled before grpcio said it may be said yet: to nobody
            self.alive = self.alive and not talk.suspect and talk.calls == carrier.streams
            await carrier.close()

    async def _feed(self, data: bytes) -> None:
        """Hand frames to grpcio. Half of a frame would break what follows: then the bridge is not used again."""
        try:
            if (sent := self._local.send(data)) == len(data):
                return
        except BlockingIOError:
            sent = 0
        except OSError:
            self.alive = False
            raise
        try:
            await self._loop.sock_sendall(self._local, data[sent:])
        except BaseException:
            self.alive = False
            raise

    def _on_readable(self) -> None:
        try:
            data = self._local.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.alive = False
            self._loop.remove_reader(self._local.fileno())
            return
        reply, frames = self._client.take(data)
        if reply:
            try:
                self._local.send(reply)
            except OSError:
                self.alive = False
        if frames and self._carrier is not None:
            self._carrier.say(frames)

    async def close(self) -> None:
        """Close both ends."""
        self.alive = False
        if self._local.fileno() >= 0:
            self._loop.remove_reader(self._local.fileno())
            self._local.close()
        await self._channel.close(None)


class Bridges:
    """The bridges of the process, made as they are needed; a part of the kit."""

    def __init__(self) -> None:
        self._idle: dict[Names, list[Bridge]] = {}
        self._order: dict[Bridge, None] = {}
        self._closing: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def talk(self, stream: Stream, authority: str, scheme: str) -> AsyncIterator[Talk]:
        """Calls made inside go to `authority` and are carried by `stream`. OSError without a local socket."""
        bridge = await self._take(Names(authority, scheme))
        try:
            async with bridge.talk(stream) as talk:
                yield talk
        finally:
            self._give(bridge)

    async def _take(self, names: Names) -> Bridge:
        idle = self._idle.get(names, [])
        while idle:
            bridge = idle.pop()
            del self._order[bridge]
            if not idle:
                del self._idle[names]
            if bridge.alive:
                return bridge
            self._let_go(bridge)
        return await Bridge.open(names)

    def _give(self, bridge: Bridge) -> None:
        if not bridge.alive:
            self._let_go(bridge)
            return
        self._idle.setdefault(bridge.names, []).append(bridge)
        self._order[bridge] = None
        if len(self._order) > MAX_IDLE:
            oldest = next(iter(self._order))
            del self._order[oldest]
            others = self._idle[oldest.names]
            others.remove(oldest)
            if not others:
                del self._idle[oldest.names]
            self._let_go(oldest)

    def _let_go(self, bridge: Bridge) -> None:
        task = asyncio.get_running_loop().create_task(bridge.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close them all."""
        for bridge in list(self._order):
            await bridge.close()
        self._order.clear()
        self._idle.clear()
        await asyncio.gather(*self._closing)


def _options(names: Names) -> list[tuple[str, Any]]:
    return [
        ("grpc.default_authority", names.authority),
        ("grpc.http2_scheme", names.scheme),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_http_proxy", 0),  # the environment has no say
        ("grpc.enable_retries", 0),
        ("grpc.http2.bdp_probe", 0),  # there is no network below it to be measured
        ("grpc.http2.hpack_table_size.encoder", 0),
        ("grpc.http2.hpack_table_size.decoder", 0),
        ("grpc.http2.lookahead_bytes", 4 * 1024 * 1024),
        ("grpc.client_idle_timeout_ms", _FOREVER),
        ("grpc.max_receive_message_length", MAX_MESSAGE),
        ("grpc.max_metadata_size", MAX_HEAD),
        ("grpc.absolute_max_metadata_size", 2 * MAX_HEAD),
        ("grpc.primary_user_agent", "prober"),
    ]
