"""A baseline that a prober has, as it is told."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from shlex import quote
from typing import Any

from prober.cli.baseline.probers import Kept
from prober.reasons import Layer
from prober.units import rfc3339_at

_HEIGHTS = {layer.value: number for number, layer in enumerate(Layer)}


def as_json(kept: Kept) -> dict[str, object]:
    """Its fields, with times as RFC 3339."""
    times = {name: rfc3339_at(getattr(kept, name)) for name in ("since", "until", "recorded_at")}
    return {**asdict(kept), **times, "about": dict(kept.about)}


def in_force(kept: Kept) -> str:
    """For how many of its series it is the active one."""
    if kept.active == 0:
        return f"not active (prober baseline accept {quote(kept.label)})"
    return "active for all of them" if kept.active == kept.series else f"active for {kept.active} of them"


def height(layer: str) -> int:
    """Where a layer stands on the ladder; one that is not known here stands above all."""
    return _HEIGHTS.get(layer, len(_HEIGHTS))


def finite(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The same with null for what is no number: JSON has neither NaN nor infinity."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value)
        else finite(value) if isinstance(value, Mapping) else value
        for name, value in fields.items()
    }  # fmt: skip
