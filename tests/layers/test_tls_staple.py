"""OCSP staples: what a server sends with its handshake, what it says of the certificate, and when it is believed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from prober.engine.climb import climb
from prober.layers.base import Kit
from prober.model import Evidence, Run
from prober.reasons import Family, Kind, Layer, Reason
from prober.wire.tls.ocsp import read_staple
from tests.support.cells import FAMILIES, LOOPBACK, make_cell
from tests.support.staples import DAY, DELEGATED, HOUR, NAME, Party, Staples
from tests.support.tools import require_tool

GOOD, REVOKED, UNKNOWN = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED, ocsp.OCSPCertStatus.UNKNOWN
TRY_LATER = ocsp.OCSPResponseStatus.TRY_LATER


@pytest.fixture(scope="module")
def staples(tmp_path_factory: pytest.TempPathFactory) -> Staples:
    return Staples(tmp_path_factory.mktemp("staples"))


async def shake(port: int, ca_file: Path, family: Family = Family.IPV4, **tls: object) -> Run:
    options = {"tls": {"ca_file": str(ca_file), **tls}}
    cell = make_cell(Kind.TLS, "tls", NAME, port, family=family, options=options)
    (run,) = await climb(cell, Kit(), found=[(LOOPBACK[family], port)])
    return run


async def stapled(
    staples: Staples, response: bytes, family: Family = Family.IPV4, **tls: object
) -> tuple[Run, Evidence]:
    with staples.serve(family, response) as port:
        run = await shake(port, staples.ca_file, family, **tls)
    return run, run.outcomes[-1].evidence


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_good_staple_is_told_with_its_dates_and_who_gave_it(staples: Staples, family: Family) -> None:
    run, evidence = await stapled(staples, staples.response(), family, staple="required")
    assert run.ok, evidence
    told = evidence["ocsp"]
    assert (told["status"], told["responder"]) == ("good", "stapled authority")
    assert told["this_update"] < told["next_update"]
    assert "error" not in told


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_revoked_certificate_fails_with_when_and_why(staples: Staples, family: Family) -> None:
    staple = staples.response(REVOKED)
    run, evidence = await stapled(staples, staple, family)
    unverified, _ = await stapled(staples, staple, family, verify=False)
    assert run.blame is not None
    assert (run.blame.layer, run.blame.reason) == (Layer.TLS, Reason.REVOKED)
    assert evidence["errors"] == ["revoked"]
    assert evidence["ocsp"]["reason"] == "keyCompromise"
    assert evidence["ocsp"]["revoked_at"] < evidence["ocsp"]["this_update"]
    assert unverified.ok
    assert unverified.outcomes[-1].evidence["errors"] == ["revoked"]


def tampered(response: bytes) -> bytes:
    """The same with another last bit, which is one of the signature's."""
    return response[:-1] + bytes([response[-1] ^ 1])


Make = Callable[[Staples], bytes]
#: What cannot be believed → the response, and the error that is told.
DOUBTFUL: dict[str, tuple[Make, str]] = {
    "stale": (lambda s: s.response(REVOKED, times=(-3 * DAY, -DAY)), "stale"),
    "early": (lambda s: s.response(REVOKED, times=(DAY, 2 * DAY)), "not valid yet"),
    "forged": (lambda s: s.response(REVOKED, signer=Party("stapled authority")), "its signature is wrong"),
    "tampered": (lambda s: tampered(s.response(REVOKED)), "its signature is wrong"),
    "not a delegate": (
        lambda s: s.response(REVOKED, signer=(d := s.delegate(ExtendedKeyUsageOID.SERVER_AUTH)), enclosed=[d]),
        "signed by a responder without the issuer's authority",
    ),
    "a stranger": (
        lambda s: s.response(REVOKED, signer=(p := Party("stranger")), enclosed=[p]),
        "signed by a responder without the issuer's authority",
    ),
    "an old delegate": (
        lambda s: s.response(REVOKED, signer=(d := s.delegate(DELEGATED, days=(-9, -1))), enclosed=[d]),
        "signed with an expired certificate",
    ),
    "another issuer": (
        lambda s: s.response(REVOKED, issuer=Party("other authority")), "it is about a certificate of another issuer",
    ),
    "a refusal": (
        lambda _: ocsp.OCSPResponseBuilder.build_unsuccessful(TRY_LATER).public_bytes(Encoding.DER),
        "the responder says try later",
    ),
    "garbage": (lambda _: b"\x30\x03\x0a\x01\x63", "malformed"),
}  # fmt: skip


@pytest.mark.parametrize("name", DOUBTFUL)
async def test_a_staple_that_cannot_be_believed_says_nothing_against_the_certificate(
    staples: Staples, name: str
) -> None:
    make, error = DOUBTFUL[name]
    staple = make(staples)
    run, evidence = await stapled(staples, staple)
    required, _ = await stapled(staples, staple, staple="required")
    assert run.ok, evidence
    assert evidence["ocsp"]["error"].startswith(error)
    assert required.blame is not None
    assert required.blame.reason is Reason.NO_STAPLE


@pytest.mark.parametrize(
    "make",
    [
        lambda s: s.response(signer=(d := s.delegate(DELEGATED)), enclosed=[d]),
        lambda s: s.response(hashed=SHA256(), by_key=True),
        lambda s: s.response(times=(-HOUR, None)),
    ],
    ids=["by a delegate", "by the hash of a key", "without an end"],
)
async def test_every_form_of_a_valid_answer_is_believed(staples: Staples, make: Make) -> None:
    run, evidence = await stapled(staples, make(staples), staple="required")
    assert run.ok, evidence
    assert "error" not in evidence["ocsp"]


@pytest.mark.parametrize(
    "key", [rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()], ids=["rsa", "ed25519"]
)
async def test_signatures_of_other_keys_are_checked(
    tmp_path: Path, key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
) -> None:
    staples = Staples(tmp_path, key=key)
    good, bad = staples.response(), tampered(staples.response())
    run, evidence = await stapled(staples, good, staple="required")
    assert run.ok, evidence
    _, evidence = await stapled(staples, bad)
    assert evidence["ocsp"]["error"] == "its signature is wrong"


async def test_a_status_that_is_unknown_is_no_good_where_one_is_required(staples: Staples) -> None:
    run, evidence = await stapled(staples, staples.response(UNKNOWN))
    required, _ = await stapled(staples, staples.response(UNKNOWN), staple="required")
    assert run.ok
    assert evidence["ocsp"]["status"] == "unknown"
    assert required.blame is not None
    assert required.blame.reason is Reason.NO_STAPLE


async def test_without_a_staple_nothing_is_said_unless_one_is_due(staples: Staples, tmp_path: Path) -> None:
    run, evidence = await stapled(staples, b"")
    required, told = await stapled(staples, b"", staple="required")
    must = Staples(tmp_path, x509.TLSFeature([x509.TLSFeatureType.status_request]))
    promised, promise = await stapled(must, b"")
    assert run.ok
    assert "ocsp" not in evidence
    assert required.blame is not None
    assert required.blame.reason is Reason.NO_STAPLE
    assert told["ocsp"] == {"error": "the server staples none"}
    assert promised.ok
    assert promise["must_staple"] is True
    assert promise["ocsp"] == {"error": "the server staples none"}


async def test_nobody_is_asked_for_a_staple_where_it_is_switched_off(staples: Staples) -> None:
    run, evidence = await stapled(staples, staples.response(REVOKED), staple="never")
    assert run.ok
    assert "ocsp" not in evidence


@pytest.mark.parametrize("version", ["1.2", "1.3"])
async def test_the_staple_of_openssls_own_server_is_read(staples: Staples, tmp_path: Path, version: str) -> None:
    openssl = require_tool("openssl")
    (tmp_path / "staple.der").write_bytes(staples.response(REVOKED, reason=None))
    command = [openssl, "s_server", "-accept", "127.0.0.1:0", "-cert", staples.leaf_file, "-key", staples.leaf_file,
               "-status_file", tmp_path / "staple.der", "-naccept", "1"]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:  # noqa: ASYNC220 - once, and short
        assert server.stdout is not None
        accepting = next(line for line in server.stdout if line.startswith("ACCEPT 127"))
        run = await shake(int(accepting.rpartition(":")[2]), staples.ca_file, max_version=version)
        server.kill()
    assert run.blame is not None
    assert run.blame.reason is Reason.REVOKED
    assert "reason" not in run.outcomes[-1].evidence["ocsp"]


@pytest.mark.parametrize("staple", [b"", b"\0", b"\x30", b"\x30\x84\xff\xff\xff\xff", b"\x30" * 4096])
def test_any_bytes_can_be_stapled(staples: Staples, staple: bytes) -> None:
    read = read_staple(staple, staples.leaf.certificate, staples.authority.certificate)
    assert read.error.startswith("malformed")


def test_a_staple_about_another_certificate_says_nothing_about_this_one(staples: Staples) -> None:
    staple = staples.response(REVOKED, about=Party("other", staples.authority))
    read = read_staple(staple, staples.leaf.certificate, staples.authority.certificate)
    assert (read.status, read.error) == ("", "it is about another certificate")


def test_a_staple_is_not_believed_without_its_issuer(staples: Staples) -> None:
    read = read_staple(staples.response(REVOKED), staples.leaf.certificate, None)
    assert read.error == "the issuer's certificate is not there to check the signature with"
