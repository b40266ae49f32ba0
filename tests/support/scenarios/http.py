"""HTTP servers, 1.1 and 2, that break off, misbehave, or answer what is not expected."""

from __future__ import annotations

from functools import partial
from typing import Any

from h2.errors import ErrorCodes

from prober.lab.tls import make_context
from prober.reasons import Kind, Layer, Reason
from tests.support.http import Handler, Http2Peer, Peer, frame, response, says, serving, speaks_http2
from tests.support.scenarios import ENOUGH, NAME, SHORT, Place, Shown, add, shows
from tests.support.scenarios.servers import listening
from tests.support.scenarios.tls import speaks


async def _resets(peer: Peer) -> None:
    await peer.read_head()
    peer.reset()


async def _silent(peer: Peer) -> None:
    await peer.reader.read()


@speaks_http2
async def _goes_away(side: Http2Peer) -> None:
    await side.peer.send(frame(7, bytes(4) + int(ErrorCodes.ENHANCE_YOUR_CALM).to_bytes(4)))
    await side.peer.reader.read()


@speaks_http2
async def _resets_the_stream(side: Http2Peer) -> None:
    side.connection.reset_stream(1, ErrorCodes.REFUSED_STREAM)
    await side.flush()
    await side.peer.reader.read()


#: reason → server, HTTP version, expectation.
SERVERS: dict[Reason, tuple[Handler, str, dict[str, Any]]] = {
    Reason.STATUS: (says(response("503 Service Unavailable")), "1.1", {}),
    Reason.TIMEOUT: (_silent, "1.1", {}),
    Reason.RESET: (_resets, "1.1", {}),
    Reason.CLOSED: (says(), "1.1", {}),
    Reason.GOAWAY: (_goes_away, "2", {}),
    Reason.STREAM_RESET: (_resets_the_stream, "2", {}),
    Reason.PROTOCOL: (says(b"220 mail.example.com ESMTP\r\n"), "1.1", {}),
    Reason.VERSION: (says(response()), "1.1", {"http_version": "2"}),
    Reason.REDIRECT: (says(response("302 Found", b"", "Location: /login")), "1.1", {"status": [200]}),
    Reason.HEADER: (says(response()), "1.1", {"headers": {"x-version": "^3"}}),
    Reason.BODY: (says(response()), "1.1", {"body_contains": "welcome"}),
}


async def _requested(place: Place, handler: Handler, version: str, expect: dict[str, Any]) -> Shown:
    async with serving(handler, place.family) as server:
        timeout = SHORT if handler is _silent else ENOUGH
        options = {"http": {"version": version}}
        return await place.climb(
            place.cell(Kind.HTTP, "http", server.port, timeout=timeout, expect=expect, options=options)
        )


for _reason, (_handler, _version, _expect) in SERVERS.items():
    add(Layer.HTTP, _reason, partial(_requested, handler=_handler, version=_version, expect=_expect))


@shows(Layer.HTTP, Reason.CLIENT_CERTIFICATE)
async def a_client_certificate_that_tls_1_3_asks_for(place: Place) -> Shown:
    """It can say so only after the handshake."""
    context = make_context(place.files, [NAME], frozenset({"tls-client-certificate"}))
    async with listening(place.family, speaks(context)) as port:
        return await place.climb(place.cell(Kind.HTTP, "https", port))
