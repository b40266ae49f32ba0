"""Faults of what a cluster itself runs: its DNS and its API server. The paths to both are well."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from prober.reasons import Family, Layer, Reason
from tests.network.lab.faults.fault import Fault
from tests.network.lab.faults.inject import both, rule
from tests.network.lab.faults.served import served

if TYPE_CHECKING:
    from tests.network.lab.lab import Lab

R = Reason


def _dns(
    name: str, says: str, to_blame: str, letter: str, reason: Reason | None = None, switch: str = "",
    also: tuple[Reason, ...] = (), **more: Any,
) -> Fault:  # fmt: skip
    blame = {} if reason is None else {Layer.DNS: (reason, *also)}
    return Fault(
        name, says, to_blame, f"+++++{letter}+", blame, served("dns", switch or name), per_family=False, **more
    )


def _api(name: str, says: str, to_blame: str, letter: str, reason: Reason, switch: str = "") -> Fault:
    blame = {Layer.HTTP: (reason,)}
    return Fault(name, says, to_blame, f"++++++{letter}", blame, served("api", switch or name), per_family=False)


@asynccontextmanager
async def without_token(lab: Lab, families: Sequence[Family]) -> AsyncIterator[None]:
    """The Pod has no token mounted (`automountServiceAccountToken: false`): that has no family."""
    mounted = lab.servers.token_file
    away = mounted.rename(mounted.with_suffix(".away"))
    try:
        yield
    finally:
        away.rename(mounted)


_DNS = (
    _dns("dns-servfail", "Every name ends with SERVFAIL.", "upstream", "X", R.SERVER_FAILURE),
    _dns("dns-refused", "Every name ends with REFUSED.", "ACL", "X", R.REFUSED),
    _dns("dns-formerr", "Every query is called malformed: FORMERR.", "CoreDNS", "X", R.SERVER_FAILURE),
    _dns("dns-notimp", "Every query ends with NOTIMP.", "CoreDNS", "X", R.SERVER_FAILURE),
    _dns("dns-timeout", "The server is silent, over UDP and TCP.", "CoreDNS", "T", R.TIMEOUT),
    _dns("dns-slow300", "Every reply takes 300 ms.", "CoreDNS", "S", R.OVER_BUDGET, "dns-slow"),
    _dns("dns-trunc", "Replies over UDP are truncated; TCP has the whole of them.", "nothing", "+", None, "dns-tc"),
    Fault("dns-trunc-tcp53-blocked", "Replies over UDP are truncated, and a policy lets no TCP to port 53.", "policy",
          "+++++T+", {Layer.DNS: (R.TIMEOUT,)},
          both(served("dns", "dns-tc"), rule("node2", "{ip} daddr {dns} tcp dport 53 drop"))),
    Fault("dns-trunc-tcp53-reset", "Replies over UDP are truncated, and nobody listens on TCP port 53.", "CoreDNS",
          "+++++X+", {Layer.DNS: (R.TRUNCATED,)},
          both(served("dns", "dns-tc"), rule("node2", "{ip} daddr {dns} tcp dport 53 reject with tcp reset"))),
    _dns("dns-trunc-tcp-closed", "Replies over UDP are truncated, and TCP connections closed without an answer.",
         "CoreDNS", "X", R.TRUNCATED, "dns-truncated"),
    _dns("dns-aaaa-drop", "AAAA queries get no answer.", "resolver", "P", R.TIMEOUT),
    _dns("dns-aaaa-nxdomain", "AAAA queries are told that the name does not exist.", "resolver", "P",
         R.NAME_NOT_FOUND),
    _dns("dns-aaaa-servfail", "AAAA queries end with SERVFAIL.", "resolver", "P", R.SERVER_FAILURE),
    _dns("dns-aaaa-nodata", "The name has lost its AAAA record.", "record", "P", R.NO_DATA, "dns-no-aaaa"),
    _dns("dns-nodata", "The name exists and has no address.", "record", "X", R.NO_DATA),
    _dns("dns-nxdomain-name", "The name does not exist.", "name", "X", R.NAME_NOT_FOUND, "dns-nxdomain"),
    _dns("dns-cname-loop", "The name is an alias of one that is an alias of it.", "record", "X", R.MALFORMED,
         also=(R.NAME_NOT_FOUND,)),
    _dns("dns-cname-dangling", "The name is an alias of one that does not exist.", "record", "X", R.NAME_NOT_FOUND),
    _dns("dns-cname-bare", "The name is an alias, and the address is left out.", "upstream", "X", R.NO_DATA),
    _dns("dns-flapping", "Four replies are SERVFAIL, four are good, and so on.", "upstream", "P", R.SERVER_FAILURE,
         runs=4),
    _dns("dns-dead", "Nobody listens on the ports of the DNS server.", "CoreDNS", "U", R.UNREACHABLE, "tcp-closed"),
    _dns("dns-wrong-answer", "The name has a stale address.", "record", "+", None,
         by_name={Layer.TCP: (R.UNREACHABLE, R.TIMEOUT)},
         note="Seen only where answers are compared (`expect.answers`)."),
    _dns("dns-malformed", "Replies are cut off in the middle.", "CoreDNS, or a middlebox", "X", R.MALFORMED),
    _dns("dns-garbage", "Replies are garbage after their first bytes.", "CoreDNS, or a middlebox", "X", R.MALFORMED),
    _dns("dns-wrong-id", "Replies carry the id of another query.", "CoreDNS, or a middlebox", "T", R.TIMEOUT),
    _dns("dns-wrong-question", "Replies answer another question.", "CoreDNS, or a middlebox", "T", R.TIMEOUT),
    _dns("dns-ttl-0", "Answers may not be cached: TTL 0.", "nothing", "+"),
)  # fmt: skip
_API = (
    Fault("api-cert-expired", "The API server's certificate has expired.", "certificate", "++++++X",
          {Layer.TLS: (R.EXPIRED,)}, served("api", "tls-expired")),
    Fault("api-ca-rotated", "The API server's certificate is by a CA that Pods do not have.", "trust", "++++++X",
          {Layer.TLS: (R.UNKNOWN_AUTHORITY,)}, served("api", "tls-unknown-ca")),
    Fault("api-reset", "The API server resets connections during the handshake.", "API server", "++++++X",
          {Layer.TLS: (R.RESET,)}, served("api", "tls-reset")),
    Fault("api-closed", "Nobody listens on the API server's port.", "API server", "++++++R",
          {Layer.TCP: (R.REFUSED,)}, served("api", "tcp-closed")),
    _api("api-401", "The API server refuses the token.", "identity", "X", R.STATUS),
    _api("api-403-rbac", "The token has no right to what is asked for.", "identity", "X", R.STATUS, "api-403"),
    Fault("api-403-anon", "The Pod has no token: the API server answers 403.", "nothing: alive", "+++++++", {},
          without_token, per_family=False),
    _api("api-429", "The API server is overloaded: 429.", "API server", "X", R.STATUS),
    _api("api-500", "The API server has lost etcd: 500.", "API server", "X", R.STATUS),
    _api("api-readyz", "The API server says that it is not ready.", "API server", "X", R.STATUS, "api-not-ready"),
    _api("api-hang", "The API server takes requests and never answers.", "API server", "T", R.TIMEOUT),
)  # fmt: skip
FAULTS = (*_DNS, *_API)
