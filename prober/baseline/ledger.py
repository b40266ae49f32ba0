"""What cells with budgets on quantiles did lately: the memory behind `budget`, and the seam to the engine."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import accumulate, islice

from prober.baseline.budget import TOTAL, Block, Standing, judge
from prober.baseline.sketch import Sketch
from prober.baseline.values import BLOCK
from prober.model import Cell, Run
from prober.options.budget import LONGEST_WINDOW, QUANTILES, WINDOW, runs_needed
from prober.reasons import Result


def total_of(run: Run) -> float | None:
    """Seconds of `run` that the budget of `total` is about: of all its layers and redirects; None unless all held."""
    if any(outcome.result is not Result.SKIPPED and not outcome.held for outcome in run.outcomes):
        return None
    return sum(outcome.seconds or 0.0 for outcome in run.outcomes) + sum(hop.seconds for hop in run.hops)


class Ledger:
    """What cells with budgets on quantiles did lately, and how they stand. Of one thread.

    The seam: `set_cells` with every matrix; `wants` says whose times to keep; at each block's end `end_block`, whose
    steps may be spread over the loop; `standings` for metrics and the API at any time, `budget.sentence` for people.
    After a restart a budget is not known until there are enough runs again.
    """

    def __init__(self) -> None:
        self._accounts: dict[str, _Account] = {}

    def set_cells(self, cells: Iterable[Cell]) -> None:
        """Take on a new matrix: a cell that is probed as before goes on, also with other budgets; others begin anew."""
        before, self._accounts = self._accounts, {}
        for cell in cells:
            known = before.get(cell.id)
            if known is not None and known.cell == cell:
                self._accounts[cell.id] = known
            elif cell.quantile_budget:
                self._accounts[cell.id] = _Account(cell, () if known is None else known.blocks_for(cell))

    @staticmethod
    def wants(cell: Cell) -> tuple[str, ...]:
        """The layers whose times `end_block` is to be given: none without budgets, else all, and `total`."""
        return (*map(str, cell.ladder), TOTAL) if cell.quantile_budget else ()

    def end_block(
        self, start: int, sketches: Mapping[tuple[str, str], Sketch]
    ) -> Iterator[tuple[tuple[Standing, ...], tuple[Standing, ...]]]:
        """Judge every cell at the end of the block that began at `start` (unix seconds). `sketches`: by id of the cell
        and layer (or `total`, see `total_of`) the block's runs that held; what has none is left out. A step for each
        cell: all its standings, and those of them that are newly breached or no longer."""
        for cell_id, account in tuple(self._accounts.items()):
            wanted = self.wants(account.cell)
            times = {layer: sketches[cell_id, layer] for layer in wanted if (cell_id, layer) in sketches}
            yield account.add(Block(start, times))

    def standings(self, cell_id: str) -> tuple[Standing, ...]:
        """How a cell stood at the latest block's end; empty before the first, and without budgets."""
        account = self._accounts.get(cell_id)
        return () if account is None else account.standings

    def all(self) -> Iterator[Standing]:
        """How all cells stood at the latest block's end."""
        for account in self._accounts.values():
            yield from account.standings


class _Account:
    """The blocks of one cell, as far back as its budgets may look, and how it stands."""

    __slots__ = ("_needed", "blocks", "cell", "standings")

    def __init__(self, cell: Cell, blocks: Iterable[Block]) -> None:
        self.cell = cell
        self.blocks = deque(blocks)
        self.standings: tuple[Standing, ...] = ()
        self._needed = {
            layer: max(runs_needed(QUANTILES[quantile]) for quantile in limits)
            for layer, limits in cell.quantile_budget.items()
        }

    def blocks_for(self, cell: Cell) -> Iterable[Block]:
        """The blocks, if they say something of `cell`: one that differs in what it is held against alone."""
        same = replace(self.cell, budget=cell.budget, quantile_budget=cell.quantile_budget, baseline=cell.baseline)
        return self.blocks if same == cell else ()

    def add(self, block: Block) -> tuple[tuple[Standing, ...], tuple[Standing, ...]]:
        """The standings with this block, and those of them that have changed."""
        self.blocks.append(block)
        self._forget(block.start + BLOCK)
        before, self.standings = self.standings, judge(self.cell, tuple(self.blocks), self.standings)
        was = {(standing.series.layer, standing.quantile) for standing in before if standing.breached}
        changed = [s for s in self.standings if s.breached is not ((s.series.layer, s.quantile) in was)]
        return self.standings, tuple(changed)

    def _forget(self, end: int) -> None:
        """Drop what no window reaches: two hours are kept, to tell what grew, or what it takes to know a quantile."""
        while self.blocks[0].start < end - LONGEST_WINDOW or (
            self.blocks[0].start < end - 2 * WINDOW and all(map(self._enough_without_the_first, self._needed))
        ):
            self.blocks.popleft()

    def _enough_without_the_first(self, layer: str) -> bool:
        runs = accumulate(block.of(layer).total for block in islice(reversed(self.blocks), len(self.blocks) - 1))
        return any(count >= self._needed[layer] for count in runs)
