"""Chains as servers send them: whole, with gaps, of strangers, with something old in them; what is told of them."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from prober.diagnosis.run import explain
from prober.engine.climb import climb
from prober.layers.base import Kit
from prober.layers.tls.record import MAX_LINKS, MAX_NAMES
from prober.model import Run
from prober.reasons import Family, Kind, Layer, Reason
from tests.support.cells import LOOPBACK, make_cell
from tests.support.staples import NAME, Party
from tests.support.threaded import read_to_the_end, serve


async def shake(port: int, ca_file: Path | None, kit: Kit | None = None) -> Run:
    cell = make_cell(Kind.TLS, "tls", NAME, port, options={"tls": {"ca_file": ca_file}})
    (run,) = await climb(cell, kit or Kit(), found=[(LOOPBACK[Family.IPV4], port)])
    return run


def reason_of(run: Run) -> Reason | None:
    assert run.blame is None or run.blame.layer is Layer.TLS
    return None if run.blame is None else run.blame.reason


def chain_of(directory: Path, *parties: Party) -> ssl.SSLContext:
    """A server of the first party's leaf that sends the others after it."""
    pem = b"".join(party.pem.partition(b"-----BEGIN PRIVATE")[0] for party in parties)
    key = b"-----BEGIN PRIVATE" + parties[0].pem.partition(b"-----BEGIN PRIVATE")[2]
    (directory / "chain.pem").write_bytes(pem + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "chain.pem")
    return context


def party(name: str, issuer: Party | None = None, *, ca: bool = True, days: tuple[int, int] = (-2, 30),
          key: Any = None, aia: bool = False) -> Party:  # fmt: skip
    """An authority, or a leaf for NAME, with key identifiers."""
    made = Party(name, issuer, days=days, key=key)  # for its key
    signer = issuer or made
    extensions: list[x509.ExtensionType] = [
        x509.SubjectKeyIdentifier.from_public_key(made.key.public_key()),
        x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()),
        x509.BasicConstraints(ca, None),
    ]
    if not ca:
        extensions.append(x509.SubjectAlternativeName([x509.DNSName(NAME)]))
    if aia:
        where = x509.UniformResourceIdentifier("http://pki.example/issuer.crt")
        method = x509.oid.AuthorityInformationAccessOID.CA_ISSUERS
        extensions.append(x509.AuthorityInformationAccess([x509.AccessDescription(method, where)]))
    return Party(name, issuer, *extensions, key=made.key, days=days)


class Hierarchy:
    """A root, two intermediates below each other, and a leaf."""

    def __init__(self, directory: Path) -> None:
        self.root = party("root")
        self.upper = party("upper tier", self.root, aia=True)
        self.lower = party("lower tier", self.upper, aia=True)
        self.leaf = party(NAME, self.lower, ca=False, aia=True)
        self.ca_file = directory / "root.pem"
        self.ca_file.write_bytes(self.root.pem.partition(b"-----BEGIN PRIVATE")[0])


async def test_chains_with_a_gap_are_incomplete_and_those_of_strangers_are_not(tmp_path: Path) -> None:
    """A chain's last link decides; a name with another key is no link."""
    ours, theirs = Hierarchy(tmp_path), Hierarchy(tmp_path / "..")
    ours.ca_file.write_bytes(ours.root.pem.partition(b"-----BEGIN PRIVATE")[0])
    other_lower = party("lower tier", ours.upper)
    kit = Kit()
    cases = [
        ((ours.leaf, ours.lower, ours.upper), None),
        ((ours.leaf, ours.upper, ours.lower), None),  # in any order (RFC 8446 section 4.4.2)
        ((ours.leaf,), Reason.INCOMPLETE_CHAIN),
        ((ours.leaf, ours.upper), Reason.INCOMPLETE_CHAIN),
        ((ours.leaf, other_lower, ours.upper), Reason.INCOMPLETE_CHAIN),
        ((ours.leaf, ours.lower), Reason.INCOMPLETE_CHAIN),  # the upper tier was seen in a chain that verified
        ((theirs.leaf, theirs.lower, theirs.upper), Reason.UNKNOWN_AUTHORITY),
        ((theirs.leaf, theirs.lower), Reason.UNKNOWN_AUTHORITY),
    ]
    for parties, reason in cases:
        with serve(Family.IPV4, read_to_the_end, chain_of(tmp_path, *parties)) as port:
            run = await shake(port, ours.ca_file, kit=kit)
        assert reason_of(run) is reason, ([p.certificate.subject for p in parties], run.outcomes[-1].evidence)


@pytest.mark.parametrize("system", [False, True], ids=["own bundle", "the system's"])
@pytest.mark.parametrize(("trusts", "reason"), [
    ("Example Trust", Reason.INCOMPLETE_CHAIN), ("Another Trust", Reason.UNKNOWN_AUTHORITY),
])  # fmt: skip
async def test_an_issuer_of_a_trusted_organization_is_an_intermediate_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: bool, trusts: str, reason: Reason
) -> None:
    """With the system's authorities as with a bundle of one's own: Example Trust signs with more than one key."""
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(Party("Root", organization=trusts).pem)
    gone = Party("G2", organization="Example Trust")
    leaf = Party(NAME, gone, x509.SubjectAlternativeName([x509.DNSName(NAME)]))
    if system:
        monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    with serve(Family.IPV4, read_to_the_end, chain_of(tmp_path, leaf)) as port:
        run = await shake(port, None if system else bundle)
    assert reason_of(run) is reason


async def test_an_expired_intermediate_is_told_apart_from_an_expired_leaf(tmp_path: Path) -> None:
    root = party("root")
    old = party("old tier", root, days=(-9, -1))
    leaf = party(NAME, old, ca=False)
    (tmp_path / "root.pem").write_bytes(root.pem)
    with serve(Family.IPV4, read_to_the_end, chain_of(tmp_path, leaf, old)) as port:
        run = await shake(port, tmp_path / "root.pem")
    verdict = explain(run)
    assert reason_of(run) is Reason.EXPIRED
    assert verdict is not None
    assert f"The certificate of {NAME} is still valid" in verdict.says
    assert "old tier, valid until" in verdict.says


@pytest.mark.parametrize(
    ("key", "told", "signature"),
    [
        (rsa.generate_private_key(65537, 2048), "RSA 2048", "sha256WithRSAEncryption"),
        (ed25519.Ed25519PrivateKey.generate(), "Ed25519", "ed25519"),
        (None, "EC secp256r1", "ecdsa-with-SHA256"),
    ],
    ids=["rsa", "ed25519", "ec"],
)
async def test_key_signature_and_fingerprint_of_the_leaf_are_told(
    tmp_path: Path, key: Any, told: str, signature: str
) -> None:
    root = party("root", key=key)
    leaf = party(NAME, root, ca=False, key=key)
    (tmp_path / "root.pem").write_bytes(root.pem)
    with serve(Family.IPV4, read_to_the_end, chain_of(tmp_path, leaf)) as port:
        run = await shake(port, tmp_path / "root.pem")
    evidence = run.outcomes[-1].evidence
    assert run.ok, evidence
    assert (evidence["key"], evidence["signature"]) == (told, signature)
    assert evidence["fingerprint"] == leaf.certificate.fingerprint(SHA256()).hex()


async def test_a_huge_certificate_and_a_long_chain_stay_bounded_in_the_evidence(tmp_path: Path) -> None:
    root = party("root")
    names = x509.SubjectAlternativeName([x509.DNSName(NAME), *(x509.DNSName(f"n{n}.example") for n in range(500))])
    leaf = Party(NAME, root, names)
    (tmp_path / "root.pem").write_bytes(root.pem)
    others = [party(f"extra {n}") for n in range(20)]
    with serve(Family.IPV4, read_to_the_end, chain_of(tmp_path, leaf, *others)) as port:
        run = await shake(port, tmp_path / "root.pem")
    evidence = run.outcomes[-1].evidence
    assert run.ok, evidence
    assert len(evidence["names"]) == MAX_NAMES
    assert len(evidence["chain"]) == MAX_LINKS
    assert datetime.datetime.fromisoformat(evidence["not_after"]).tzinfo is not None
