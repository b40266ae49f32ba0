"""What the network consists of: nodes, Pods, Services, and every address. Pure data; nothing is made here.

The shape is that of flannel and kube-proxy: a bridge in each node, a vxlan device for each family, addresses of
Services that exist nowhere but in the tables of the nodes, and a fabric that routes between nodes and to the world
outside but knows no Pod.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from prober.reasons import Family

V4, V6 = Family.IPV4, Family.IPV6
#: Bytes of a packet on the fabric, and in Pods: what vxlan over IPv6 leaves of it (40 + 8 + 8 + 14).
FABRIC_MTU, POD_MTU = 1500, 1430
POD_NETWORKS: Mapping[Family, str] = MappingProxyType({V4: "10.42.0.0/16", V6: "fd42::/48"})
#: Global unicast addresses that some Pods have beside the ULA (RFC 3849): getaddrinfo prefers IPv6 for them.
GUA_NETWORK = "2001:db8:42::/48"
SERVICE_NETWORKS: Mapping[Family, str] = MappingProxyType({V4: "10.96.0.0/16", V6: "fd96::/112"})
DOMAIN = "cluster.local"
#: Hosts in front, as the world names the web application and the payments service; and a host outside.
WEB_HOST, GRPC_HOST, WWW_HOST = "web.example.com", "payments.example.com", "www.example.net"
SEARCH = ("app.svc.cluster.local", "svc.cluster.local", "cluster.local")
NDOTS = 5


@dataclass(frozen=True, slots=True)
class Node:
    """A node: its number is that of its underlay network and of its Pods' network."""

    name: str
    number: int

    def address(self, family: Family) -> str:
        """On the underlay."""
        return f"192.168.{self.number}.2" if family is V4 else f"fd00:c0:{self.number}::2"

    def gateway(self, family: Family) -> str:
        """The fabric, as the node sees it."""
        return f"192.168.{self.number}.1" if family is V4 else f"fd00:c0:{self.number}::1"

    def pod_network(self, family: Family) -> str:
        """The network of the node's Pods."""
        return f"10.42.{self.number}.0/24" if family is V4 else f"fd42:0:0:{self.number}::/64"

    def bridge(self, family: Family) -> str:
        """The bridge, gateway of the node's Pods."""
        return f"10.42.{self.number}.1" if family is V4 else f"fd42:0:0:{self.number}::1"

    @property
    def bridge_mac(self) -> str:
        """The hardware address of the bridge."""
        return f"02:42:0a:2a:{self.number:02x}:01"

    @property
    def gua_network(self) -> str:
        """The network of its Pods' global unicast addresses."""
        return f"2001:db8:42:{self.number}::/64"

    def tunnel(self, family: Family) -> str:
        """The address of the node's vxlan device."""
        return f"10.42.{self.number}.0" if family is V4 else f"fd42:0:0:{self.number}::"

    def mac(self, family: Family) -> str:
        """The hardware address of that device."""
        return f"02:42:{4 if family is V4 else 6:02x}:00:00:{self.number:02x}"


NODE1, NODE2 = Node("node1", 1), Node("node2", 2)
NODES = (NODE1, NODE2)


@dataclass(frozen=True, slots=True)
class Pod:
    """A Pod: a namespace with one interface, at the bridge of its node."""

    name: str
    node: Node
    number: int
    namespace: str = "app"
    gua: bool = False

    def address(self, family: Family) -> str:
        """The Pod's IP of that family."""
        if family is V4:
            return f"10.42.{self.node.number}.{self.number}"
        return f"fd42:0:0:{self.node.number}::{self.number}"

    @property
    def gua_address(self) -> str:
        """Its global unicast address, had by Pods with `gua`."""
        return f"2001:db8:42:{self.node.number}::{self.number}"


CLIENT = Pod("client", NODE1, 10, gua=True)
WEB1 = Pod("web1", NODE1, 11)
WEB2 = Pod("web2", NODE2, 12, gua=True)
WEB3 = Pod("web3", NODE2, 13)
SQUID = Pod("squid", NODE1, 30, "egress")
DNS = Pod("dns", NODE2, 53, "kube-system")
API = Pod("api", NODE2, 6, "default")
NGINX = Pod("nginx", NODE2, 20, "ingress")
ENVOY = Pod("envoy", NODE2, 21, "ingress")
HAPROXY = Pod("haproxy", NODE2, 22, "ingress")
PODS: Mapping[str, Pod] = MappingProxyType(
    {pod.name: pod for pod in (CLIENT, WEB1, WEB2, WEB3, SQUID, DNS, API, NGINX, ENVOY, HAPROXY)}
)

#: What the manifests give a Pod of the prober by the Downward API.
VANTAGE: Mapping[str, str] = MappingProxyType(
    {
        "PROBER_VANTAGE": "client",
        "PROBER_NODE": "node1",
        "PROBER_ZONE": "lab-a",
        "PROBER_REGION": "lab",
        "PROBER_POD_IPS": ",".join(CLIENT.address(family) for family in Family),
    }
)

FABRIC, OUTSIDE = "fabric", "outside"
OUTSIDE_ADDRESSES: Mapping[Family, str] = MappingProxyType({V4: "203.0.113.10", V6: "2001:db8:f00::10"})
OUTSIDE_GATEWAYS: Mapping[Family, str] = MappingProxyType({V4: "203.0.113.1", V6: "2001:db8:f00::1"})
#: All network namespaces.
PLACES = (FABRIC, *(node.name for node in NODES), OUTSIDE, *PODS)


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a Service: `number` on its address leads to `target` in its Pods, or `node_port` on every node."""

    name: str
    number: int
    target: int
    protocol: str = "tcp"
    node_port: int | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """A Service: its number makes its address; `pods` are its ready endpoints, `addresses` those of Pods long gone."""

    name: str
    namespace: str
    number: int
    ports: tuple[Port, ...]
    pods: tuple[Pod, ...]
    affinity: bool = False
    """`sessionAffinity: ClientIP`."""
    local: bool = False
    """`externalTrafficPolicy: Local`."""
    load_balancer: int | None = None
    """The number of its address at the load balancer, which the fabric routes to node2."""
    gone: int = 0
    """How many endpoints there are beside `pods` of which the Pod no longer exists."""

    def address(self, family: Family) -> str:
        """The cluster IP."""
        return f"10.96.0.{self.number}" if family is V4 else f"fd96::{self.number}"

    def external_address(self, family: Family) -> str | None:
        """The load balancer's address."""
        if self.load_balancer is None:
            return None
        return f"198.51.100.{self.load_balancer}" if family is V4 else f"2001:db8:1b::{self.load_balancer}"

    def endpoints(self, family: Family) -> tuple[str, ...]:
        """Its addresses in the EndpointSlices, those of Pods that are gone last."""
        gone = [f"10.42.2.{200 + each}" if family is V4 else f"fd42:0:0:2::{200 + each}" for each in range(self.gone)]
        return (*(pod.address(family) for pod in self.pods), *gone)

    @property
    def dns_name(self) -> str:
        """Its name in the cluster's DNS, with the final dot."""
        return f"{self.name}.{self.namespace}.svc.{DOMAIN}."


LOAD_BALANCER_NETWORKS: Mapping[Family, str] = MappingProxyType({V4: "198.51.100.0/24", V6: "2001:db8:1b::/64"})
HTTP, HTTPS, GRPC, GRPCS = 8080, 8443, 50051, 50052
_HTTPS = Port("https", 443, HTTPS)

SERVICES: Mapping[str, Service] = MappingProxyType(
    {
        service.name: service
        for service in (
            Service("kubernetes", "default", 1, (Port("https", 443, 6443),), (API,)),
            Service("kube-dns", "kube-system", 10, (Port("dns", 53, 53, "udp"), Port("dns-tcp", 53, 53)), (DNS,)),
            Service("payments", "app", 50, (Port("grpc", GRPC, GRPC), Port("grpcs", GRPCS, GRPCS)), (WEB2,)),
            Service("nginx", "ingress", 60, (_HTTPS,), (NGINX,), load_balancer=60),
            Service("envoy", "ingress", 61, (_HTTPS,), (ENVOY,), load_balancer=61),
            Service("haproxy", "ingress", 63, (_HTTPS,), (HAPROXY,)),
            Service("squid", "egress", 62, (Port("proxy", 3128, 3128),), (SQUID,)),
            Service("web", "app", 80, (Port("http", 80, HTTP), Port("https", 443, HTTPS, node_port=30443)), (WEB2,)),
            Service("web-local", "app", 81, (Port("https", 443, HTTPS, node_port=30444),), (WEB2,), local=True),
            Service("web-both", "app", 82, (Port("http", 80, HTTP), _HTTPS), (WEB1, WEB2)),
            Service("web-sticky", "app", 83, (Port("http", 80, HTTP), _HTTPS), (WEB1, WEB2), affinity=True),
            Service("web-three", "app", 85, (Port("http", 80, HTTP), _HTTPS), (WEB1, WEB2, WEB3)),
            Service("self", "app", 84, (Port("https", 443, HTTPS),), (CLIENT,)),
        )
    }
)
