"""The lab's listener for one family and one behaviour."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from socket import AF_INET, AF_INET6, SOCK_STREAM

from prober.lab.connection import Connection
from prober.lab.sockets import Listener, Mode, Serve, bind_alike
from prober.reasons import Family


async def _nothing(connection: Connection) -> None:
    await connection.drain()


@asynccontextmanager
async def listening(family: Family, serve: Serve | None, mode: Mode | None = None) -> AsyncIterator[int]:
    """A port of loopback that `serve` answers on. Without one it is closed, or what `mode` says."""
    number = AF_INET6 if family is Family.IPV6 else AF_INET
    listener = Listener(bind_alike([(number, SOCK_STREAM)]), serve or _nothing)
    try:
        await listener.become(mode or (Mode.OPEN if serve else Mode.CLOSED))
        yield listener.port
    finally:
        await listener.close()
