"""How a lab is told what to do while it runs: one JSON object a line over a Unix socket in its own files.

The socket is on the lab's tmpfs. From outside it is reached through /proc/PID/root, as everything else of the lab.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.network.lab.isolation import FILES

SOCKET = FILES / "control"
Obey = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
_LONGEST = 1024 * 1024


async def listen(obey: Obey) -> asyncio.Server:
    """Answer each command with what `obey` returns; what it raises is answered as `{"error": …}`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                try:
                    answer = await obey(json.loads(line))
                except (KeyError, ValueError, RuntimeError, OSError) as error:
                    answer = {"error": str(error.args[0]) if isinstance(error, KeyError) else str(error)}
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        finally:
            writer.close()

    return await asyncio.start_unix_server(serve, SOCKET, limit=_LONGEST)


def ask(command: dict[str, Any], path: Path = SOCKET, timeout: float = 30.0) -> dict[str, Any]:
    """The lab's answer. RuntimeError with its reason where it refuses, OSError where there is no lab."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(timeout)
        sock.connect(str(path))
        sock.sendall(json.dumps(command).encode() + b"\n")
        answer: dict[str, Any] = json.loads(sock.makefile("rb").readline() or b'{"error": "the lab has ended"}')
    if "error" in answer:
        raise RuntimeError(answer["error"])
    return answer
