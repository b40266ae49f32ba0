"""Waiting on the event loop until a non-blocking socket can go on. A cancelled wait leaves nothing."""

from __future__ import annotations

import asyncio
import socket


async def readable(loop: asyncio.AbstractEventLoop, sock: socket.socket, until: float | None = None) -> None:
    """Wait until `sock` has bytes, an end or an error to give; TimeoutError once the loop's time is `until`."""
    ready: asyncio.Future[None] = loop.create_future()
    descriptor = sock.fileno()
    loop.add_reader(descriptor, _resolve, ready)
    timer = None if until is None else loop.call_at(until, _expire, ready)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)
        if timer is not None:
            timer.cancel()


async def writable(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
    """Wait until `sock` takes bytes again, or until the connect under way has ended, well or badly."""
    ready: asyncio.Future[None] = loop.create_future()
    descriptor = sock.fileno()
    loop.add_writer(descriptor, _resolve, ready)
    try:
        await ready
    finally:
        loop.remove_writer(descriptor)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _expire(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_exception(TimeoutError())
