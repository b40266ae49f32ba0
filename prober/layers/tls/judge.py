"""What counts against the chain, the name and the staple that a server showed: every error, and which is the reason."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from prober.layers.base import Ascent, Failed
from prober.reasons import Reason
from prober.wire.tls.certificates import Link
from prober.wire.tls.context import TlsSettings
from prober.wire.tls.issuers import SeenIssuers, issuer_of, misses_intermediate, trusted_organizations
from prober.wire.tls.links import Links
from prober.wire.tls.ocsp import Staple, read_staple
from prober.wire.tls.openssl import VerifyError, system_bundle
from prober.wire.tls.stream import TlsStream

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
    Reason.NO_STAPLE,
    Reason.HANDSHAKE,
)


def judge(ascent: Ascent, stream: TlsStream, chain: Sequence[Link], settings: TlsSettings, name: str) -> None:
    """Raise Failed for the first of `PRIORITY` that is wrong; all that is wrong is evidence."""
    tls, seen = ascent.cell.options.tls, ascent.kit.get(SeenIssuers)
    complaints = {_reason_of(error, chain, settings, seen) for error in stream.verify_errors}
    if not complaints:
        seen.learn(chain)
    if chain and not chain[0].carries(name):
        complaints.add(Reason.NAME_MISMATCH)
    staple = stream.staple if tls.staple != "never" else b""
    if staple or tls.staple == "required" or (chain and chain[0].facts.must_staple):
        complaints |= _judge_staple(ascent, stream, chain, staple)
    if complaints:
        ascent.evidence["errors"] = [reason.value for reason in PRIORITY if reason in complaints]
        if tls.verify:
            raise Failed(next(reason for reason in PRIORITY if reason in complaints))
    if tls.min_days_left is not None and chain:
        _judge_days_left(tls.min_days_left, chain)


def _reason_of(error: VerifyError, chain: Sequence[Link], settings: TlsSettings, seen: SeenIssuers) -> Reason:
    if error.number in _UNKNOWN_ISSUER:
        trusted: frozenset[str] = frozenset()
        bundle = settings.ca_file or system_bundle()
        if bundle is not None:
            with contextlib.suppress(OSError, ValueError):  # the bundle changed under us: trust nobody's word
                trusted = trusted_organizations(bundle)
        return Reason.INCOMPLETE_CHAIN if misses_intermediate(chain, trusted, seen) else Reason.UNKNOWN_AUTHORITY
    return VERIFY_REASONS.get(error.number, Reason.HANDSHAKE)


def _judge_staple(ascent: Ascent, stream: TlsStream, chain: Sequence[Link], der: bytes) -> set[Reason]:
    """Put down the OCSP staple, or its lack; what it says against the certificate, as far as it can be believed."""
    required = ascent.cell.options.tls.staple == "required"
    if not der or not chain:
        ascent.evidence["ocsp"] = {"error": "the server staples none"}
        return {Reason.NO_STAPLE} if required else set()
    links = ascent.kit.get(Links)
    issuer = issuer_of(chain[0], chain) or issuer_of(chain[0], links.verified(stream.connection))
    staple = read_staple(der, chain[0].certificate, None if issuer is None else issuer.certificate)
    complaint = staple.complaint(datetime.now(UTC))
    ascent.evidence["ocsp"] = _told(staple) | ({"error": complaint} if complaint else {})
    if not complaint and staple.status == "revoked":
        return {Reason.REVOKED}
    return {Reason.NO_STAPLE} if required and (complaint or staple.status != "good") else set()


def _told(staple: Staple) -> dict[str, Any]:
    times = {"this_update": staple.this_update, "next_update": staple.next_update, "revoked_at": staple.revoked_at}
    texts = {"status": staple.status, "reason": staple.reason, "responder": staple.responder}
    return {key: text for key, text in texts.items() if text} | {
        key: time.isoformat() for key, time in times.items() if time is not None
    }


def _judge_days_left(least: int, chain: Sequence[Link]) -> None:
    """The certificate of the chain that ends first has to be valid for so many days yet."""
    ends = min(link.facts.not_after for link in chain)
    left = (ends - datetime.now(UTC)).total_seconds() / 86400
    if left < 0:
        raise Failed(Reason.EXPIRED)
    if left < least:
        raise Failed(Reason.EXPIRES_SOON, f"{left:.1f} days are left, at least {least} are asked for")
