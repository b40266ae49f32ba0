"""The organizations of a bundle's authorities, as systems have them."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import crypto

from prober.wire.tls.issuers import trusted_organizations
from tests.support.staples import Party


def test_an_authority_whose_serial_is_no_positive_number_is_one_all_the_same(tmp_path: Path) -> None:
    """RFC 5280 section 4.1.2.2 has none such, the bundles of systems do."""
    certificate = Party("Old Root", organization="Old Trust").certificate
    length = (certificate.serial_number.bit_length() + 8) // 8
    serial = certificate.serial_number.to_bytes(length, "big")
    negative = certificate.public_bytes(Encoding.DER).replace(serial, b"\x92" + serial[1:], 1)
    odd = crypto.load_certificate(crypto.FILETYPE_ASN1, negative)
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(crypto.dump_certificate(crypto.FILETYPE_PEM, odd))
    assert trusted_organizations(bundle) == {"Old Trust"}
