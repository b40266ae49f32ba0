"""The values of a checked configuration: frozen, and all that `matrix.expand` needs beside the vantage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from prober.config.schema import Vantages
from prober.model import Endpoint
from prober.options import NO_WISHES, BaselineSettings, Expect, KindOptions
from prober.reasons import Family, Kind

Demand = Literal["auto", "wish", "strict"]
"""Who asks for the family of a square: nobody (it runs where the vantage has the family), the defaults (it runs, save
where the vantage's resolver or API server decides and has it not), or the probe itself (it runs)."""

Source = Literal["vantage", "resolver", "api"]
"""Which families of the vantage count: its addresses', its name servers' or its API server's."""


@dataclass(frozen=True, slots=True)
class Way:
    """One path of a target. `own` is the family of the address literal that the connection goes to, if it is one."""

    endpoint: Endpoint
    own: Family | None
    narrowed: tuple[Family, ...] | None
    """The path's own `families`, None without any."""
    url: str | None
    """As given; None where `endpoints` alone say where the path leads, and each kind speaks its own scheme."""


@dataclass(frozen=True, slots=True)
class Target:
    """One application: its labels (for `prober_target_info`) and the ways to it."""

    name: str
    labels: Mapping[str, str]
    paths: Mapping[str, Way]


@dataclass(frozen=True, slots=True)
class Square:
    """A cell before the vantage is known, which decides whether it runs there."""

    target: str
    path: str
    family: Family
    endpoint: Endpoint
    demand: Demand
    source: Source
    interval: float
    timeout: float
    options: KindOptions
    expect: Expect
    budget: Mapping[str, float]
    quantile_budget: Mapping[str, Mapping[str, float]]
    to_api_server: bool = False
    """The connection goes to the address of the vantage's API server."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe with the squares of its matrix, in order."""

    name: str
    kind: Kind
    vantages: Vantages
    squares: tuple[Square, ...]
    baseline: bool = True


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration without problems. `source_hash` is the SHA-256 of its text, in hex."""

    name: str
    source_hash: str
    targets: Mapping[str, Target]
    probes: tuple[Probe, ...]
    baseline: BaselineSettings = NO_WISHES
    hidden: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Value of each variable that was filled in → `${VAR}`."""
