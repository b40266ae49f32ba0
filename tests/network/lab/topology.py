"""The plan made real: namespaces, links, bridges, vxlan devices, addresses and routes, by `ip -batch`."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from prober.reasons import Family
from tests.network.lab import plan
from tests.network.lab.isolation import inside, make_namespace, run, sysctl
from tests.network.lab.plan import Node, Pod

BRIDGE = "cni0"
_VXLAN_PORT = 8472
#: Before links are made: duplicate address detection holds an IPv6 address back for a second.
_SYSCTLS = {
    "net/ipv6/conf/all/accept_dad": 0,
    "net/ipv6/conf/default/accept_dad": 0,
    "net/ipv6/conf/default/accept_ra": 0,
    "net/ipv4/conf/all/rp_filter": 0,
    "net/ipv4/conf/default/rp_filter": 0,
    "net/ipv4/ping_group_range": "0 0",
    # A busy test is no reason to be slow with ICMP errors; where that is the fault, it is switched on.
    "net/ipv4/icmp_ratelimit": 0,
    "net/ipv4/icmp_msgs_per_sec": 100000,
    "net/ipv6/icmp/ratelimit": 0,
}
_ROUTER = {"net/ipv4/ip_forward": 1, "net/ipv6/conf/all/forwarding": 1}
#: The same-node way: bridged packets pass the tables too, as Kubernetes wants it.
_BRIDGED = {"net/bridge/bridge-nf-call-iptables": 1, "net/bridge/bridge-nf-call-ip6tables": 1}
_FIRST = {plan.FABRIC: _ROUTER, **{node.name: {**_ROUTER, **_BRIDGED} for node in plan.NODES}}


def build() -> None:
    """Make all of it. RuntimeError with the command and its complaint where the kernel refuses a part."""
    with ThreadPoolExecutor(len(plan.PLACES)) as pool:
        list(pool.map(_make_place, plan.PLACES))
        run(plan.FABRIC, "ip", "-batch", "-", stdin="\n".join(_links()))
        list(pool.map(lambda place: run(place, "ip", "-batch", "-", stdin="\n".join(_settings(place))), plan.PLACES))
        list(pool.map(lambda node: run(node.name, "bridge", "-batch", "-", stdin="\n".join(peers(node))), plan.NODES))


def _make_place(name: str) -> None:
    make_namespace(name)
    with inside(name):
        for key, value in {**_SYSCTLS, **_FIRST.get(name, {})}.items():
            with suppress(FileNotFoundError):  # not every kernel has the bridge's
                sysctl(key, value)


def _links() -> Iterator[str]:
    """Every link, made straight where it belongs."""
    for node in plan.NODES:
        yield (f"link add eth0 mtu {plan.FABRIC_MTU} netns {node.name} type veth"
               f" peer name {node.name} mtu {plan.FABRIC_MTU} netns {plan.FABRIC}")  # fmt: skip
        # an address of its own: the kernel's changes with the ports, and Pods would send to one that is gone
        yield (f"link add {BRIDGE} mtu {plan.POD_MTU} address {node.bridge_mac} netns {node.name}"
               " type bridge forward_delay 0 stp_state 0 mcast_snooping 0")  # fmt: skip
    yield (f"link add eth0 mtu {plan.FABRIC_MTU} netns {plan.OUTSIDE} type veth"
           f" peer name {plan.OUTSIDE} mtu {plan.FABRIC_MTU} netns {plan.FABRIC}")  # fmt: skip
    for pod in plan.PODS.values():
        yield (f"link add eth0 mtu {plan.POD_MTU} netns {pod.name} type veth"
               f" peer name {veth(pod)} mtu {plan.POD_MTU} netns {pod.node.name}")  # fmt: skip


def veth(pod: Pod) -> str:
    """The node's end of the Pod's link."""
    return f"veth-{pod.name}"


def tunnel_device(family: Family) -> str:
    """The vxlan device over that family, by flannel's name for it."""
    return "flannel.1" if family is plan.V4 else "flannel-v6.1"


def _settings(place: str) -> Iterator[str]:
    yield "link set lo up"
    if place != plan.FABRIC:
        yield "link set eth0 gso_max_segs 1"  # packets are as long here as they are on a wire
    if place == plan.FABRIC:
        yield from _fabric()
    elif place == plan.OUTSIDE:
        yield from _outside()
    elif place in plan.PODS:
        yield from _pod(plan.PODS[place])
    else:
        yield from _node(next(node for node in plan.NODES if node.name == place))


def _fabric() -> Iterator[str]:
    for node in plan.NODES:
        yield f"link set {node.name} up"
        yield f"addr add {node.gateway(plan.V4)}/24 dev {node.name}"
        yield f"addr add {node.gateway(plan.V6)}/64 dev {node.name} nodad"
    yield f"link set {plan.OUTSIDE} up"
    yield f"addr add {plan.OUTSIDE_GATEWAYS[plan.V4]}/24 dev {plan.OUTSIDE}"
    yield f"addr add {plan.OUTSIDE_GATEWAYS[plan.V6]}/64 dev {plan.OUTSIDE} nodad"
    for family, network in plan.LOAD_BALANCER_NETWORKS.items():
        yield f"route add {network} via {plan.NODE2.address(family)}"
    for network in plan.SERVICE_NETWORKS.values():  # what leaks out of a node without its tables is gone without a word
        yield f"route add blackhole {network}"


def _outside() -> Iterator[str]:
    yield "link set eth0 up"
    yield f"addr add {plan.OUTSIDE_ADDRESSES[plan.V4]}/24 dev eth0"
    yield f"addr add {plan.OUTSIDE_ADDRESSES[plan.V6]}/64 dev eth0 nodad"
    for family in Family:
        yield f"route add default via {plan.OUTSIDE_GATEWAYS[family]}"


def _pod(pod: Pod) -> Iterator[str]:
    yield "link set eth0 up"
    yield f"addr add {pod.address(plan.V4)}/24 dev eth0"
    yield f"addr add {pod.address(plan.V6)}/64 dev eth0 nodad"
    if pod.gua:
        yield f"addr add {pod.gua_address}/64 dev eth0 nodad"
    yield f"route add default via {pod.node.bridge(plan.V4)}"
    yield f"route add default via {pod.node.bridge(plan.V6)}"


def _node(node: Node) -> Iterator[str]:
    yield "link set eth0 up"
    yield f"link set {BRIDGE} up"
    yield f"addr add {node.address(plan.V4)}/24 dev eth0"
    yield f"addr add {node.address(plan.V6)}/64 dev eth0 nodad"
    yield f"addr add {node.bridge(plan.V4)}/24 dev {BRIDGE}"
    yield f"addr add {node.bridge(plan.V6)}/64 dev {BRIDGE} nodad"
    yield f"addr add {node.gua_network[: -len('/64')]}1/64 dev {BRIDGE} nodad"
    for family in Family:
        yield f"route add default via {node.gateway(family)}"
    for pod in plan.PODS.values():
        if pod.node is node:
            yield f"link set {veth(pod)} master {BRIDGE} up"
            yield f"link set {veth(pod)} type bridge_slave hairpin on"
    for family in Family:
        yield from _overlay(node, family)


def _overlay(node: Node, family: Family) -> Iterator[str]:
    """flannel's vxlan: no learning, each other node a permanent entry, its Pods a route through its device."""
    device = tunnel_device(family)
    yield (f"link add {device} mtu {plan.POD_MTU} address {node.mac(family)} type vxlan id 1 dev eth0"
           f" local {node.address(family)} dstport {_VXLAN_PORT} nolearning")  # fmt: skip
    length = 32 if family is plan.V4 else 128
    yield f"addr add {node.tunnel(family)}/{length} dev {device}" + (" nodad" if family is plan.V6 else "")
    yield f"link set {device} up"
    for other in plan.NODES:
        if other is not node:
            yield f"neigh add {other.tunnel(family)} lladdr {other.mac(family)} dev {device} nud permanent"
            yield f"route add {other.pod_network(family)} via {other.tunnel(family)} dev {device} onlink"
            if family is plan.V6:
                yield f"route add {other.gua_network} via {other.tunnel(family)} dev {device} onlink"


def peers(node: Node) -> Iterator[str]:
    """Where the node's vxlan devices send what is for another node, for `bridge -batch`."""
    for family in Family:
        for other in plan.NODES:
            if other is not node:
                device, there = tunnel_device(family), other.address(family)
                yield f"fdb append {other.mac(family)} dev {device} dst {there} self permanent"
