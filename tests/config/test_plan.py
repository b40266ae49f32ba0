"""What cells cost: by hand, for one cell of each kind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from prober.config.plan import Rate, floor_of, plan, rate_of
from prober.config.single import cell_for_url
from prober.model import Cell, ServiceRef
from prober.options import KindOptions
from prober.reasons import Family, Kind


def cell(url: str, kind: Kind | None = None, interval: float = 1.0, **options: Any) -> Cell:
    made = cell_for_url(url, Family.IPV4, kind, options=KindOptions.model_validate(options))
    return replace(made, interval=interval)


#: URL, kind, options → packets and connections of one run.
COSTS: list[tuple[str, Kind | None, dict[str, Any], int, int]] = [
    ("icmp://192.0.2.1", None, {"icmp": {"count": 3}}, 6, 0),
    ("icmp://example.com.", None, {}, 4, 0),
    ("tcp://192.0.2.1:1", None, {}, 7, 1),
    ("tcp://192.0.2.1:1", None, {"tcp": {"dialogue": [{"expect": "a"}, {"send": "b", "expect": "c"}]}}, 7 + 6, 1),
    ("tcp://example.com:1", None, {}, 7 + 4 * 2, 1),
    ("tcp://a.b.c.d.e.example:1", None, {}, 7 + 2, 1),
    ("tcp://example.com:1", None, {"resolver": {"search": ["x.y"], "ndots": 2}}, 7 + 2 * 2, 1),
    ("tcp://example.com:1", None, {"resolver": {"ndots": 1}}, 7 + 2, 1),
    ("tcp://example.com.:1", None, {"resolver": {"transport": "tcp"}}, 7 + 11, 2),
    ("tls://192.0.2.1", None, {}, 7 + 9, 1),
    ("http://192.0.2.1", None, {}, 7 + 4, 1),
    ("https://192.0.2.1", None, {}, 7 + 9 + 4, 1),
    ("https://192.0.2.1", Kind.TCP, {}, 7, 1),
    ("https://192.0.2.1", Kind.KUBERNETES, {}, 7 + 9 + 4, 1),
    ("grpc://192.0.2.1", None, {}, 7 + 8, 1),
    ("grpcs://192.0.2.1", None, {}, 7 + 9 + 8, 1),
    ("dns:///example.com", None, {}, 8, 0),
    ("dns:///example.com.", None, {}, 2, 0),
    ("dns://192.0.2.1/example.com", None, {}, 2, 0),
    ("dns:///example.com", None, {"resolver": {"profile": "musl"}}, 8, 0),
    ("dns:///example.com", None, {"resolver": {"profile": "musl", "servers": ["192.0.2.1"] * 4}}, 24, 0),
    ("dns:///example.com.", None, {"resolver": {"profile": "musl", "servers": ["192.0.2.1", "2001:db8::1"]}}, 2, 0),
    ("dns://192.0.2.1/example.com.", None, {"resolver": {"profile": "musl", "servers": ["192.0.2.1"] * 2}}, 2, 0),
    ("tcp://example.com.:1", None, {"resolver": {"profile": "musl", "servers": ["192.0.2.1", "2001:db8::1"]}}, 11, 1),
    ("dns://192.0.2.1/example.com?transport=tcp", None, {}, 11, 1),
    ("dns://192.0.2.1/example.com?transport=tls", None, {}, 20, 1),
    ("dns://192.0.2.1/example.com?transport=https", None, {}, 20, 1),
    ("dns:///example.com.", None, {"resolver": {"transport": "tcp"}}, 11, 1),
    ("dns:///example.com.", None, {"dns": {"type": "A+AAAA"}}, 4, 0),
    ("dns:///example.com.", None, {"dns": {"type": "A+AAAA", "sockets": "both"}}, 8, 0),
]


@pytest.mark.parametrize(("url", "kind", "options", "packets", "connections"), COSTS)
def test_the_packets_and_connections_of_one_run(
    url: str, kind: Kind | None, options: dict[str, Any], packets: int, connections: int
) -> None:
    assert rate_of(cell(url, kind, **options)) == Rate(1, 1.0, packets, connections)


def test_rates_add_up_by_probe_and_in_all() -> None:
    web, ping = cell("http://192.0.2.1", interval=10.0), replace(cell("icmp://192.0.2.1", interval=2.0), probe="ping")
    made = plan([web, web, ping])
    assert made.by_probe == {"try": Rate(2, 0.2, 2.2, 0.2), "ping": Rate(1, 0.5, 1.0, 0.0)}
    assert made.total == Rate(3, pytest.approx(0.7), pytest.approx(3.2), pytest.approx(0.2))  # type: ignore[arg-type]  # approx stands for a float
    assert made.open_ended == 0


def test_nothing_costs_nothing() -> None:
    assert plan([]).total == Rate(0, 0.0, 0.0, 0.0)


def test_cells_with_as_many_addresses_as_there_will_be_are_counted_apart() -> None:
    one = cell("http://web.svc")
    every = replace(one, endpoint=replace(one.endpoint, addresses="all"))
    service = replace(one, endpoint=replace(one.endpoint, service=ServiceRef("app", "web", 80)))
    assert plan([one, every, service]).open_ended == 2
    assert rate_of(service).packets_per_second == 11, "EndpointSlices take the place of the lookup"


def floor(url: str, kind: Kind | None = None, **options: Any) -> tuple[dict[str, int], tuple[int, int]]:
    above, names = floor_of(cell(url, kind, **options))
    return {str(trips.layer): trips.count for trips in above}, names


#: URL, kind, options → round trips of the layers, and of the name: the fewest and the most.
FLOORS: list[tuple[str, Kind | None, dict[str, Any], dict[str, int], tuple[int, int]]] = [
    ("http://192.0.2.1", None, {}, {"tcp": 1, "http": 1}, (0, 0)),
    ("https://example.com", None, {}, {"tcp": 1, "tls": 1, "http": 1}, (1, 4)),
    ("https://example.com.", None, {"tls": {"max_version": "1.2"}}, {"tcp": 1, "tls": 2, "http": 1}, (1, 1)),
    ("tcp://example.com:1", None, {"resolver": {"transport": "tcp"}}, {"tcp": 1}, (2, 8)),
    ("dns:///example.com", None, {"resolver": {"profile": "musl", "servers": ["192.0.2.1"] * 3}}, {}, (1, 4)),
    ("dns://192.0.2.1/example.com?transport=tls", None, {}, {}, (3, 3)),
]


@pytest.mark.parametrize(("url", "kind", "options", "layers", "names"), FLOORS)
def test_the_round_trips_that_a_run_waits_for(
    url: str, kind: Kind | None, options: dict[str, Any], layers: dict[str, int], names: tuple[int, int]
) -> None:
    assert floor(url, kind, **options) == (layers, names)
