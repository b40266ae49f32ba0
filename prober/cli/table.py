"""The text output of `prober once`: a line for each run as it ends, then what failed, then the count."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from prober.cli.exits import unfit
from prober.cli.highlights import highlights
from prober.cli.render import tell
from prober.cli.screen import DIM, RESULT_STYLES, SIGNS, Screen
from prober.diagnosis.run import explain
from prober.export.reproduce import reproduce
from prober.model import Cell, Run
from prober.reasons import Result
from prober.units import host_port, human_seconds

_LONGEST_ID = 48


class OnceTable:
    """Prints to stdout as runs come; progress goes to stderr, and only if that is a terminal and stdout is not."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._screen = Screen()
        self._width = min(_LONGEST_ID, max((len(cell.id) for cell in cells), default=0))
        errors = Screen(sys.stderr)
        self._progress = Progress(
            TextColumn("climbing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=errors.console,
            transient=True, disable=not errors.live or self._screen.live,
        )  # fmt: skip
        self._task = self._progress.add_task("cells", total=len(cells))
        self._progress.start()

    def add(self, _cell: Cell, runs: Sequence[Run]) -> None:
        """The runs of one cell, which has just been climbed."""
        for run in runs:
            self._line(run)
        self._progress.advance(self._task)

    def _line(self, run: Run) -> None:
        result = Result.OK if run.ok else Result.FAILED
        style = RESULT_STYLES[result]
        where = host_port(run.address, run.port) if run.address and run.port else run.address or ""
        blame = run.blame
        facts = f"{blame.layer} {blame.reason}" if blame is not None else "  ".join((where, *_of_last(run)))
        self._screen.show(
            self._screen.text(
                (f"{SIGNS[result]} ", style),
                f"{run.cell.id:<{self._width}}  {human_seconds(run.seconds):>8}  ",
                (facts, DIM if run.ok else style),
                room=self._screen.width,
            )
        )
        self._screen.console.file.flush()

    def close(self, runs: Sequence[Run], seconds: float) -> None:
        """Explain the failures and count."""
        self._progress.stop()
        failed = [run for run in runs if not run.ok]
        for run in failed:
            self._explain(run)
        unfits = sum(unfit(run) for run in failed)
        parts = [f"{len(runs)} run{'s' if len(runs) != 1 else ''}: {len(runs) - len(failed)} ok, {len(failed)} failed"]
        if unfits:
            parts.append(f"{unfits} of them through this place rather than the target (prober doctor)")
        self._screen.line()
        self._screen.line((f"{', '.join(parts)}, in {human_seconds(seconds)}", "bold red" if failed else "bold green"))

    def _explain(self, run: Run) -> None:
        verdict = explain(run)
        if verdict is None:
            return
        self._screen.line()
        self._screen.line((f"{SIGNS[Result.FAILED]} {run.cell.id}", "bold red"))
        self._screen.paragraph(verdict.layer, verdict.says)
        tell(self._screen, verdict)
        self._screen.line("  ", (f"{'by hand':<11}", DIM), (reproduce(run), "cyan"))


def _of_last(run: Run) -> tuple[str, ...]:
    """The facts of the topmost layer."""
    return highlights(run, run.outcomes[-1])[:2]
