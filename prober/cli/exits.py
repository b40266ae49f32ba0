"""Exit codes of the commands that climb, and what makes a run say more about us than about its target. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from prober.model import Run
from prober.reasons import Layer, Reason

OK, FAILED, USAGE, UNFIT = 0, 1, 2, 3


def unfit(run: Run) -> bool:
    """The run failed through this place: our own error, or no right to do what its probe needs."""
    blame = run.blame
    if blame is None:
        return False
    return run.ours or blame.reason is Reason.NOT_PERMITTED or (blame.layer, blame.reason) == _NO_PORT


_NO_PORT = (Layer.TCP, Reason.NO_LOCAL_PORT)


def exit_code(runs: Iterable[Run]) -> int:
    """3 where any run shows this place unfit, else 1 where any run failed, else 0."""
    failed = [run for run in runs if not run.ok]
    if any(unfit(run) for run in failed):
        return UNFIT
    return FAILED if failed else OK
