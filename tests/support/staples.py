"""A server that staples OCSP responses, made as they are wanted: pyOpenSSL, since the standard library can't."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import SSL

from prober.reasons import Family
from tests.support.threaded import Talk, serve

NAME = "api.example.com"
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def shaking(context: SSL.Context) -> Talk:
    """A server's part of a handshake with `context`, which then waits for the client to go."""

    def talk(sock: socket.socket) -> None:
        sock.settimeout(None)
        connection = SSL.Connection(context, sock)
        connection.set_accept_state()
        with contextlib.suppress(SSL.Error):
            connection.do_handshake()
            connection.recv(1)

    return talk


class Party:
    """A key and its certificate, by `issuer` or by itself."""

    def __init__(
        self, name: str, issuer: Party | None = None, *extensions: x509.ExtensionType, key: Key | None = None,
        days: tuple[int, int] = (-2, 30), organization: str | None = None,
    ) -> None:  # fmt: skip
        self.key: Key = key or ec.generate_private_key(ec.SECP256R1())
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
        if organization is not None:
            attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
        subject = x509.Name(attributes)
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(
            issuer.certificate.subject if issuer else subject, subject, self.key.public_key(),
            x509.random_serial_number(), now + days[0] * DAY, now + days[1] * DAY,
        )  # fmt: skip
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        self.certificate = builder.sign(issuer.key if issuer else self.key, _hash(issuer.key if issuer else self.key))

    @property
    def pem(self) -> bytes:
        """The certificate, then the key."""
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return self.certificate.public_bytes(Encoding.PEM) + key


def _hash(key: Key) -> SHA256 | None:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else SHA256()


class Staples:
    """An authority (of an elliptic curve, or with the key given), a server's leaf, and responses about it."""

    def __init__(self, directory: Path, *extensions: x509.ExtensionType, key: Key | None = None) -> None:
        self.authority = Party("stapled authority", None, x509.BasicConstraints(True, 0), key=key)
        self.leaf = Party(NAME, self.authority, x509.SubjectAlternativeName([x509.DNSName(NAME)]), *extensions)
        self.ca_file, self.leaf_file = directory / "ca.pem", directory / "leaf.pem"
        self.ca_file.write_bytes(self.authority.certificate.public_bytes(Encoding.PEM))
        self.leaf_file.write_bytes(self.leaf.pem)

    def delegate(self, *usages: x509.ObjectIdentifier, days: tuple[int, int] = (-2, 30)) -> Party:
        """Whoever the authority lets do these things."""
        return Party("delegated responder", self.authority, x509.ExtendedKeyUsage(usages), days=days)

    def response(
        self, status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD, *, signer: Party | None = None,
        about: Party | None = None, issuer: Party | None = None, enclosed: Sequence[Party] = (),
        times: tuple[timedelta, timedelta | None] = (-HOUR, DAY), hashed: HashAlgorithm | None = None,
        reason: x509.ReasonFlags | None = x509.ReasonFlags.key_compromise, by_key: bool = False,
    ) -> bytes:  # fmt: skip
        """An OCSP response, good, of the authority about the leaf, fresh, unless it is told otherwise."""
        now, signer = datetime.now(UTC), signer or self.authority
        revoked = status is ocsp.OCSPCertStatus.REVOKED
        how = ocsp.OCSPResponderEncoding.HASH if by_key else ocsp.OCSPResponderEncoding.NAME
        builder = ocsp.OCSPResponseBuilder().add_response(
            (about or self.leaf).certificate, (issuer or self.authority).certificate, hashed or SHA1(), status,
            now + times[0], None if times[1] is None else now + times[1], now - DAY if revoked else None,
            reason if revoked else None,
        ).responder_id(how, signer.certificate)  # fmt: skip
        if enclosed:
            builder = builder.certificates([party.certificate for party in enclosed])
        return builder.sign(signer.key, _hash(signer.key)).public_bytes(Encoding.DER)

    @contextlib.contextmanager
    def serve(self, family: Family, staple: bytes) -> Iterator[int]:
        """A server of the leaf that staples `staple` for whoever asks; gives its port."""
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.use_certificate_file(str(self.leaf_file))
        context.use_privatekey_file(str(self.leaf_file))
        context.set_ocsp_server_callback(lambda _connection, _data: staple)

        with serve(family, shaking(context)) as port:
            yield port


DELEGATED = ExtendedKeyUsageOID.OCSP_SIGNING
