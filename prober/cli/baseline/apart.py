"""What sets vantages where something got worse apart from the others, by what their recordings say of where they ran.

No API server is asked. Nothing is said where nothing separates them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prober.baseline.compare import Comparison, Finding, Row
from prober.baseline.values import Origin


@dataclass(frozen=True, slots=True)
class Apart:
    """Some vantages, the others, and the trait that tells them apart."""

    says: str
    """`on nodes with kernel 6.12`."""
    some: tuple[Origin, ...]
    others: tuple[Origin, ...]
    also: tuple[str, ...]
    """What separates them equally well: `kubelet v1.33`."""

    @property
    def where(self) -> str:
        """`on 3 of 6 vantages`."""
        return f"on {len(self.some)} of {len(self.some) + len(self.others)} vantages"

    def repeats(self, kind: str, names: Sequence[str]) -> bool:
        """Whether parts of this kind, by these names, are the same vantages in other words."""
        own = {"vantage": "vantage", "node": "node", "zone": "zone"}.get(kind)
        return own is not None and {getattr(origin, own) for origin in self.some} == set(names)


def apart(comparison: Comparison, finding: Finding, layer: str, origins: Sequence[Origin]) -> Apart | None:
    """Of a layer and what was found of it; `origins` are those of the later side. None where nothing separates them,
    or one vantage is alone on a side: its name says more."""
    some, others = _split(comparison, finding, layer)
    if len(some) < 2 or len(others) < 2:
        return None
    from prober.kubernetes.nodes import NodeInfo
    from prober.kubernetes.traits import separates

    nodes = [NodeInfo.told(one.vantage, one.zone, one.region, one.about) for one in origins]
    trait = separates(some, others, nodes)
    if trait is None:
        return None
    here, there = (tuple(one for one in origins if one.vantage in names) for names in (some, others))
    return Apart(trait.says, here, there, trait.also)


def _split(comparison: Comparison, finding: Finding, layer: str) -> tuple[set[str], set[str]]:
    """The vantages of which it was found, as a whole or in a series; and those where nothing like it was found."""
    whole = [row for row in comparison.parts.get("vantage", ()) if row.layer == layer]
    series = [row for row in comparison.series if row.layer == layer and row.bad]
    some = {row.name for row in whole if row.finding is finding and _counts(row)}
    some |= {row.vantage for row in series if row.finding is finding and row.sure}
    odd = {row.vantage for row in series if row.sure} if Finding.FASTER is not finding else set()
    others = {row.name for row in whole if row.finding is not Finding.UNKNOWN and not _alike(row, finding)}
    return some, others - some - odd


def _alike(row: Row, finding: Finding) -> bool:
    return row.finding is finding if finding is Finding.FASTER else row.bad


def _counts(row: Row) -> bool:
    return row.sure or not row.bad
