"""Rules for opening a connection: tcp. Pure data.

From one vantage a policy that drops, an overlay peer that is lost and a Pod that is dead look the same: the texts
say so, and name the comparison that tells them apart.
"""

from __future__ import annotations

from prober.diagnosis.codes import Code
from prober.diagnosis.facts import Facts
from prober.diagnosis.row import Row
from prober.reasons import Family, Layer, Reason

_ARRIVES = "packets reach {address}, or the node in front of it, and come back: nothing drops them silently"


def _is_service(facts: Facts) -> bool:
    return facts.cluster_service and not facts.api_server and not facts.proxied


def _is_pod(facts: Facts) -> bool:
    return facts.pod and not facts.proxied


def _is_node(facts: Facts) -> bool:
    return facts.node


def _is_api(facts: Facts) -> bool:
    return facts.api_server


def _is_proxy(facts: Facts) -> bool:
    return facts.proxied


def from_router(facts: Facts) -> bool:
    """Somebody else has said so, by ICMP."""
    return "from" in facts.evidence


def _in_its_name(facts: Facts) -> bool:
    """The ICMP error comes from the Service's own address: it was translated back, or never was."""
    return _is_service(facts) and facts.evidence.get("from") == facts["address"]


def no_neighbour(facts: Facts) -> bool:
    """Host unreachable (RFC 792 code 1), address unreachable (RFC 4443 code 3)."""
    return facts.evidence.get("icmp") in ("3/1", "1/3") or (
        "icmp" not in facts.evidence and facts.evidence.get("errno") == "EHOSTUNREACH"
    )


def from_here(facts: Facts) -> bool:
    """Our own kernel has said so: what is wrong is the first hop, or a rule of this place."""
    return facts.evidence.get("from_here") is True


def no_next_hop(facts: Facts) -> bool:
    """Nobody on our own link answers for the next hop."""
    return no_neighbour(facts) and from_here(facts)


def hops_exhausted(facts: Facts) -> bool:
    """Time exceeded in transit (RFC 792 type 11 code 0), hop limit exceeded (RFC 4443 type 3 code 0)."""
    return facts.evidence.get("icmp") == ("3/0" if facts.cell.family is Family.IPV6 else "11/0")


def _speaking(facts: Facts) -> bool:
    """The connection was open: a dialogue was under way."""
    return "step" in facts.evidence


ROWS = (
    Row(
        Layer.TCP, Reason.REFUSED, Code.PORT_CLOSED,
        "The API server's address {where} answers with a RST: nobody listens there.",
        "Is kube-apiserver running on the control-plane nodes (crictl ps there), and do the EndpointSlices of "
        "default/kubernetes list the right addresses?",
        _ARRIVES, _is_api,
    ),
    Row(
        Layer.TCP, Reason.REFUSED, Code.PORT_CLOSED,
        "The proxy's address {where} answers with a RST: nobody listens there.",
        "Is the proxy running, and is this its port? Without it nothing is known of {goal} behind it.",
        _ARRIVES, _is_proxy,
    ),
    Row(
        Layer.TCP, Reason.REFUSED, Code.PORT_CLOSED,
        "The Service at {where} passed the connection on, and the backend answered with a RST: nobody listens on its "
        "port.",
        "Compare the Service's targetPort with the port that the process listens on (ss -ltn in the Pod), in "
        "{family}, and on all addresses rather than 127.0.0.1. A Pod that is starting or stopping does this too.",
        _ARRIVES, _is_service,
    ),
    Row(
        Layer.TCP, Reason.REFUSED, Code.PORT_CLOSED,
        "The Pod at {where} answers with a RST: nobody listens on that port.",
        "kubectl logs and ss -ltn in the Pod: crashed, still starting, another port, bound to 127.0.0.1 or to the "
        "other family only? A Pod without a readiness probe counts as ready before it listens.",
        _ARRIVES, _is_pod,
    ),
    Row(
        Layer.TCP, Reason.REFUSED, Code.PORT_CLOSED,
        "The NodePort {where} answers with a RST: that node knows no such port, or nobody listens in the Pod behind "
        "it.",
        "Compare the other nodes' addresses. Only this one refuses → its kube-proxy is behind (its log); all of them "
        "→ kubectl get svc -A for the port, then the Service's targetPort against ss -ltn in the Pod.",
        _ARRIVES, _is_node,
    ),
    Row(
        Layer.TCP, Reason.REFUSED, Code.PORT_CLOSED,
        "{where} answers with a RST: nobody listens there.",
        "Is the process running, on this port, in {family}, and not on 127.0.0.1 only? A firewall that rejects with a "
        "TCP reset looks the same: compare from the host itself.",
        _ARRIVES,
    ),
    Row(
        Layer.TCP, Reason.REJECTED, Code.SERVICE_WITHOUT_ENDPOINTS,
        "The Service at {where} rejects in its own name{icmp}: it has no ready endpoint, or what is behind it rejects.",
        "kubectl get endpointslices of {service} first: IPVS and eBPF reject like this where it is empty. kube-proxy's "
        "iptables and nftables would reject as the node: there a firewall or policy at the endpoint does, so climb "
        "to the Pods themselves.",
        "something answers for this address", _in_its_name,
    ),
    Row(
        Layer.TCP, Reason.REJECTED, Code.SERVICE_WITHOUT_ENDPOINTS,
        "The Service at {where} has no ready endpoint: {sender} answers ICMP port unreachable{icmp}.",
        "kubectl get endpointslices of {service}: does the selector match the Pods' labels, do readiness probes pass, "
        "has {family} slices of its own? If there are ready endpoints, kube-proxy on this node is behind: its log.",
        "this node's Service rules are in place", _is_service,
    ),
    Row(
        Layer.TCP, Reason.REJECTED, Code.SERVICE_WITHOUT_ENDPOINTS,
        "The API server's Service {where} has no ready endpoint: {sender} answers ICMP port unreachable{icmp}.",
        "The EndpointSlices of default/kubernetes are written by the API servers themselves: are they up? Probe them "
        "by their own addresses; then kube-proxy on this node.",
        "this node's Service rules are in place", _is_api,
    ),
    Row(
        Layer.TCP, Reason.REJECTED, Code.SERVICE_WITHOUT_ENDPOINTS,
        "The NodePort {where} is rejected by {sender} with ICMP port unreachable{icmp}, as a Service without ready "
        "endpoints is.",
        "EndpointSlices of the Service behind the port; then the node's host firewall, which may reject in the same "
        "words.",
        _ARRIVES, _is_node,
    ),
    Row(
        Layer.TCP, Reason.REJECTED, Code.PORT_REJECTED,
        "This place itself rejects connections to {where} with ICMP port unreachable{icmp}.",
        "A REJECT rule in the OUTPUT chain here (nft list ruleset, iptables -S): a mesh's, an agent's, or on a node "
        "and in hostNetwork kube-proxy's for a Service without endpoints. Nothing has left the machine.",
        when=from_here,
    ),
    Row(
        Layer.TCP, Reason.REJECTED, Code.PORT_REJECTED,
        "{sender} rejects connections to {where} with ICMP port unreachable{icmp}.",
        "A REJECT rule of a firewall or a policy on {sender}, or a Service without endpoints if the address is a "
        "ClusterIP: a closed port alone would send a RST.",
        "the way as far as {sender}",
    ),
    Row(
        Layer.TCP, Reason.PROHIBITED, Code.PATH_PROHIBITED,
        "Connections to {where} are administratively prohibited, says {sender}{icmp}.",
        "A rule answers for the target: a policy of the CNI that rejects, a security appliance, or a host firewall on "
        "{sender} (nft list ruleset, looking for reject).",
        "the way as far as {sender}", from_router,
    ),
    Row(
        Layer.TCP, Reason.PROHIBITED, Code.PATH_PROHIBITED,
        "Connections to {where} are prohibited on the way or by a local rule.",
        "A reject rule on this node or behind it (nft list ruleset), a `prohibit` route (ip route get {address}), or "
        "a policy of the CNI that rejects.",
    ),
    Row(
        Layer.TCP, Reason.UNREACHABLE, Code.NEIGHBOUR_MISSING,
        "Nobody on this place's own link answers for the next hop to {address}{icmp}: ARP or neighbour discovery "
        "failed here.",
        "ip route get {address} names the next hop, ip neigh what is known of it. Is it the gateway → this Pod's link, "
        "its other end on the node and the CNI agent there; the target has nothing to do with it. Is it {address} "
        "itself → that host is gone.",
        when=no_next_hop,
    ),
    Row(
        Layer.TCP, Reason.UNREACHABLE, Code.NEIGHBOUR_MISSING,
        "Nobody answers for {address} on the link of {sender}{icmp}: ARP or neighbour discovery failed.",
        "Is the Pod or node still there, and is the address still its own? An EndpointSlice or DNS record may outlive "
        "it: kubectl get pods -o wide; ip neigh on the node that reports it.",
        "the way as far as {sender}", no_neighbour,
    ),
    Row(
        Layer.TCP, Reason.UNREACHABLE, Code.HOPS_EXHAUSTED,
        "{sender} dropped the SYN to {where}, as all its hops were used up{icmp}.",
        "Packets run in circles between routers: traceroute -n {address} shows which ones take turns. A route that was "
        "withdrawn on one side only does this.",
        "the way as far as {sender}", hops_exhausted,
    ),
    Row(
        Layer.TCP, Reason.UNREACHABLE, Code.NO_ROUTE,
        "{sender} has no {family} route to {address}{icmp}.",
        "ip route get {address} on {sender}: a missing Pod or node network (CNI agent, BGP session, cloud route "
        "table)?",
        "the way as far as {sender}", from_router,
    ),
    Row(
        Layer.TCP, Reason.UNREACHABLE, Code.NO_ROUTE,
        "This place has no {family} route to {address}.",
        "ip route get {address} in this Pod: has it an address of {family} at all, and a default route? If {family} "
        "is not meant to work here, leave it out of the probe's families.",
    ),
    Row(
        Layer.TCP, Reason.TIMEOUT, Code.TCP_NO_ANSWER,
        "{where} accepts connections, but {step} of the dialogue got {heard} within {total}, and no match.",
        "The kernel accepts before the process does: is it alive, or out of threads (ss -ltn: Recv-Q of the listener)? "
        "Or it waits for more of us: an end of line (\\r\\n), TLS, another protocol.",
        "the way to {where}, and that somebody listens", _speaking,
    ),
    Row(
        Layer.TCP, Reason.TIMEOUT, Code.PATH_SILENT,
        "The API server at {where} does not answer the SYN within {took}{lost}.",
        "Compare the Service's address with the API servers' own: only the Service fails → kube-proxy on this node; "
        "both → the control plane's firewall or load, or an egress NetworkPolicy, which drops in silence.",
        when=_is_api,
    ),
    Row(
        Layer.TCP, Reason.TIMEOUT, Code.PATH_SILENT,
        "No answer to the SYN from {where}, behind the Service, within {took}{lost}.",
        "Compare the path to the Pods themselves: if they answer, Service translation on this node (kube-proxy, or "
        "internalTrafficPolicy: Local without a local endpoint); if not, a NetworkPolicy that drops, a lost overlay "
        "peer and a dead Pod look the same from here — another node as vantage tells them apart.",
        when=_is_service,
    ),
    Row(
        Layer.TCP, Reason.TIMEOUT, Code.PATH_SILENT,
        "No answer to the SYN from the Pod at {where} within {took}{lost}.",
        "From one vantage a NetworkPolicy that drops, a lost overlay peer and a dead Pod look the same. Another Pod "
        "of the same node fails too → overlay or node; this one only → its ingress policies; all of them → this Pod's "
        "egress policies.",
        when=_is_pod,
    ),
    Row(
        Layer.TCP, Reason.TIMEOUT, Code.PATH_SILENT,
        "No answer to the SYN from the NodePort {where} within {took}{lost}.",
        "With externalTrafficPolicy: Local a node without a ready endpoint of its own drops in silence: compare the "
        "other nodes' addresses and kubectl get pods -o wide. All nodes are silent → a firewall or security group "
        "that lacks the NodePort range, or the Pods; only this one → its kube-proxy.",
        when=_is_node,
    ),
    Row(
        Layer.TCP, Reason.TIMEOUT, Code.PATH_SILENT,
        "No answer to the SYN from {where} within {took}{lost}.",
        "Something drops in silence: an egress NetworkPolicy of this Pod, a firewall or security group, a dead host, "
        "a full accept queue. Compare another vantage (here or there?), the other family (route?), and another port "
        "(filter?).",
    ),
    Row(
        Layer.TCP, Reason.WRONG_ANSWER, Code.TCP_WRONG_ANSWER,
        "{where} accepts connections, but {step} of the dialogue ended with {heard}, and no match{detail}.",
        "Is it the service that the port is for? A greeting often says itself why not (421, -LOADING, too many "
        "connections). If it ends the connection in silence: an allow list of addresses, TLS that is expected, or a "
        "front end without a backend.",
        "the way to {where}, and that somebody listens",
    ),
    Row(
        Layer.TCP, Reason.RESET, Code.CONNECTION_RESET,
        "{where} accepted the connection and reset it at {step} of the dialogue.",
        "The process crashed or gave up (its log), does not understand what was sent, or a front end lost its backend. "
        "A reset right after the connect is an accept queue's or a middlebox's.",
        "the way to {where}", _speaking,
    ),
    Row(
        Layer.TCP, Reason.RESET, Code.CONNECTION_RESET,
        "The connection to {where} was reset while it was being opened.",
        "A listener that gives up at once (overload, a crash on accept), a middlebox or conntrack entry that ends "
        "flows it does not know, or a load balancer without healthy backends.",
        _ARRIVES,
    ),
)  # fmt: skip
