"""A service and its web server on one event loop, from the first bind to the last goodbye.

Signals are handled here and only here: SIGTERM and SIGINT stop, SIGHUP reloads, a second SIGTERM or SIGINT ends the
process at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Protocol

import uvicorn

from prober.engine.reload import ReloadResult
from prober.wire.listen import urls

App = Callable[..., Awaitable[None]]
"""An ASGI application."""

log = logging.getLogger(__name__)

#: Seconds that runs under way get to end when the service stops.
DRAIN = 10.0
#: A second signal within so many seconds is the first one's echo: timeout(1) signals its child and then the group.
_ECHO = 0.2
#: Seconds that requests under way get when the web server stops.
_WEB_GRACE = 2


class Hosted(Protocol):
    """What is hosted (`prober.engine.service.Service`)."""

    async def start(self) -> None:
        """Load the configuration and begin to probe. Raises ConfigError."""

    async def stop(self, drain: float) -> None:
        """Fire no more, give runs under way `drain` seconds, end."""

    async def reload(self) -> ReloadResult:
        """Load the configuration again; never raises ConfigError."""
        ...


class _WebServer(uvicorn.Server):
    """uvicorn without its signal handlers, and with a clock that ticks once a second instead of ten times.

    Each tick is a wake-up of the loop that measures; the tick keeps the Date header (RFC 9110 section 6.6.1) right.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._over = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield

    async def main_loop(self) -> None:
        """Tick until `end`."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), 1.0)

    def end(self) -> None:
        """Stop listening, let requests under way end, return from `serve`."""
        self.should_exit = True
        self._over.set()


async def serve(
    service: Hosted,
    app: App,
    sockets: Sequence[socket.socket],
    *,
    drain: float = DRAIN,
    started: Callable[[Sequence[str]], None] = lambda _urls: None,
    stop: asyncio.Event | None = None,
    terminal: bool = False,
) -> None:
    """Run `service` with `app` on the listening `sockets` until a signal (or `stop`, if given) says otherwise.

    `started` is called with the base URLs once both are up. Then: no run begins any more and `/readyz` says so, runs
    under way get `drain` seconds, and the web server goes last. SIGHUP reloads; with `terminal` it stops as well: that
    is what a terminal sends that is closed. Raises ConfigError before anything is served.
    """
    stop = stop or asyncio.Event()
    with _signals(service, stop, terminal=terminal):
        addresses = urls(sockets)
        await service.start()
        web = _WebServer(_web_config(app))
        serving = asyncio.create_task(web.serve(list(sockets)))
        stopping = asyncio.create_task(stop.wait())
        try:
            started(addresses)
            await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            await service.stop(drain)
            web.end()
            await serving


def _web_config(app: App) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_WEB_GRACE,
    )


@contextlib.contextmanager
def _signals(service: Hosted, stop: asyncio.Event, *, terminal: bool) -> Iterator[None]:
    """SIGTERM, SIGINT and SIGHUP, for as long as the service runs."""
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[Any]] = set()

    asked: list[float] = []

    def on_stop(number: signal.Signals) -> None:
        asked.append(loop.time())
        if asked[-1] - asked[0] > _ECHO:
            sys.stderr.write(f"second {number.name}: ending at once\n")
            os._exit(128 + number)
        if not stop.is_set():
            log.info("%s: stopping", number.name)
            stop.set()

    def on_hangup() -> None:
        task = loop.create_task(service.reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_stop, number)
    if terminal:
        loop.add_signal_handler(signal.SIGHUP, on_stop, signal.SIGHUP)
    else:
        loop.add_signal_handler(signal.SIGHUP, on_hangup)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)
