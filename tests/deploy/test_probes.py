"""The deployed probes.yaml runs unedited in any cluster: what it makes of one with IPv4, with IPv6, and with both."""

from __future__ import annotations

import pytest

from prober.config.load import load
from prober.config.matrix import expand
from prober.model import Cell, Vantage
from prober.reasons import Family, Kind
from tests.deploy.build import DEPLOY, ROOT, one, read_all

V4, V6 = Family.IPV4, Family.IPV6
CLUSTERS = {
    "ipv4": Vantage("a", families=(V4,), resolver_families=(V4,), api_server=("10.96.0.1", 443)),
    "ipv6": Vantage("a", families=(V6,), resolver_families=(V6,), api_server=("fd00:10:96::1", 443)),
    # Service `kubernetes` and the cluster's DNS have addresses of the first family alone
    "dual": Vantage("a", families=(V4, V6), resolver_families=(V4,), api_server=("10.96.0.1", 443)),
}
ADDRESS_TYPES = {V4: "A", V6: "AAAA"}


def cells_of(cluster: str, env: dict[str, str] | None = None) -> tuple[Cell, ...]:
    return expand(load(ROOT / "probes.yaml", env or {}), CLUSTERS[cluster])


@pytest.mark.parametrize("cluster", CLUSTERS)
class TestEveryCluster:
    def test_a_family_that_the_cluster_lacks_is_not_probed(self, cluster: str) -> None:
        assert {cell.family for cell in cells_of(cluster)} == set(CLUSTERS[cluster].families)

    def test_the_api_server_is_probed_by_name_and_by_address(self, cluster: str) -> None:
        api = [cell for cell in cells_of(cluster) if cell.kind is Kind.KUBERNETES]
        assert sorted(cell.path for cell in api) == ["ip", "name"]
        assert {cell.family for cell in api} == {CLUSTERS[cluster].families[0]}

    def test_a_type_is_demanded_only_where_there_must_be_a_record_of_it(self, cluster: str) -> None:
        """AAAA of an IPv4 Service is NOERROR without records: a failure unless NOERROR is what is expected."""
        dns = [cell for cell in cells_of(cluster) if cell.kind is Kind.DNS]
        assert {(cell.options.dns.type, cell.options.dns.transport) for cell in dns} == {
            (kind, transport) for kind in ("A", "AAAA") for transport in ("udp", "tcp")
        }
        for cell in dns:
            assert cell.expect.rcode == "NOERROR" or cell.options.dns.type == ADDRESS_TYPES[cell.family]

    def test_the_short_name_is_searched_and_the_whole_one_is_not(self, cluster: str) -> None:
        dns = {cell.endpoint.resource: cell for cell in cells_of(cluster) if cell.kind is Kind.DNS}
        assert set(dns) == {"kubernetes.default", "kubernetes.default.svc.cluster.local."}
        assert dns["kubernetes.default"].options.dns.search is True

    def test_every_peer_is_probed_in_every_family(self, cluster: str) -> None:
        service = one(read_all(DEPLOY / "base" / "peers.yaml"), "Service")
        for kind in (Kind.ICMP, Kind.TCP, Kind.HTTP):
            peers = [cell for cell in cells_of(cluster) if cell.target == "peers" and cell.kind is kind]
            assert {cell.family for cell in peers} == set(CLUSTERS[cluster].families)
            for cell in peers:
                assert cell.endpoint.addresses == "all"
                assert cell.endpoint.host == service["metadata"]["name"]
                assert cell.endpoint.port == service["spec"]["ports"][0]["port"]


def test_another_cluster_domain_comes_from_the_environment() -> None:
    names = {cell.endpoint.resource for cell in cells_of("ipv4", {"PROBER_CLUSTER_DOMAIN": "example.internal"})}
    assert "kubernetes.default.svc.example.internal." in names
