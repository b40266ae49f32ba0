"""What the lab's DNS knows: cluster.local as CoreDNS serves it, and a corner of the world outside. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import dns.name
import dns.rdatatype
import dns.reversename
import dns.rrset

CLUSTER = dns.name.from_text("cluster.local.")
OUTSIDE = dns.name.from_text("example.com.")
WEB_API = dns.name.from_text("web-api.app.svc.cluster.local.")
HEADLESS = dns.name.from_text("web-api-headless.app.svc.cluster.local.")
API = dns.name.from_text("api.example.com.")
POD = "web-api-0.web-api-headless.app.svc.cluster.local."

SEARCH = ("app.svc.cluster.local", "svc.cluster.local", "cluster.local")
STALE = {dns.rdatatype.A: "203.0.113.99", dns.rdatatype.AAAA: "2001:db8::99"}  # RFC 5737, RFC 3849
LOOPBACK = {dns.rdatatype.A: "127.0.0.1", dns.rdatatype.AAAA: "::1"}
_TTL = 5
#: Names with an address in each family, whether or not this machine has the family: DNS does not know either.
_HOSTS = (
    str(WEB_API), str(HEADLESS), POD, "kubernetes.default.svc.cluster.local.",
    "kube-dns.kube-system.svc.cluster.local.",
    "payments.pay.svc.cluster.local.", "ingress.lab.svc.cluster.local.", "proxy.lab.svc.cluster.local.",
    "echo.lab.svc.cluster.local.", "forbidden-db.db.svc.cluster.local.", str(API),
)  # fmt: skip
_ALIASES = {"legacy-api.app.svc.cluster.local.": str(API)}  # a Service of type ExternalName
_SOA = "ns.dns.{zone} hostmaster.{zone} 1 7200 1800 86400 5"

Records = dict[dns.rdatatype.RdataType, dns.rrset.RRset]


@dataclass(frozen=True, slots=True)
class Found:
    """What there is for a question: the CNAMEs and records in order. Neither records nor name is NXDOMAIN."""

    exists: bool
    answer: tuple[dns.rrset.RRset, ...] = ()
    soa: dns.rrset.RRset | None = None
    """The SOA of the zone, for the authority section where there is no answer (RFC 2308)."""


def rrset(name: str | dns.name.Name, kind: str | dns.rdatatype.RdataType, *data: str) -> dns.rrset.RRset:
    """Records of one name and type from their presentation form."""
    return dns.rrset.from_text(name, _TTL, "IN", kind, *data)


class Zone:
    """All records. `services` maps a Service's SRV prefix (`_http._tcp`) and name to its port."""

    def __init__(self, services: Mapping[tuple[str, str], int]) -> None:
        self._records: dict[dns.name.Name, Records] = {}
        for host in _HOSTS:
            for kind, address in LOOPBACK.items():
                self._add(rrset(host, kind, address))
        for alias, target in _ALIASES.items():
            self._add(rrset(alias, "CNAME", target))
        for (prefix, service), port in services.items():
            self._add(rrset(f"{prefix}.{service}", "SRV", f"0 100 {port} {service}"))
        for address in LOOPBACK.values():
            self._add(rrset(dns.reversename.from_address(address), "PTR", POD))
        self._add(rrset("dns-version.cluster.local.", "TXT", '"1.1.0"'))
        for zone in (CLUSTER, OUTSIDE, dns.name.root):
            self._add(rrset(zone, "SOA", _SOA.format(zone="" if zone == dns.name.root else zone)))
        # names between a record and its zone exist too, without records (RFC 4592 section 2.2.2)
        self._names = {parent for name in self._records for parent in _upwards(name)}

    def _add(self, records: dns.rrset.RRset) -> None:
        self._records.setdefault(records.name, {})[records.rdtype] = records

    def find(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> Found:
        """The records of `name`, CNAMEs followed."""
        answer: list[dns.rrset.RRset] = []
        soa = self.soa_of(name)
        while kind not in (records := self._records.get(name, {})) and dns.rdatatype.CNAME in records:
            alias = records[dns.rdatatype.CNAME]
            answer.append(alias)
            name = alias[0].target
        if kind in records:
            answer.append(records[kind])
        return Found(name in self._names, tuple(answer), soa)

    def soa_of(self, name: dns.name.Name) -> dns.rrset.RRset:
        """The SOA of the closest enclosing zone."""
        zone = next((zone for zone in (CLUSTER, OUTSIDE) if name.is_subdomain(zone)), dns.name.root)
        return self._records[zone][dns.rdatatype.SOA]


def _upwards(name: dns.name.Name) -> list[dns.name.Name]:
    found = [name]
    while found[-1] != dns.name.root:
        found.append(found[-1].parent())
    return found
