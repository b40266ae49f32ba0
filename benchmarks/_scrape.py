"""Scrapes as Prometheus makes them: its header fields, gzip, and connections that are kept open."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections import deque
from typing import Final

_FIELDS: Final = (
    "Accept: application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n"
    "Accept-Encoding: gzip\r\nUser-Agent: Prometheus/3\r\nX-Prometheus-Scrape-Timeout-Seconds: 5\r\n"
)


class ScrapeError(Exception):
    """What was scraped is no good answer."""


class Scraper:
    """Keeps connections to one HTTP server open and scrapes over them."""

    def __init__(self, address: str, port: int) -> None:
        self._address, self._port = address, port
        self._idle: deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = deque()

    async def get(self, target: str) -> str:
        """The body that is behind a request target. ScrapeError unless the status is 200."""
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(self._address, self._port)
        writer.write(f"GET {target} HTTP/1.1\r\nHost: {self._address}:{self._port}\r\n{_FIELDS}\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        body = await _body(reader, head)
        self._idle.append((reader, writer))
        if not head.startswith(b"http/1.1 200 "):
            raise ScrapeError(f"{target}: {head.splitlines()[0].decode()}")
        return (gzip.decompress(body) if b"content-encoding: gzip" in head else body).decode()

    def close(self) -> None:
        """Close every connection."""
        while self._idle:
            self._idle.pop()[1].close()


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    """By length or in chunks (RFC 9112 section 6)."""
    for line in head.splitlines():
        if line.startswith(b"content-length:"):
            return await reader.readexactly(int(line.partition(b":")[2]))
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body


async def open_loop(scraper: Scraper, target: str, rate: float, seconds: float) -> list[str]:
    """Scrape `target` so many times a second, however long the answers take; the bodies."""
    count = round(rate * seconds)
    began = time.perf_counter()
    tasks = []
    for number in range(count):
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        tasks.append(asyncio.create_task(scraper.get(target)))
    return await asyncio.gather(*tasks)
