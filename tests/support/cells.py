"""Cells for tests, made straight from the model."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from prober.model import DEFAULT_PORTS, Cell, Endpoint, Evidence, Outcome
from prober.options import Expect, KindOptions
from prober.reasons import Family, Kind

LOOPBACK = {Family.IPV4: "127.0.0.1", Family.IPV6: "::1"}


def has_ipv6() -> bool:
    """Whether this machine has an IPv6 loopback."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


#: Parametrisation over both families; ipv6 is skipped where the machine has none.
FAMILIES = [
    Family.IPV4,
    pytest.param(Family.IPV6, marks=pytest.mark.skipif(not has_ipv6(), reason="no IPv6 loopback on this machine")),
]


def facts(outcome: Outcome) -> Evidence:
    """The evidence of `outcome` without what every outcome has: its clock and the time that was local."""
    return {key: value for key, value in outcome.evidence.items() if key not in ("clock", "local_seconds")}


def make_cell(
    kind: Kind,
    scheme: Any,
    host: str,
    port: int | None = None,
    *,
    family: Family = Family.IPV4,
    timeout: float = 2.0,
    expect: Expect | None = None,
    budget: dict[str, float] | None = None,
    options: dict[str, Any] | None = None,
    **endpoint: Any,
) -> Cell:
    """A cell named test/target/default; `options` are the kind blocks as in `probes.yaml`."""
    return Cell(
        probe="test",
        kind=kind,
        target="target",
        path="default",
        family=family,
        endpoint=Endpoint(scheme, host, DEFAULT_PORTS.get(scheme, 0) if port is None else port, **endpoint),
        interval=10.0,
        timeout=timeout,
        options=KindOptions.model_validate(options or {}),
        expect=expect or Expect(),
        budget=budget or {},
    )
