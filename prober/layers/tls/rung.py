"""The tls rung: one handshake on the stream below. Held: it finished, the chain verified, the name and ALPN fit.

The handshake is finished first and judged afterwards, so every fact of the chain is evidence even when the
verification failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import perf_counter
from typing import Final

from prober.addresses import is_literal
from prober.layers.base import Ascent, Failed, network_time
from prober.layers.tls.judge import judge
from prober.layers.tls.record import record_chain, record_connection
from prober.model import Cell
from prober.options import TlsOptions
from prober.reasons import Kind, Reason
from prober.wire.stream import Stream, times_of
from prober.wire.tls.context import Contexts, TlsSettings
from prober.wire.tls.links import Links
from prober.wire.tls.starttls import DIALOGUES, StarttlsError
from prober.wire.tls.stream import TlsAlert, TlsError, TlsStream, is_client_certificate_alert

#: OpenSSL's words for a failed handshake → reason; the first row that is contained in a word wins.
WORDS: Final[tuple[tuple[str, Reason], ...]] = (
    ("not a TLS record", Reason.NOT_TLS),
    ("wrong version number", Reason.NOT_TLS),
    ("http request", Reason.NOT_TLS),
    ("packet length too long", Reason.NOT_TLS),
    ("unrecognized name", Reason.UNRECOGNIZED_NAME),
    ("no application protocol", Reason.NO_ALPN),
    ("alert protocol version", Reason.PROTOCOL_VERSION),
    ("unsupported protocol", Reason.PROTOCOL_VERSION),
    ("inappropriate fallback", Reason.PROTOCOL_VERSION),
    ("unsupported ssl version", Reason.PROTOCOL_VERSION),
)
#: Plans that are kept: one for each block `tls:` and host.
MAX_PLANS: Final = 16384
_Plan = tuple[TlsSettings, str, str | None]
#: What OpenSSL says before it has sent anything → what that means.
_OURS: Final[dict[tuple[str, ...], str]] = {
    ("no ciphers available",): "none of tls.ciphers belongs to a version between min_version and max_version",
    ("no protocols available",): "this OpenSSL has none of these TLS versions",
}
#: Seconds that a TLS 1.3 server gets at least to object to our client certificate, and how many of its handshake's.
PATIENCE: Final = 0.1
_HANDSHAKES: Final = 3


async def handshake(ascent: Ascent) -> None:
    """Upgrade the connection to TLS and judge what the server showed.

    The time is the server's and the wire's: from each flight of ours to the last segment of the server's (RFC 8446
    section 2), those of STARTTLS before it included. Our own cryptography is not in it.
    """
    if ascent.stream is None:
        raise Failed(Reason.CLOSED, "no connection below")
    cell, tls = ascent.cell, ascent.cell.options.tls
    settings, name, sni = ascent.kit.get(Plans).of(cell)
    try:
        context = ascent.kit.get(Contexts).get(settings)
    except OSError as error:
        raise Failed(Reason.INTERNAL, f"no TLS with these settings: {error}") from error
    stream = TlsStream(ascent.stream, context, sni, ask_staple=tls.staple != "never")
    ascent.evidence["server_name"] = name
    try:
        with network_time(ascent):
            if tls.starttls is not None:
                await _ask_for_tls(ascent, ascent.stream, name)
            await stream.handshake()
    except TlsError as error:
        ascent.evidence["openssl"] = list(error.words)
        raise Failed(failure_reason(error), _OURS.get(error.words, "")) from error
    except ConnectionResetError as error:
        raise Failed(Reason.RESET) from error
    except BrokenPipeError as error:
        raise Failed(Reason.CLOSED) from error
    ascent.stream, ascent.alpn = stream, stream.alpn
    _examine(ascent, stream, settings, name)
    if stream.seen.certificate_requested:
        await _hear(ascent, stream)


async def _ask_for_tls(ascent: Ascent, below: Stream, name: str) -> None:
    """The protocol's own words before TLS. What the server said last is evidence, also when it then says no more."""
    protocol = ascent.cell.options.tls.starttls or ""
    said: dict[str, object] = {"protocol": protocol}
    ascent.evidence["starttls"] = said
    began = perf_counter()
    try:
        await DIALOGUES[protocol](below, name, said)
    except StarttlsError as error:
        raise Failed(Reason.CLOSED if error.closed else Reason.NOT_TLS, str(error)) from error
    times = times_of(below)
    said["seconds"] = round(perf_counter() - began if times is None else times.network, 6)


def _examine(ascent: Ascent, stream: TlsStream, settings: TlsSettings, name: str) -> None:
    """Put down what the handshake showed, then judge it."""
    record_connection(ascent, stream)
    try:
        chain = ascent.kit.get(Links).sent(stream.connection)
    except ValueError as error:
        raise Failed(Reason.HANDSHAKE, f"a certificate of the chain can't be read: {error}") from error
    try:
        judge(ascent, stream, chain, settings, name)
    finally:
        record_chain(ascent, chain)
    demanded = _demanded(ascent.cell)
    if demanded and stream.alpn not in demanded:
        raise Failed(Reason.NO_ALPN, f"offered {', '.join(ascent.cell.alpn)}, the server chose {stream.alpn}")


#: What a server may do once it has seen our client certificate → why that is a failure.
_OBJECTIONS: Final[Mapping[str, tuple[Reason, str]]] = {
    "refused": (Reason.CLIENT_CERTIFICATE, ""),
    "alert": (Reason.HANDSHAKE, ""),
    "closed": (Reason.CLOSED, "the server asked for a client certificate, then hung up without a word"),
    "reset": (Reason.RESET, "the server asked for a client certificate, then reset the connection"),
}


async def _hear(ascent: Ascent, stream: TlsStream) -> None:
    """Wait for what a server that asked for a client certificate says to ours, or to none.

    Under TLS 1.3 it can say so only after the handshake (RFC 8446 section 4.4.2.4), and where nothing above this rung
    reads on this connection nobody would ever hear it. Silence is no objection. What is waited here is no latency.

    A certificate of ours that is refused fails the rung. Where we have none to show, the handshake has held: that the
    server lets nobody in without one is evidence here, and a failure of whatever speaks above.
    """
    evidence = ascent.evidence["client_certificate"]
    if ascent.evidence["version"] != "TLSv1.3" or ascent.cell.kind is not Kind.TLS:
        return
    began = perf_counter()
    try:
        async with asyncio.timeout(max(PATIENCE, _HANDSHAKES * (ascent.seconds or 0.0))):
            evidence["answer"] = "accepted" if await stream.hear() else "closed"
    except TimeoutError:
        evidence["answer"] = "none"
    except TlsAlert as alert:
        ascent.evidence["openssl"] = [alert.alert]
        evidence["answer"] = "refused" if alert.client_certificate else "alert"
    except ConnectionResetError:
        evidence["answer"] = "reset"
    finally:
        if ascent.waited is not None:
            ascent.waited += perf_counter() - began
    if (objection := _OBJECTIONS.get(evidence["answer"])) is not None:
        if evidence["sent"]:
            raise Failed(*objection)
        ascent.evidence["note"] = "the server lets nobody in without a client certificate, and there is none to show"


class Plans:
    """What the handshakes of like cells have in common, worked out once; a part of the kit."""

    def __init__(self) -> None:
        self._plans: dict[tuple[int, tuple[str, ...], str], tuple[TlsOptions, _Plan]] = {}

    def of(self, cell: Cell) -> _Plan:
        """The settings, the name to verify, and the one for SNI, None for none. Blocks are known by identity."""
        tls = cell.options.tls
        key = (id(tls), cell.alpn, cell.endpoint.host)
        known = self._plans.get(key)
        if known is not None and known[0] is tls and cell.kind is not Kind.KUBERNETES:  # its CA may be mounted later
            return known[1]
        name = name_of(cell)
        plan = settings_of(cell), name, name if tls.sni and not is_literal(name) else None
        if len(self._plans) >= MAX_PLANS:
            self._plans.clear()
        self._plans[key] = tls, plan
        return plan

    def close(self) -> None:
        """Forget them all."""
        self._plans.clear()


def settings_of(cell: Cell) -> TlsSettings:
    """The TLS settings of a cell: its `tls` block, the kind's ALPN, and the cluster's CA for kubernetes."""
    tls = cell.options.tls
    ca_file = tls.ca_file
    if ca_file is None and cell.kind is Kind.KUBERNETES and cell.options.kubernetes.ca_file.exists():
        ca_file = cell.options.kubernetes.ca_file
    return TlsSettings(ca_file, cell.alpn, tls.min_version, tls.max_version, tls.certificate_file, tls.key_file,
                       tls.ciphers, tls.ciphersuites, tls.groups)  # fmt: skip


def name_of(cell: Cell) -> str:
    """The name for SNI and verification: without a final dot (RFC 6066 section 3)."""
    return (cell.options.tls.server_name or cell.endpoint.host).rstrip(".")


def _demanded(cell: Cell) -> tuple[str, ...]:
    """Protocols of which the server has to choose one; empty: any answer will do."""
    if cell.kind is Kind.GRPC or (cell.kind is not Kind.TLS and cell.options.http.version == "2"):
        return ("h2",)
    return cell.options.tls.alpn


def failure_reason(error: TlsError) -> Reason:
    """The reason behind a handshake that did not finish."""
    if error.eof:
        return Reason.CLOSED
    if error.words in _OURS:
        return Reason.INTERNAL
    for words, reason in WORDS:
        if any(words in word for word in error.words):
            return reason
    if any(is_client_certificate_alert(word) for word in error.words):
        return Reason.CLIENT_CERTIFICATE
    if any("handshake failure" in word for word in error.words) and certificate_was_requested(error.first):
        return Reason.CLIENT_CERTIFICATE
    return Reason.HANDSHAKE


def certificate_was_requested(flight: bytes) -> bool:
    """Whether a TLS 1.2 first flight holds a CertificateRequest (RFC 5246 section 7.4.4): there it is sent in clear."""
    messages = b""
    while len(flight) >= 5 and flight[0] == 22:
        length = int.from_bytes(flight[3:5], "big")
        messages += flight[5 : 5 + length]
        flight = flight[5 + length :]
    while len(messages) >= 4:
        if messages[0] == 13:
            return True
        messages = messages[4 + int.from_bytes(messages[1:4], "big") :]
    return False
