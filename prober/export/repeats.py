"""Several runs of one cell taken together: how many held, and what the others failed for. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from prober.model import Blame, Cell, Run
from prober.units import host_port


@dataclass(frozen=True, slots=True)
class Repeats:
    """Runs of one cell in their order, one at least; with `addresses: all`, those of one address."""

    runs: tuple[Run, ...]

    @property
    def cell(self) -> Cell:
        """The cell that was climbed."""
        return self.runs[0].cell

    @property
    def failed(self) -> tuple[Run, ...]:
        """The runs that failed."""
        return tuple(run for run in self.runs if not run.ok)

    @property
    def partly(self) -> bool:
        """Some runs held and some failed."""
        return 0 < len(self.failed) < len(self.runs)

    @property
    def counted(self) -> str:
        """`7/8 ok`."""
        return f"{len(self.runs) - len(self.failed)}/{len(self.runs)} ok"

    def causes(self) -> list[tuple[Run, int]]:
        """The first run that failed for each blame, and how many did: the most frequent one first."""
        first: dict[Blame | None, Run] = {}
        for run in self.failed:
            first.setdefault(run.blame, run)
        count = Counter(run.blame for run in self.failed)
        return [(first[blame], number) for blame, number in count.most_common()]

    def places(self) -> list[str]:
        """`10.0.0.1:80 4/4 ok` for each address that was climbed to, where there were several."""
        by_place: dict[str, list[Run]] = {}
        for run in self.runs:
            if run.address is not None:
                place = host_port(run.address, run.port) if run.port else run.address
                by_place.setdefault(place, []).append(run)
        if len(by_place) < 2:
            return []
        return [f"{place} {Repeats(tuple(runs)).counted}" for place, runs in by_place.items()]


def repeats(runs: Iterable[Run], cells: Sequence[Cell]) -> list[Repeats]:
    """`runs` by what they climbed, in the order of `cells`, and of one cell in theirs."""
    order = {cell.id: number for number, cell in enumerate(cells)}
    groups: dict[tuple[str, str | None, int | None], list[Run]] = {}
    for run in runs:
        every = run.cell.endpoint.addresses == "all"
        key = (run.cell.id, run.address if every else None, run.port if every else None)
        groups.setdefault(key, []).append(run)
    ordered = sorted(groups.values(), key=lambda group: order[group[0].cell.id])
    return [Repeats(tuple(group)) for group in ordered]
