"""WebSocket on the http rung: the handshake of RFC 6455 section 4.1, then an idle hold that nobody may cut."""

from __future__ import annotations

from typing import Final

from prober.layers.base import Ascent, Failed
from prober.layers.http.judge import complaint
from prober.layers.http.rung import asked_fields, authority, broken_off, compose, exchange, judge
from prober.options import WebSocketOptions
from prober.reasons import Reason
from prober.wire.http import Call, HttpBroken, Record
from prober.wire.http.websocket import WebSocket, generate_accept_token, generate_nonce

SWITCHED: Final = frozenset({101})


async def upgrade(ascent: Ascent, asked: WebSocketOptions) -> None:
    """Ask for the switch of protocols, hold the answer against `expect:`, and hold the connection open.

    The layer's time is the handshake's.
    """
    if ascent.alpn == "h2":
        raise Failed(Reason.VERSION, "ALPN chose h2, and the handshake is one of HTTP/1.1")
    cell, nonce = ascent.cell, generate_nonce()
    fields = compose(ascent, asked_fields(ascent)) | {
        b"connection": b"Upgrade",
        b"upgrade": b"websocket",
        b"sec-websocket-version": b"13",
        b"sec-websocket-key": nonce,
    }
    if asked.subprotocol is not None:
        fields[b"sec-websocket-protocol"] = asked.subprotocol.encode("ascii")
    target = cell.endpoint.resource or "/"
    call = Call("GET", cell.endpoint.scheme, authority(ascent), target, list(fields.items()))
    record, overlong = await exchange(ascent, call)
    judge(ascent, record, complaint(cell.expect, record, good=SWITCHED, overlong=overlong))
    if record.status in SWITCHED:
        judge(ascent, record, refusal(record, nonce, asked.subprotocol))
        await _hold(ascent, record, asked.hold)


def refusal(record: Record, nonce: bytes, subprotocol: str | None) -> Failed | None:
    """What is wrong with a 101 (RFC 6455 section 4.1, what a client has to check); None where nothing is."""
    tokens = [token.strip().lower() for value in record.values("connection") for token in value.split(",")]
    if (record.value("upgrade") or "").lower() != "websocket" or "upgrade" not in tokens:
        return Failed(Reason.PROTOCOL, "101 without Upgrade: websocket and Connection: Upgrade")
    if record.value("sec-websocket-accept") != generate_accept_token(nonce).decode("ascii"):
        return Failed(Reason.PROTOCOL, "Sec-WebSocket-Accept is not the answer to our key")
    if record.value("sec-websocket-extensions"):
        return Failed(Reason.PROTOCOL, "an extension that we did not offer")
    chosen = record.value("sec-websocket-protocol")
    if chosen != subprotocol:
        wanted = f"expected {subprotocol}" if subprotocol else "none was offered"
        return Failed(Reason.HEADER, f"Sec-WebSocket-Protocol is {chosen or 'missing'}, {wanted}")
    return None


async def _hold(ascent: Ascent, record: Record, seconds: float) -> None:
    """Keep the connection open for `seconds`. Raises Failed for whatever ends it before."""
    if ascent.stream is None:
        raise Failed(Reason.INTERNAL, "no open connection")
    socket = WebSocket(ascent.stream, record.rest, ascent.cell.options.http.max_body)
    try:
        await socket.hold(seconds)
    except HttpBroken as broken:
        raise broken_off(ascent, broken) from broken
    finally:
        evidence = ascent.evidence
        evidence["held_seconds"] = round(socket.held, 3)
        evidence.update({name: n for name, n in (("pings", socket.pings), ("messages", socket.messages)) if n})
        if record.seconds is not None:
            ascent.took(record.seconds, kernel=record.kernel, waited=record.seconds + socket.held)
    await socket.close()
