"""What the cluster's DNS knows: the plan's Services and Pods as CoreDNS serves them, and two zones of the outside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import dns.name
import dns.rdatatype
import dns.reversename
import dns.rrset

from prober.lab.zone import Zone, rrset, soa
from prober.reasons import Family
from tests.network.lab import plan

TTL = 30  # seconds: the `ttl` of CoreDNS's kubernetes plugin in kubeadm's Corefile
TYPES = {Family.IPV4: "A", Family.IPV6: "AAAA"}
CLUSTER = dns.name.from_text("cluster.local.")
REVERSE = (dns.name.from_text("in-addr.arpa."), dns.name.from_text("ip6.arpa."))
OUTSIDE = (dns.name.from_text("example.com."), dns.name.from_text("example.net."))
#: The zones, the root last: every other name is unknown.
ZONES = (CLUSTER, *REVERSE, *OUTSIDE, dns.name.root)
#: The Pods of `web-both` by a Service without an address of its own.
HEADLESS = "web-headless.app.svc.cluster.local."
#: Outside: a host, an alias of it, one of IPv4 alone, and one whose addresses outgrow a datagram.
WWW, ALIAS, V4_ONLY, MANY = f"{plan.WWW_HOST}.", "shop.example.net.", "old.example.net.", "many.example.net."
DANGLING = "moved.example.net."
_MANY = 60


def cluster_zone(services: Iterable[plan.Service] = plan.SERVICES.values()) -> Zone:
    """All that the cluster's DNS answers."""
    records = _merged([*_services(services), *_headless(), *_pods(), *_outside()])
    return Zone([*records, *(soa(zone, TTL) for zone in ZONES)], [CLUSTER, *REVERSE])


def _services(services: Iterable[plan.Service]) -> Iterator[dns.rrset.RRset]:
    for service in services:
        yield from _addresses(service.dns_name, {family: service.address(family) for family in Family})
        for port in service.ports:
            srv = f"_{port.name}._{port.protocol}.{service.dns_name}"
            yield rrset(srv, "SRV", f"0 100 {port.number} {service.dns_name}", ttl=TTL)
        for family in Family:
            yield _pointer(service.address(family), service.dns_name)
    yield rrset("dns-version.cluster.local.", "TXT", '"1.1.0"', ttl=TTL)
    yield rrset("legacy.app.svc.cluster.local.", "CNAME", WWW, ttl=TTL)  # of type ExternalName


def _headless() -> Iterator[dns.rrset.RRset]:
    """A headless Service has the addresses of its Pods, and a name for each of them."""
    service = plan.SERVICES["web-both"]
    for pod in service.pods:
        for family in Family:
            address = pod.address(family)
            name = f"{dashed(address)}.{HEADLESS}"
            yield rrset(HEADLESS, TYPES[family], address, ttl=TTL)
            yield rrset(name, TYPES[family], address, ttl=TTL)
            yield _pointer(address, name)
            for port in service.ports:
                yield rrset(f"_{port.name}._{port.protocol}.{HEADLESS}", "SRV", f"0 25 {port.target} {name}", ttl=TTL)


def _pods() -> Iterator[dns.rrset.RRset]:
    """`10-42-2-12.app.pod.cluster.local`, as with `pods verified`."""
    for pod in plan.PODS.values():
        for family in Family:
            address = pod.address(family)
            yield rrset(f"{dashed(address)}.{pod.namespace}.pod.cluster.local.", TYPES[family], address, ttl=TTL)


def _outside() -> Iterator[dns.rrset.RRset]:
    yield from _addresses(WWW, plan.OUTSIDE_ADDRESSES)
    yield rrset(ALIAS, "CNAME", WWW, ttl=TTL)
    yield rrset(DANGLING, "CNAME", "gone.example.com.", ttl=TTL)
    yield rrset(V4_ONLY, "A", plan.OUTSIDE_ADDRESSES[Family.IPV4], ttl=TTL)
    for number in range(1, _MANY + 1):
        yield rrset(MANY, "A", f"203.0.113.{100 + number}", ttl=TTL)
        yield rrset(MANY, "AAAA", f"2001:db8:f00::{100 + number}", ttl=TTL)
    for host, name in ((plan.WEB_HOST, "nginx"), (plan.GRPC_HOST, "nginx")):
        service = plan.SERVICES[name]
        yield from _addresses(f"{host}.", {f: service.external_address(f) or service.address(f) for f in Family})


def dashed(address: str) -> str:
    """An address as a label: CoreDNS replaces the dots and colons by dashes."""
    return address.replace(".", "-").replace(":", "-")


def _addresses(name: str, addresses: dict[Family, str]) -> Iterator[dns.rrset.RRset]:
    for family, address in addresses.items():
        yield rrset(name, TYPES[family], address, ttl=TTL)


def _pointer(address: str, name: str) -> dns.rrset.RRset:
    return rrset(dns.reversename.from_address(address), "PTR", name, ttl=TTL)


def _merged(records: Iterable[dns.rrset.RRset]) -> list[dns.rrset.RRset]:
    """One set of records for each name and type."""
    merged: dict[tuple[dns.name.Name, dns.rdatatype.RdataType], dns.rrset.RRset] = {}
    for each in records:
        merged.setdefault((each.name, each.rdtype), each).update(each)
    return list(merged.values())
