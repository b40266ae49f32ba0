"""What OpenSSL can do and pyOpenSSL has no method for: the one file that reaches below its surface.

Callbacks here run inside a handshake: they may not raise.
"""
# ruff: noqa: SLF001 - the binding is reached through the objects of pyOpenSSL, which keep it private

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from OpenSSL import SSL, crypto

_lib, _ffi = SSL._lib, SSL._ffi  # type: ignore[attr-defined]  # no types are given for the binding
_SHA1 = _lib.EVP_get_digestbyname(b"SHA1")
_digest = _ffi.new("unsigned char[]", 20)
_response = _ffi.new("unsigned char **")
_STORE_INDEX = _lib.SSL_get_ex_data_X509_STORE_CTX_idx()


@dataclass(frozen=True, slots=True)
class VerifyError:
    """One complaint of the verification: `number` is an X509_V_ERR code, `depth` 0 the leaf."""

    number: int
    depth: int


@dataclass(slots=True)
class Seen:
    """What the callbacks collect for one connection: it is the connection's app data."""

    errors: list[VerifyError] = field(default_factory=list)
    certificate_requested: bool = False
    """The server asked for a client certificate."""


def collect(context: SSL.Context) -> None:
    """Verify every chain, go on whatever is wrong with it, and keep what handshakes show in their `Seen`."""
    _lib.SSL_CTX_set_verify(context._context, SSL.VERIFY_PEER, _note_error)
    _lib.SSL_CTX_set_cert_cb(context._context, _note_request, _ffi.NULL)


@_ffi.callback("int (*)(int, X509_STORE_CTX *)")  # type: ignore[untyped-decorator]  # cffi has no types
def _note_error(held: int, store: Any) -> int:
    """The verify callback (SSL_CTX_set_verify(3)), called for every certificate of a chain and for every error.

    pyOpenSSL's own would wrap each certificate in objects that nobody looks at.
    """
    if not held:
        error = VerifyError(_lib.X509_STORE_CTX_get_error(store), _lib.X509_STORE_CTX_get_error_depth(store))
        _seen(_lib.X509_STORE_CTX_get_ex_data(store, _STORE_INDEX)).errors.append(error)
        _lib.X509_STORE_CTX_set_error(store, _lib.X509_V_OK)
    return 1


@_ffi.callback("int (*)(SSL *, void *)")  # type: ignore[untyped-decorator]  # cffi has no types
def _note_request(ssl: Any, _data: object) -> int:
    """The certificate callback, called when a server asks for one (SSL_CTX_set_cert_cb(3)): go on with what we have."""
    _seen(ssl).certificate_requested = True
    return 1


def _seen(ssl: Any) -> Seen:
    seen: Seen = SSL.Connection._reverse_mapping[ssl].get_app_data()
    return seen


def set_groups(context: SSL.Context, names: bytes) -> None:
    """Groups for the key exchange (SSL_CTX_set1_groups_list(3)). SSL.Error where one of them is unknown."""
    if _lib.SSL_CTX_set1_curves_list(context._context, names) != 1:
        _lib.ERR_clear_error()
        raise SSL.Error([("", "", "unknown group")])


def staple(connection: SSL.Connection) -> bytes:
    """The OCSP response that came with the handshake (RFC 6066 section 8), DER; empty where none did."""
    size = _lib.SSL_get_tlsext_status_ocsp_resp(connection._ssl, _response)
    return bytes(_ffi.buffer(_response[0], size)) if size > 0 else b""


def sent_chain(connection: SSL.Connection) -> Iterator[Any]:
    """Pointers to the certificates that the peer sent, leaf first: valid as long as `connection` is."""
    return _entries(_lib.SSL_get_peer_cert_chain(connection._ssl))


def verified_chain(connection: SSL.Connection) -> Iterator[Any]:
    """Those that the verification lined up, as far as it came."""
    return _entries(_lib.SSL_get0_verified_chain(connection._ssl))


def _entries(stack: Any) -> Iterator[Any]:
    if stack != _ffi.NULL:
        for position in range(_lib.sk_X509_num(stack)):
            yield _lib.sk_X509_value(stack, position)


def mark(pointer: Any) -> bytes:
    """What to know the certificate behind `pointer` again by: its SHA-1, which OpenSSL keeps since the verification.

    Two certificates with one mark would have to be made so, and no authority signs such: it chooses the serial number.
    """
    _lib.X509_digest(pointer, _SHA1, _digest, _ffi.NULL)
    return bytes(_ffi.buffer(_digest))


def certificate(pointer: Any) -> x509.Certificate:
    """The certificate behind `pointer`, parsed. ValueError where it can't be."""
    _lib.X509_up_ref(pointer)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what RFC 5280 forbids and everybody takes: a negative serial number
        try:
            return crypto.X509._from_raw_x509_ptr(pointer).to_cryptography()
        except x509.InvalidVersion as error:
            raise ValueError(str(error)) from error


def system_bundle() -> Path | None:
    """The file of authorities that `set_default_verify_paths` trusts; None where there is none (a directory, say)."""
    named = os.environ.get("SSL_CERT_FILE")
    default = _ffi.string(_lib.X509_get_default_cert_file()).decode()
    places = (named,) if named else (default, *SSL._CERTIFICATE_FILE_LOCATIONS)
    return next((Path(place) for place in places if Path(place).is_file()), None)
