"""A TLS front that staples, as a revocation service would have it say, that its certificate is revoked (RFC 6066)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from OpenSSL import SSL

from prober.lab.certificates import CertificateFiles
from prober.lab.connection import Connection

_HOUR = timedelta(hours=1)
_CHUNK = 65536


def stapling_context(certificates: CertificateFiles, names: Sequence[str]) -> SSL.Context:
    """A context with a good certificate for `names` that has been revoked an hour ago."""
    chain, key = certificates.leaf(names)
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.use_certificate_chain_file(str(chain))
    context.use_privatekey_file(str(key))
    issuer, now = certificates.issuer, datetime.now(UTC)
    response = ocsp.OCSPResponseBuilder().add_response(
        cert=x509.load_pem_x509_certificate(chain.read_bytes()), issuer=issuer.certificate, algorithm=SHA256(),
        cert_status=ocsp.OCSPCertStatus.REVOKED, this_update=now - _HOUR, next_update=now + 24 * _HOUR,
        revocation_time=now - _HOUR, revocation_reason=x509.ReasonFlags.key_compromise,
    ).responder_id(ocsp.OCSPResponderEncoding.HASH, issuer.certificate)  # fmt: skip
    staple = response.sign(issuer.key, SHA256()).public_bytes(Encoding.DER)
    context.set_ocsp_server_callback(lambda _connection, _data: staple)
    context.set_alpn_select_callback(
        lambda _connection, offered: b"h2" if b"h2" in offered else SSL.NO_OVERLAPPING_PROTOCOLS
    )
    return context


async def shake_hands(connection: Connection, context: SSL.Context) -> None:
    """Do the handshake, then listen until the client leaves: nobody who has read the staple has anything to say."""
    tls = SSL.Connection(context, None)
    tls.set_accept_state()
    done = False
    while not done and (data := await connection.receive()):
        tls.bio_write(data)
        try:
            tls.do_handshake()
            done = True
        except SSL.WantReadError:
            pass
        except SSL.Error:  # the client's own alert
            break
        with suppress(SSL.WantReadError):
            await connection.send(tls.bio_read(_CHUNK))
    await connection.drain()
