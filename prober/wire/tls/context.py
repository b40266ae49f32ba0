"""The TLS contexts of the process: one per (trust, versions, ciphers, ALPN, client certificate), made on first use.

A context is never changed once it has been used. Its callbacks judge nothing and let every handshake go on, so that one
tells all.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from OpenSSL import SSL

from prober.wire.tls.openssl import collect, set_groups

VERSIONS = {
    "1.0": SSL.TLS1_VERSION,
    "1.1": SSL.TLS1_1_VERSION,
    "1.2": SSL.TLS1_2_VERSION,
    "1.3": SSL.TLS1_3_VERSION,
}
#: What is offered where nothing is asked for: OpenSSL's own groups without the hybrids with ML-KEM (their key pair is a
#: tenth of the CPU of a whole probe, and thrown away wherever the server does not take it), and its suites with the one
#: first whose hash is the cheapest.
GROUPS = ("X25519", "P-256", "X448", "P-384", "P-521", "ffdhe2048", "ffdhe3072")
CIPHERSUITES = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
#: Parts of the names of ciphers without encryption, or without authentication: offered at security level 0 alone.
_WEAK = ("NULL", "ADH-", "AECDH-")


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """What makes two contexts different. Versions are keys of `VERSIONS`; `ca_file` None trusts the system's bundle.

    `ciphers` (TLS 1.2 and below), `ciphersuites` (1.3) and `groups` are OpenSSL's names; empty stands for its ciphers,
    `CIPHERSUITES` and `GROUPS`.
    """

    ca_file: Path | None = None
    alpn: tuple[str, ...] = ()
    min_version: str = "1.2"
    max_version: str = "1.3"
    certificate_file: Path | None = None
    key_file: Path | None = None
    ciphers: tuple[str, ...] = ()
    ciphersuites: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


class Contexts:
    """The contexts of the process, made on first use; a changed file (CA, certificate, key) makes a new one."""

    def __init__(self) -> None:
        self._contexts: dict[TlsSettings, tuple[tuple[int, ...], SSL.Context]] = {}

    def get(self, settings: TlsSettings) -> SSL.Context:
        """The context for `settings`. OSError where a file cannot be read or does not hold what it should, or where
        this OpenSSL does not know a cipher, suite or group."""
        stamp = tuple(
            path.stat().st_mtime_ns
            for path in (settings.ca_file, settings.certificate_file, settings.key_file)
            if path is not None
        )
        kept = self._contexts.get(settings)
        if kept is None or kept[0] != stamp:
            try:
                kept = self._contexts[settings] = (stamp, _make_context(settings))
            except SSL.Error as error:
                raise OSError("; ".join(words_of(error)) or "no certificate or key found") from error
        return kept[1]

    def close(self) -> None:
        """Forget them all."""
        self._contexts.clear()


def _make_context(settings: TlsSettings) -> SSL.Context:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(VERSIONS[settings.min_version])
    context.set_max_proto_version(VERSIONS[settings.max_version])
    _limit(context, settings)
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_IGNORE_UNEXPECTED_EOF)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    collect(context)
    if settings.ca_file is None:
        context.set_default_verify_paths()
    else:
        _load(context.load_verify_locations, settings.ca_file)
    if settings.alpn:
        context.set_alpn_protos([name.encode("ascii") for name in settings.alpn])
    if settings.certificate_file is not None:
        _load(context.use_certificate_chain_file, settings.certificate_file)
        _load(context.use_privatekey_file, settings.key_file or settings.certificate_file)
        context.check_privatekey()
    return context


def _load(use: Callable[[str], object], file: Path) -> None:
    """Have `file` used. OSError names the one that does not hold what it should."""
    try:
        use(os.fspath(file))
    except SSL.Error as error:
        raise OSError(f"{file}: {'; '.join(words_of(error)) or 'no certificate or key found'}") from error


def _limit(context: SSL.Context, settings: TlsSettings) -> None:
    """Ciphers, suites and groups. OSError names the list that OpenSSL does not take."""
    ciphers = settings.ciphers
    weak = any(part in name for name in ciphers for part in _WEAK)
    if weak or settings.min_version in ("1.0", "1.1"):
        ciphers = (*(ciphers or ("DEFAULT",)), "@SECLEVEL=0")  # old signatures use SHA-1: refused above level 0
    for name, given, use in (
        ("ciphers", ciphers, context.set_cipher_list),
        ("ciphersuites", settings.ciphersuites or CIPHERSUITES, context.set_tls13_ciphersuites),
        ("groups", settings.groups or GROUPS, lambda names: set_groups(context, names)),
    ):
        if given:
            try:
                use(":".join(given).encode("ascii", "replace"))
            except SSL.Error as error:
                raise OSError(f"tls.{name}: OpenSSL takes none of {', '.join(given)}") from error


def words_of(error: Exception) -> tuple[str, ...]:
    """OpenSSL's reason strings of an error, without library and function names."""
    entries = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return tuple(str(entry[2]) for entry in entries if len(entry) > 2 and entry[2])
