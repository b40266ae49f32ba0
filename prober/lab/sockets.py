"""Ports on loopback: one number for both families, and listeners that can refuse or stop accepting.

Only 127.0.0.1 and ::1 are used, since macOS has no other loopback address without root. A listener elsewhere (in a
network namespace, say) is given an `Opener` of its own.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from enum import Enum

from prober.lab.connection import Connection

log = logging.getLogger(__name__)

Serve = Callable[[Connection], Awaitable[None]]
#: (family, kind, port) → a new non-blocking socket bound there, as `bound` makes it; port 0 is any.
Opener = Callable[[int, int, int], socket.socket]
LOOPBACK: Mapping[int, str] = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
_BACKLOG = 256
_TRIES = 50
_MOST_FILLERS = 512
_FILLED_AFTER = 0.02  # seconds: a handshake on loopback that takes longer than this is not going to happen


def loopback_families() -> tuple[int, ...]:
    """The families in which this machine has a loopback address, IPv4 first."""
    found = []
    for family, address in LOOPBACK.items():
        with suppress(OSError), socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
            found.append(family)
    return tuple(found)


def bound(family: int, kind: int, port: int) -> socket.socket:
    """A non-blocking socket bound to `port` on loopback; OSError where that is taken."""
    sock = socket.socket(family, kind)
    try:
        sock.setblocking(False)
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((LOOPBACK[family], port))
    except BaseException:
        sock.close()
        raise
    return sock


def bind_alike(wanted: Sequence[tuple[int, int]]) -> list[socket.socket]:
    """Sockets of the wanted (family, kind) pairs, all on one port number. OSError if none was found."""
    for attempt in range(_TRIES):
        port, sockets = 0, list[socket.socket]()
        try:
            for family, kind in wanted:
                sockets.append(bound(family, kind, port))
                port = sockets[0].getsockname()[1]
        except OSError:
            for sock in sockets:
                sock.close()
            if attempt == _TRIES - 1:
                raise
        else:
            return sockets
    raise AssertionError("unreachable")  # pragma: no cover - the last attempt returns or raises


async def connect(family: int, port: int) -> Connection:
    """A connection to `port` on the loopback address of `family`. OSError where nobody answers."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (LOOPBACK[family], port))
        return Connection(sock)
    except BaseException:
        sock.close()
        raise


class Mode(Enum):
    """What a listener does with a SYN."""

    OPEN = "accept it"
    CLOSED = "answer RST: bound, not listening"
    FULL = "drop it: the backlog is full"


class _Port:
    """One listening socket. `serve` owns each accepted connection; it is closed when `serve` is done."""

    def __init__(self, sock: socket.socket, serve: Serve, opener: Opener) -> None:
        self._sock = sock
        self._serve = serve
        self._open = opener
        self._accepting = False
        self._fillers: list[socket.socket] = []
        self._connections: set[asyncio.Task[None]] = set()

    async def become(self, mode: Mode) -> None:
        self._stop_accepting()
        for filler in self._fillers:
            filler.close()
        self._fillers.clear()
        if mode is Mode.CLOSED:
            self._rebind()
            return
        self._sock.listen(1 if mode is Mode.FULL else _BACKLOG)  # may be called again on a listening socket
        if mode is Mode.OPEN:
            asyncio.get_running_loop().add_reader(self._sock, self._accept)
            self._accepting = True
        else:
            self._fillers = await fill_backlog(self._sock, self._open)

    async def close(self) -> None:
        self._stop_accepting()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        for sock in (*self._fillers, self._sock):
            sock.close()

    def _rebind(self) -> None:
        """Bound but not listening: connections are refused, and nobody else gets the port."""
        family, port = self._sock.family, self._sock.getsockname()[1]
        self._sock.close()
        self._sock = self._open(family, socket.SOCK_STREAM, port)

    def _stop_accepting(self) -> None:
        if self._accepting:
            asyncio.get_running_loop().remove_reader(self._sock)
            self._accepting = False

    def _accept(self) -> None:
        try:
            sock, _ = self._sock.accept()
        except (BlockingIOError, ConnectionError):
            return  # the client was gone before it was accepted: accept(2), ECONNABORTED
        connection = Connection(sock)
        task = asyncio.create_task(self._handle(connection))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        task.add_done_callback(lambda _: connection.close())  # also of a task that was cancelled before it began

    async def _handle(self, connection: Connection) -> None:
        try:
            await self._serve(connection)
        except OSError as error:
            log.debug("connection ended: %s", error)
        except Exception:
            log.exception("internal error of the lab")


async def fill_backlog(listener: socket.socket, opener: Opener = bound) -> list[socket.socket]:
    """Connect to `listener`, which nobody accepts from, until the kernel drops the next SYN.

    Returns the connections that keep the queue full. RuntimeError where this kernel goes on completing handshakes.
    """
    loop = asyncio.get_running_loop()
    fillers: list[socket.socket] = []
    try:
        for _ in range(_MOST_FILLERS):
            fillers.append(opener(listener.family, socket.SOCK_STREAM, 0))
            try:
                async with asyncio.timeout(_FILLED_AFTER):
                    await loop.sock_connect(fillers[-1], listener.getsockname()[:2])
            except TimeoutError:
                if not _is_connected(fillers[-1]):  # else it was this process that was slow
                    fillers.pop().close()
                    return fillers
        raise RuntimeError(f"the backlog is not full after {_MOST_FILLERS} connections")
    except BaseException:
        for filler in fillers:
            filler.close()
        raise


_tried: list[str | None] = []  # what this kernel does stays the same: tried once in a process


async def backlog_trial() -> str | None:
    """Whether a backlog can be filled here: None, or why not."""
    if not _tried:
        with bound(socket.AF_INET, socket.SOCK_STREAM, 0) as trial:
            trial.listen(1)
            try:
                for filler in await fill_backlog(trial):
                    filler.close()
                _tried.append(None)
            except RuntimeError as error:
                _tried.append(str(error))
    return _tried[0]


def _is_connected(sock: socket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


class Listener:
    """One TCP port in every family that there are sockets of, closed at first. `opener` made them."""

    def __init__(self, sockets: Sequence[socket.socket], serve: Serve, opener: Opener = bound) -> None:
        self.port: int = sockets[0].getsockname()[1]
        self.mode = Mode.CLOSED
        self._ports = [_Port(sock, serve, opener) for sock in sockets]

    async def become(self, mode: Mode) -> None:
        """Open, refuse or stop accepting. RuntimeError where the backlog cannot be filled (the port opens then)."""
        if mode is self.mode:
            return
        self.mode = mode
        try:
            for port in self._ports:
                await port.become(mode)
        except RuntimeError:
            await self.become(Mode.OPEN)
            raise

    async def close(self) -> None:
        """Stop accepting, end the connections that are open, free the port."""
        for port in self._ports:
            await port.close()
