"""DNS over TLS (RFC 7858) and over HTTPS (RFC 8484): the other rungs, climbed inside the dns rung.

What breaks below the question becomes a reason of dns; the true cause, and what the rungs saw, stay as evidence.
"""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import replace
from time import perf_counter
from typing import Final

from prober.layers.base import Ascent, Failed, Rung
from prober.layers.http.rung import authority, compose, exchange
from prober.layers.tcp.rung import connect
from prober.layers.tls.rung import handshake
from prober.model import Cell, Endpoint, Evidence
from prober.options import HttpOptions
from prober.reasons import OURS, Kind, Layer, Reason
from prober.wire.dns.exchange import ChannelFailed
from prober.wire.dns.resolvconf import Server
from prober.wire.http import Call
from prober.wire.stamps import Span
from prober.wire.stream import Stream
from prober.wire.tls.stream import TlsAlert

MEDIA_TYPE: Final = "application/dns-message"
_STREAMS: Final = ((Layer.TCP, connect), (Layer.TLS, handshake))
#: What a failure of a layer below makes of the question: without a channel nobody is reached; who breaks one off, or
#: answers with an error, fails; who says what is no DNS message is malformed.
REASONS: Final[Mapping[Layer, tuple[Reason, Mapping[Reason, Reason]]]] = {
    Layer.TCP: (Reason.UNREACHABLE, {Reason.TIMEOUT: Reason.TIMEOUT}),
    Layer.TLS: (Reason.UNREACHABLE, {Reason.TIMEOUT: Reason.TIMEOUT}),
    Layer.HTTP: (
        Reason.SERVER_FAILURE,
        {
            Reason.TIMEOUT: Reason.TIMEOUT,
            Reason.CLIENT_CERTIFICATE: Reason.UNREACHABLE,
            Reason.PROTOCOL: Reason.MALFORMED,
            Reason.VERSION: Reason.MALFORMED,
            Reason.HEADER: Reason.MALFORMED,
            Reason.BODY: Reason.MALFORMED,
        },
    ),
}


class EncryptedChannel:
    """The channel of one dns rung (`prober.wire.dns.exchange.Channel`), whose evidence it writes."""

    def __init__(self, ascent: Ascent) -> None:
        self._ascent = ascent
        self._took = Span(0.0, kernel=True)

    async def open(self, server: Server) -> tuple[Stream, Span]:
        """See Channel.open."""
        inner = await self._connected(server)
        if inner.stream is None:
            raise Failed(Reason.INTERNAL, "no open connection")
        return inner.stream, self._took

    async def ask(self, server: Server, message: bytes) -> tuple[bytes, Span]:
        """See Channel.ask: one POST or GET."""
        inner = await self._connected(server)
        body = bytearray()

        async def request(inner: Ascent) -> None:
            body.extend(await _request(inner, self._ascent.cell, message))

        try:
            await self._climb(inner, Layer.HTTP, request)
        finally:
            inner.close()
        return bytes(body), self._took

    def broken(self, error: OSError) -> ChannelFailed | None:
        """See Channel.broken: a server that wants a client certificate can say so only after the handshake."""
        if not isinstance(error, TlsAlert):
            return None
        reason = Reason.CLIENT_CERTIFICATE if error.client_certificate else Reason.CLOSED
        return self._failed(Layer.TLS, reason, f"alert: {error.alert}")

    async def _connected(self, server: Server) -> Ascent:
        """An ascent of its own, up to TLS."""
        inner = Ascent(inner_cell(self._ascent.cell, server), self._ascent.kit)
        inner.hidden = self._ascent.hidden
        inner.address, inner.port = server.address, server.port
        self._took = Span(0.0, kernel=True)
        try:
            for layer, rung in _STREAMS:
                await self._climb(inner, layer, rung)
        except BaseException:
            inner.close()
            raise
        return inner

    async def _climb(self, inner: Ascent, layer: Layer, rung: Rung) -> None:
        """Climb one rung, with its evidence, its time and, if it fails, its reason kept."""
        inner.begin_rung()
        began = perf_counter()
        try:
            await rung(inner)
        except Failed as failure:
            self._pass(inner, perf_counter() - began)
            if failure.reason in OURS:
                raise
            raise self._failed(layer, failure.reason, failure.detail) from failure
        except asyncio.CancelledError:
            self._ascent.evidence["cause"] = {"layer": str(layer), "reason": str(Reason.TIMEOUT)}
            raise
        finally:
            if layer is not Layer.TCP:
                self._ascent.evidence[str(layer)] = inner.evidence
        self._pass(inner, perf_counter() - began)
        # the handshake has held, but we have none to show, and are the one who wants to speak
        if layer is Layer.TLS and inner.evidence.get("client_certificate", {}).get("answer") == "refused":
            raise self._failed(layer, Reason.CLIENT_CERTIFICATE, "")

    def _pass(self, inner: Ascent, whole: float) -> None:
        """Add the time of a rung that has ended: the network's where it knows it."""
        seconds, kernel = self._took
        own = whole if inner.seconds is None else min(inner.seconds, whole)
        self._took = Span(seconds + own, kernel and inner.seconds is not None and inner.clock == "kernel")

    def _failed(self, layer: Layer, reason: Reason, detail: str) -> ChannelFailed:
        cause: Evidence = {"layer": str(layer), "reason": str(reason)}
        if detail:
            cause["detail"] = detail
        self._ascent.evidence["cause"] = cause
        otherwise, known = REASONS[layer]
        told = f"{layer} {reason}" + (f": {detail}" if detail else "")
        return ChannelFailed(known.get(reason, otherwise), told, self._took)


def inner_cell(cell: Cell, server: Server) -> Cell:
    """The cell that the rungs below the question climb: the server's address, the name that the probe expects there."""
    options = cell.options
    name = options.tls.server_name or server.address
    if options.dns.transport == "tls":
        return replace(cell, kind=Kind.TLS, endpoint=Endpoint("tls", name, server.port))
    http = HttpOptions(version=options.dns.http_version)
    endpoint = Endpoint("https", name, server.port, options.dns.path)
    return replace(cell, kind=Kind.HTTP, endpoint=endpoint, options=options.model_copy(update={"http": http}))


async def _request(inner: Ascent, cell: Cell, message: bytes) -> bytes:
    """One request (RFC 8484 section 4.1), and the message in its answer."""
    options = cell.options.dns
    asked = {"accept": MEDIA_TYPE} | ({"content-type": MEDIA_TYPE} if options.method == "POST" else {})
    fields = compose(inner, asked)
    target, body = options.path, message
    if options.method == "GET":
        target, body = f"{target}?dns={urlsafe_b64encode(message).rstrip(b'=').decode('ascii')}", b""
    else:
        fields[b"content-length"] = b"%d" % len(body)
    call = Call(options.method, "https", authority(inner), target, list(fields.items()), body)
    record, overlong = await exchange(inner, call)
    if record.status is None or not 200 <= record.status < 300:
        raise Failed(Reason.STATUS, f"HTTP {record.status}")
    media = (record.value("content-type") or "").partition(";")[0].strip().lower()
    if media != MEDIA_TYPE:
        raise Failed(Reason.HEADER, f"content-type is {inner.evidence.get('content_type', 'not there')}")
    if overlong:
        raise Failed(Reason.BODY, "longer than a DNS message")
    return bytes(record.body)
