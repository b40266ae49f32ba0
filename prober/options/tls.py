"""The block `tls:`, and the words that its lists may hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from prober.options.base import Options, Whole

Starttls = Literal["smtp", "lmtp", "imap", "pop3", "ftp", "postgres", "mysql", "ldap", "xmpp", "xmpp-server"]


class TlsOptions(Options):
    """`tls:` trust, name and limits of the handshake."""

    server_name: str | None = None
    """SNI and the name that the certificate must carry; default: the URL's host."""
    sni: bool = True
    """`false` leaves SNI out of the handshake: which certificate do clients without it get?"""
    starttls: Starttls | None = None
    """kind tls: the protocol in whose own words TLS is asked for before the handshake."""
    ca_file: Path | None = None
    """PEM bundle trusted instead of the system's."""
    verify: bool = True
    """`false` keeps every verification error as evidence and fails on none of them."""
    staple: Literal["ask", "required", "never"] = "ask"
    """OCSP response with the handshake (RFC 6066 section 8): `ask` takes what comes, `required` fails with `no_staple`
    without a valid one that says good, `never` does not ask."""
    min_days_left: Annotated[Whole, Field(ge=1, le=3650)] | None = None
    """Fails with `expires_soon` where a certificate of the chain ends in fewer days."""
    alpn: tuple[str, ...] = ()
    """Protocols offered, in order. Default: `h2` and/or `http/1.1` for http, `h2` for grpc, none for tls."""
    min_version: Literal["1.0", "1.1", "1.2", "1.3"] = "1.2"
    max_version: Literal["1.0", "1.1", "1.2", "1.3"] = "1.3"
    ciphers: tuple[str, ...] = ()
    """Cipher suites offered for TLS 1.2 and below, by OpenSSL's names. Default: OpenSSL's."""
    ciphersuites: tuple[str, ...] = ()
    """Cipher suites offered for TLS 1.3, in order."""
    groups: tuple[str, ...] = ()
    """Groups for the key exchange, in order (`X25519MLKEM768`, `P-256` …). Default: OpenSSL's but the hybrids."""
    certificate_file: Path | None = None
    """Client certificate chain, PEM."""
    key_file: Path | None = None
    """Its private key, PEM."""
