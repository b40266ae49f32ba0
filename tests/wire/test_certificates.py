"""What is read off a certificate, whatever is in it; and that links and plans are kept in bounds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

from prober.layers.tls import rung
from prober.layers.tls.rung import Plans
from prober.reasons import Kind
from prober.wire.tls.certificates import MAX_NAMES, Link, facts
from tests.support.cells import make_cell
from tests.support.staples import NAME, Party

SCT_LIST = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")


def sct_list(count: int) -> bytes:
    """The extension of RFC 6962 section 3.3 with `count` timestamps (two to four), signed by nobody."""
    sct = b"\0" + bytes(32) + (1_700_000_000_000).to_bytes(8) + b"\0\0" + b"\4\3" + b"\0\x08" + bytes(8)
    items = (len(sct).to_bytes(2) + sct) * count
    octets = len(items).to_bytes(2) + items
    return b"\x04\x81" + bytes([len(octets)]) + octets


def test_the_timestamps_inside_a_certificate_are_counted() -> None:
    logged = Party(NAME, None, x509.UnrecognizedExtension(SCT_LIST, sct_list(3)))
    broken = Party(NAME, None, x509.UnrecognizedExtension(SCT_LIST, b"\x04\x03junk"))
    assert facts(logged.certificate).timestamps == 3
    assert facts(broken.certificate).timestamps == 0
    assert facts(Party(NAME).certificate).timestamps == 0


@pytest.mark.parametrize(
    ("key", "told"),
    [
        (ec.generate_private_key(ec.SECP384R1()), "EC secp384r1"),
        (rsa.generate_private_key(65537, 1024), "RSA 1024"),
        (ed25519.Ed25519PrivateKey.generate(), "Ed25519"),
    ],
    ids=["ec", "rsa", "ed25519"],
)
def test_a_key_is_told_by_kind_and_size(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey, told: str
) -> None:
    assert facts(Party(NAME, key=key).certificate).key == told


def test_keys_that_authorities_hardly_use_are_told_too() -> None:
    builder = x509.CertificateBuilder
    template = Party(NAME).certificate
    signer = ec.generate_private_key(ec.SECP256R1())
    for key, told in ((dsa.generate_private_key(1024), "DSA 1024"), (ed448.Ed448PrivateKey.generate(), "Ed448")):
        made = builder(template.issuer, template.subject, key.public_key(), template.serial_number,
                       template.not_valid_before_utc, template.not_valid_after_utc)  # fmt: skip
        assert facts(made.sign(signer, template.signature_hash_algorithm)).key == told


def test_must_staple_and_the_identifiers_of_keys_are_read() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    must = x509.TLSFeature([x509.TLSFeatureType.status_request])
    read = facts(Party(NAME, None, own, must, key=key).certificate)
    assert (read.must_staple, read.key_id, read.issuer_key_id) == (True, own.digest.hex(), "")


def test_a_link_remembers_names_up_to_a_bound() -> None:
    link = Link(Party(NAME, None, x509.SubjectAlternativeName([x509.DNSName("*.example.com")])).certificate)
    assert [link.carries(f"n{n}.example.com") for n in range(MAX_NAMES + 10)] == [True] * (MAX_NAMES + 10)
    assert not link.carries("a.b.example.com")
    assert len(link._carries) == MAX_NAMES


def test_plans_are_made_once_for_a_block_and_a_host_and_kept_in_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rung, "MAX_PLANS", 3)
    cell, plans = make_cell(Kind.TLS, "tls", "a.example."), Plans()
    plan = plans.of(cell)
    assert plan[1:] == ("a.example", "a.example")
    assert plans.of(replace(cell, path="other")) is plan
    literal = replace(cell, endpoint=replace(cell.endpoint, host="192.0.2.1"))
    assert plans.of(literal)[1:] == ("192.0.2.1", None)
    for host in ("b", "c", "d", "e", "f"):
        assert plans.of(replace(cell, endpoint=replace(cell.endpoint, host=host)))[1] == host
    assert len(plans._plans) <= 3


def test_the_plan_of_a_kubernetes_probe_sees_an_authority_that_is_mounted_later(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.crt"
    options = {"kubernetes": {"ca_file": str(ca_file)}}
    cell, plans = make_cell(Kind.KUBERNETES, "https", "kubernetes.default.svc", options=options), Plans()
    assert plans.of(cell)[0].ca_file is None
    ca_file.touch()
    assert plans.of(cell)[0].ca_file == ca_file
