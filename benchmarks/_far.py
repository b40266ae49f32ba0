"""Many listeners in a process of their own: each (address, port) has ephemeral ports of its own for those who connect,
and a closed connection holds one for a minute."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import socket
from collections.abc import Iterator
from multiprocessing.connection import Connection

from benchmarks._targets import accept_and_close

LISTENERS = 32


def _main(told: Connection, core: int) -> None:
    os.sched_setaffinity(0, {core})
    listeners = [socket.create_server(("127.0.0.1", 0), backlog=1024) for _ in range(LISTENERS)]
    told.send([listener.getsockname()[1] for listener in listeners])
    accept_and_close(listeners)


@contextlib.contextmanager
def listen_on_many(core: int) -> Iterator[list[int]]:
    """Listeners on the IPv4 loopback, on `core`, that accept and close: their ports."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_main, args=(theirs, core), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours.recv()
    finally:
        process.kill()
        process.join()
        ours.close()
