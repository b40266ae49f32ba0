"""Names that are addresses, as getaddrinfo(3) takes them."""

from __future__ import annotations

import pytest

from prober.wire.dns.numeric import numeric


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("fd00::1", "fd00::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("127.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f.0.0.1", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("10.0.0.1.", None),
        ("10.0.0.1 x", None),
        ("1.2.3.4.5", None),
        ("1.2.3.256", None),
        ("09", None),
        ("web", None),
        ("3com.example", None),
        ("", None),
    ],
)
def test_numbers_are_addresses_in_every_form_of_inet_aton(name: str, address: str | None) -> None:
    assert numeric(name) == address
