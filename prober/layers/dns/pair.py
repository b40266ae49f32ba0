"""A and AAAA asked for together, as getaddrinfo does: was one of the two lost, and did the socket matter? Pure.

The signature of the "5 s race" (two datagrams of one socket, each the first of its flow for conntrack behind a DNAT):
one of the pair stays unanswered, and comes when it is asked for again alone, or from a socket of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from prober.model import Evidence
from prober.options import PAIR
from prober.reasons import Reason
from prober.wire.dns.message import Step
from prober.wire.dns.trail import Trail

TYPES = ("A", "AAAA")


def types_of(kind: str) -> tuple[str, ...]:
    """The record types that are asked for together."""
    return TYPES if kind == PAIR else (kind,)


def lost_half(trail: Trail) -> Evidence | None:
    """Which of the pair stayed unanswered beside the other, the first time that this happened; None: it did not.

    `came`: it was answered later, when it was asked for again more carefully. None: it was not asked for again.
    """
    steps, waiting = trail.steps, tuple(trail.waiting)
    rounds = {(step.query.server, step.query.name): None for step in steps if step.query.transport == "udp"}
    for server, name in rounds:
        own = [step for step in steps if (step.query.server, step.query.name) == (server, name)]
        first = {kind: next((step for step in own if step.query.type == kind), None) for kind in TYPES}
        pending = {query.type for query in waiting if (query.server, query.name) == (server, name)}
        answered = [kind for kind, step in first.items() if step is not None and step.rcode is not None]
        silent = [kind for kind, step in first.items() if step is not None and step.reason is Reason.TIMEOUT]
        silent += [kind for kind in TYPES if first[kind] is None and kind in pending]
        if len(answered) == len(silent) == 1:
            return {"type": silent[0], "name": name, "server": str(server), "came": _came(own, silent[0])}
    return None


def _came(own: Sequence[Step], kind: str) -> bool | None:
    again = [step for step in own if step.query.type == kind][1:]
    return any(step.rcode is not None for step in again) if again else None


def heard(trail: Trail) -> Evidence:
    """By type, what came of the first time that it was asked for: the response code, or the reason."""
    found: Evidence = dict.fromkeys((query.type for query in trail.waiting), str(Reason.TIMEOUT))
    for step in reversed(trail.steps):
        found[step.query.type] = step.rcode or str(step.reason)
    return {kind: found[kind] for kind in TYPES if kind in found}


def note_race(evidence: Evidence) -> None:
    """Put down whether the lost half comes by another way from this place (`race`), as far as that is known: at the
    retry, or from two sockets. None: there is nothing to compare with.
    """
    lost = evidence.get("lost")
    if lost is None:
        return
    beside = evidence.get("two_sockets", {}).get(lost["type"])
    others = [
        came for came in (lost["came"], None if beside is None else beside != str(Reason.TIMEOUT)) if came is not None
    ]
    lost["race"] = any(others) if others else None
