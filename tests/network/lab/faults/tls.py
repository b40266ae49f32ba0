"""Faults of certificates, trust and TLS terminators: of web2's port 8443. TCP, gRPC and DNS know nothing of them."""

from __future__ import annotations

from prober.reasons import Layer, Reason
from tests.network.lab.faults.fault import Fault
from tests.network.lab.faults.served import served

R = Reason


def _tls(name: str, says: str, to_blame: str, reason: Reason, switch: str = "", signature: str = "++Xb+++") -> Fault:
    return Fault(
        name, says, to_blame, signature, {Layer.TLS: (reason,)}, served("web2", switch or name), per_family=False
    )


FAULTS = (
    _tls("tls-expired", "The certificate expired a day ago.", "certificate", R.EXPIRED),
    _tls("tls-not-yet-valid", "The certificate is valid from next week on.", "certificate, or a clock",
         R.NOT_YET_VALID),
    _tls("tls-san", "The certificate is for another name.", "certificate", R.NAME_MISMATCH, "tls-wrong-name"),
    _tls("tls-unknownca", "The certificate comes from a CA that is not in the bundle.", "trust",
         R.UNKNOWN_AUTHORITY, "tls-unknown-ca"),
    _tls("tls-self-signed", "The certificate is signed by itself: the terminator's default one.", "trust",
         R.SELF_SIGNED),
    _tls("tls-nointer", "The intermediate certificate is not sent.", "chain", R.INCOMPLETE_CHAIN,
         "tls-incomplete-chain"),
    _tls("tls-purpose", "The certificate is for clients, not for servers.", "certificate", R.WRONG_PURPOSE,
         "tls-wrong-purpose"),
    _tls("tls-no-alpn", "The terminator takes part in no ALPN: h2 is not offered.", "terminator", R.NO_ALPN),
    _tls("tls-h1-only", "The terminator offers http/1.1 alone.", "terminator", R.NO_ALPN, "tls-no-http2"),
    _tls("tls-tls10", "The terminator speaks TLS 1.0 only.", "terminator", R.PROTOCOL_VERSION, "tls-old-version"),
    _tls("tls-no-cipher", "Terminator and client share no cipher suite.", "terminator", R.HANDSHAKE),
    _tls("tls-sni-strict", "The terminator has no route for the name: alert unrecognized_name.", "SNI routing",
         R.UNRECOGNIZED_NAME, "tls-unknown-sni"),
    _tls("tls-plaintext", "Plain HTTP is spoken on the TLS port.", "port, protocol", R.NOT_TLS),
    _tls("tls-hang", "The ClientHello is never answered.", "terminator", R.TIMEOUT, signature="++Tb+++"),
    _tls("tls-reset", "The connection is reset during the handshake.", "terminator", R.RESET),
    _tls("tls-closed", "The connection is closed during the handshake.", "terminator", R.CLOSED),
    _tls("tls-expired-intermediate", "The intermediate certificate expired a day ago.", "certificate", R.EXPIRED),
    _tls("tls-no-san", "The certificate has its name in the subject alone.", "certificate", R.NAME_MISMATCH),
    _tls("tls-revoked", "The certificate is revoked, and the terminator staples just that.", "certificate", R.REVOKED),
    _tls("tls-half", "The server's first flight stops in the middle.", "terminator, or MTU", R.TIMEOUT,
         signature="++Tb+++"),
    _tls("tls-internal-error", "The ClientHello is answered with the alert internal_error.", "terminator",
         R.HANDSHAKE),
    _tls("tls-handshake-failure", "The ClientHello is answered with the alert handshake_failure.", "terminator",
         R.HANDSHAKE),
    _tls("tls-alpn-alert", "The terminator has none of the protocols: alert no_application_protocol.", "terminator",
         R.NO_ALPN, "tls-no-application-protocol"),
    _tls("tls-ssh", "An SSH server answers on the TLS port.", "port, protocol", R.NOT_TLS),
    _tls("tls-garbage", "The ClientHello is answered with what is no TLS.", "port, protocol", R.NOT_TLS),
    _tls("tls-mtls-tls12", "A client certificate is wanted under TLS 1.2.", "identity", R.CLIENT_CERTIFICATE),
    # TLS 1.3 refuses a client without a certificate by an alert that comes after the handshake (RFC 8446 section
    # 4.4.2.4): that has held, and who speaks above it is turned away. A tls probe hears the alert and tells of it.
    Fault("tls-mtls", "A client certificate is wanted, and the client has none.", "identity", "+++X+++",
          {Layer.HTTP: (R.CLIENT_CERTIFICATE,)}, served("web2", "tls-client-certificate"), per_family=False,
          note="The handshake holds under TLS 1.3, and the alert comes after it: `kind: tls` notes it in its evidence. "
               "Under TLS 1.2 the handshake itself fails; so does one with a certificate of ours that is refused."),
    Fault("tls-mtls-http", "A client certificate is asked for, and who has none is answered 400, as by nginx.",
          "identity", "+++X+++", {Layer.HTTP: (R.STATUS,)}, served("web2", "tls-mtls-asked"),
          note="Nobody objects to the handshake: only a request shows it."),
)  # fmt: skip
