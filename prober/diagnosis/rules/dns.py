"""Rules for dns: the first rung of a name, and the whole of a dns probe. Pure data."""

from __future__ import annotations

from errno import EACCES, ECONNREFUSED
from os import strerror

from prober.diagnosis.codes import Code
from prober.diagnosis.facts import Facts
from prober.diagnosis.row import Row
from prober.reasons import Kind, Layer, Reason

#: Bytes of a datagram that every server and firewall has to let pass (RFC 1035 section 2.3.4).
_PLAIN_PAYLOAD = 512
_ANSWERS = "the DNS server can be reached and answers"


def _asked_for_endpoints(facts: Facts) -> bool:
    return "endpoints" in facts.evidence


def _is_question(facts: Facts) -> bool:
    return facts.cell.kind is Kind.DNS


def _is_service(facts: Facts) -> bool:
    return facts.cluster_service or (_is_question(facts) and ".svc" in facts["name"])


def _other_answers(facts: Facts) -> bool:
    return bool(facts.cell.expect.answers) and facts["detail"].startswith(": expected ")


def _port_closed(facts: Facts) -> bool:
    """An ICMP port unreachable or a RST came back (the resolver says so in the kernel's words)."""
    return strerror(ECONNREFUSED) in facts["detail"] or _cause(facts) in (("tcp", "refused"), ("tcp", "rejected"))


def _no_server(facts: Facts) -> bool:
    """The server is the one that a C library takes where resolv.conf names none."""
    by_hand = facts.cell.options.resolver.servers or (_is_question(facts) and facts.cell.endpoint.host)
    return not by_hand and _port_closed(facts) and facts["server"].startswith("127.0.0.1")


def _from_router(facts: Facts) -> bool:
    """An ICMP error that is more than a closed port's; its family is that of the server, not of the cell."""
    return "ICMP " in facts["detail"]


def _prohibited(facts: Facts) -> bool:
    """Administratively prohibited (RFC 1812 section 5.2.7.1, RFC 4443 section 3.1), or by a `prohibit` route here."""
    codes = ("3/9", "3/10", "3/13", "1/1", "1/5", "1/6")
    return strerror(EACCES) in facts["detail"] or any(f"ICMP {code} from" in facts["detail"] for code in codes)


def _cause(facts: Facts) -> tuple[str, str]:
    """Layer and reason of what broke below a question over TLS or HTTPS."""
    cause = facts.evidence.get("cause") or {}
    return str(cause.get("layer", "")), str(cause.get("reason", ""))


def _half_lost(facts: Facts) -> bool:
    return "lost" in facts.evidence


def _cut(facts: Facts) -> bool:
    """An answer came over UDP, and said that it is not all (TC, RFC 1035 section 4.1.1)."""
    return any(step.get("reason") == Reason.TRUNCATED for step in facts.evidence.get("steps") or ())


def _asked_for_much(facts: Facts) -> bool:
    """The question allowed datagrams above 512 bytes (EDNS, RFC 6891 section 6.2.3)."""
    return (facts.cell.options.dns.edns_size or 0) > _PLAIN_PAYLOAD


def _raced(facts: Facts) -> bool:
    return _half_lost(facts) and facts.evidence["lost"].get("race") is True


def _type_silent(facts: Facts) -> bool:
    return _half_lost(facts) and facts.evidence["lost"].get("race") is False


def _no_channel(facts: Facts) -> bool:
    return _cause(facts)[0] in ("tls", "http")


def _hung_up(facts: Facts) -> bool:
    return facts.evidence.get("rcode", "") is None


ROWS = (
    Row(
        Layer.DNS, Reason.NAME_NOT_FOUND, Code.NAME_MISSING,
        "The Service name {name} does not exist: {server} answered NXDOMAIN.",
        "kubectl get service: is {service} there, in that namespace, and is the cluster domain the one in this Pod's "
        "resolv.conf? Names of Pods behind a headless Service exist only while the Pods are ready.",
        _ANSWERS, _is_service,
    ),
    Row(
        Layer.DNS, Reason.NAME_NOT_FOUND, Code.NAME_MISSING,
        "The name {name} does not exist: {server} answered NXDOMAIN.",
        "Ask again with a trailing dot: if that works, the search list or ndots is in the way. Else ask the zone's "
        "own server whether the record is there; a new record shows late, NXDOMAIN is cached for the time in the "
        "zone's SOA.",
        _ANSWERS,
    ),
    Row(
        Layer.DNS, Reason.NO_DATA, Code.SERVICE_WITHOUT_ENDPOINTS,
        "{service} has no ready {family} address in its EndpointSlices.",
        "kubectl get endpointslices of that Service: does its selector match the Pods' labels, do their readiness "
        "probes pass, does the Service list {family} in ipFamilies? Each family has slices of its own.",
        "the API server hands out EndpointSlices", _asked_for_endpoints,
    ),
    Row(
        Layer.DNS, Reason.NO_DATA, Code.RECORD_MISSING,
        "{name} exists but has no {type} record: {server} answered NOERROR without data.",
        "Ask for the other types of that name. For a Service the family comes from spec.ipFamilies, a headless one "
        "needs ready Pods, and SRV records need named ports.",
        _ANSWERS, _is_question,
    ),
    Row(
        Layer.DNS, Reason.NO_DATA, Code.FAMILY_MISSING,
        "The Service name {name} has no {type} record: it is not there for {family}.",
        "Look at spec.ipFamilyPolicy and spec.ipFamilies of {service}: SingleStack gives one family only. If {family} "
        "is not meant to work here, leave it out of the probe's families.",
        _ANSWERS, _is_service,
    ),
    Row(
        Layer.DNS, Reason.NO_DATA, Code.FAMILY_MISSING,
        "{name} exists but has no {type} record, so there is no {family} way to it.",
        "Was the {type} record ever published, and does the view that this resolver sees carry it? If {family} is not "
        "meant to work here, leave it out of the probe's families.",
        _ANSWERS,
    ),
    Row(
        Layer.DNS, Reason.SERVER_FAILURE, Code.DNS_CHANNEL_FAILED,
        "{server} speaks HTTPS, but gave no DNS message for {name}{detail}.",
        "Is `dns.path` the one that this server answers (RFC 8484; usually /dns-query), and does it take POST? A 4xx "
        "is its front end or the path, a 5xx its resolver behind it: ask that one over UDP.",
        "TCP and TLS to the DNS server", _no_channel,
    ),
    Row(
        Layer.DNS, Reason.SERVER_FAILURE, Code.DNS_SERVER_FAILED,
        "{server} took the question about {name} and ended the connection without an answer{detail}.",
        "The server's log and restarts; a limit on TCP connections (CoreDNS `max_concurrent`, BIND `tcp-clients`) or a "
        "load balancer's idle timeout looks like this too. Does the same question over UDP get an answer?",
        "TCP to the DNS server", _hung_up,
    ),
    Row(
        Layer.DNS, Reason.SERVER_FAILURE, Code.DNS_SERVER_FAILED,
        "{server} answered SERVFAIL for {name}: it is up, but could not get the answer.",
        "CoreDNS log and its `forward` targets: an unreachable upstream, a forwarding loop, a lost watch on the API "
        "server. Ask the upstream directly; if `dig +cd` succeeds there, DNSSEC validation is what fails.",
        _ANSWERS,
    ),
    Row(
        Layer.DNS, Reason.REFUSED, Code.DNS_REFUSED,
        "{server} refuses to answer for {name}: rcode REFUSED.",
        "The server does not serve this zone, or not to this client: in CoreDNS no server block of the Corefile "
        "matches, or the `acl` plugin does; elsewhere, recursion is closed to this source address.",
        _ANSWERS,
    ),
    Row(
        Layer.DNS, Reason.TIMEOUT, Code.DNS_TRUNCATED,
        "The answer about {name} is too large for UDP, says {server}, and over TCP it is silent: nothing within "
        "{took}.",
        "Let TCP to port 53 pass beside UDP in NetworkPolicies and firewalls: whoever drops it breaks the large "
        "answers alone. A headless Service with many Pods outgrows a datagram; EDNS decides from which size on.",
        _ANSWERS + " over UDP", _cut,
    ),
    Row(
        Layer.DNS, Reason.TIMEOUT, Code.DNS_PAIR_RACE,
        "One of the two queries for {name} that left one socket was lost on the way to {server}, and comes when it is "
        "asked by another way: the race in conntrack that makes programs wait for 5 s.",
        "On the node: does `conntrack -S` count insert_failed or drop upwards? NodeLocal DNSCache keeps DNS out of "
        "conntrack; `options single-request-reopen` (glibc) or `use-vc` in dnsConfig avoid it Pod by Pod.",
        "{server} answers both types", _raced,
    ),
    Row(
        Layer.DNS, Reason.TIMEOUT, Code.DNS_TYPE_SILENT,
        "{server} answers one of A and AAAA for {name} and never the other, from whatever socket it is asked.",
        "Who drops that type: an upstream or a firewall that does not like AAAA? Ask each CoreDNS Pod and its "
        "`forward` targets for both. glibc waits for every lost half, musl fails.",
        _ANSWERS, _type_silent,
    ),
    Row(
        Layer.DNS, Reason.TIMEOUT, Code.DNS_PAIR_RACE,
        "{server} answered one of A and AAAA for {name}, and the other one is missing.",
        "That is the signature of the race in conntrack (`conntrack -S`: insert_failed), but a server that drops one "
        "type looks the same: set `dns.sockets: both`, or a `resolver.timeout` that leaves time to ask again.",
        _ANSWERS, _half_lost,
    ),
    Row(
        Layer.DNS, Reason.TIMEOUT, Code.DNS_SILENT,
        "No answer from {server} about {name} ({type}), to be had in one large datagram, within {took}.",
        "Ask with `dns.edns_size: 512`: if that is answered, large datagrams or their fragments are lost on the way "
        "(an MTU, a firewall that drops fragments). If not: CoreDNS Pods, and NetworkPolicies for port 53 over UDP and "
        "TCP.",
        when=_asked_for_much,
    ),
    Row(
        Layer.DNS, Reason.TIMEOUT, Code.DNS_SILENT,
        "No answer from {server} about {name} ({type}) within {took}.",
        "CoreDNS Pods: ready, not CPU-throttled? Does a NetworkPolicy let this Pod out to port 53 over UDP and TCP? "
        "Ask the CoreDNS Pods one by one, and over TCP: from one vantage a dropped query, a lost answer (conntrack "
        "-S, insert_failed) and a dead server look the same.",
    ),
    Row(
        Layer.DNS, Reason.MALFORMED, Code.DNS_MALFORMED,
        "What {server} sent about {name} is not a valid DNS message{detail}.",
        "Is it a DNS server at all on that port? Ask with `+tcp` and with `+noedns`: if one of them works, something "
        "on the way cuts or rewrites large UDP answers.",
        "packets reach the DNS server's address and come back",
    ),
    Row(
        Layer.DNS, Reason.TRUNCATED, Code.DNS_TRUNCATED,
        "The answer about {name} is too large for UDP, and {server} did not give it over TCP.",
        "Open TCP port 53 beside UDP in NetworkPolicies and firewalls. A headless Service with many Pods outgrows a "
        "datagram; CoreDNS' `bufsize` and EDNS decide from which size on.",
        _ANSWERS + " over UDP",
    ),
    Row(
        Layer.DNS, Reason.UNREACHABLE, Code.DNS_CHANNEL_FAILED,
        "Nothing could be asked of {server}: its encryption does not hold{detail}.",
        "The evidence's `tls` has the chain as it was sent. Wrong name: set `tls.server_name`, or have the address on "
        "the certificate. Unknown authority: `tls.ca_file`. Not TLS: 853 is DNS over TLS, 443 over HTTPS, 53 neither.",
        "TCP to the DNS server", _no_channel,
    ),
    Row(
        Layer.DNS, Reason.UNREACHABLE, Code.DNS_PORT_CLOSED,
        "Nobody answers DNS in this place itself: {server} turned the packet away{detail}.",
        "cat /etc/resolv.conf: one that names no server means 127.0.0.1 (resolv.conf(5)), as where dnsPolicy is off "
        "and dnsConfig left out. Or it does name it, and the local cache or sidecar there is down.",
        when=_no_server,
    ),
    Row(
        Layer.DNS, Reason.UNREACHABLE, Code.DNS_PORT_CLOSED,
        "Nobody answers DNS at {server}: the packet was turned away{detail}.",
        "kubectl -n kube-system get endpointslices for kube-dns: without ready CoreDNS Pods the Service rejects. With "
        "NodeLocal DNSCache, look at its Pod on this node.",
        "the way to the DNS server's address", _port_closed,
    ),
    Row(
        Layer.DNS, Reason.UNREACHABLE, Code.PATH_PROHIBITED,
        "Questions to the DNS server {server} are administratively prohibited{detail}.",
        "A rule answers for the server: does an egress policy of this Pod leave out port 53 over UDP and TCP, or does "
        "a host firewall reject it (nft list ruleset, looking for reject)? The server has nothing to do with it.",
        when=_prohibited,
    ),
    Row(
        Layer.DNS, Reason.UNREACHABLE, Code.DNS_UNREACHABLE,
        "The network has no way to the DNS server {server}{detail}.",
        "Has the CoreDNS Pods' node lost its route or its overlay peer (CNI agent, BGP session)? An EndpointSlice may "
        "outlive its Pod: kubectl -n kube-system get endpointslices for kube-dns, against get pods -o wide.",
        when=_from_router,
    ),
    Row(
        Layer.DNS, Reason.UNREACHABLE, Code.DNS_UNREACHABLE,
        "There is no way to the DNS server {server}{detail}.",
        "`prober doctor` shows this Pod's resolv.conf: a nameserver of a family that the Pod lacks, a NodeLocal "
        "DNSCache address without its interface, or a hostNetwork Pod without dnsPolicy ClusterFirstWithHostNet?",
    ),
    Row(
        Layer.DNS, Reason.WRONG_ANSWER, Code.DNS_WRONG_ANSWER,
        "{server} answered {answers} for {name} ({type}), not {expected_answers}.",
        "Ask the zone's own server: if it agrees with us, a stale cache (wait out the TTL). Else another view of a "
        "split horizon, a wildcard under a search domain, or somebody who answers in the server's place.",
        _ANSWERS, _other_answers,
    ),
    Row(
        Layer.DNS, Reason.WRONG_ANSWER, Code.DNS_WRONG_ANSWER,
        "{server} answered {answers} for {name} ({type}), which the probe does not take{detail}.",
        "Ask the zone's own server with `dig +norecurse`: what it says differs from this one through caches (TTL), "
        "views (addresses) or a resolver that does not validate (AD).",
        _ANSWERS,
    ),
)  # fmt: skip
