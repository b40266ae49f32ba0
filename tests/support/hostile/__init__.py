"""Peers that mean harm: what each does to a climb, and the reason that it has to end with."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from prober.reasons import Kind, Layer, Reason
from tests.support.threaded import Talk, read_to_the_end

#: Seconds of a climb that has to run into its deadline.
SHORT = 0.3
L, R, K = Layer, Reason, Kind


@dataclass(frozen=True)
class Hostile:
    """One peer. `blame` is None where the climb has to hold in spite of it; several reasons: any of them."""

    kind: Kind
    scheme: str
    talk: Talk
    blame: tuple[Layer, Reason] | tuple[Layer, tuple[Reason, ...]] | None
    timeout: float = 3.0
    tls: bool = False
    """The peer speaks TLS below, well."""
    options: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)

    def allows(self, blame: list[str] | None) -> bool:
        """Whether a run may end with this blame."""
        if self.blame is None or blame is None:
            return self.blame is blame
        layer, reasons = self.blame
        return blame[0] == layer and blame[1] in ((reasons,) if isinstance(reasons, Reason) else reasons)


def read_head(sock: socket.socket) -> bytes:
    """Everything up to an empty line, or to the end."""
    head = b""
    while b"\r\n\r\n" not in head and (data := sock.recv(4096)):
        head += data
    return head


def drained(sock: socket.socket) -> None:
    """Read in the background from now on: what the other side sends must not block it."""

    def read() -> None:
        try:
            read_to_the_end(sock)
        except (OSError, ValueError):
            return

    threading.Thread(target=read, daemon=True).start()


def floods(unit: bytes, beginning: bytes = b"", *, awaits: bool = True) -> Talk:
    """After the first head (`awaits`) `beginning`, then `unit` until the other side goes away, 64 KiB at a time."""
    chunk = unit * max(1, 65536 // len(unit))

    def talk(sock: socket.socket) -> None:
        if awaits:
            read_head(sock)
        drained(sock)
        sock.sendall(beginning)
        while True:
            sock.sendall(chunk)

    return talk


def drips(*pieces: bytes, beginning: bytes = b"", gap: float = 0.004, awaits: bool = True) -> Talk:
    """After the first head `beginning`, then the bytes of `pieces` one by one, from the start again when through."""
    data = b"".join(pieces)

    def talk(sock: socket.socket) -> None:
        if awaits:
            read_head(sock)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(beginning)
        while True:
            for position in range(len(data)):
                sock.sendall(data[position : position + 1])
                time.sleep(gap)  # the drip itself

    return talk


def says(pieces: Iterable[bytes], *, awaits: bool = True) -> Talk:
    """After the first head every one of `pieces`, then silence until the other side goes away."""

    def talk(sock: socket.socket) -> None:
        if awaits:
            read_head(sock)
        drained(sock)
        for piece in pieces:
            sock.sendall(piece)
        time.sleep(10)  # the connection stays open; the thread ends with its process

    return talk
