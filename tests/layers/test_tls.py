"""The tls rung against real servers of another TLS stack (the standard library's), one defect at a time."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest

from prober.engine.climb import climb
from prober.lab.certificates import CertificateFiles
from prober.lab.tls import make_context
from prober.layers.base import Kit
from prober.layers.tls.rung import certificate_was_requested, failure_reason
from prober.model import Run
from prober.reasons import Family, Kind, Layer, Reason
from prober.wire.tls.stream import TlsError
from tests.support.cells import FAMILIES, LOOPBACK, make_cell
from tests.support.threaded import Talk, read_to_the_end, reset, serve

NAME = "api.example.com"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return CertificateFiles(tmp_path_factory.mktemp("certificates"))


async def shake(
    port: int, ca: Path, *, family: Family = Family.IPV4, kit: Kit | None = None, kind: Kind = Kind.TLS,
    timeout: float = 2.0, **tls: object,
) -> Run:  # fmt: skip
    address = LOOPBACK[family]
    options = {"tls": {"ca_file": str(ca), **tls}, "http": {"version": "2"}}
    scheme = "tls" if kind is Kind.TLS else "https"
    cell = make_cell(kind, scheme, NAME, port, family=family, timeout=timeout, options=options)
    (run,) = await climb(cell, kit or Kit(), found=[(address, port)])
    return run


def blame_of(run: Run) -> tuple[Layer, Reason] | None:
    return None if run.blame is None else (run.blame.layer, run.blame.reason)


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_good_chain_holds_and_its_facts_are_told(files: CertificateFiles, family: Family) -> None:
    with serve(family, read_to_the_end, make_context(files, [NAME])) as port:
        run = await shake(port, files.ca_file, family=family, alpn=("h2", "http/1.1"))
    assert run.ok, run.outcomes
    tls = run.outcome(Layer.TLS)
    assert tls is not None
    evidence = tls.evidence
    assert (evidence["version"], evidence["alpn"], evidence["server_name"]) == ("TLSv1.3", "h2", NAME)
    assert evidence["names"] == [NAME]
    assert [link["subject"] for link in evidence["chain"]] == [NAME, "prober lab intermediate"]
    assert 29 < evidence["days_left"] < 31
    assert "errors" not in evidence


DEFECTS = {
    "tls-expired": Reason.EXPIRED,
    "tls-not-yet-valid": Reason.NOT_YET_VALID,
    "tls-wrong-name": Reason.NAME_MISMATCH,
    "tls-unknown-ca": Reason.UNKNOWN_AUTHORITY,
    "tls-self-signed": Reason.SELF_SIGNED,
    "tls-incomplete-chain": Reason.INCOMPLETE_CHAIN,
    "tls-wrong-purpose": Reason.WRONG_PURPOSE,
    "tls-old-version": Reason.PROTOCOL_VERSION,
    "tls-no-cipher": Reason.HANDSHAKE,
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("defect", DEFECTS)
async def test_a_defect_of_the_server_has_its_reason(files: CertificateFiles, family: Family, defect: str) -> None:
    with serve(family, read_to_the_end, make_context(files, [NAME], frozenset({defect}))) as port:
        run = await shake(port, files.ca_file, family=family)
    assert blame_of(run) == (Layer.TLS, DEFECTS[defect]), run.outcomes[-1].evidence


async def test_facts_survive_a_failed_verification_and_all_errors_are_told(files: CertificateFiles) -> None:
    """One handshake tells that the certificate is expired, of an unknown authority and for another name."""
    defects = frozenset({"tls-expired", "tls-unknown-ca", "tls-wrong-name"})
    with serve(Family.IPV4, read_to_the_end, make_context(files, [NAME], defects)) as port:
        run = await shake(port, files.ca_file)
        unverified = await shake(port, files.ca_file, verify=False)
    evidence = run.outcomes[-1].evidence
    assert blame_of(run) == (Layer.TLS, Reason.UNKNOWN_AUTHORITY)
    assert evidence["errors"] == ["unknown_authority", "expired", "name_mismatch"]
    assert evidence["issuer"] == "stranger intermediate"
    assert evidence["days_left"] < 0
    assert unverified.ok
    assert unverified.outcomes[-1].evidence["errors"] == evidence["errors"]


async def test_alpn_that_the_server_does_not_choose_is_no_alpn(files: CertificateFiles) -> None:
    with serve(Family.IPV4, read_to_the_end, make_context(files, [NAME], frozenset({"tls-no-alpn"}))) as port:
        tls = await shake(port, files.ca_file, alpn=("h2",))
        http = await shake(port, files.ca_file, kind=Kind.HTTP)
    assert blame_of(tls) == blame_of(http) == (Layer.TLS, Reason.NO_ALPN)


async def test_a_strict_server_name_is_unrecognized_name(files: CertificateFiles) -> None:
    context = make_context(files, [NAME])
    context.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    with serve(Family.IPV4, read_to_the_end, context) as port:
        run = await shake(port, files.ca_file)
    assert blame_of(run) == (Layer.TLS, Reason.UNRECOGNIZED_NAME)


async def test_a_wanted_client_certificate_is_told_under_tls_1_2_and_given(files: CertificateFiles) -> None:
    context = make_context(files, [NAME], frozenset({"tls-client-certificate"}))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    chain, key = files.leaf(["client"], {"tls-wrong-purpose"})  # a certificate for clients
    with serve(Family.IPV4, read_to_the_end, context) as port:
        without = await shake(port, files.ca_file)
        with_one = await shake(port, files.ca_file, certificate_file=str(chain), key_file=str(key))
    assert blame_of(without) == (Layer.TLS, Reason.CLIENT_CERTIFICATE)
    assert with_one.ok, with_one.outcomes[-1]


def says_http(sock: socket.socket) -> None:
    sock.recv(100)
    sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    read_to_the_end(sock)


def hangs_up(sock: socket.socket) -> None:
    sock.recv(65536)


def resets(sock: socket.socket) -> None:
    sock.recv(65536)
    reset(sock)


def says_goodbye(sock: socket.socket) -> None:
    sock.recv(65536)
    sock.sendall(b"\x15\x03\x03\0\2\1\0")  # the alert close_notify


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (says_http, Reason.NOT_TLS),
        (hangs_up, Reason.CLOSED),
        (says_goodbye, Reason.CLOSED),
        (resets, Reason.RESET),
        (read_to_the_end, Reason.TIMEOUT),
    ],
    ids=["plaintext", "hangs-up", "says-goodbye", "resets", "silent"],
)
async def test_a_peer_without_tls_is_told_apart(
    files: CertificateFiles, family: Family, handler: Talk, reason: Reason
) -> None:
    with serve(family, handler) as port:
        run = await shake(port, files.ca_file, family=family, timeout=0.4)
    assert blame_of(run) == (Layer.TLS, reason)
    assert run.seconds < 1.0


async def test_an_endless_handshake_ends_in_bounded_memory(files: CertificateFiles) -> None:
    """A peer that dribbles huge handshake records is given up long before the deadline."""

    def dribbles(sock: socket.socket) -> None:
        sock.recv(1000)
        record = b"\x16\x03\x03" + (16384).to_bytes(2, "big") + b"\x01\xff\xff\xff" + b"\0" * 16380
        for _ in range(1000):
            sock.sendall(record)

    with serve(Family.IPV4, dribbles) as port:
        run = await shake(port, files.ca_file, timeout=5.0)
    assert blame_of(run) is not None
    assert run.outcomes[-1].reason is Reason.HANDSHAKE
    assert run.seconds < 3.0


async def test_a_missing_ca_file_is_our_own_fault(files: CertificateFiles) -> None:
    with serve(Family.IPV4, read_to_the_end, make_context(files, [NAME])) as port:
        run = await shake(port, Path("/nonexistent/ca.crt"))
    assert run.ours
    assert "ca.crt" in run.outcomes[-1].evidence["detail"]


async def test_a_lone_leaf_is_incomplete_once_its_intermediate_was_seen(tmp_path: Path) -> None:
    files, kit = CertificateFiles(tmp_path), Kit()
    with serve(Family.IPV4, read_to_the_end, make_context(files, [NAME])) as port:
        assert (await shake(port, files.ca_file, kit=kit)).ok
    with serve(Family.IPV4, read_to_the_end, make_context(files, [NAME], frozenset({"tls-incomplete-chain"}))) as port:
        run = await shake(port, files.ca_file, kit=kit)
    assert blame_of(run) == (Layer.TLS, Reason.INCOMPLETE_CHAIN)


@pytest.mark.parametrize(
    ("words", "flight", "eof", "reason"),
    [
        ((), b"", True, Reason.CLOSED),
        (("tlsv1 alert protocol version",), b"", False, Reason.PROTOCOL_VERSION),
        (("sslv3 alert handshake failure",), b"", False, Reason.HANDSHAKE),
        (("ssl/tls alert handshake failure",), b"\x16\x03\x03\0\x04\x0d\0\0\0", False, Reason.CLIENT_CERTIFICATE),
        (("tlsv13 alert certificate required",), b"", False, Reason.CLIENT_CERTIFICATE),
        (("tlsv1 unrecognized name",), b"", False, Reason.UNRECOGNIZED_NAME),
        (("no shared cipher",), b"", False, Reason.HANDSHAKE),
    ],
)
def test_openssls_words_are_read(words: tuple[str, ...], flight: bytes, eof: bool, reason: Reason) -> None:
    assert failure_reason(TlsError(words, flight, eof=eof)) is reason


@pytest.mark.parametrize("flight", [b"", b"\x16", b"\x16\x03\x03\xff\xff", b"\x15\x03\x03\0\2\2\x28", b"\x16" * 400])
def test_looking_for_a_certificate_request_survives_any_bytes(flight: bytes) -> None:
    assert certificate_was_requested(flight) is False
