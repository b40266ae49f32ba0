"""The text output of `prober once`: a line as each cell is done, then what failed, then the count."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from statistics import median

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from prober.cli.exits import unfit
from prober.cli.highlights import highlights
from prober.cli.render import tell
from prober.cli.screen import (
    ADVICE_SIGN,
    ADVICE_STYLE,
    DIM,
    PARTLY_SIGN,
    PARTLY_STYLE,
    RESULT_STYLES,
    SIGNS,
    Part,
    Screen,
)
from prober.diagnosis.beside import Together
from prober.export.repeats import Repeats, repeats
from prober.export.reproduce import reproduce
from prober.model import Cell, Run, Verdict
from prober.reasons import Result
from prober.units import host_port, human_seconds

_LONGEST_ID = 48


class OnceTable:
    """Prints to stdout as cells are done, each climbed `count` times: a line for each run, or for all those of a cell.

    Progress goes to a terminal: to stderr where stdout is none, below the lines where a cell's line takes a while.
    """

    def __init__(self, cells: Sequence[Cell], count: int = 1) -> None:
        self._screen = Screen()
        self._cells = cells
        self._count = count
        self._under_way: dict[str, list[Run]] = {}
        self._climbed: Counter[str] = Counter()
        self._width = min(_LONGEST_ID, max((len(cell.id) for cell in cells), default=0))
        bar = self._screen if self._screen.live and count > 1 else Screen(sys.stderr)
        self._progress = Progress(
            TextColumn("climbing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=bar.console,
            transient=True, disable=not bar.live or (self._screen.live and bar is not self._screen),
        )  # fmt: skip
        self._task = self._progress.add_task("climbs", total=len(cells) * count)
        self._progress.start()

    def add(self, cell: Cell, runs: Sequence[Run]) -> None:
        """The runs of one cell, which has just been climbed."""
        kept = self._under_way.setdefault(cell.id, [])
        kept += runs
        self._climbed[cell.id] += 1
        self._progress.advance(self._task)
        if self._climbed[cell.id] == self._count:
            self._show(self._under_way.pop(cell.id))

    def _show(self, runs: Sequence[Run]) -> None:
        """The line or lines of one cell."""
        for each in repeats(runs, self._cells):
            sign, style = _sign(each)
            facts = _facts_of_one(each.runs[0]) if self._count == 1 else _facts_of_many(each)
            head = f"{each.cell.id:<{self._width}}  "
            line = self._screen.text(
                (f"{sign} ", style), head, *facts[:-1], (facts[-1], style if each.failed else DIM),
                room=self._screen.width,
            )  # fmt: skip
            self._screen.show(line)
        self._screen.console.file.flush()

    def close(self, runs: Sequence[Run], seconds: float) -> None:
        """Explain the failures and count. Cells that were not climbed to the end are shown as far as they came."""
        self._progress.stop()
        for begun in self._under_way.values():
            self._show(begun)
        together = Together(runs)
        for each in repeats(runs, self._cells):
            for run, times in each.causes():
                self._explain(each, run, times, together.explain(run))
        failed = [run for run in runs if not run.ok]
        advice = sum(together.advisory(run) for run in failed)
        style = "bold green" if not failed else ADVICE_STYLE if advice == len(failed) else "bold red"
        self._screen.line()
        self._screen.line((f"{self._sum(runs, failed, advice)}, in {human_seconds(seconds)}", style))

    def _sum(self, runs: Sequence[Run], failed: Sequence[Run], advice: int) -> str:
        total = f"{len(runs)} run{'s' if len(runs) != 1 else ''}: {len(runs) - len(failed)} ok, {len(failed)} failed"
        parts = [total]
        if failed and self._count > 1:
            bad, held = {run.cell.id for run in failed}, {run.cell.id for run in runs if run.ok}
            parts.append(f"{len(bad - held)} of {len(self._cells)} cells at every run and {len(bad & held)} partly")
        if advice:
            parts.append(f"{advice} of them only to be noted")
        if unfits := sum(unfit(run) for run in failed):
            parts.append(f"{unfits} of them through this place rather than the target (prober doctor)")
        return ", ".join(parts)

    def _explain(self, group: Repeats, run: Run, times: int, verdict: Verdict | None) -> None:
        """One cause of a cell's failures, which `times` runs of it had."""
        if verdict is None:
            return
        sign, style = (ADVICE_SIGN, ADVICE_STYLE) if verdict.advisory else _sign(group)
        share = f"  {times} of {len(group.runs)} runs" if self._count > 1 else ""
        self._screen.line()
        self._screen.line((f"{sign} {run.cell.id}", style), (share, style))
        self._screen.paragraph(verdict.layer, verdict.says)
        if places := group.places():
            self._screen.paragraph("climbed to", ", ".join(places))
        tell(self._screen, verdict)
        self._screen.line("  ", (f"{'by hand':<11}", DIM), (reproduce(run), "cyan"))


def _sign(group: Repeats) -> Part:
    """The sign of some runs and its style."""
    if group.partly:
        return PARTLY_SIGN, PARTLY_STYLE
    result = Result.FAILED if group.failed else Result.OK
    return SIGNS[result], RESULT_STYLES[result]


def _facts_of_one(run: Run) -> tuple[str, ...]:
    """Its time, and its blame or where it went and what the topmost layer saw."""
    blame = run.blame
    topmost = highlights(run, run.outcomes[-1])[:2]
    facts = f"{blame.layer} {blame.reason}" if blame is not None else "  ".join((_where(run), *topmost))
    return f"{human_seconds(run.seconds):>8}  ", facts


def _facts_of_many(group: Repeats) -> tuple[str, ...]:
    """How many held, their median and longest time, and the blames or where they went."""
    seconds = [run.seconds for run in group.runs]
    took = f"median {human_seconds(median(seconds))}, at most {human_seconds(max(seconds))}"
    blames = [f"{times} × {_blame(run)}" for run, times in group.causes()]
    partly = "partly: " if group.partly else ""
    facts = f"{partly}{', '.join(blames)}" if blames else " ".join(group.places()) or _where(group.runs[0])
    return f"{group.counted:>9}  ", f"{took}  ", facts


def _blame(run: Run) -> str:
    return f"{run.blame.layer} {run.blame.reason}" if run.blame is not None else "not as expected"


def _where(run: Run) -> str:
    return host_port(run.address, run.port) if run.address and run.port else run.address or ""
