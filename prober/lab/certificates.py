"""The lab's certificates, made at start: two authorities, an intermediate each, and leaves with every defect.

ECDSA P-256 throughout, because it is made in a millisecond. Nothing here is trusted by anybody but the lab's clients.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Signed:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        """The certificate alone."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The private key, PKCS #8, unencrypted."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _sign(
    common_name: str,
    issuer: Signed | None,
    extensions: Sequence[tuple[x509.ExtensionType, bool]],
    valid: tuple[timedelta, timedelta] = (-_DAY, 30 * _DAY),
) -> Signed:
    """A new key and its certificate by `issuer` (by itself where None), valid from and until these offsets from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    signer = issuer.key if issuer else key
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + valid[0])
        .not_valid_after(now + valid[1])
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return Signed(builder.sign(signer, SHA256()), key)


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


class Authority:
    """A root, an intermediate, and one that expired a day ago."""

    def __init__(self, name: str) -> None:
        self.root = _sign(f"{name} root", None, self._ca(path_length=1))
        self.intermediate = _sign(f"{name} intermediate", self.root, self._ca(path_length=0))
        self.old = _sign(f"{name} old intermediate", self.root, self._ca(path_length=0), (-30 * _DAY, -_DAY))

    @staticmethod
    def _ca(path_length: int) -> list[tuple[x509.ExtensionType, bool]]:
        return [(x509.BasicConstraints(ca=True, path_length=path_length), True), (_usage(ca=True), True)]


def _alternative_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def make_leaf(
    names: Sequence[str], trusted: Authority, stranger: Authority, defects: Collection[str] = ()
) -> tuple[Signed, bytes]:
    """A server's leaf for `names`, and the chain to send after it (PEM), with every one of the `defects` at once.

    Defects are the `tls-…` faults that concern the certificate; others are ignored.
    """
    authority = stranger if "tls-unknown-ca" in defects else trusted
    issuer = authority.old if "tls-expired-intermediate" in defects else authority.intermediate
    chain = b"" if "tls-incomplete-chain" in defects else issuer.pem
    valid = (-_DAY, 30 * _DAY)
    if "tls-not-yet-valid" in defects:
        valid = (7 * _DAY, 30 * _DAY)
    if "tls-expired" in defects:
        valid = (-30 * _DAY, -_DAY)
    if "tls-wrong-name" in defects:
        names = ["other.example.net"]
    client = "tls-wrong-purpose" in defects
    purpose = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(ca=False), True),
        (x509.ExtendedKeyUsage([purpose]), False),
    ]
    if "tls-no-san" not in defects:
        extensions.append((x509.SubjectAlternativeName([_alternative_name(name) for name in names]), False))
    if "tls-self-signed" in defects:
        return _sign(names[0], None, extensions, valid), b""
    return _sign(names[0], issuer, extensions, valid), chain


class CertificateFiles:
    """The authorities, and leaves written as files into a private directory (TLS libraries read files)."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._written = 0
        self._trusted, self._stranger = Authority("prober lab"), Authority("stranger")
        self.issuer = self._trusted.intermediate
        self.ca_file = directory / "ca.crt"
        self.ca_file.write_bytes(self._trusted.root.pem)

    def leaf(self, names: Sequence[str], defects: Collection[str] = ()) -> tuple[Path, Path]:
        """Files of a new leaf: the chain as sent (leaf first), and its private key."""
        leaf, chain = make_leaf(names, self._trusted, self._stranger, defects)
        self._written += 1
        chain_file, key_file = (self._directory / f"leaf-{self._written}.{end}" for end in ("crt", "key"))
        chain_file.write_bytes(leaf.pem + chain)
        key_file.touch(mode=0o600)
        key_file.write_bytes(leaf.key_pem)
        return chain_file, key_file
