"""TLS on the server's side: contexts with the lab's certificates, and what a terminator does wrong when told to."""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Awaitable, Callable, Sequence

from prober.lab.certificates import CertificateFiles
from prober.lab.connection import Connection, TlsConnection
from prober.lab.switches import Switches

PROTOCOLS = ("h2", "http/1.1")


def make_context(
    certificates: CertificateFiles, names: Sequence[str], faults: frozenset[str] = frozenset(),
    alpn: Sequence[str] = PROTOCOLS,
) -> ssl.SSLContext:  # fmt: skip
    """A server context for `names` with every one of the `tls-…` faults in its certificate and its settings."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates.leaf(names, faults))
    if "tls-no-http2" in faults:
        alpn = [name for name in alpn if name != "h2"]
    if "tls-no-alpn" not in faults:
        context.set_alpn_protocols(list(alpn))
    if "tls-old-version" in faults:
        _only_tls_1_0(context)
    elif "tls-no-cipher" in faults:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")  # and the certificate is ECDSA: nobody can agree on it
    if "tls-client-certificate" in faults:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificates.ca_file)
    return context


def _only_tls_1_0(context: ssl.SSLContext) -> None:
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # OpenSSL 3 has no TLS 1.0 above level 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # deprecated it is: that is the fault
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1


class Terminator:
    """A TLS front whose certificate and behaviour follow the `tls-…` faults.

    `known` are the names it has routes for: a ClientHello with another one gets the alert unrecognized_name (RFC 6066
    section 3); one without SNI gets the default certificate. `speak` serves what comes after the handshake, `plain`
    what comes where TLS has been left out.
    """

    def __init__(
        self, switches: Switches, certificates: CertificateFiles, known: Sequence[str],
        speak: Callable[[TlsConnection], Awaitable[None]], plain: Callable[[Connection], Awaitable[None]],
    ) -> None:  # fmt: skip
        self._switches = switches
        self._certificates = certificates
        self._known = known
        self._speak = speak
        self._plain = plain
        self._contexts: dict[frozenset[str], ssl.SSLContext] = {}

    async def serve(self, connection: Connection) -> None:
        """Do the handshake (or what is switched on instead), then speak. OSError where the client gives up."""
        instead = self._switches.first("tls-plaintext", "tls-hang", "tls-reset", "tls-closed")
        if instead is not None:
            return await self._instead(instead, connection)
        tls = TlsConnection(connection, self._context())
        await tls.handshake()
        return await self._speak(tls)

    async def _instead(self, fault: str, connection: Connection) -> None:
        if fault == "tls-plaintext":
            return await self._plain(connection)
        if fault == "tls-hang":
            return await connection.drain()
        await connection.receive()  # the ClientHello
        return connection.reset() if fault == "tls-reset" else await connection.finish()

    def _context(self) -> ssl.SSLContext:
        faults = self._switches.among("tls-")
        if faults not in self._contexts:
            context = make_context(self._certificates, self._known, faults)
            context.sni_callback = self._check_name
            self._contexts[faults] = context
        return self._contexts[faults]

    def _check_name(self, _tls: object, name: str | None, _context: ssl.SSLContext) -> int | None:
        if name is None or (name.lower() in self._known and not self._switches.on("tls-unknown-sni")):
            return None
        return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
