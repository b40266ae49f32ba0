"""Blocking servers in threads: what the standard library's `ssl` sends is what goes on the wire, alerts included."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator

from prober.reasons import Family
from tests.support.cells import LOOPBACK

Talk = Callable[[socket.socket], None]


def read_to_the_end(sock: socket.socket) -> None:
    while sock.recv(65536):
        pass


def reset(sock: socket.socket) -> None:
    """Close with a RST: SO_LINGER with no time (socket(7))."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@contextlib.contextmanager
def serve(
    family: Family, talk: Talk, context: ssl.SSLContext | None = None, at: tuple[str, int] | None = None
) -> Iterator[int]:
    """A server on loopback (or `at` an address and port), one thread a connection, each ended after 10 s at the latest;
    gives its port."""
    number = socket.AF_INET6 if family is Family.IPV6 else socket.AF_INET
    listener = socket.create_server(at or (LOOPBACK[family], 0), family=number)
    accepting = threading.Thread(target=_accept, args=(listener, talk, context), daemon=True)
    accepting.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join(5)
        listener.close()


def _accept(listener: socket.socket, talk: Talk, context: ssl.SSLContext | None) -> None:
    while True:
        try:
            sock, _ = listener.accept()
        except OSError:  # shut down
            return
        threading.Thread(target=_talk, args=(sock, talk, context), daemon=True).start()


def _talk(sock: socket.socket, talk: Talk, context: ssl.SSLContext | None) -> None:
    sock.settimeout(10)
    with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
        stack.callback(sock.close)
        if context is not None:
            sock = context.wrap_socket(sock, server_side=True)
            stack.callback(sock.close)
        talk(sock)
