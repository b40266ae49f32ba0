"""What services of tests climb to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A listener that ends every connection at once."""

    async def end(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(end, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
