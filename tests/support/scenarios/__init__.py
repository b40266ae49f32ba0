"""One real failure for each reason of each layer: a server, a climb, and the run that came of it.

`SCENARIOS` has a row for each (layer, reason) of `prober.reasons.REASONS`; `tests/layers/test_every_reason.py` climbs
them all in both families.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from prober.engine.climb import climb
from prober.lab.certificates import CertificateFiles
from prober.layers.base import Kit
from prober.model import Blame, Cell, Run
from prober.options import Expect
from prober.reasons import Family, Kind, Layer, Reason
from tests.support.cells import LOOPBACK, make_cell

#: Seconds of a climb that ends before its deadline, and of one that has to run into it.
ENOUGH, SHORT = 5.0, 0.15
NAME = "api.example.com"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a scenario takes place: the family of all its packets, and certificates to serve."""

    family: Family
    files: CertificateFiles

    @property
    def address(self) -> str:
        """The loopback address of the family."""
        return LOOPBACK[self.family]

    def cell(
        self, kind: Kind, scheme: str, port: int, *, host: str = NAME, timeout: float = ENOUGH,
        expect: dict[str, Any] | None = None, options: dict[str, Any] | None = None, **endpoint: Any,
    ) -> Cell:  # fmt: skip
        """A cell that trusts the place's authority."""
        blocks = {"tls": {"ca_file": str(self.files.ca_file)}} if scheme in ("tls", "https", "grpcs") else {}
        for block, keys in (options or {}).items():
            blocks[block] = blocks.get(block, {}) | keys
        return make_cell(kind, scheme, host, port, family=self.family, timeout=timeout, options=blocks,
                         expect=Expect.model_validate(expect or {}), **endpoint)  # fmt: skip

    async def climb(self, cell: Cell, *, found: bool = True) -> Run:
        """The run of one climb to the cell's port, or of its names where `found` is false."""
        kit = Kit()
        try:
            port = cell.endpoint.first_hop[1]
            (run,) = await climb(cell, kit, found=[(self.address, port)] if found else None)
        finally:
            await kit.close()
        return run


#: A run; or only its blame, where the climb took place in a network namespace.
Shown = Run | Blame
Scenario = Callable[[Place], Awaitable[Shown]]
SCENARIOS: dict[tuple[Layer, Reason], Scenario] = {}


def shows(layer: Layer, *reasons: Reason) -> Callable[[Scenario], Scenario]:
    """Register a scenario for `reasons` of `layer`; a pair has one scenario."""

    def register(scenario: Scenario) -> Scenario:
        for reason in reasons:
            add(layer, reason, scenario)
        return scenario

    return register


def add(layer: Layer, reason: Reason, scenario: Scenario) -> None:
    """Register one row. AssertionError where there is one already."""
    assert (layer, reason) not in SCENARIOS, f"two scenarios for {layer} {reason}"
    SCENARIOS[layer, reason] = scenario
