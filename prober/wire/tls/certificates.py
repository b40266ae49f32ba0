"""Facts of a certificate as it was sent, and whether it carries a name (RFC 9525). Kept by content: one `Link` each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID
from service_identity import CertificateError, VerificationError
from service_identity.cryptography import verify_certificate_hostname, verify_certificate_ip_address

from prober.addresses import is_literal

#: Names whose answer one certificate remembers.
MAX_NAMES = 1000


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What people ask about a certificate. Times are aware datetimes in UTC."""

    subject: str
    issuer: str
    issuer_organization: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    self_issued: bool
    names_issuer_url: bool
    """It says where its issuer's certificate can be fetched (caIssuers, RFC 5280 section 4.2.2.1)."""
    key: str
    """Kind and size of its public key: `RSA 2048`, `EC secp256r1`, `Ed25519`."""
    signature: str
    """How its issuer signed it, in OpenSSL's words: `sha256WithRSAEncryption`."""
    key_id: str
    """Of its own key, and of its issuer's (RFC 5280 sections 4.2.1.1 and 4.2.1.2), hexadecimal; empty if not told."""
    issuer_key_id: str
    must_staple: bool
    """Its server has to staple an OCSP response (RFC 7633)."""
    timestamps: int
    """Signed certificate timestamps inside it (RFC 6962 section 3.3): logs that have seen it."""


@lru_cache(maxsize=4096)
def facts(certificate: x509.Certificate) -> CertificateFacts:
    """The facts of one certificate. Unparsable extensions count as absent."""
    return CertificateFacts(
        subject=short_name(certificate.subject),
        issuer=short_name(certificate.issuer),
        issuer_organization=attribute(certificate.issuer, NameOID.ORGANIZATION_NAME),
        names=_names(certificate),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        self_issued=certificate.issuer == certificate.subject,
        names_issuer_url=_names_issuer_url(certificate),
        key=_key(certificate),
        signature=_named(certificate.signature_algorithm_oid),
        key_id=_hex(_extension(certificate, x509.SubjectKeyIdentifier), "digest"),
        issuer_key_id=_hex(_extension(certificate, x509.AuthorityKeyIdentifier), "key_identifier"),
        must_staple=x509.TLSFeatureType.status_request in (_extension(certificate, x509.TLSFeature) or ()),
        timestamps=len(list(_extension(certificate, x509.PrecertificateSignedCertificateTimestamps) or ())),
    )


def short_name(name: x509.Name) -> str:
    """The common name, else the whole distinguished name (RFC 4514)."""
    return attribute(name, NameOID.COMMON_NAME) or name.rfc4514_string()


def attribute(name: x509.Name, oid: x509.ObjectIdentifier) -> str:
    """The first value of that attribute, empty where there is none."""
    found = name.get_attributes_for_oid(oid)
    return str(found[0].value) if found else ""


_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


def _extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    """The extension of that class; None where there is none, or none that can be read."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return None


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    extension = _extension(certificate, x509.SubjectAlternativeName)
    if extension is None:
        return ()
    dns = extension.get_values_for_type(x509.DNSName)
    return (*dns, *(str(address) for address in extension.get_values_for_type(x509.IPAddress)))


def _names_issuer_url(certificate: x509.Certificate) -> bool:
    extension = _extension(certificate, x509.AuthorityInformationAccess)
    return extension is not None and any(
        access.access_method == AuthorityInformationAccessOID.CA_ISSUERS for access in extension
    )


def _key(certificate: x509.Certificate) -> str:
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return _named(certificate.public_key_algorithm_oid)
    if isinstance(key, rsa.RSAPublicKey | dsa.DSAPublicKey):
        return f"{'RSA' if isinstance(key, rsa.RSAPublicKey) else 'DSA'} {key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    return type(key).__name__.removesuffix("PublicKey").lstrip("_")


def _named(oid: x509.ObjectIdentifier) -> str:
    return oid._name  # noqa: SLF001 - the one table of these names


def _hex(extension: object, field: str) -> str:
    value = getattr(extension, field, None)
    return value.hex() if isinstance(value, bytes) else ""


@lru_cache(maxsize=4096)
def carries_name(certificate: x509.Certificate, name: str) -> bool:
    """Whether the certificate is for `name`, a DNS name or an address literal (RFC 9525 section 6)."""
    try:
        if is_literal(name):
            verify_certificate_ip_address(certificate, name)
        else:
            verify_certificate_hostname(certificate, name)
    except (VerificationError, CertificateError, ValueError, x509.UnsupportedGeneralNameType):
        return False  # the last two: its names cannot be read
    return True


class Link:
    """One certificate of a chain, with all that is read off it: once for each content, so that a probe that meets it
    again at every run parses nothing. Compared by identity."""

    __slots__ = ("_carries", "certificate", "facts", "fingerprint")

    def __init__(self, certificate: x509.Certificate) -> None:
        self.certificate = certificate
        self.fingerprint = certificate.fingerprint(SHA256())
        """SHA-256 of its DER."""
        self.facts = facts(certificate)
        self._carries: dict[str, bool] = {}

    def carries(self, name: str) -> bool:
        """See `carries_name`."""
        found = self._carries.get(name)
        if found is None:
            found = carries_name(certificate=self.certificate, name=name)
            if len(self._carries) < MAX_NAMES:
                self._carries[name] = found
        return found
