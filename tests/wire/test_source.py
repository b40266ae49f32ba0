"""The addresses that this place has of its own."""

from __future__ import annotations

import pytest

from prober.wire.source import has_source, is_own
from tests.support.cells import has_ipv6


@pytest.mark.parametrize(
    ("address", "own"),
    [("127.0.0.1", True), ("192.0.2.1", False), ("2001:db8::1", False), ("not an address", False)],
)
def test_an_address_is_our_own_where_a_socket_may_be_bound_to_it(address: str, own: bool) -> None:
    assert is_own(address) is own


def test_so_is_one_of_the_other_family() -> None:
    if not has_ipv6():
        pytest.skip("no IPv6 here")
    assert is_own("::1")
    assert has_source("::1")


def test_the_loopback_has_a_source() -> None:
    assert has_source("127.0.0.1")
