"""Facts of a certificate chain as it was sent, and whether a leaf carries a name (RFC 9525). Cached by content."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtensionOID, NameOID
from service_identity import CertificateError, VerificationError
from service_identity.cryptography import verify_certificate_hostname, verify_certificate_ip_address

from prober.addresses import is_literal


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


@lru_cache(maxsize=4096)
def facts(certificate: x509.Certificate) -> CertificateFacts:
    """The facts of one certificate. Unparsable extensions count as absent."""
    return CertificateFacts(
        subject=short_name(certificate.subject),
        issuer=short_name(certificate.issuer),
        issuer_organization=_attribute(certificate.issuer, NameOID.ORGANIZATION_NAME),
        names=_names(certificate),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        self_issued=certificate.issuer == certificate.subject,
        names_issuer_url=_names_issuer_url(certificate),
    )


def short_name(name: x509.Name) -> str:
    """The common name, else the whole distinguished name (RFC 4514)."""
    return _attribute(name, NameOID.COMMON_NAME) or name.rfc4514_string()


def _attribute(name: x509.Name, oid: x509.ObjectIdentifier) -> str:
    found = name.get_attributes_for_oid(oid)
    return str(found[0].value) if found else ""


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    dns = extension.get_values_for_type(x509.DNSName)
    return (*dns, *(str(address) for address in extension.get_values_for_type(x509.IPAddress)))


def _names_issuer_url(certificate: x509.Certificate) -> bool:
    try:
        extension = certificate.extensions.get_extension_for_oid(ExtensionOID.AUTHORITY_INFORMATION_ACCESS)
    except (x509.ExtensionNotFound, ValueError):
        return False
    value = extension.value
    return isinstance(value, x509.AuthorityInformationAccess) and any(
        access.access_method == AuthorityInformationAccessOID.CA_ISSUERS for access in value
    )


@lru_cache(maxsize=4096)
def carries_name(certificate: x509.Certificate, name: str) -> bool:
    """Whether the certificate is for `name`, a DNS name or an address literal (RFC 9525 section 6)."""
    try:
        if is_literal(name):
            verify_certificate_ip_address(certificate, name)
        else:
            verify_certificate_hostname(certificate, name)
    except (VerificationError, CertificateError):
        return False
    return True


class SeenIssuers:
    """Intermediates that this process has seen in chains that verified: who they are is no longer a guess."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def learn(self, chain: Sequence[x509.Certificate]) -> None:
        """Remember the issuers in a chain that verified."""
        self._names.update(facts(certificate).subject for certificate in chain[1:])

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def close(self) -> None:
        """Forget them all."""
        self._names.clear()


_CALLED_INTERMEDIATE = re.compile(r"\b(intermediate|issuing|subordinate|sub[ -]?ca)\b", re.IGNORECASE)


def misses_intermediate(chain: Sequence[x509.Certificate], trusted: frozenset[str], seen: SeenIssuers) -> bool:
    """Whether an unknown issuer looks like an intermediate that the server should have sent.

    OpenSSL gives error 20 for both, and a lone leaf proves neither. It is called incomplete if its issuer is one that
    was seen before, or says where to fetch its certificate, or shares its organization with an authority that we
    trust, or is called an intermediate; else the authority itself is unknown.
    """
    if len(chain) != 1:
        return False
    leaf = facts(chain[0])
    return not leaf.self_issued and (
        leaf.issuer in seen
        or leaf.names_issuer_url
        or leaf.issuer_organization in trusted
        or _CALLED_INTERMEDIATE.search(leaf.issuer) is not None
    )


@lru_cache(maxsize=64)
def trusted_organizations(bundle: Path | None, _stamp: int = 0) -> frozenset[str]:
    """Organizations of the authorities in a PEM bundle; none for the system's, whose leaves name their issuer's URL."""
    if bundle is None:
        return frozenset()
    certificates = x509.load_pem_x509_certificates(bundle.read_bytes())
    return frozenset(_attribute(c.subject, NameOID.ORGANIZATION_NAME) for c in certificates) - {""}
