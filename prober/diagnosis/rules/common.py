"""Rules for the reasons that every layer has: too slow, let through, cancelled, our own error. Pure data."""

from __future__ import annotations

from typing import NamedTuple

from prober.diagnosis.codes import Code
from prober.diagnosis.facts import Facts
from prober.diagnosis.row import Row
from prober.reasons import Layer, Reason


class _Texts(NamedTuple):
    """What a row says of a layer, and what it tells to check."""

    says: str
    next_check: str


def _whole_run(facts: Facts) -> bool:
    return "total_budget" in facts.evidence


#: layer → what held though slow, and where its time goes.
_SLOW = {
    Layer.DNS: _Texts(
        "DNS answered for {name}, but took {took}: the budget is {budget}.",
        "Count the queries (`prober dns {name}`): with ndots 5 a short name walks the whole search list. Then "
        "CoreDNS: CPU throttling, cache misses, a slow upstream; steps of 5 s are lost UDP answers.",
    ),
    Layer.ICMP: _Texts(
        "{address} answers echo, but the round trip takes {took}: the budget is {budget}.",
        "Compare other targets from here and other vantages to there: a longer path (zone, region, tunnel), a full "
        "queue on a node, or a host too busy to answer at once.",
    ),
    Layer.TCP: _Texts(
        "{where} accepts connections, but the handshake takes {took}{lost}: the budget is {budget}.",
        "Near 1 s or 3 s a SYN was lost and sent again: full accept queue, full conntrack table, lossy link. Else a "
        "longer path: another zone, or new encapsulation after a change of the CNI. The Pod path tells what the "
        "Service adds.",
    ),
    Layer.PROXY: _Texts(
        "The proxy at {where} gets us to {goal}, but takes {took}: the budget is {budget}.",
        "The time holds the proxy's own DNS lookup and connect: measure both on the proxy's host, then the proxy's "
        "load.",
    ),
    Layer.TLS: _Texts(
        "The TLS handshake with {tls_name} works, but takes {took}{spent}: the budget is {budget}.",
        "Signing is the server's heaviest work: CPU throttling of whoever ends TLS (container_cpu_cfs_throttled), RSA "
        "4096 against ECDSA, a chain larger than 10 segments, one more round trip for a HelloRetryRequest.",
    ),
    Layer.HTTP: _Texts(
        "{where} answers {request} well, but takes {took}{spent}: the budget is {budget}.",
        "The phases tell: a late first byte is the application or what it waits for (x-envoy-upstream-service-time, "
        "if sent), a long transfer is size or the path. The Pod path tells what front ends add; CPU throttling is the "
        "usual suspect.",
    ),
    Layer.GRPC: _Texts(
        "The health check at {where} says SERVING, but takes {took}{spent}: the budget is {budget}.",
        "A health check does no work: look for CPU throttling, an exhausted thread pool, or a front end that opens a "
        "backend connection first. Compare with the Pod path.",
    ),
}

#: layer → what was let through though it should not, and why that may be.
_LET_THROUGH = {
    Layer.DNS: _Texts(
        "{name} resolves, though this probe expects {expected}.",
        "Who created the record, or does a wildcard under a search domain answer? `prober dns {name}` shows which "
        "query got it.",
    ),
    Layer.ICMP: _Texts(
        "{address} answers echo, though this probe expects {expected}.",
        "Many policies speak of TCP and UDP only and let ICMP pass: does the rule that should stop it name the "
        "protocol?",
    ),
    Layer.TCP: _Texts(
        "{where} lets us connect, though this probe expects {expected}.",
        "Does the NetworkPolicy select this Pod (podSelector, namespace) and list Egress in policyTypes, and does the "
        "CNI enforce policies at all? For a Service, policies see the Pod's address and port behind it, not the "
        "ClusterIP's.",
    ),
    Layer.PROXY: _Texts(
        "The proxy at {where} lets us through to {goal}, though this probe expects {expected}.",
        "Its allow list: a wildcard too wide, or a rule for this Pod's source address before the one that denies.",
    ),
    Layer.TLS: _Texts(
        "The TLS handshake with {tls_name} succeeds, though this probe expects {expected}.",
        "If client certificates are to be demanded: is mTLS strict here or only permissive? If an old version or a "
        "bad certificate is to be refused: which front end answered instead?",
    ),
    Layer.HTTP: _Texts(
        "{where} answers {request} well, though this probe expects {expected}.",
        "The rule that should deny it: authentication at the ingress, a WAF, a mesh policy. Is it bypassed on this "
        "path, straight to the Service or Pod?",
    ),
    Layer.GRPC: _Texts(
        "{where} answers the health check well, though this probe expects {expected}.",
        "The interceptor or mesh policy that should deny it: does it exempt health checks, or is it bypassed on this "
        "path?",
    ),
}


def _rows(layer: Layer) -> tuple[Row, ...]:
    slow, through = _SLOW[layer], _LET_THROUGH[layer]
    return (
        Row(
            layer, Reason.OVER_BUDGET, Code.TOO_SLOW,
            f"Every layer held, but together they took more than {{budget}}; {layer} took most of it: {{took}}.",
            slow.next_check, when=_whole_run,
        ),
        Row(layer, Reason.OVER_BUDGET, Code.TOO_SLOW, *slow),
        Row(layer, Reason.UNEXPECTED_SUCCESS, Code.LET_THROUGH, *through),
        Row(
            layer, Reason.CANCELLED, Code.RUN_CANCELLED,
            f"The prober stopped before {layer} was through: this run says nothing about {{target}}.",
            "Nothing, if the prober was just reloaded or stopped. Otherwise its log.",
        ),
        Row(
            layer, Reason.INTERNAL, Code.PROBER_ERROR,
            f"The prober itself failed at {layer}{{detail}}: this says nothing about {{target}}.",
            "If a file cannot be read (CA, certificate, token): its mount and mode, `prober doctor`. Otherwise the "
            "prober's log has the traceback, and it is our bug to fix.",
        ),
    )  # fmt: skip


ROWS = tuple(row for layer in Layer for row in _rows(layer))
