"""Client certificates: who asked for one, what was said to ours, and that nobody waits who was asked for nothing."""

from __future__ import annotations

import contextlib
import socket
import ssl
from pathlib import Path
from time import perf_counter

import pytest
from OpenSSL import SSL

from prober.engine.climb import climb
from prober.lab.certificates import CertificateFiles
from prober.lab.tls import make_context
from prober.layers.base import Ascent, Kit
from prober.layers.tls import rung
from prober.model import Run
from prober.reasons import Family, Kind, Layer, Reason
from prober.wire.tls import openssl
from tests.support.cells import FAMILIES, LOOPBACK, make_cell
from tests.support.staples import shaking
from tests.support.threaded import read_to_the_end, reset, serve

NAME = "api.example.com"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return CertificateFiles(tmp_path_factory.mktemp("certificates"))


def asking(files: CertificateFiles, *, tickets: int = 2) -> ssl.SSLContext:
    """A TLS 1.3 server that wants a client certificate of the lab's authority."""
    context = make_context(files, [NAME], frozenset({"tls-client-certificate"}))
    context.num_tickets = tickets
    return context


def client(files: CertificateFiles) -> dict[str, str]:
    chain, key = files.leaf(["client"], {"tls-wrong-purpose"})  # a certificate for clients
    return {"certificate_file": str(chain), "key_file": str(key)}


async def shake(port: int, ca_file: Path, family: Family = Family.IPV4, kind: Kind = Kind.TLS, **tls: object) -> Run:
    scheme = {Kind.TLS: "tls", Kind.GRPC: "grpcs", Kind.HTTP: "https"}[kind]
    options = {"tls": {"ca_file": str(ca_file), **tls}}
    cell = make_cell(kind, scheme, NAME, port, family=family, options=options)
    kit = Kit()
    (run,) = await climb(cell, kit, found=[(LOOPBACK[family], port)])
    await kit.close()
    return run


@pytest.mark.parametrize("family", FAMILIES)
async def test_under_tls_1_3_the_late_alert_is_heard_by_kind_tls_itself_and_told(
    files: CertificateFiles, family: Family
) -> None:
    with serve(family, read_to_the_end, asking(files)) as port:
        run = await shake(port, files.ca_file, family)
    """The handshake has held, and we have nothing to show: whoever speaks above it is who fails."""
    evidence = run.outcomes[-1].evidence
    assert run.ok
    assert evidence["note"] == "the server lets nobody in without a client certificate, and there is none to show"
    assert "certificate required" in evidence["openssl"][0]
    assert (evidence["client_certificate"]["sent"], evidence["client_certificate"]["answer"]) == (False, "refused")
    assert evidence["subject"] == NAME
    assert evidence["version"] == "TLSv1.3"


@pytest.mark.parametrize("version", ["1.2", "1.3"])
async def test_the_authorities_that_a_server_names_are_told(files: CertificateFiles, version: str) -> None:
    chain, key = files.leaf([NAME])
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.use_certificate_chain_file(str(chain))
    context.use_privatekey_file(str(key))
    context.load_client_ca(str(files.ca_file).encode())
    context.set_verify(SSL.VERIFY_PEER, lambda *_: True)

    with serve(Family.IPV4, shaking(context)) as port:
        run = await shake(port, files.ca_file, max_version=version)
    assert run.ok, run.outcomes[-1]
    asked = run.outcomes[-1].evidence["client_certificate"]
    assert (asked["sent"], asked["authorities"]) == (False, ["CN=prober lab root"])


async def test_grpc_hears_it_on_the_same_connection(files: CertificateFiles) -> None:
    with serve(Family.IPV4, read_to_the_end, asking(files)) as port:
        run = await shake(port, files.ca_file, kind=Kind.GRPC)
    assert run.blame is not None
    assert (run.blame.layer, run.blame.reason) == (Layer.GRPC, Reason.CLIENT_CERTIFICATE)


async def test_a_certificate_of_a_stranger_is_refused_with_the_servers_word(
    files: CertificateFiles, tmp_path: Path
) -> None:
    with serve(Family.IPV4, read_to_the_end, asking(files)) as port:
        run = await shake(port, files.ca_file, **client(CertificateFiles(tmp_path)))
    evidence = run.outcomes[-1].evidence
    assert run.blame is not None
    assert run.blame.reason is Reason.CLIENT_CERTIFICATE
    assert evidence["client_certificate"]["sent"] is True
    assert "unknown ca" in evidence["openssl"][0]


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_certificate_that_is_taken_holds_as_soon_as_the_server_says_a_word(
    files: CertificateFiles, family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rung, "PATIENCE", 30.0)
    with serve(family, read_to_the_end, asking(files)) as port:
        run = await shake(port, files.ca_file, family, **client(files))
    assert run.ok, run.outcomes[-1]
    assert run.outcomes[-1].evidence["client_certificate"]["answer"] == "accepted"


async def test_data_of_a_server_that_speaks_first_is_a_yes(files: CertificateFiles) -> None:
    def greet(sock: socket.socket) -> None:
        sock.sendall(b"220 ready\r\n")
        read_to_the_end(sock)

    with serve(Family.IPV4, greet, asking(files, tickets=0)) as port:
        run = await shake(port, files.ca_file, **client(files))
    assert run.ok, run.outcomes[-1]
    assert run.outcomes[-1].evidence["client_certificate"]["answer"] == "accepted"


async def test_silence_is_no_objection_and_what_was_waited_is_no_latency(files: CertificateFiles) -> None:
    with serve(Family.IPV4, read_to_the_end, asking(files, tickets=0)) as port:
        run = await shake(port, files.ca_file, **client(files))
    tls = run.outcomes[-1]
    assert run.ok, tls
    assert tls.evidence["client_certificate"]["answer"] == "none"
    assert run.seconds > rung.PATIENCE > (tls.seconds or 1.0)
    assert tls.evidence["local_seconds"] < rung.PATIENCE


async def test_whoever_hangs_up_or_resets_after_asking_is_told_as_that(files: CertificateFiles) -> None:
    given = client(files)
    with serve(Family.IPV4, lambda _: None, asking(files, tickets=0)) as port:
        closed = await shake(port, files.ca_file, **given)
    with serve(Family.IPV4, lambda sock: reset(sock), asking(files, tickets=0)) as port:
        broken = await shake(port, files.ca_file, **given)
    assert closed.blame is not None
    assert closed.blame.reason is Reason.CLOSED
    assert "asked for a client certificate" in closed.outcomes[-1].evidence["detail"]
    assert broken.blame is not None
    assert broken.blame.reason is Reason.RESET


async def test_http_hears_the_alert_where_it_reads_and_tls_does_not_wait_for_it(files: CertificateFiles) -> None:
    with serve(Family.IPV4, read_to_the_end, asking(files)) as port:
        run = await shake(port, files.ca_file, kind=Kind.HTTP)
    assert run.blame is not None
    assert (run.blame.layer, run.blame.reason) == (Layer.HTTP, Reason.CLIENT_CERTIFICATE)
    tls = run.outcome(Layer.TLS)
    assert tls is not None
    assert "answer" not in tls.evidence["client_certificate"]


async def test_a_server_that_asks_for_nothing_is_not_waited_for(
    files: CertificateFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_ascent: Ascent, _stream: object) -> None:
        raise AssertionError("nobody asked")

    monkeypatch.setattr(rung, "_hear", refuse)
    context = make_context(files, [NAME])
    context.num_tickets = 0
    with serve(Family.IPV4, read_to_the_end, context) as port:
        began = perf_counter()
        run = await shake(port, files.ca_file, **client(files))
    assert run.ok, run.outcomes[-1]
    assert "client_certificate" not in run.outcomes[-1].evidence
    assert perf_counter() - began < 2.0


async def test_nonsense_in_the_place_of_an_answer_is_a_broken_handshake(files: CertificateFiles) -> None:
    """The last flight of the server is followed by a record that nobody can decrypt."""
    context = asking(files, tickets=0)

    def babble(sock: socket.socket) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        with contextlib.suppress(ssl.SSLWantReadError):
            incoming.write(sock.recv(65536))
            tls.do_handshake()
        sock.sendall(outgoing.read())
        sock.recv(65536)
        sock.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
        read_to_the_end(sock)

    with serve(Family.IPV4, babble) as port:
        run = await shake(port, files.ca_file, **client(files))
    assert run.blame is not None
    assert run.blame.reason is Reason.HANDSHAKE, run.outcomes[-1]


async def test_a_certificate_that_cannot_be_read_is_the_servers_fault(
    files: CertificateFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL takes some that cryptography does not."""

    def refuse(_pointer: object) -> None:
        raise ValueError("invalid version")

    monkeypatch.setattr(openssl, "certificate", refuse)
    with serve(Family.IPV4, read_to_the_end, make_context(files, [NAME])) as port:
        run = await shake(port, files.ca_file)
    assert run.blame is not None
    assert run.blame.reason is Reason.HANDSHAKE
    assert "can't be read: invalid version" in run.outcomes[-1].evidence["detail"]
