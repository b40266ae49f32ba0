"""Peers that mean harm in the handshake, and under TLS."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from pathlib import Path

from prober.lab.certificates import CertificateFiles
from tests.support.hostile import SHORT, Hostile, K, L, R, drips, floods, read_head, says
from tests.support.http import response
from tests.support.threaded import Talk

HANDSHAKE_RECORD = b"\x16\x03\x03\x40\x00"
#: Any word of the tls layer for a peer that breaks the rules.
_BROKEN = (R.HANDSHAKE, R.NOT_TLS, R.CLOSED, R.PROTOCOL_VERSION)


def _awaiting(talk: Talk) -> Talk:
    """The ClientHello first."""

    def after(sock: socket.socket) -> None:
        sock.recv(4096)
        talk(sock)

    return after


def _tls(talk: Talk, *reasons: R, timeout: float = 3.0) -> Hostile:
    return Hostile(K.TLS, "tls", _awaiting(talk), (L.TLS, reasons), timeout)


def _answers(data: bytes) -> Talk:
    def talk(sock: socket.socket) -> None:
        read_head(sock)
        sock.sendall(data)
        read_head(sock)

    return talk


def _checks(count: int) -> bytes:
    """What /readyz says where `count` checks fail."""
    return response(
        "500 Internal Server Error", b"".join(b"[-]c%d failed: reason withheld\n" % n for n in range(count))
    )


PEERS = {
    "tls: silence": _tls(says([], awaits=False), R.TIMEOUT, timeout=SHORT),
    "tls: a record that never ends": _tls(
        floods(HANDSHAKE_RECORD + b"\1\xff\xff\xff" + bytes(16380), awaits=False), R.HANDSHAKE
    ),
    "tls: a handshake that drips": _tls(
        drips(HANDSHAKE_RECORD + b"\2\0\x20\0" + bytes(9999), awaits=False), R.TIMEOUT, timeout=SHORT
    ),
    "tls: empty records": _tls(floods(b"\x16\x03\x03\0\0", awaits=False), *_BROKEN),
    "tls: warnings": _tls(floods(b"\x15\x03\x03\0\2\1\x5a", awaits=False), *_BROKEN),
    "tls: changes of cipher": _tls(floods(b"\x14\x03\x03\0\1\1", awaits=False), *_BROKEN),
    "tls: garbage": _tls(floods(bytes(range(256)), awaits=False), R.NOT_TLS),
    "tls: garbage in records": _tls(floods(b"\x16\x03\x03\1\0" + bytes(range(256)), awaits=False), *_BROKEN),
    "https: an endless body": Hostile(
        K.HTTP, "https", floods(b"a" * 1000, b"HTTP/1.1 200 OK\r\n\r\n"), (L.HTTP, R.BODY), tls=True
    ),
    "https: a body that drips": Hostile(
        K.HTTP, "https", drips(b".", beginning=b"HTTP/1.1 200 OK\r\n\r\n"), (L.HTTP, R.TIMEOUT), SHORT, tls=True
    ),
    "kubernetes: an endless status": Hostile(
        K.KUBERNETES, "https", floods(b'{"kind":"Status",', b"HTTP/1.1 500 X\r\n\r\n"), (L.HTTP, R.STATUS), tls=True
    ),
    "kubernetes: thirty thousand failing checks": Hostile(
        K.KUBERNETES, "https", _answers(_checks(30_000)), (L.HTTP, R.STATUS), tls=True
    ),
}  # fmt: skip

#: Handshakes of a server whose certificate is the harm: chain → what comes of it.
CHAINS: dict[str, tuple[L, tuple[R, ...]] | None] = {
    "a chain of 100 certificates": None,
    "a chain of 2000 certificates": (L.TLS, (R.HANDSHAKE,)),
    "a certificate for 3000 names": None,
    "tickets without end": None,
}


def hostile_context(name: str, files: CertificateFiles, names: Sequence[str], folder: Path) -> ssl.SSLContext:
    """The context of one row of `CHAINS`."""
    many = [f"n{number}.example.com" for number in range(3000)] if "names" in name else []
    chain, key = files.leaf([*many, *names])
    if "chain" in name:
        *_, issuer = chain.read_text().partition("-----END CERTIFICATE-----\n")
        chain = folder / f"{name}.crt"
        leaf = files.leaf(names)
        key = leaf[1]
        chain.write_text(leaf[0].read_text() + issuer * (int(name.split()[3]) - 2))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    if "tickets" in name:
        context.num_tickets = 5000
    return context


answers_ok = _answers(response())
