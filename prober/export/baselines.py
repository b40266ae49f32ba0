"""What `/metrics` says of baselines and of budgets on quantiles: handed over once for each block, rendered once."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from prober.baseline.budget import Standing as BudgetStanding
from prober.baseline.chance import most_by_chance
from prober.baseline.groups import Group
from prober.baseline.standings import GroupStanding, Standing
from prober.baseline.values import Direction, Level, Regression, SeriesKey
from prober.export import baseline_families as families
from prober.export.accounts import Account, Shown
from prober.export.series import Family, Labels, Owner, const_labels
from prober.model import Cell, Vantage

#: Evidence from which a series is shown where not all are: half of what it takes to be suspected.
ALARMING: Final = 0.5

_OWNERS: Final[tuple[Owner, ...]] = tuple(dict.fromkeys(family.owner for family in families.FAMILIES))
#: Owners whose labels begin with those of a cell, and how many labels that are.
_OF_CELLS: Final = (Owner.SERIES, Owner.CHANGE, Owner.REGRESSION)
_CELL: Final = 4
#: Digits behind the point.
_DIGITS: Final = 4
#: Accounts that are brought up to date at once.
_STEP: Final = 32

Values = dict[tuple[str, ...], Mapping[str, Sequence[float]]]
"""Labels of an account → family → its values."""


@dataclass(slots=True)
class Told:
    """What a block has said, as it is collected; `BaselineMetrics.show` takes it on. What of an owner was not told is
    gone, but for budgets, and for owners that are left out."""

    owners: dict[Owner, Values] = field(default_factory=lambda: {owner: {} for owner in _OWNERS})

    def series(self, one: Standing) -> None:
        """A series that is to be shown."""
        self.owners[Owner.SERIES][_labels(one.key)] = {
            families.RATIO.name: (_rounded(math.exp(one.shift)),),
            families.LOWER.name: (_rounded(math.exp(one.lower)),),
            families.EVIDENCE.name: tuple(_rounded(one.evidence[watched]) for watched in families.WATCHED),
        }

    def group(self, one: GroupStanding) -> None:
        """A group that is to be shown."""
        self.owners[Owner.GROUP][_group_labels(one.group)] = {
            families.GROUP_RATIO.name: (_rounded(one.ratio),),
            families.GROUP_LOWER.name: (_rounded(one.lower),),
            families.GROUP_EVIDENCE.name: tuple(_rounded(one.evidence[way]) for way in families.WAYS),
        }

    def regressions(self, ones: Iterable[Regression], groups: Mapping[str, Group]) -> None:
        """All that are open; `groups` by the text that regressions have as subject. Of one channel the reasons of
        failures are one: the surest level, the earliest onset."""
        found: dict[tuple[str, ...], tuple[Level, float]] = {}
        for one in ones:
            if isinstance(one.subject, SeriesKey):
                labels = (*_labels(one.subject), one.channel.value, one.direction.value)
                level, onset = found.get(labels, (one.level, one.onset))
                sure = Level.CONFIRMED if Level.CONFIRMED in (level, one.level) else Level.SUSPECT
                found[labels] = sure, min(onset, one.onset)
            elif (group := groups.get(one.subject)) is not None:
                labels = (*_group_labels(group), one.direction.value, one.level.value)
                self.owners[Owner.GROUP_REGRESSION][labels] = {families.GROUP_REGRESSION.name: (1,)}
        for labels, (level, onset) in sorted(found.items()):
            self.owners[Owner.CHANGE][labels] = {families.ONSET.name: (onset,)}
            self.owners[Owner.REGRESSION][*labels, level.value] = {families.REGRESSION.name: (1,)}

    def layers(self, judged: Mapping[str, int], ones: Iterable[Regression]) -> None:
        """How many whole cells of each layer are judged, and the regressions among which their suspects are."""
        suspects = Counter(
            key.layer
            for key in {one.subject for one in ones if one.direction is Direction.REGRESSED}
            if isinstance(key, SeriesKey) and not key.node
        )
        for layer, series in judged.items():
            self.owners[Owner.LAYER][layer,] = {
                families.SUSPECTS.name: (suspects[layer],),
                families.BY_CHANCE.name: (most_by_chance(series),),
            }

    def baseline(self, label: str, version: int, recorded_at: float) -> None:
        """A baseline that is active for some series."""
        values = {families.INFO.name: (1,), families.RECORDED.name: (recorded_at,)}
        self.owners[Owner.BASELINE][label, str(version)] = values

    def skipped(self, blocks: Mapping[str, int]) -> None:
        """Blocks that say nothing, by cause."""
        for cause, count in blocks.items():
            self.owners[Owner.SKIPPED][cause,] = {families.SKIPPED.name: (count,)}

    def itself(
        self, *, coverage: float | None, last_block: float | None, cpu_seconds: float, persistent: bool, failures: int
    ) -> None:
        """What there is once. `last_block`: Unix seconds of its end."""
        self.owners[Owner.BASELINES][()] = {
            families.COVERAGE.name: () if coverage is None else (coverage,),
            families.LAST_BLOCK.name: () if last_block is None else (last_block,),
            families.CPU.name: (_rounded(cpu_seconds),),
            families.PERSISTENT.name: (int(persistent),),
            families.STORE_FAILURES.name: (failures,),
        }

    def budget(self, one: BudgetStanding) -> None:
        """How a quantile stands to its budget."""
        key = one.series
        labels = key.probe, key.target, key.path, key.family, key.layer, one.quantile
        used = one.used
        self.owners[Owner.BUDGET][labels] = {
            families.BREACHED.name: (int(one.breached),),
            families.USED.name: () if used is None else (_rounded(used),),
        }


class BaselineMetrics:
    """Of the event loop's thread. Budgets are there from `set_cells` on; all the rest comes with `show`, and goes with
    its cell."""

    def __init__(self, vantage: Vantage) -> None:
        self.const: Labels = const_labels(vantage)
        self._owners: dict[Owner, Sequence[Account]] = dict.fromkeys(_OWNERS, ())
        self._accounts: dict[Owner, dict[tuple[str, ...], Shown]] = {owner: {} for owner in _OWNERS}
        self._cells: set[tuple[str, ...]] = set()

    def set_cells(self, cells: Iterable[Cell]) -> None:
        """Take on a matrix: what cells have that are gone goes at once."""
        known = self._cells = set()
        before, budgets = self._accounts[Owner.BUDGET], dict[tuple[str, ...], Shown]()
        for cell in cells:
            of = cell.probe, cell.target, cell.path, cell.family.value
            known.add(of)
            for layer, limits in cell.quantile_budget.items():
                for quantile in limits:
                    labels = *of, layer, quantile
                    budgets[labels] = before.get(labels) or Shown(labels, {families.BREACHED.name: (0,)})
        self._put(Owner.BUDGET, budgets)
        for owner in _OF_CELLS:
            accounts = self._accounts[owner]
            self._put(owner, {labels: one for labels, one in accounts.items() if labels[:_CELL] in known})

    def show(self, told: Told) -> Iterator[None]:
        """Take on what a block has said, step by step."""
        for owner, values in told.owners.items():
            if owner is Owner.BUDGET:
                for labels, one in self._accounts[owner].items():
                    one.show(values.get(labels, one.values))
                yield
                continue
            before, after = self._accounts[owner], dict[tuple[str, ...], Shown]()
            for number, (labels, of) in enumerate(values.items()):
                if owner in _OF_CELLS and labels[:_CELL] not in self._cells:
                    continue
                account = after[labels] = before.get(labels) or Shown(labels)
                account.show(of)
                if number % _STEP == 0:
                    yield
            self._put(owner, after)

    def families(self) -> list[tuple[Family, Sequence[Account]]]:
        """Each family with the accounts that have its samples, as they are now."""
        return [(family, self._owners[family.owner]) for family in families.FAMILIES]

    def _put(self, owner: Owner, after: dict[tuple[str, ...], Shown]) -> None:
        """Another list only where it has others: what was rendered of it stays good."""
        if list(after.values()) != list(self._accounts[owner].values()):
            self._accounts[owner], self._owners[owner] = after, list(after.values())


def _rounded(value: float) -> float:
    """More digits are noise, and would be sent anew with each block."""
    return round(value, _DIGITS)


def _labels(key: SeriesKey) -> tuple[str, ...]:
    return key.probe, key.target, key.path, key.family, key.node, key.layer


def _group_labels(group: Group) -> tuple[str, ...]:
    return group.name, group.scope, group.layer
