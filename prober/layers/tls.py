"""The tls rung: one handshake on the stream below. Held: it finished, the chain verified, the name and ALPN fit.

The handshake is finished first and judged afterwards, so every fact of the chain is evidence even when the
verification failed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from cryptography import x509

from prober.addresses import is_literal
from prober.layers.base import Ascent, Failed, network_time
from prober.model import Cell
from prober.reasons import Kind, Reason
from prober.wire.certificates import (
    SeenIssuers,
    carries_name,
    facts,
    misses_intermediate,
    trusted_organizations,
)
from prober.wire.tls import Contexts, TlsError, TlsSettings, TlsStream, VerifyError, is_client_certificate_alert

#: X509_V_ERR codes (openssl/x509_vfy.h) → reason; those of an unknown issuer are decided by the chain.
VERIFY_REASONS: Final[dict[int, Reason]] = {
    9: Reason.NOT_YET_VALID,
    10: Reason.EXPIRED,
    18: Reason.SELF_SIGNED,
    19: Reason.UNKNOWN_AUTHORITY,
    23: Reason.REVOKED,
    24: Reason.WRONG_PURPOSE,
    26: Reason.WRONG_PURPOSE,
    79: Reason.WRONG_PURPOSE,
}
_UNKNOWN_ISSUER: Final = frozenset({2, 20, 21, 27})
#: Of several complaints the first of these is the reason: trust before time before name.
PRIORITY: Final = (
    Reason.SELF_SIGNED,
    Reason.INCOMPLETE_CHAIN,
    Reason.UNKNOWN_AUTHORITY,
    Reason.REVOKED,
    Reason.EXPIRED,
    Reason.NOT_YET_VALID,
    Reason.WRONG_PURPOSE,
    Reason.NAME_MISMATCH,
    Reason.HANDSHAKE,
)
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


async def handshake(ascent: Ascent) -> None:
    """Upgrade the connection to TLS and judge what the server showed.

    The time is the server's and the wire's: from each flight of ours to the last segment of the server's (RFC 8446
    section 2). Our own cryptography is not in it.
    """
    if ascent.stream is None:
        raise Failed(Reason.CLOSED, "no connection below")
    cell = ascent.cell
    settings, name = settings_of(cell), name_of(cell)
    try:
        context = ascent.kit.get(Contexts).get(settings)
    except OSError as error:
        raise Failed(Reason.INTERNAL, f"trust or client certificate can't be read: {error}") from error
    stream = TlsStream(ascent.stream, context, None if is_literal(name) else name)
    ascent.evidence["server_name"] = name
    try:
        with network_time(ascent):
            await stream.handshake()
    except TlsError as error:
        ascent.evidence["openssl"] = list(error.words)
        raise Failed(failure_reason(error)) from error
    except ConnectionResetError as error:
        raise Failed(Reason.RESET) from error
    except BrokenPipeError as error:
        raise Failed(Reason.CLOSED) from error
    ascent.stream, ascent.alpn = stream, stream.alpn
    _judge(ascent, stream, settings, name)


def settings_of(cell: Cell) -> TlsSettings:
    """The TLS settings of a cell: its `tls` block, the kind's ALPN, and the cluster's CA for kubernetes."""
    tls = cell.options.tls
    ca_file = tls.ca_file
    if ca_file is None and cell.kind is Kind.KUBERNETES and cell.options.kubernetes.ca_file.exists():
        ca_file = cell.options.kubernetes.ca_file
    return TlsSettings(ca_file, cell.alpn, tls.min_version, tls.max_version, tls.certificate_file, tls.key_file)


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


def _judge(ascent: Ascent, stream: TlsStream, settings: TlsSettings, name: str) -> None:
    chain: Sequence[x509.Certificate] = stream.connection.get_peer_cert_chain(as_cryptography=True) or ()
    seen = ascent.kit.get(SeenIssuers)
    complaints = {_reason_of(error, chain, settings, seen) for error in stream.verify_errors}
    if not complaints:
        seen.learn(chain)
    if chain and not carries_name(chain[0], name):
        complaints.add(Reason.NAME_MISMATCH)
    _record(ascent, stream, chain)
    if complaints:
        ascent.evidence["errors"] = [reason.value for reason in PRIORITY if reason in complaints]
        if ascent.cell.options.tls.verify:
            raise Failed(next(reason for reason in PRIORITY if reason in complaints))
    demanded = _demanded(ascent.cell)
    if demanded and stream.alpn not in demanded:
        raise Failed(Reason.NO_ALPN, f"offered {', '.join(ascent.cell.alpn)}, the server chose {stream.alpn}")


def _reason_of(
    error: VerifyError, chain: Sequence[x509.Certificate], settings: TlsSettings, seen: SeenIssuers
) -> Reason:
    if error.number in _UNKNOWN_ISSUER:
        trusted: frozenset[str] = frozenset()
        if settings.ca_file is not None:
            with contextlib.suppress(OSError, ValueError):  # the bundle changed under us: trust nobody's word
                trusted = trusted_organizations(settings.ca_file, settings.ca_file.stat().st_mtime_ns)
        return Reason.INCOMPLETE_CHAIN if misses_intermediate(chain, trusted, seen) else Reason.UNKNOWN_AUTHORITY
    return VERIFY_REASONS.get(error.number, Reason.HANDSHAKE)


def _record(ascent: Ascent, stream: TlsStream, chain: Sequence[x509.Certificate]) -> None:
    """Put down the facts of the connection and of the chain as it was sent."""
    connection = stream.connection
    ascent.evidence.update(
        version=connection.get_protocol_version_name(),
        cipher=connection.get_cipher_name(),
        group=connection.get_group_name(),
        alpn=stream.alpn,
    )
    if not chain:
        return
    leaf = facts(chain[0])
    ascent.evidence.update(
        subject=leaf.subject,
        issuer=leaf.issuer,
        names=list(leaf.names[:20]),
        not_before=leaf.not_before.isoformat(),
        not_after=leaf.not_after.isoformat(),
        not_after_timestamp=min(facts(c).not_after for c in chain).timestamp(),
        days_left=round((leaf.not_after - datetime.now(UTC)).total_seconds() / 86400, 1),
        chain=[{"subject": facts(c).subject, "issuer": facts(c).issuer, "not_after": facts(c).not_after.isoformat()}
               for c in chain[:10]],
    )  # fmt: skip
