"""kube-proxy's nftables mode: Services as verdict maps, endpoints by random, marks, masquerade, affinity, reject.

The tables have its shape and its names, made from the plan for one node and one family. `apply` replaces a node's
tables in one transaction, so that Services can change under traffic. Beside them is what the CNI does about the world
outside: masquerading.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prober.reasons import Family
from tests.network.lab import plan
from tests.network.lab.isolation import run
from tests.network.lab.plan import Node, Port, Service

TABLE, MASQUERADE = "kube-proxy", "flannel-masq"
_MARK = "0x4000"
_AFFINITY = "10800s"


def apply(node: Node, family: Family, services: Iterable[Service], *, hairpin: bool = True) -> None:
    """Put the tables of `services` in place, of what was there before nothing stays.

    Without `hairpin` a Pod that reaches itself through a Service is not masqueraded.
    """
    run(node.name, "nft", "-f", "-", stdin="\n".join(_Tables(node, list(services), family, hairpin=hairpin).lines()))


def masquerade(node: Node, family: Family) -> None:
    """What Pods say to the world is said by the node: the fabric knows no Pod."""
    run(node.name, "nft", "-f", "-", stdin="\n".join(_masquerade(family)))


def _ip(family: Family) -> str:
    return "ip" if family is plan.V4 else "ip6"


def _masquerade(family: Family) -> Iterator[str]:
    ip, pods = _ip(family), plan.POD_NETWORKS[family]
    inner = pods if family is plan.V4 else f"{{ {pods}, {plan.GUA_NETWORK} }}"
    yield f"table {ip} {MASQUERADE}"
    yield f"delete table {ip} {MASQUERADE}"
    yield f"table {ip} {MASQUERADE} {{"
    yield "  chain postrouting { type nat hook postrouting priority srcnat + 1;"
    yield f"    {ip} saddr {inner} {ip} daddr != {inner} masquerade fully-random; }}"
    yield "}"


class _Tables:
    """The lines of one table."""

    def __init__(self, node: Node, services: list[Service], family: Family, *, hairpin: bool) -> None:
        self._node = node
        self._hairpin = hairpin
        self._services = services
        self._family = family
        self._ip = _ip(family)
        self._type = "ipv4_addr" if family is plan.V4 else "ipv6_addr"

    def lines(self) -> Iterator[str]:
        yield f"table {self._ip} {TABLE}"  # made where there is none, so that it can be deleted
        yield f"delete table {self._ip} {TABLE}"
        yield f"table {self._ip} {TABLE} {{"
        yield from self._maps()
        yield from self._fixed()
        for service in self._services:
            for port in service.ports:
                if service.endpoints(self._family):
                    yield from self._service(service, port)
        yield "}"

    def _maps(self) -> Iterator[str]:
        key = f"{self._type} . inet_proto . inet_service"
        leads, rejected = list[str](), list[str]()
        node_ports, rejected_ports = list[str](), list[str]()
        for service in self._services:
            external = service.external_address(self._family)
            for port in service.ports:
                name = f"{service.name}-{port.name}"
                there = bool(service.endpoints(self._family))
                where = f"{service.address(self._family)} . {port.protocol} . {port.number}"
                (leads if there else rejected).append(f"{where} : goto {'service-' + name if there else 'reject-it'}")
                if external is not None:
                    outer = f"{external} . {port.protocol} . {port.number}"
                    (leads if there else rejected).append(
                        f"{outer} : goto {'external-' + name if there else 'reject-it'}"
                    )
                if port.node_port is not None:
                    (node_ports if there else rejected_ports).append(
                        f"{port.protocol} . {port.node_port} : goto {'external-' + name if there else 'reject-it'}"
                    )
        yield from _map("service-ips", key, leads)
        yield from _map("no-endpoint-services", key, rejected)
        yield from _map("service-nodeports", "inet_proto . inet_service", node_ports)
        yield from _map("no-endpoint-nodeports", "inet_proto . inet_service", rejected_ports)

    def _fixed(self) -> Iterator[str]:
        ip = self._ip
        node = self._node.address(self._family)
        yield "chain reject-it { reject; }"
        yield f"chain mark-for-masquerade {{ meta mark set meta mark or {_MARK}; }}"
        yield f"""chain services {{
          {ip} daddr . meta l4proto . th dport vmap @service-ips;
          {ip} daddr {node} meta l4proto . th dport vmap @service-nodeports; }}"""
        yield f"""chain service-endpoints-check {{
          {ip} daddr . meta l4proto . th dport vmap @no-endpoint-services;
          {ip} daddr {node} meta l4proto . th dport vmap @no-endpoint-nodeports; }}"""
        for hook in ("forward", "output", "input"):
            yield f"""chain filter-{hook} {{ type filter hook {hook} priority -110;
              ct state new jump service-endpoints-check; }}"""
        yield "chain nat-prerouting { type nat hook prerouting priority dstnat; jump services; }"
        yield "chain nat-output { type nat hook output priority -100; jump services; }"
        yield f"""chain nat-postrouting {{ type nat hook postrouting priority srcnat;
          meta mark and {_MARK} != 0 meta mark set meta mark xor {_MARK} masquerade fully-random; }}"""

    def _service(self, service: Service, port: Port) -> Iterator[str]:
        name = f"{service.name}-{port.name}"
        endpoints = service.endpoints(self._family)
        for number, address in enumerate(endpoints):
            yield from self._endpoint(f"{name}-{number}", address, port, affinity=service.affinity)
        ip, pods = self._ip, plan.POD_NETWORKS[self._family]
        yield f"chain service-{name} {{"
        yield f"  {ip} daddr {service.address(self._family)} {ip} saddr != {pods} jump mark-for-masquerade;"
        yield from self._spread(name, range(len(endpoints)), affinity=service.affinity)
        yield "}"
        if port.node_port is not None or service.load_balancer is not None:
            yield from self._external(service, name, pods)

    def _external(self, service: Service, name: str, pods: str) -> Iterator[str]:
        """Traffic by a node's port or the load balancer's address, with `externalTrafficPolicy`."""
        if not service.local:
            yield f"chain external-{name} {{ jump mark-for-masquerade; goto service-{name}; }}"
            return
        yield f"chain external-{name} {{"
        yield f"  {self._ip} saddr {pods} goto service-{name};"
        local = [number for number, pod in enumerate(service.pods) if pod.node is self._node]
        yield from self._spread(name, local, affinity=service.affinity) if local else iter(("  drop;",))
        yield "}"

    def _spread(self, name: str, numbers: Iterable[int], *, affinity: bool) -> Iterator[str]:
        chains = [f"{name}-{number}" for number in numbers]
        if affinity:
            for chain in chains:
                yield f"  {self._ip} saddr @affinity-{chain} goto endpoint-{chain};"
        elements = ", ".join(f"{number} : goto endpoint-{chain}" for number, chain in enumerate(chains))
        yield f"  numgen random mod {len(chains)} vmap {{ {elements} }};"

    def _endpoint(self, name: str, address: str, port: Port, *, affinity: bool) -> Iterator[str]:
        if affinity:
            yield (f"set affinity-{name} {{ type {self._type}; size 65535;"
                   f" flags dynamic,timeout; timeout {_AFFINITY}; }}")  # fmt: skip
        where = f"{address}:{port.target}" if self._family is plan.V4 else f"[{address}]:{port.target}"
        yield f"chain endpoint-{name} {{"
        if self._hairpin:  # a Pod that reaches itself
            yield f"  {self._ip} saddr {address} jump mark-for-masquerade;"
        if affinity:
            yield f"  update @affinity-{name} {{ {self._ip} saddr }};"
        yield f"  meta l4proto {port.protocol} dnat to {where};"
        yield "}"


def _map(name: str, key: str, elements: list[str]) -> Iterator[str]:
    listed = f" elements = {{ {', '.join(elements)} }};" if elements else ""
    yield f"map {name} {{ type {key} : verdict;{listed} }}"
