"""Why Envoy answered by itself: its response flags, from a field if one carries them, else from its own words. Pure.

Flags: https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage (RESPONSE_FLAGS).
"""

from __future__ import annotations

import re
from typing import Final

from prober.wire.http import Record

_FLAGS: Final = re.compile(r"[A-Z][A-Z0-9]{1,7}(?:,[A-Z][A-Z0-9]{1,7}){0,7}")
_FIELDS: Final = ("x-envoy-response-flags", "x-response-flags")
#: Bytes of a body that are looked at: Envoy's own are one line.
_LONGEST: Final = 512
#: The field with which Envoy says that what is behind it answered, and after how many milliseconds.
UPSTREAM_TIME: Final = "x-envoy-upstream-service-time"
#: What Envoy writes into the body of its own answers → flag; the first that is found counts. RBAC has none of its own.
_WORDS: Final = (
    (b"no healthy upstream", "UH"),
    (b"upstream request timeout", "UT"),
    (b"reset reason: overflow", "UO"),
    (b"reset reason: connection failure", "UF"),
    (b"reset reason: remote connection failure", "UF"),
    (b"reset reason: local connection failure", "UF"),
    (b"reset reason: connection timeout", "UF"),
    (b"reset reason: connection termination", "UC"),
    (b"reset reason: remote reset", "UR"),
    (b"reset reason: remote refused stream reset", "UR"),
    (b"reset reason: local reset", "LR"),
    (b"reset reason: protocol error", "UPE"),
    (b"upstream connect error or disconnect/reset before headers", "UF"),
    (b"upstream max stream duration reached", "UMSDR"),
    (b"stream timeout", "SI"),
    (b"downstream duration timeout", "DT"),
    (b"local_rate_limited", "RL"),
    (b"rbac: access denied", "RBAC"),
    (b"fault filter abort", "FI"),
    (b"envoy overloaded", "OM"),
)
#: Flag → what it means, for people.
MEANINGS: Final = {
    "UH": "no healthy upstream",
    "UF": "upstream connection failure",
    "UO": "upstream overflow: a circuit breaker is open",
    "NR": "no route",
    "UT": "upstream request timeout",
    "UC": "upstream closed the connection",
    "UR": "upstream reset the stream",
    "LR": "local reset",
    "UPE": "upstream protocol error",
    "UMSDR": "upstream took longer than a stream may",
    "SI": "stream idle timeout",
    "DT": "request longer than its duration timeout",
    "RL": "rate limited",
    "RBAC": "denied by RBAC",
    "FI": "fault injected",
    "OM": "overload manager",
    "URX": "retry limit reached",
    "NC": "upstream cluster not found",
    "DC": "downstream closed the connection",
    "UAEX": "denied by external authorisation",
}


def flag_of(record: Record) -> tuple[str, str] | None:
    """Flags and their meaning where Envoy gave this (bad) answer by itself; None where it did not, or does not say."""
    for name in _FIELDS:
        value = record.value(name)
        if value is not None and _FLAGS.fullmatch(value):
            return value, MEANINGS.get(value.partition(",")[0], "a flag of this Envoy")
    said = flag_in(bytes(record.body[:_LONGEST]))
    return said or (("NR", MEANINGS["NR"]) if _no_route(record) else None)


def flag_in(text: bytes) -> tuple[str, str] | None:
    """The flag and its meaning behind Envoy's own words in a body or a gRPC message; None where they are not its."""
    text = text.lower()
    flag = next((flag for words, flag in _WORDS if words in text), None)
    return None if flag is None else (flag, MEANINGS[flag])


def is_envoy(server: str | None) -> bool:
    """Whether the field Server is that of an Envoy."""
    return (server or "").lower() in ("envoy", "istio-envoy")


def _no_route(record: Record) -> bool:
    """An empty 404 of Envoy's that no upstream was asked for: it would have said how long that took."""
    unasked = record.value(UPSTREAM_TIME) is None
    return record.status == 404 and not record.size and unasked and is_envoy(record.value("server"))
