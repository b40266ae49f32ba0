"""From entries to cells: families, vantages, endpoints and labels, kind by kind."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from prober.config.load import load_text
from prober.config.matrix import expand
from prober.model import Cell, ServiceRef, Vantage
from prober.options import Profile
from prober.reasons import Family, Layer

V4, V6 = Family.IPV4, Family.IPV6
BOTH = Vantage("v", families=(V4, V6))


def cells(probe: dict[str, Any], vantage: Vantage = BOTH, **top: Any) -> dict[str, Cell]:
    """The cells of one probe named `p`, by what follows the probe in their ids."""
    text = yaml.safe_dump({**top, "probes": [{"name": "p", **probe}]}, sort_keys=False)
    return {cell.id.removeprefix("p/"): cell for cell in expand(load_text(text, "p.yaml", {}), vantage)}


def web(*families: Family, url: str = "https://web.svc", vantage: Vantage = BOTH, **probe: Any) -> list[Family]:
    """The families of a probe's cells towards one URL; `families` are those of the defaults."""
    top = {"defaults": {"families": [f.value for f in families]}} if families else {}
    made = cells({"kind": "http", "targets": ["web"], **probe}, vantage, targets={"web": url}, **top)
    return [cell.family for cell in made.values()]


class TestFamilies:
    @pytest.mark.parametrize("has", [(V4,), (V6,), (V4, V6)])
    def test_auto_is_what_the_vantage_has(self, has: tuple[Family, ...]) -> None:
        vantage = Vantage("v", families=has)
        assert web(vantage=vantage) == list(has)
        assert web(V4, vantage=vantage, families="auto") == list(has)

    def test_a_list_is_kept_even_where_the_vantage_has_it_not(self) -> None:
        assert web(vantage=Vantage("v", families=(V4,)), families=["ipv6"]) == [V6]
        assert web(V6, vantage=Vantage("v", families=(V4,))) == [V6]

    def test_a_literal_has_its_own_family_alone_and_only_where_the_vantage_has_it(self) -> None:
        assert web(url="https://192.0.2.1") == web(V4, V6, url="https://192.0.2.1") == [V4]
        assert web(url="https://192.0.2.1", families=["ipv4"], vantage=Vantage("v", families=(V6,))) == [V4]
        assert web(url="https://192.0.2.1", vantage=Vantage("v", families=(V6,))) == []

    def test_a_path_narrows_the_families_of_its_probe(self) -> None:
        targets = {"web": {"paths": {"x": {"url": "https://web.svc", "families": ["ipv6"]}, "y": "https://y.svc"}}}
        probe = {"kind": "http", "targets": ["web"]}
        assert [*cells(probe, targets=targets)] == ["web/x/ipv6", "web/y/ipv4", "web/y/ipv6"]
        assert next(iter(cells({**probe, "families": ["ipv4", "ipv6"]}, targets=targets))) == "web/x/ipv6"
        assert [*cells(probe, Vantage("v", families=(V4,)), targets=targets)] == ["web/y/ipv4"]

    def test_the_family_is_that_of_the_first_hop(self) -> None:
        way = {"url": "https://[2001:db8::1]", "proxy": "http://192.0.2.1:3128"}
        made = cells({"kind": "http", "targets": ["web"]}, targets={"web": {"paths": {"x": way}}})
        assert [*made] == ["web/x/ipv4"]


class TestVantages:
    HERE = Vantage("n1", "node-1", "z1", "r1", labels={"app": "canary", "tier": "x"})

    @pytest.mark.parametrize(
        ("selector", "runs"),
        [
            ({}, True),
            ({"names": ["n1", "n2"]}, True),
            ({"names": ["n2"]}, False),
            ({"nodes": ["node-1"], "zones": ["z1"], "regions": ["r1"]}, True),
            ({"nodes": ["node-1"], "zones": ["z2"]}, False),
            ({"labels": {"app": "canary"}}, True),
            ({"labels": {"app": "canary", "tier": "y"}}, False),
            ({"labels": {"missing": "x"}}, False),
        ],
    )
    def test_a_probe_runs_where_every_key_of_its_selector_matches(self, selector: Any, runs: bool) -> None:
        made = cells({"kind": "icmp", "targets": ["a"], "vantages": selector}, self.HERE, targets={"a": "icmp://a"})
        assert bool(made) is runs


class TestEndpoints:
    def test_endpoints_of_a_service_speak_what_the_kind_speaks(self) -> None:
        targets = {"web": {"paths": {"pod": {"endpoints": {"service": "app/web", "port": 8080}}}}}
        for kind, scheme in {"http": "http", "tcp": "tcp", "tls": "tls", "grpc": "grpc", "icmp": "icmp"}.items():
            endpoint = cells({"kind": kind, "targets": ["web"]}, targets=targets)["web/pod/ipv4"].endpoint
            assert (endpoint.scheme, endpoint.service) == (scheme, ServiceRef("app", "web", 8080))
            assert endpoint.shown == f"{scheme}://web.app.svc:8080"

    def test_endpoints_with_a_url_take_its_scheme_host_and_path(self) -> None:
        way = {"endpoints": {"service": "app/web", "port": "https"}, "url": "https://api.example.com/ready"}
        made = cells({"kind": "http", "targets": ["web"]}, targets={"web": {"paths": {"pod": way}}})
        endpoint = made["web/pod/ipv4"].endpoint
        assert (endpoint.authority, endpoint.resource, endpoint.tls) == ("api.example.com", "/ready", True)
        assert endpoint.service == ServiceRef("app", "web", "https")

    def test_a_pin_moves_the_connection_and_nothing_else(self) -> None:
        way = {"url": "https://api.example.com/x", "connect": "203.0.113.10:8443"}
        cell = cells({"kind": "http", "targets": ["web"]}, targets={"web": {"paths": {"i": way}}})["web/i/ipv4"]
        assert cell.endpoint.first_hop == ("203.0.113.10", 8443)
        assert cell.endpoint.authority == "api.example.com"

    def test_a_kind_may_climb_less_than_the_url_offers(self) -> None:
        cell = cells({"kind": "tcp", "targets": ["web"]}, targets={"web": "https://web.svc"})["web/default/ipv4"]
        assert cell.ladder == (Layer.DNS, Layer.TCP)


class TestDns:
    RESOLVER = Vantage("v", families=(V4, V6), resolver_families=(V6,))

    def test_names_are_asked_of_the_pods_own_servers_in_their_families(self) -> None:
        probe = {"kind": "dns", "matrix": {"name": ["web.app"], "type": ["A", "AAAA"], "transport": ["udp", "tcp"]}}
        made = cells(probe, self.RESOLVER)
        assert [*made] == [f"web.app/{t}/{how}/ipv6" for t in ("A", "AAAA") for how in ("udp", "tcp")]
        cell = made["web.app/AAAA/tcp/ipv6"]
        assert (cell.options.dns.type, cell.options.dns.transport, cell.options.dns.search) == ("AAAA", "tcp", None)
        assert (cell.endpoint.host, cell.endpoint.port, cell.endpoint.resource) == ("", 53, "web.app")

    def test_families_that_the_defaults_wish_for_are_left_out_where_no_server_has_them(self) -> None:
        probe = {"kind": "dns", "matrix": {"name": ["a.b"]}}
        assert [*cells(probe, self.RESOLVER, defaults={"families": ["ipv4", "ipv6"]})] == ["a.b/A/udp/ipv6"]
        assert [*cells({**probe, "families": ["ipv4"]}, self.RESOLVER)] == ["a.b/A/udp/ipv4"]

    def test_servers_of_the_probe_bring_their_own_families(self) -> None:
        probe = {"kind": "dns", "matrix": {"name": ["a.b"]}, "resolver": {"servers": ["192.0.2.1", "192.0.2.2:5353"]}}
        assert [*cells(probe, self.RESOLVER)] == ["a.b/A/udp/ipv4"]

    def test_a_named_server_is_a_label_and_its_address_is_not(self) -> None:
        named = {"node-local": "169.254.20.10", "far": "[2001:db8::a]:5353"}
        probe = {"kind": "dns", "matrix": {"name": ["a.b"], "server": [*named]}, "resolver": {"named": named}}
        made = cells(probe)
        assert [*made] == ["a.b/A/udp/node-local/ipv4", "a.b/A/udp/far/ipv6"]
        far = made["a.b/A/udp/far/ipv6"]
        assert (far.endpoint.host, far.endpoint.port, far.options.dns.search) == ("2001:db8::a", 5353, True)
        assert far.options.resolver.named == {}

    def test_several_profiles_make_a_cell_each_and_glibc_alone_needs_no_label(self) -> None:
        probe = {"kind": "dns", "matrix": {"name": ["a.b"]}}
        both = cells({**probe, "resolver": {"profile": ["glibc", "musl"]}}, self.RESOLVER)
        assert {key: cell.options.resolver.profile for key, cell in both.items()} == {
            "a.b/A/udp/glibc/ipv6": (Profile.GLIBC,), "a.b/A/udp/musl/ipv6": (Profile.MUSL,),
        }  # fmt: skip
        assert [*cells({**probe, "resolver": {"profile": "musl"}}, self.RESOLVER)] == ["a.b/A/udp/musl/ipv6"]
        assert [*cells({**probe, "resolver": {"profile": ["glibc"]}}, self.RESOLVER)] == ["a.b/A/udp/ipv6"]

    def test_another_kind_resolves_as_the_one_profile_that_it_names(self) -> None:
        targets = {"web": "tcp://web.app:1"}
        made = cells({"kind": "tcp", "targets": ["web"], "resolver": {"profile": "musl"}}, targets=targets)
        assert {cell.options.resolver.profile for cell in made.values()} == {(Profile.MUSL,)}
        assert {cell.path for cell in made.values()} == {"default"}

    def test_a_url_names_server_type_and_transport(self) -> None:
        url = "dns://192.0.2.53:5353/example.com?type=MX&transport=tcp"
        paths = {"default": url, "second": "dns://192.0.2.54/example.com"}
        made = cells({"kind": "dns", "targets": ["up"]}, targets={"up": {"paths": paths}})
        assert [*made] == ["up/MX/tcp/ipv4", "up/A/udp/second/ipv4"]
        cell = made["up/MX/tcp/ipv4"]
        assert (cell.endpoint.host, cell.endpoint.port, cell.options.dns.search) == ("192.0.2.53", 5353, False)

    def test_the_search_list_is_walked_where_the_block_says_so(self) -> None:
        targets = {"up": "dns://192.0.2.53/web.app"}
        made = cells({"kind": "dns", "targets": ["up"], "dns": {"search": True}}, targets=targets)
        assert made["up/A/udp/ipv4"].options.dns.search is True


class TestKubernetes:
    HERE = Vantage("v", families=(V4, V6), api_server=("2001:db8::443", 6443))

    def test_the_api_server_is_probed_by_name_and_by_address_in_its_own_family(self) -> None:
        made = cells({"kind": "kubernetes"}, self.HERE)
        assert [*made] == ["kubernetes/name/ipv6", "kubernetes/ip/ipv6"]
        name, ip = (cell.endpoint for cell in made.values())
        assert (name.first_hop, ip.first_hop) == (("kubernetes.default.svc", 443), ("2001:db8::443", 6443))
        assert name.host == ip.host == "kubernetes.default.svc", "SNI and certificate name"
        assert name.resource == ip.resource == "/readyz?verbose"

    def test_without_an_address_in_the_environment_there_is_the_name_alone(self) -> None:
        assert [*cells({"kind": "kubernetes"}, BOTH)] == ["kubernetes/name/ipv4", "kubernetes/name/ipv6"]

    def test_families_of_the_probe_count_for_the_name_and_never_bend_the_address(self) -> None:
        made = cells({"kind": "kubernetes", "families": ["ipv4", "ipv6"]}, self.HERE)
        assert [*made] == ["kubernetes/name/ipv4", "kubernetes/name/ipv6", "kubernetes/ip/ipv6"]
        wished = cells({"kind": "kubernetes"}, self.HERE, defaults={"families": ["ipv4", "ipv6"]})
        assert [*wished] == ["kubernetes/name/ipv6", "kubernetes/ip/ipv6"]

    def test_another_cluster_is_asked_for_the_resource_of_the_block_unless_its_url_has_one(self) -> None:
        targets = {"x": "https://x.example.com:6443", "y": "https://y.example.com:6443/livez"}
        made = cells({"kind": "kubernetes", "targets": ["x", "y"], "families": ["ipv4"]}, targets=targets)
        assert [cell.endpoint.resource for cell in made.values()] == ["/readyz?verbose", "/livez"]
