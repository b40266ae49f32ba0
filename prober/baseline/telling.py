"""A regression as JSON: for the event log and the API. Pure."""

from __future__ import annotations

from typing import Any

from prober.baseline.sentences import sentence
from prober.baseline.values import Regression
from prober.units import rfc3339_at


def as_dict(one: Regression, now: float, trait: str = "") -> dict[str, Any]:
    """As plain JSON values: times in RFC 3339, durations in seconds. `trait`: what nodes that changed so have in
    common."""
    subject = one.subject
    series = None if isinstance(subject, str) else {
        "probe": subject.probe, "target": subject.target, "path": subject.path, "family": subject.family,
        "layer": subject.layer, "node": subject.node,
    }  # fmt: skip
    size = one.size
    return {
        "subject": str(subject),
        "series": series,
        "layer": one.layer,
        "channel": one.channel.value,
        "level": one.level.value,
        "direction": one.direction.value,
        "reason": one.reason or None,
        "onset": rfc3339_at(one.onset),
        "since": rfc3339_at(one.since),
        "cleared": None if one.cleared is None else rfc3339_at(one.cleared),
        "evidence": round(one.evidence, 3),
        "size": None if size is None else {"change": size.change, "lower": size.lower, "upper": size.upper},
        "was": one.was,
        "now": one.now,
        "baseline": one.baseline,
        "trait": trait or None,
        "says": sentence(one, now, trait),
    }
