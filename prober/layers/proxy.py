"""The proxy rung: CONNECT through an explicit HTTP proxy (RFC 9110 section 9.3.6). Held: it answered 2xx."""

from __future__ import annotations

import os
import re
from typing import Final

import h11

from prober.layers.base import Ascent, Failed, network_time
from prober.layers.credentials import basic
from prober.layers.excerpt import shown
from prober.model import Evidence
from prober.reasons import Reason
from prober.wire.stream import Stream, Times, times_of

#: Bytes of response header that a proxy may send.
MAX_HEAD: Final = 64 * 1024
#: Response fields worth keeping; Proxy-Status (RFC 9209) says what went wrong behind the proxy.
_KEPT: Final = frozenset({b"via", b"server", b"proxy-authenticate", b"proxy-status", b"x-squid-error"})


async def tunnel(ascent: Ascent) -> None:
    """Ask the proxy below for a tunnel to the target; the same stream then leads to it."""
    if ascent.stream is None:
        raise Failed(Reason.CLOSED, "no connection below")
    endpoint = ascent.cell.endpoint
    host, port = endpoint.connect or (endpoint.host, endpoint.port)
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    ascent.evidence["connect"] = authority
    fields = [("Host", authority)]
    if endpoint.proxy is not None and endpoint.proxy.basic is not None:
        fields.append(("Proxy-Authorization", basic(ascent, endpoint.proxy.basic)))
        ascent.evidence["credentials"] = "basic"
    try:
        with network_time(ascent):
            response, early = await _connect(ascent.stream, fields)
    except h11.RemoteProtocolError as error:
        raise Failed(Reason.PROXY_FAILED, f"not an HTTP answer: {error}") from error
    except (ConnectionResetError, BrokenPipeError) as error:
        raise Failed(Reason.CLOSED, "reset by the proxy") from error
    if response is None:
        raise Failed(Reason.CLOSED)
    ascent.evidence["status"] = response.status_code
    for name, value in response.headers:
        if name in _KEPT:
            ascent.evidence[name.decode("ascii")] = shown(ascent, value)
    if not 200 <= response.status_code < 300:
        raise Failed(reason_of(response.status_code), _why(ascent.evidence))
    if early:
        ascent.stream = _Early(ascent.stream, early)


async def _connect(
    stream: Stream, fields: list[tuple[str, str]]
) -> tuple[h11.InformationalResponse | h11.Response | None, bytes]:
    """The final response to CONNECT with `fields`, Host first, and the bytes of the tunnel that came with it; None if
    the proxy hung up."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
    request = h11.Request(method="CONNECT", target=fields[0][1], headers=fields)
    head = connection.send(request) or b""
    await stream.send(head + (connection.send(h11.EndOfMessage()) or b""))
    received = b""
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Response):
            return event, connection.trailing_data[0]
        if event is h11.NEED_DATA:
            data = await stream.receive()
            received += data
            if not data:
                return None, b""
            if received[:5] != b"HTTP/"[: len(received)]:
                raise h11.RemoteProtocolError("the answer does not begin with HTTP/")
            if len(received) > MAX_HEAD:
                raise h11.RemoteProtocolError("the answer's header never ends")
            connection.receive_data(data)


def reason_of(status: int) -> Reason:
    """407 asks for credentials; 5xx says the proxy tried and failed (RFC 9110 section 15.6); the rest is a refusal."""
    if status == 407:
        return Reason.PROXY_AUTH
    return Reason.PROXY_FAILED if status >= 500 else Reason.PROXY_REFUSED


#: RFC 9209 section 2.3: `error=TYPE`, of the proxies on the way the last one that names an error.
_PROXY_ERROR: Final = re.compile(r";\s*error=\"?([a-z_]{1,40})")
#: squid: the name of its page, and the errno of what it tried.
_SQUID_ERROR: Final = re.compile(r"ERR_([A-Z0-9_]{1,40})(?: (\d{1,3}))?")


def _why(evidence: Evidence) -> str:
    """What the proxy says went wrong, in its own words made plain; empty where it says nothing."""
    if errors := _PROXY_ERROR.findall(evidence.get("proxy-status", "")):
        return str(errors[-1]).replace("_", " ")
    if (squid := _SQUID_ERROR.match(evidence.get("x-squid-error", ""))) is None:
        return ""
    name, number = squid[1].replace("_", " ").lower(), int(squid[2] or 0)
    return f"{name} ({os.strerror(number)})" if number else name


class _Early:
    """A stream whose first bytes were read already: what the far end said before we did."""

    __slots__ = ("_below", "_early")

    def __init__(self, below: Stream, early: bytes) -> None:
        self._below = below
        self._early = early

    @property
    def times(self) -> Times | None:
        """Those of the stream below."""
        return times_of(self._below)

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """See Stream.receive."""
        if self._early:
            data, self._early = self._early[:max_bytes], self._early[max_bytes:]
            return data
        return await self._below.receive(max_bytes)

    async def send(self, data: bytes) -> None:
        """See Stream.send."""
        await self._below.send(data)

    def close(self) -> None:
        """See Stream.close."""
        self._below.close()
