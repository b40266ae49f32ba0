"""What EndpointSlices come to, as tables: readiness, several slices, families, named ports."""

from __future__ import annotations

from typing import Any

import pytest

from prober.kubernetes.slices import NoSuchPort, addresses, parse_slice
from prober.reasons import Family
from tests.support.api_server import endpoint_slice


def merged(port: int | str, family: Family, *items: dict[str, Any]) -> tuple[tuple[str, int], ...]:
    return addresses([one for item in items if (one := parse_slice(item)) is not None], port, family)


V4, V6 = Family.IPV4, Family.IPV6
TWO = (
    endpoint_slice("a", "web", "10.0.0.10", "10.0.0.9", http=8080),
    endpoint_slice("b", "web", "10.0.0.9", "10.0.0.1", http=9090),
)


@pytest.mark.parametrize(("port", "family", "items", "found"), [
    ("http", V4, TWO[:1], (("10.0.0.9", 8080), ("10.0.0.10", 8080))),
    ("http", V4, TWO, (("10.0.0.1", 9090), ("10.0.0.9", 8080), ("10.0.0.9", 9090), ("10.0.0.10", 8080))),
    (80, V4, TWO, (("10.0.0.1", 80), ("10.0.0.9", 80), ("10.0.0.10", 80))),
    ("http", V6, TWO, ()),
    ("http", V4, (), ()),
    ("http", V6, (endpoint_slice("c", "web", "2001:db8::1", kind="IPv6", http=1),), (("2001:db8::1", 1),)),
    ("http", V4, (endpoint_slice("d", "web", "example.com", kind="FQDN", http=1),), ()),
    ("http", V4, (endpoint_slice("e", "web", ("10.0.0.1", None), ("10.0.0.2", False), ("10.0.0.3", True), http=1),),
     (("10.0.0.1", 1), ("10.0.0.3", 1))),
    ("nope", V4, (endpoint_slice("f", "web", ("10.0.0.2", False), http=1),), ()),
    ("http", V4, (*TWO[:1], endpoint_slice("g", "web", "10.0.0.77", other=1)),
     (("10.0.0.9", 8080), ("10.0.0.10", 8080))),
    (80, V4, ({"addressType": "IPv4", "endpoints": None, "ports": None},), ()),
    (80, V4, ({"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1", "10.0.0.2"]}]},), (("10.0.0.1", 80),)),
])  # fmt: skip
def test_ready_addresses(port: int | str, family: Family, items: tuple[dict[str, Any], ...], found: object) -> None:
    assert merged(port, family, *items) == found


def test_the_node_of_an_address_is_kept_where_it_is_ready_and_known() -> None:
    item = endpoint_slice("a", "web", "10.0.0.1", ("10.0.0.2", False), "10.0.0.3", http=1)
    for endpoint, name in zip(item["endpoints"], ("east", "west", None), strict=True):
        endpoint["nodeName"] = name
    parsed = parse_slice(item)
    assert parsed is not None
    assert parsed.nodes == {"10.0.0.1": "east"}


def test_a_port_that_no_slice_names_is_said_with_those_there_are() -> None:
    with pytest.raises(NoSuchPort, match="no port named 'grpc', only: http"):
        merged("grpc", V4, *TWO)


def test_a_udp_port_is_not_taken_for_a_tcp_one() -> None:
    item = endpoint_slice("a", "dns", "10.0.0.1") | {"ports": [{"name": "dns", "port": 53, "protocol": "UDP"}]}
    with pytest.raises(NoSuchPort):
        merged("dns", V4, item)
