"""What a DNS server of the lab knows. Pure data: `Zone` for any records, and those of the demo network.

The demo has cluster.local as CoreDNS serves it, and a corner of the world outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
_SOA = "ns.dns.{zone} hostmaster.{zone} 1 7200 1800 86400 {ttl}"
_LONGEST_CHAIN = 8  # CNAMEs that a resolver follows

Records = dict[dns.rdatatype.RdataType, dns.rrset.RRset]


@dataclass(frozen=True, slots=True)
class Found:
    """What there is for a question: the CNAMEs and records in order. Neither records nor name is NXDOMAIN."""

    exists: bool
    answer: tuple[dns.rrset.RRset, ...] = ()
    soa: dns.rrset.RRset | None = None
    """The SOA of the zone, for the authority section where there is no answer (RFC 2308)."""


def rrset(
    name: str | dns.name.Name, kind: str | dns.rdatatype.RdataType, *data: str, ttl: int = _TTL
) -> dns.rrset.RRset:
    """Records of one name and type from their presentation form; `ttl` in seconds."""
    return dns.rrset.from_text(name, ttl, "IN", kind, *data)


def soa(zone: dns.name.Name, ttl: int = _TTL) -> dns.rrset.RRset:
    """A start of authority as CoreDNS makes one. That there is nothing may be kept for `ttl` s too (RFC 2308)."""
    return rrset(zone, "SOA", _SOA.format(zone="" if zone == dns.name.root else zone, ttl=ttl), ttl=ttl)


class Zone:
    """Records by name and type. `clusters` are those of its zones that the server is the authority for (AA).

    Every zone has its SOA among the records; the root has one.
    """

    def __init__(self, records: Iterable[dns.rrset.RRset], clusters: Sequence[dns.name.Name]) -> None:
        self.clusters = clusters
        self._records: dict[dns.name.Name, Records] = {}
        for each in records:
            self._records.setdefault(each.name, {})[each.rdtype] = each
        # names between a record and its zone exist too, without records (RFC 4592 section 2.2.2)
        self._names = {parent for name in self._records for parent in _upwards(name)}

    def __iter__(self) -> Iterator[dns.rrset.RRset]:
        """All records."""
        for each in self._records.values():
            yield from each.values()

    def find(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> Found:
        """The records of `name`, CNAMEs followed, so many as a resolver would."""
        answer: list[dns.rrset.RRset] = []
        while kind not in (records := self._records.get(name, {})) and dns.rdatatype.CNAME in records:
            if len(answer) == _LONGEST_CHAIN:
                break
            answer.append(records[dns.rdatatype.CNAME])
            name = answer[-1][0].target
        if kind in records:
            answer.append(records[kind])
        return Found(name in self._names, tuple(answer), self.soa_of(name))

    def soa_of(self, name: dns.name.Name) -> dns.rrset.RRset:
        """The SOA of the closest enclosing zone."""
        return next(
            found
            for parent in _upwards(name)
            if (found := self._records.get(parent, {}).get(dns.rdatatype.SOA)) is not None
        )

    def is_authority(self, name: dns.name.Name) -> bool:
        """Whether `name` is in a zone of the cluster."""
        return any(name.is_subdomain(zone) for zone in self.clusters)


def demo_zone(services: Mapping[tuple[str, str], int]) -> Zone:
    """The demo's records. `services` maps a Service's SRV prefix (`_http._tcp`) and name to its port."""
    records = [rrset(host, kind, address) for host in _HOSTS for kind, address in LOOPBACK.items()]
    records += [rrset(alias, "CNAME", target) for alias, target in _ALIASES.items()]
    records += [rrset(f"{prefix}.{name}", "SRV", f"0 100 {port} {name}") for (prefix, name), port in services.items()]
    records += [rrset(dns.reversename.from_address(address), "PTR", POD) for address in LOOPBACK.values()]
    records.append(rrset("dns-version.cluster.local.", "TXT", '"1.1.0"'))
    records += [soa(zone) for zone in (CLUSTER, OUTSIDE, dns.name.root)]
    return Zone(records, [CLUSTER])


def _upwards(name: dns.name.Name) -> list[dns.name.Name]:
    found = [name]
    while found[-1] != dns.name.root:
        found.append(found[-1].parent())
    return found
