"""A local socket for one connection of this process to itself: nobody else can take part in it.

On Linux it is abstract (unix(7)) under a random name and the peer's process is checked; elsewhere it lies in a
directory that only we may enter. It listens until that one connection is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

from prober.wire.errqueue import LINUX
from prober.wire.ready import readable

_UCRED = struct.Struct("3i")  # pid, uid, gid: unix(7) SO_PEERCRED


@contextlib.contextmanager
def listening() -> Iterator[tuple[socket.socket, str]]:
    """A listener and its name as grpcio takes it, until the block ends."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        listener.setblocking(False)
        if LINUX:
            name = f"prober-{secrets.token_hex(16)}"
            listener.bind(f"\0{name}")
            target = f"unix-abstract:{name}"
        else:
            path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="prober-"))) / "grpc"
            listener.bind(str(path))
            target = f"unix:{path}"
        listener.listen(4)
        yield listener, target


async def accept_ours(listener: socket.socket) -> socket.socket:
    """The first connection that comes from this process; others are closed. Has no deadline of its own."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            accepted, _ = listener.accept()
        except BlockingIOError:
            await readable(loop, listener)
            continue
        if is_ours(accepted):
            accepted.setblocking(False)
            return accepted
        accepted.close()


def is_ours(accepted: socket.socket) -> bool:
    """Whether the peer of a local socket is this process; true where only the directory's mode can tell."""
    if not LINUX:
        return True
    pid, _, _ = _UCRED.unpack(accepted.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return bool(pid == os.getpid())
