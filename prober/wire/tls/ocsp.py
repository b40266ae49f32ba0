"""What an OCSP response that a server staples says of its certificate, and whether it may be believed (RFC 6960).

Nothing is fetched: only what came with the handshake is read. Cached by content; what depends on the time of day is
left to the caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from prober.wire.tls.certificates import short_name

#: How far ahead of ours a responder's clock may be.
SKEW = timedelta(minutes=5)
#: Certificates in a response that are tried as its signer.
MAX_ENCLOSED = 4


@dataclass(frozen=True, slots=True)
class Staple:
    """One stapled answer. `error` says why it cannot be believed; times are aware datetimes in UTC."""

    status: str = ""
    """`good`, `revoked` or `unknown`; empty where there is no answer about the certificate."""
    error: str = ""
    responder: str = ""
    this_update: datetime | None = None
    next_update: datetime | None = None
    revoked_at: datetime | None = None
    reason: str = ""
    """Why it was revoked, in the words of RFC 5280 section 5.3.1."""
    signer_until: datetime | None = None
    """How long the certificate of whoever signed is valid."""

    def complaint(self, now: datetime) -> str:
        """Why it cannot be believed at `now`; empty where it can."""
        if self.error:
            return self.error
        if self.this_update is not None and self.this_update > now + SKEW:
            return "not valid yet"
        if self.next_update is not None and self.next_update < now:
            return "stale"
        if self.signer_until is not None and self.signer_until < now:
            return "signed with an expired certificate"
        return ""


@lru_cache(maxsize=1024)
def read_staple(der: bytes, leaf: x509.Certificate, issuer: x509.Certificate | None) -> Staple:
    """What the response in `der` says of `leaf`. `issuer` is whoever signed the leaf, None if that is not known."""
    try:
        response = ocsp.load_der_ocsp_response(der)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            return Staple(error=f"the responder says {response.response_status.name.lower().replace('_', ' ')}")
        return _read(response, leaf, issuer)
    except (ValueError, UnsupportedAlgorithm, x509.UnsupportedGeneralNameType) as error:
        return Staple(error=f"malformed: {error}"[:200])


def _read(response: ocsp.OCSPResponse, leaf: x509.Certificate, issuer: x509.Certificate | None) -> Staple:
    about = next((one for one in response.responses if one.serial_number == leaf.serial_number), None)
    responder = _responder(response)
    if about is None:
        return Staple(error="it is about another certificate", responder=responder)
    signer, error = _checked(response, about, leaf, issuer)
    revoked_for = about.revocation_reason
    return Staple(
        status=about.certificate_status.name.lower(),
        error=error,
        responder=responder,
        this_update=about.this_update_utc,
        next_update=about.next_update_utc,
        revoked_at=about.revocation_time_utc,
        reason="" if revoked_for is None else str(revoked_for.value),
        signer_until=None if signer is None else signer.not_valid_after_utc,
    )


def _responder(response: ocsp.OCSPResponse) -> str:
    """Who answered: a name, or the beginning of its key's hash."""
    if response.responder_name is not None:
        return short_name(response.responder_name)
    return f"key {(response.responder_key_hash or b'').hex()[:16]}"


def _checked(
    response: ocsp.OCSPResponse, about: ocsp.OCSPSingleResponse, leaf: x509.Certificate, issuer: x509.Certificate | None
) -> tuple[x509.Certificate | None, str]:
    """Whose key signed, and why the answer is not the issuer's word: empty if it is (RFC 6960 section 3.2)."""
    if issuer is None:
        return None, "the issuer's certificate is not there to check the signature with"
    asked = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, about.hash_algorithm).build()
    if (asked.issuer_key_hash, asked.issuer_name_hash) != (about.issuer_key_hash, about.issuer_name_hash):
        return None, "it is about a certificate of another issuer"
    for signer in (issuer, *response.certificates[:MAX_ENCLOSED]):
        if _signed_by(response, signer):
            allowed = signer == issuer or _is_delegate(signer, issuer)
            return signer, "" if allowed else "signed by a responder without the issuer's authority"
    return None, "its signature is wrong"


def _is_delegate(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the issuer made it to sign OCSP responses (RFC 6960 section 4.2.2.2)."""
    try:
        certificate.verify_directly_issued_by(issuer)
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return ExtendedKeyUsageOID.OCSP_SIGNING in usages


def _signed_by(response: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    key, algorithm = signer.public_key(), response.signature_hash_algorithm
    signature, signed = response.signature, response.tbs_response_bytes
    try:
        if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
            key.verify(signature, signed)
        elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm is not None:
            key.verify(signature, signed, ec.ECDSA(algorithm))
        elif isinstance(key, rsa.RSAPublicKey) and algorithm is not None:
            key.verify(signature, signed, padding.PKCS1v15(), algorithm)
        else:
            return False
    except InvalidSignature:
        return False
    return True
