"""Certificates that OpenSSL takes and others do not: a failure of the server with its reason, never one of our own."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from prober.engine.climb import climb
from prober.lab.certificates import CertificateFiles
from prober.layers.base import Kit
from prober.reasons import Family, Kind, Layer, Reason
from tests.support.cells import FAMILIES, LOOPBACK, make_cell
from tests.support.threaded import read_to_the_end, serve

NAME = b"api.example.com"
_VERSION_3 = b"\xa0\x03\x02\x01\x02"
_UTC_TIME = b"\x17\x0d"


def _set(der: bytes, at: int, more: bytes) -> bytes:
    return der[:at] + more + der[at + len(more) :]


#: what is odd → (the DER with it, reason). Its signature is then wrong as well.
ODD: dict[str, tuple[Callable[[bytes], bytes], Reason]] = {
    "version": (lambda der: _set(der, der.index(_VERSION_3) + 4, b"\6"), Reason.HANDSHAKE),
    "date": (lambda der: _set(der, der.index(_UTC_TIME) + 4, b"13"), Reason.HANDSHAKE),
    "name-encoding": (lambda der: _set(der, der.rindex(NAME), b"\xff"), Reason.UNKNOWN_AUTHORITY),
    "serial": (
        lambda der: _set(der, der.index(_VERSION_3) + 7, bytes([der[der.index(_VERSION_3) + 7] | 0x80])),
        Reason.UNKNOWN_AUTHORITY,
    ),
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("what", ODD)
async def test_an_odd_certificate_is_the_servers_failure(what: str, family: Family, tmp_path: Path) -> None:
    spoil, reason = ODD[what]
    files = CertificateFiles(tmp_path)
    chain, key = files.leaf([NAME.decode()])
    leaf, *_ = x509.load_pem_x509_certificates(chain.read_bytes())
    odd = tmp_path / "odd.crt"
    odd.write_text(ssl.DER_cert_to_PEM_cert(spoil(leaf.public_bytes(Encoding.DER))))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(odd, key)
    kit = Kit()
    with serve(family, read_to_the_end, context) as port:
        options = {"tls": {"ca_file": str(files.ca_file)}}
        cell = make_cell(Kind.TLS, "tls", NAME.decode(), port, family=family, options=options)
        (run,) = await climb(cell, kit, found=[(LOOPBACK[family], port)])
    await kit.close()
    assert run.blame is not None
    assert run.blame.layer is Layer.TLS
    assert run.blame.reason in (reason, Reason.INCOMPLETE_CHAIN), run.outcomes[-1]
