"""Faults of firewalls and policies that reject or drop by halves."""

from __future__ import annotations

from prober.reasons import Layer, Reason
from tests.network.lab.faults.fault import Fault
from tests.network.lab.faults.inject import rule

L, R = Layer, Reason
_TIMEOUT = (R.TIMEOUT,)

FAULTS = (
    Fault("fw-reject-all", "A firewall rejects all that is for the Pod, by its default: port unreachable.", "firewall",
          "URbbb++", {L.ICMP: (R.UNREACHABLE,), L.TCP: (R.REJECTED,)}, rule("node2", "{ip} daddr {web2} reject")),
    Fault("fw-prohibit-all", "A firewall rejects all that is for the Pod: administratively prohibited.", "firewall",
          "UUbbb++", {L.ICMP: (R.PROHIBITED,), L.TCP: (R.PROHIBITED,)},
          rule("node2", "{ip} daddr {web2} reject with icmpx type admin-prohibited")),
    Fault("fw-answers-lost", "What the Pod sends after the handshake is dropped above 100 bytes.", "middlebox",
          "++TbT++", {L.TLS: _TIMEOUT, L.GRPC: _TIMEOUT},
          rule("node2", "{ip} saddr {web2} tcp flags & (syn | fin | rst) == 0x0 meta length > 100 drop")),
    Fault("fw-half-open", "After the handshake no packet of the Pod comes back.", "middlebox, or another way back",
          "++TbT++", {L.TLS: _TIMEOUT, L.GRPC: _TIMEOUT},
          rule("node2", "{ip} saddr {web2} tcp flags & (syn | ack) == ack drop")),
    Fault("ct-notrack", "The node of the vantage does not track its connections: nothing is translated.", "conntrack",
          "+TbbbTT", {L.ICMP: _TIMEOUT, L.TCP: _TIMEOUT, L.DNS: _TIMEOUT},
          rule("node1", "{ip} saddr {client} notrack", hook="prerouting", priority=-300), path="service"),
    Fault("pol-egress-dns-reject", "A policy rejects the DNS of the vantage: administratively prohibited.",
          "policy of the vantage", "+++++U+", {L.DNS: (R.UNREACHABLE,)},
          rule("node1", "{ip} saddr {client} udp dport 53 reject with icmpx type admin-prohibited")),
    Fault("pol-egress-api", "A policy does not let the vantage out to the API server.", "policy of the vantage",
          "++++++T", {L.TCP: _TIMEOUT}, rule("node1", "{ip} saddr {client} {ip} daddr {api} drop")),
    Fault("pol-egress-api-reject", "A policy rejects what the vantage says to the API server.", "policy of the vantage",
          "++++++U", {L.TCP: (R.PROHIBITED,)},
          rule("node1", "{ip} saddr {client} {ip} daddr {api} reject with icmpx type admin-prohibited")),
)  # fmt: skip
