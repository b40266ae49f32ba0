"""How many round trips a layer has to wait for: its floor, whatever the servers do. Pure.

What can be known from a cell or read off its run is counted, and no more: a chain longer than the first window, or a
body, may take further ones. Tables: TCP (RFC 9293 section 3.5), TLS (RFC 8446 section 2, RFC 5246 section 7.3), CONNECT
(RFC 9110 section 9.3.6), DNS over TCP and TLS (RFC 7766, RFC 7858).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from prober.model import Cell, Evidence, Outcome, Run
from prober.options import Profile, Step
from prober.reasons import Kind, Layer
from prober.units import human_seconds

#: Version, as evidence and options write it → round trips of a full handshake until we may speak.
_HANDSHAKES: Final[Mapping[str, int]] = {"TLSv1.3": 1, "1.3": 1}
_OLD_HANDSHAKE: Final = 2
#: Protocol → what its words before TLS take; a greeting takes one, since the peer hears of the connection only then.
_STARTTLS: Final[Mapping[str, int]] = {
    "smtp": 3, "lmtp": 3, "ftp": 2, "imap": 2, "pop3": 2, "postgres": 1, "mysql": 1, "ldap": 1, "xmpp": 2,
    "xmpp-server": 2,
}  # fmt: skip
#: Layers whose round trips are those of the connection, if no proxy is on the way.
_ON_THE_CONNECTION: Final = frozenset({Layer.TLS, Layer.HTTP, Layer.GRPC})


@dataclass(frozen=True, slots=True)
class Trips:
    """What one layer takes at least, and what of it is not usual; "" where all is."""

    layer: Layer
    count: int
    why: str = ""

    def __str__(self) -> str:
        return told(self.count) + (f", {self.why}" if self.why else "")


def told(count: int) -> str:
    """`1 round trip`, `3 round trips`."""
    return f"{count} round trip{'s' if count != 1 else ''}"


def expected(cell: Cell) -> tuple[Trips, ...]:
    """What each layer of `cell` above dns takes in every run, as far as its configuration tells: TLS 1.3 where it is
    allowed, no redirect."""
    return tuple(trips for layer in cell.ladder if (trips := _above_dns(cell, layer, {})) is not None)


def of_run(run: Run) -> tuple[Trips, ...]:
    """What each layer of `run` that held took, redirects aside: each hop is a run of its own. A lookup whose queries
    are not known one by one is left out."""
    found = (trips_of(run, outcome) for outcome in run.outcomes)
    return tuple(trips for trips in found if trips is not None)


def trips_of(run: Run, outcome: Outcome) -> Trips | None:
    """What one layer of `run` took; None where it did not hold or cannot be told."""
    if not outcome.held:
        return None
    if outcome.layer is Layer.DNS:
        return _dns(run.cell, outcome.evidence)
    return _above_dns(run.cell, outcome.layer, outcome.evidence)


def of_distance(run: Run, outcome: Outcome) -> str:
    """Whether the way there explains the time of a layer, as a clause; "" where it cannot be told: the round trip of
    tcp is that to a proxy, and dns asks somebody else."""
    trips, rtt = trips_of(run, outcome), round_trip(run)
    if trips is None or rtt is None or outcome.layer not in _ON_THE_CONNECTION or run.cell.endpoint.proxy is not None:
        return ""
    return explained(trips.count, rtt, outcome.seconds or 0.0)


def explained(count: int, rtt: float, seconds: float) -> str:
    """Whether `count` round trips of `rtt` seconds are most of `seconds`, as a clause."""
    way = f"{told(count)} of {human_seconds(rtt)}"
    return f"most of it is the way there: {way}" if count * rtt >= seconds / 2 else f"the way there is only {way}"


def on_the_connection(cell: Cell, layer: str) -> int | None:
    """Round trips of a layer whose distance is that of the connection; None for every other one, and behind a proxy."""
    if cell.endpoint.proxy is not None:
        return None
    return next((t.count for t in expected(cell) if t.layer == layer and t.layer in _ON_THE_CONNECTION), None)


def round_trip(run: Run) -> float | None:
    """Seconds of one round trip to the peer of `run`'s connection, None where no SYN was answered at once."""
    tcp = run.outcome(Layer.TCP)
    if tcp is None or not tcp.held or tcp.evidence.get("retransmits"):
        return None
    measured = tcp.evidence.get("connect_seconds", tcp.seconds)
    return measured if isinstance(measured, float) and measured > 0 else None


def per_query(transport: str, handshake: int = 1) -> int:
    """Round trips of one question: a datagram, or a connection of its own, whose TLS takes `handshake`."""
    return {"udp": 1, "tcp": 2}.get(transport, 2 + handshake)


def _above_dns(cell: Cell, layer: Layer, evidence: Evidence) -> Trips | None:
    if layer is Layer.DNS:
        return None
    if layer is Layer.TCP:
        return _tcp(cell.options.tcp.steps if cell.kind is Kind.TCP else ())
    if layer is Layer.PROXY:
        return Trips(layer, 1, "and the proxy's own connect behind it")
    return _tls(cell, evidence) if layer is Layer.TLS else Trips(layer, 1)


def _tcp(steps: Sequence[Step]) -> Trips:
    """The handshake, and one for each answer that waits for a word of ours; the first word is the handshake's last."""
    spoken, answers = True, 0
    for step in steps:
        spoken = spoken or step.send is not None
        if step.expect is not None and spoken:
            answers += 1
            spoken = False
    return Trips(Layer.TCP, 1 + answers, f"{answers} of them the dialogue" if answers else "")


def _tls(cell: Cell, evidence: Evidence) -> Trips:
    version = str(evidence.get("version") or cell.options.tls.max_version)
    words = _STARTTLS.get(cell.options.tls.starttls or "", 0)
    again = bool(evidence.get("hello_retry"))
    handshake = _HANDSHAKES.get(version, _OLD_HANDSHAKE)
    whys = (
        (words, f"{words} of them STARTTLS"),
        (handshake > 1, "one more than with TLS 1.3"),
        (again, "one more for a HelloRetryRequest"),
    )
    return Trips(Layer.TLS, handshake + again + words, ", ".join(why for so, why in whys if so))


def _dns(cell: Cell, evidence: Evidence) -> Trips | None:
    """A round of questions for each name, server and transport that answered. What got no answer was waited for, but
    came no way."""
    asked = evidence.get("steps")
    if asked is None:
        if evidence.get("queries") != 1:
            return None
        asked = [{"name": "", "transport": evidence.get("transport") or cell.options.resolver.transport, "rcode": ""}]
    answered = [step for step in asked if step["rcode"] is not None]
    rounds = dict.fromkeys(_round(cell, step) for step in answered)
    if not rounds:
        return None
    shown = evidence.get("tls") or {}
    handshake = _HANDSHAKES.get(shown.get("version", "TLSv1.3"), _OLD_HANDSHAKE) + bool(shown.get("hello_retry"))
    costs = [(name, per_query(transport, handshake)) for name, transport, *_ in rounds]
    count, last = sum(cost for _, cost in costs), costs[-1][0]
    others = sum(cost for name, cost in costs if name != last)
    return Trips(Layer.DNS, count, f"{others} of them for other names of the search list" if others else "")


def _round(cell: Cell, step: Mapping[str, Any]) -> tuple[str, ...]:
    """What is asked at once has the same; musl asks all servers at once, HTTPS asks one type after the other."""
    transport = str(step["transport"])
    together = cell.options.resolver.profile[0] is Profile.MUSL
    return (
        step["name"],
        transport,
        "" if together else str(step.get("server")),
        str(step.get("type")) if transport == "https" else "",
    )
