"""Faults of routes, neighbours and the overlay: packets that go the wrong way, or one way only."""

from __future__ import annotations

from prober.reasons import Family, Layer, Reason
from tests.network.lab import plan
from tests.network.lab.faults.fault import Fault
from tests.network.lab.faults.inject import both, commands, impatient, rule, setting
from tests.network.lab.topology import BRIDGE

L, R = Layer, Reason
_TIMEOUT = (R.TIMEOUT,)
_SILENT = {L.ICMP: _TIMEOUT, L.TCP: _TIMEOUT}
_ALL_SILENT = {**_SILENT, L.DNS: _TIMEOUT}
_HOST = "{web2}/{length}"
_NOWHERE = "02:00:5e:00:53:01"


def _forwarding(family: Family) -> str:
    return "net/ipv4/ip_forward" if family is plan.V4 else "net/ipv6/conf/all/forwarding"


FAULTS = (
    Fault("l3-loop", "The nodes send the Pod's packets to each other until their hops are used up.", "routes",
          "UUbbb++", {L.ICMP: (R.UNREACHABLE,), L.TCP: (R.UNREACHABLE, R.TIMEOUT)},
          commands("node2", [f"ip -{{v}} route replace {_HOST} via {{tunnel1}} dev {{tunnel}} onlink"],
                   [f"ip -{{v}} route del {_HOST}"])),
    Fault("cni-neighbour-stale", "The node has a hardware address for the Pod that nobody has.", "CNI", "TTbbb++",
          _SILENT, commands("node2", [f"ip neigh replace {{web2}} lladdr {_NOWHERE} dev cni0 nud permanent"],
                            ["ip neigh del {web2} dev cni0"])),
    Fault("cni-neighbour-missing", "The Pod's address is gone, and its node says so: host unreachable.", "Pod or CNI",
          "UUbbb++", {L.ICMP: (R.UNREACHABLE,), L.TCP: (R.UNREACHABLE,)},
          both(impatient("node2", BRIDGE),
               commands(plan.WEB2.name, ["ip addr del {web2}/{mask} dev eth0"],
                        ["ip addr add {web2}/{mask} dev eth0 {nodad}",
                         "ip -{v} route replace default via {gateway2}"]),
               commands("node2", [f"ip -{{v}} neigh flush to {{web2}} dev {BRIDGE}"], [])),
          note="`cni-pod-ip-gone`, once ARP or neighbour discovery has given up."),
    Fault("cni-vxlan-blocked", "The fabric drops the overlay's UDP port.", "firewall between nodes", "TTbbbTT",
          _ALL_SILENT, rule("fabric", "meta nfproto {l3} udp dport 8472 drop")),
    Fault("cni-vxlan-one-way", "The fabric drops the overlay's UDP port from node2 to node1.",
          "firewall between nodes, on the way back", "TTbbbTT", _ALL_SILENT,
          rule("fabric", "{ip} saddr {node2} udp dport 8472 drop")),
    Fault("cni-no-forwarding", "The node of the Pod does not forward.", "node", "TTbbbTT", _ALL_SILENT,
          setting("node2", _forwarding, 0, 1)),
    Fault("cni-pod-no-way-back", "The Pod has lost its default route.", "Pod or CNI", "TTbbb++", _SILENT,
          commands(plan.WEB2.name, ["ip -{v} route del default"], ["ip -{v} route add default via {gateway2}"])),
    Fault("mtu-blackhole-back", "Packets above 1300 bytes vanish on the way back, and no ICMP tells it.",
          "MTU of the path", "++Tb++T", {L.TLS: _TIMEOUT},
          rule("fabric", "{ip} saddr {node2} meta length > 1300 drop")),
    Fault("mtu-blackhole-there", "Packets above 1300 bytes vanish on the way there, and no ICMP tells it.",
          "nothing: what is sent is small", "+++++++", {}, rule("fabric", "{ip} saddr {node1} meta length > 1300 drop"),
          note="Seen by an `icmp` probe with `size` and `dont_fragment`, as of large uploads."),
)  # fmt: skip
