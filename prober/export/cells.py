"""The accounts of all cells of a configuration: kept over reloads, counted by the engine, read by the exposition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from prober.export.accounts import Account, CellAccount, LookupAccount
from prober.export.series import (
    FAMILIES,
    Family,
    Labels,
    Owner,
    const_labels,
    lookup_labels,
    shape_of,
    target_labels,
)
from prober.model import Cell, Run, Vantage, Verdict

Explain = Callable[[Run], Verdict | None]


class CellMetrics:
    """What `/metrics` says of the cells. Only the event loop's thread touches it.

    `explain` gives the verdict on one failed run. Every series exists from `set_cells` on, at zero.
    """

    def __init__(self, vantage: Vantage, explain: Explain) -> None:
        self.const: Labels = const_labels(vantage)
        self._explain = explain
        self._accounts: dict[str, CellAccount] = {}
        self._owners: dict[Owner, Sequence[Account]] = dict.fromkeys(Owner, ())
        self._verdicts: Counter[tuple[str, ...]] = Counter()
        self._made: dict[str, CellAccount] = {}

    def prepare(self, cells: Iterable[Cell]) -> Iterator[None]:
        """Make the accounts that `set_cells` will want for `cells`, one a step: thousands at once hold the loop."""
        for cell in cells:
            account = self._accounts.get(cell.id)
            if account is None or not account.is_of(cell):
                self._made[cell.id] = CellAccount(cell)
                yield

    def set_cells(self, cells: Iterable[Cell]) -> None:
        """Take on a new matrix: equal cells keep their counts, new and changed ones start at zero, the rest is gone."""
        before, self._accounts = self._accounts, {}
        kept = set()
        for cell in cells:
            account, made = before.get(cell.id), self._made.get(cell.id)
            if made is not None and made.cell is cell:
                account = made
            elif account is not None and account.is_of(cell):
                kept.add(cell.id)
            else:
                account = CellAccount(cell)
            self._accounts[cell.id] = account
        self._made.clear()
        for cell_id in before.keys() - kept:
            self._say(before[cell_id], frozenset())
        accounts = list(self._accounts.values())
        if accounts == self._owners[Owner.CELL]:
            return  # nothing changed: what was rendered of these lists stays good
        self._owners[Owner.CELL] = accounts
        self._owners[Owner.LOOKUP] = _share_lookups(accounts)
        self._owners[Owner.TARGET] = self._share_targets(accounts)

    def record(self, cell: Cell, runs: tuple[Run, ...]) -> None:
        """Count one firing of `cell`. A cell that has left the matrix meanwhile, or changed, is not counted."""
        account = self._accounts.get(cell.id)
        if account is None or not runs or not account.is_of(cell):
            return
        says_something = account.add(runs)
        if account.lookup is not None:
            account.lookup.add(runs[0].outcomes[0])  # the runs of one firing share one lookup
        if says_something and (account.verdicts or not account.up):
            self._say(account, self._verdicts_of(cell, runs))

    def families(self) -> list[tuple[Family, Sequence[Account]]]:
        """Each family with the accounts that have its samples, as they are now: later reloads leave the lists alone."""
        return [(family, self._owners[family.owner]) for family in FAMILIES]

    def _verdicts_of(self, cell: Cell, runs: tuple[Run, ...]) -> frozenset[tuple[str, ...]]:
        verdicts = (self._explain(run) for run in runs if not run.ok)
        return frozenset((cell.target, v.code, v.layer.value) for v in verdicts if v is not None)

    def _say(self, account: CellAccount, verdicts: frozenset[tuple[str, ...]]) -> None:
        """Replace what `account` says; a verdict is there as long as one cell says it."""
        if verdicts == account.verdicts:
            return
        self._verdicts.update(verdicts - account.verdicts)
        self._verdicts.subtract(account.verdicts - verdicts)
        self._verdicts += Counter()  # drops what nobody says any more
        account.verdicts = verdicts
        self._owners[Owner.VERDICT] = [Account(labels, account.shape) for labels in sorted(self._verdicts)]

    def _share_targets(self, accounts: Sequence[CellAccount]) -> Sequence[Account]:
        before = {account.labels: account for account in self._owners[Owner.TARGET]}
        shared: dict[tuple[str, ...], Account] = {}
        for account in accounts:
            labels = target_labels(account.cell)
            if labels not in shared:
                shared[labels] = before.get(labels) or Account(labels, shape_of(account.cell))
        return list(shared.values())


def _share_lookups(accounts: Sequence[CellAccount]) -> Sequence[Account]:
    """Give each account its lookup. One lives on as long as a cell that it counted for does."""
    kept = {account.lookup.labels: account.lookup for account in accounts if account.lookup is not None}
    shared: dict[tuple[str, ...], LookupAccount] = {}
    for account in accounts:
        labels = lookup_labels(account.cell) if account.lookup is None else account.lookup.labels
        if labels not in shared:
            shared[labels] = kept.get(labels) or LookupAccount(labels, account.shape)
        account.lookup = shared[labels]
    return list(shared.values())
