"""The explicit proxy: HTTP/1.1 CONNECT (RFC 9110 section 9.3.6) to the lab's own names, and nowhere else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus

import h11

from prober.lab.connection import Connection, relay
from prober.lab.sockets import connect
from prober.lab.switches import Switches

_CONNECT_TIMEOUT = 0.5  # seconds
_REFUSALS = {
    "proxy-auth": (407, [("proxy-authenticate", 'Basic realm="lab"')]),
    "proxy-refused": (403, []),
    "proxy-failed": (502, []),
}


class Proxy:
    """Tunnels to `routes` (authority → port on loopback, in the client's family)."""

    def __init__(self, switches: Switches, routes: Mapping[str, int]) -> None:
        self._switches = switches
        self._routes = routes

    async def serve(self, connection: Connection) -> None:
        """One CONNECT, then bytes both ways."""
        protocol = h11.Connection(h11.SERVER)
        try:
            request = await _head(protocol, connection)
        except h11.RemoteProtocolError:
            await connection.send(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
            return await connection.finish()
        if request is None:
            return None
        if (fault := self._switches.first("proxy-hang", "proxy-closed")) is not None:
            return await (connection.drain() if fault == "proxy-hang" else connection.finish())
        upstream = None
        try:
            status, headers, upstream = await self._decide(request, connection)
            await _answer(protocol, connection, status, headers)
            if upstream is None:
                return await connection.finish()
            await relay(connection, upstream, protocol.trailing_data[0])
        finally:
            if upstream is not None:
                upstream.close()

    async def _decide(
        self, request: h11.Request, connection: Connection
    ) -> tuple[int, list[tuple[str, str]], Connection | None]:
        """Status and headers of the answer, and the connection to tunnel to where it is 200."""
        if (fault := self._switches.first(*_REFUSALS)) is not None:
            status, headers = _REFUSALS[fault]
            return status, headers, None
        if request.method != b"CONNECT":
            return 405, [("allow", "CONNECT")], None
        port = self._routes.get(request.target.decode("latin-1").lower())
        if port is None:
            return 403, [], None
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT):
                return 200, [], await connect(connection.family, port)
        except TimeoutError:
            return 504, [], None
        except OSError:
            return 502, [], None


async def _head(protocol: h11.Connection, connection: Connection) -> h11.Request | None:
    while True:
        event = protocol.next_event()
        if isinstance(event, h11.Request):
            return event
        if event is h11.NEED_DATA:
            protocol.receive_data(await connection.receive())
        elif isinstance(event, h11.ConnectionClosed):
            return None


async def _answer(
    protocol: h11.Connection, connection: Connection, status: int, headers: list[tuple[str, str]]
) -> None:
    if status != 200:
        headers = [*headers, ("content-length", "0"), ("connection", "close")]
    # h11 wants the end of a CONNECT's message seen before it switches protocols
    while isinstance(protocol.next_event(), h11.Data | h11.EndOfMessage):
        pass
    await connection.send(
        protocol.send(h11.Response(status_code=status, reason=HTTPStatus(status).phrase, headers=headers)) or b""
    )
