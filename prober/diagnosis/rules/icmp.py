"""Rules for echo: icmp. Pure data."""

from __future__ import annotations

from prober.diagnosis.codes import Code
from prober.diagnosis.facts import Facts
from prober.diagnosis.row import Row
from prober.diagnosis.rules.reach import from_router, hops_exhausted, no_neighbour, no_next_hop
from prober.reasons import Family, Layer, Reason


def _some_came(facts: Facts) -> bool:
    return bool(facts.evidence.get("received"))


def _rejected(facts: Facts) -> bool:
    """Port unreachable (RFC 792 code 3, RFC 4443 code 4): echo has no port, so a rule has said it."""
    return facts.evidence.get("icmp") == ("1/4" if facts.cell.family is Family.IPV6 else "3/3")


def _too_big_here(facts: Facts) -> bool:
    return facts.evidence.get("errno") == "EMSGSIZE"


ROWS = (
    Row(
        Layer.ICMP, Reason.TIMEOUT, Code.PACKET_LOSS,
        "{address} answered {received} of {sent} echo requests: more were lost than this probe tolerates.",
        "Compare other targets from here (this node's link: ip -s link, ethtool -S) and other vantages to there (the "
        "target's node, the path between). Loss of large requests only is an MTU's (icmp.size); a target may also "
        "limit its replies: fewer requests, a longer gap.",
        "packets find their way to {address} and back", _some_came,
    ),
    Row(
        Layer.ICMP, Reason.TIMEOUT, Code.PING_SILENT,
        "No echo reply from {address} within {took} ({sent} sent).",
        "Silence on ICMP alone proves little: ClusterIPs often do not answer, and many clouds drop echo. Climb tcp to "
        "the same address: if that holds it is a filter; if not, look at routes, the overlay peer and NetworkPolicy.",
    ),
    Row(
        Layer.ICMP, Reason.UNREACHABLE, Code.NEIGHBOUR_MISSING,
        "Echo to {address} does not leave: nobody on this place's own link answers for the next hop{icmp}.",
        "ip route get {address} names the next hop, ip neigh what is known of it. Is it the gateway → this Pod's link, "
        "its other end on the node and the CNI agent there. Is it {address} itself → that host is gone.",
        when=no_next_hop,
    ),
    Row(
        Layer.ICMP, Reason.UNREACHABLE, Code.NEIGHBOUR_MISSING,
        "Echo does not arrive: {sender} cannot find {address} on its own link{icmp}.",
        "Is the Pod or node still there, and does the address still belong to it? kubectl get pods -o wide; ip neigh "
        "on the node that reports it.",
        "the way as far as {sender}", no_neighbour,
    ),
    Row(
        Layer.ICMP, Reason.UNREACHABLE, Code.HOPS_EXHAUSTED,
        "{sender} dropped the echo to {address}, as {hops} hops were used up{icmp}.",
        "With icmp.ttl set, this is the router at that distance. Without, packets run in circles: traceroute -n "
        "{address} shows the routers that take turns.",
        "the way as far as {sender}", hops_exhausted,
    ),
    Row(
        Layer.ICMP, Reason.UNREACHABLE, Code.PORT_REJECTED,
        "{sender} rejects echo to {address} with ICMP port unreachable{icmp}.",
        "That is what a REJECT rule says by default, and no router: look on {sender} (nft list ruleset, looking for "
        "reject). Whether the rule is for echo alone, tcp to the same address tells.",
        "the way as far as {sender}", _rejected,
    ),
    Row(
        Layer.ICMP, Reason.UNREACHABLE, Code.NO_ROUTE,
        "{sender} has no {family} route for echo to {address}{icmp}.",
        "ip route get {address} on {sender}: is the route of that Pod or node network missing (CNI agent, BGP session, "
        "cloud route table)?",
        "the way as far as {sender}", from_router,
    ),
    Row(
        Layer.ICMP, Reason.UNREACHABLE, Code.NO_ROUTE,
        "This place has no {family} route for echo to {address}.",
        "ip route get {address} in this Pod: has it an address of {family} at all, and a default route? Nothing has "
        "left the machine.",
    ),
    Row(
        Layer.ICMP, Reason.PROHIBITED, Code.PATH_PROHIBITED,
        "Echo to {address} is administratively prohibited, says {sender}{icmp}.",
        "A rule answers for the target: a REJECT in a host firewall or in a policy of the CNI. Look on {sender}; tcp "
        "to the same address may well be let through.",
        "the way as far as {sender}", from_router,
    ),
    Row(
        Layer.ICMP, Reason.PROHIBITED, Code.PATH_PROHIBITED,
        "This place itself does not let echo to {address} out.",
        "A rule in the OUTPUT chain of this Pod (nft list ruleset), or a `prohibit` route (ip route get {address}): "
        "nothing has left the machine.",
    ),
    Row(
        Layer.ICMP, Reason.TOO_BIG, Code.MTU_EXCEEDED,
        "An echo of {size} bytes ({packet} with its headers) does not leave this place whole{mtu}.",
        "Nothing was sent to {address}. Is icmp.size what this path is meant to carry? ip link: the MTU of the device; "
        "ip route get {address}: one that the route sets.",
        when=_too_big_here,
    ),
    Row(
        Layer.ICMP, Reason.TOO_BIG, Code.MTU_EXCEEDED,
        "An echo of {size} bytes ({packet} with its headers) does not fit the path to {address}{mtu}{icmp}.",
        "Compare the MTU of the Pod's interface, the node's and the overlay's: encapsulation costs 50 bytes (VXLAN), "
        "60 to 80 (WireGuard), 20 (IPIP). Where these messages get lost, large answers hang while small ones pass.",
        "small packets find their way",
    ),
    Row(
        Layer.ICMP, Reason.NOT_PERMITTED, Code.ICMP_NOT_PERMITTED,
        "This prober may not send ICMP echo: no datagram ICMP socket for its group.",
        "Set the safe sysctl net.ipv4.ping_group_range in the Pod's securityContext (\"0 2147483647\" covers both "
        "families); `prober doctor` shows what is there now.",
    ),
)  # fmt: skip
