"""Faults of paths, overlay, CNI, policies and middleboxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from prober.reasons import Family, Layer, Reason
from tests.network.lab import kubeproxy, plan
from tests.network.lab.faults.fault import MANY, Fault
from tests.network.lab.faults.inject import commands, deleted, held_up, ip_of, rule
from tests.network.lab.topology import veth

if TYPE_CHECKING:
    from tests.network.lab.lab import Lab

L, R = Layer, Reason
TIMEOUT = (R.TIMEOUT,)
_SILENT = {L.ICMP: TIMEOUT, L.TCP: TIMEOUT}
_ALL_SILENT = {**_SILENT, L.DNS: TIMEOUT}
_NO_ROUTE = (R.UNREACHABLE,)
_PEER = "{mac2} dev {tunnel} dst {node2} self"


async def _masquerade(_: Lab, families: Sequence[Family]) -> None:
    for family in families:
        kubeproxy.masquerade(plan.NODE1, family)


def _family_faults(family: Family) -> tuple[Fault, ...]:
    """Those of one family as a whole."""
    v = "v4" if family is plan.V4 else "v6"
    return (
        Fault(f"l3-{v}-broken", f"Nodes forward no {family} packet of their Pods, and say nothing.",
              f"family {family}", "TTbbbTT", _ALL_SILENT, rule("node1", "meta nfproto {l3} drop"),
              families=(family,)),
        Fault(f"l3-{v}-reject", f"The node answers every {family} packet of its Pods with: no route.",
              f"family {family}", "UUbbbUU", {L.ICMP: _NO_ROUTE, L.TCP: _NO_ROUTE, L.DNS: _NO_ROUTE},
              rule("node1", "meta nfproto {l3} reject with icmpx type no-route"), families=(family,)),
    )  # fmt: skip


PATHS = (
    Fault("l3-drop", "Everything to the Pod is dropped on its node.", "path", "TTbbb++", _SILENT,
          rule("node2", "{ip} daddr {web2} drop")),
    Fault("l3-drop-return", "What the Pod answers is dropped on its node.", "path, on the way back", "TTbbb++", _SILENT,
          rule("node2", "{ip} saddr {web2} drop")),
    Fault("l3-icmp-filtered", "Echo requests to the Pod are dropped, all else passes.", "nothing: ICMP is advisory",
          "T++++++", {L.ICMP: TIMEOUT}, rule("node2", "{ip} daddr {web2} {icmp} type echo-request drop")),
    *_family_faults(plan.V4),
    *_family_faults(plan.V6),
    Fault("cni-vxlan-peer-lost", "node1 has lost the forwarding entry of node2 in its vxlan device.",
          "overlay: only what crosses nodes", "TTbbbTT", _ALL_SILENT,
          commands("node1", [f"bridge fdb del {_PEER}"], [f"bridge fdb append {_PEER} permanent"])),
    Fault("l3-loss30", "The fabric loses 30 % of what passes between nodes.", "path: loss", "PPPPPPP",
          {L.ICMP: TIMEOUT, L.TCP: (R.TIMEOUT, R.OVER_BUDGET), L.TLS: TIMEOUT, L.HTTP: (R.TIMEOUT, R.OVER_BUDGET),
           L.GRPC: (R.TIMEOUT, R.OVER_BUDGET), L.DNS: (R.TIMEOUT, R.OVER_BUDGET)},
          rule("fabric", "meta nfproto {l3} numgen random mod 100 < 30 drop"), runs=MANY),
    Fault("l3-delay50", "The fabric takes 50 ms more each way.", "path: slow", "SSSSSSS",
          dict.fromkeys((L.ICMP, L.TCP, L.DNS), (R.OVER_BUDGET,)), held_up("fabric", 0.05),
          by_name={L.HTTP: TIMEOUT, L.TLS: TIMEOUT}),
    Fault("mtu-blackhole", "Packets above 1300 bytes vanish between nodes, and no ICMP tells it.", "MTU of the path",
          "++Tb++T", {L.TLS: TIMEOUT}, rule("node1", "meta nfproto {l3} iifname flannel* meta length > 1300 drop")),
    Fault("mtu-too-big", "The overlay's MTU is 1280, and ICMP tells so.", "nothing: path MTU discovery works",
          "+++++++", {}, commands("node2", ["ip link set flannel.1 mtu 1280", "ip link set flannel-v6.1 mtu 1280"],
                                  [f"ip link set flannel.1 mtu {plan.POD_MTU}",
                                   f"ip link set flannel-v6.1 mtu {plan.POD_MTU}"], once=True), per_family=False),
    Fault("cni-route-missing", "The node has no way to the Pod, and says so: host unreachable.", "CNI", "UUbbb++",
          {L.ICMP: _NO_ROUTE, L.TCP: _NO_ROUTE},
          rule("node1", "{ip} daddr {web2} reject with icmpx host-unreachable")),
    Fault("cni-pod-ip-gone", "The Pod's address is gone from its interface.", "Pod or CNI", "TTbbb++", _SILENT,
          commands("web2", ["ip addr del {web2}/{mask} dev eth0"],
                   ["ip addr add {web2}/{mask} dev eth0 {nodad}", "ip -{v} route replace default via {gateway2}"])),
    Fault("cni-pod-link-down", "The node's end of the Pod's link is down.", "Pod or CNI", "TTbbb++", _SILENT,
          commands("node2", [f"ip link set {veth(plan.WEB2)} down"], [f"ip link set {veth(plan.WEB2)} up"], once=True),
          per_family=False),
    Fault("egress-no-masq", "The node does not masquerade what its Pods say to the world.", "NAT", "TTbb+++", _SILENT,
          deleted("node1", lambda family: f"{ip_of(family)} {kubeproxy.MASQUERADE}", _masquerade), path="external"),
)  # fmt: skip

POLICIES = (
    Fault("pol-ingress-deny", "A policy lets nothing new in to the Pod.", "policy", "TTbbb++", _SILENT,
          rule("node2", "{ip} daddr {web2} ct state new drop")),
    Fault("pol-ingress-port", "A policy lets nothing in to one port of the Pod.", "policy", "+Tbb+++",
          {L.TCP: TIMEOUT}, rule("node2", "{ip} daddr {web2} tcp dport 8443 drop")),
    Fault("pol-egress-deny", "A policy lets nothing new out of the vantage.", "policy of the vantage", "TTbbbTT",
          _ALL_SILENT, rule("node1", "{ip} saddr {client} ct state new drop")),
    Fault("pol-egress-no-dns", "A policy lets no DNS out of the vantage.", "policy of the vantage", "+++++T+",
          {L.DNS: TIMEOUT}, rule("node1", "{ip} saddr {client} meta l4proto {{tcp, udp}} th dport 53 drop")),
    Fault("pol-reject-admin", "A firewall rejects TCP to the Pod: administratively prohibited.", "firewall", "+Ubbb++",
          {L.TCP: (R.PROHIBITED,)},
          rule("node2", "{ip} daddr {web2} meta l4proto tcp reject with icmpx type admin-prohibited")),
    Fault("fw-rst-inject", "A middlebox answers every TCP packet to the Pod with a reset.", "middlebox", "+Rbbb++",
          {L.TCP: (R.REFUSED,)}, rule("node2", "{ip} daddr {web2} meta l4proto tcp reject with tcp reset")),
    Fault("fw-rst-on-data", "A middlebox resets connections at the first data that is longer than 100 bytes.",
          "middlebox", "++XbX+X", {L.TLS: (R.RESET,), L.GRPC: (R.RESET,)},
          rule("node2", "{ip} saddr {client} meta l4proto tcp meta length > 100 reject with tcp reset")),
    Fault("fw-data-lost", "A middlebox lets handshakes through and drops TCP packets above 100 bytes.", "middlebox",
          "++TbT+T", {L.TLS: TIMEOUT, L.GRPC: TIMEOUT, L.PROXY: TIMEOUT},
          rule("node1", "{ip} saddr {client} meta l4proto tcp meta length > 100 drop")),
    Fault("fw-syn-ack-lost", "The SYN-ACKs of the Pod are dropped.", "middlebox, or another way back", "+Tbbb++",
          {L.TCP: TIMEOUT}, rule("node2", "{ip} saddr {web2} tcp flags & (syn | ack) == syn | ack drop")),
    Fault("fw-conntrack-full", "The node of the vantage takes no new connection: its table is full.", "conntrack",
          "TTbbbTT", _ALL_SILENT, rule("node1", "ct state new meta nfproto {l3} ct count over 0 drop")),
)  # fmt: skip

FAULTS = (*PATHS, *POLICIES)
