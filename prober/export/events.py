"""The event log: what happened, as JSON lines. State changes of cells, reloads, start and stop, missed runs.

Every line is an object with `event` and `at` (RFC 3339, UTC). The names and keys are a public contract, as the form
of a run is (`prober.export.runs`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from time import monotonic
from typing import Literal

from prober.export.lines import LineWriter
from prober.export.runs import run_as_dict
from prober.model import Run, Vantage
from prober.units import rfc3339

#: Missed runs are summed up over this many seconds.
SUMMARY = 60.0


class Choice(StrEnum):
    """Which events are written: each choice has those of the ones before it."""

    NONE = "none"
    CHANGES = "changes"
    FAILURES = "failures"
    ALL = "all"


class EventLog:
    """Writes events to `writer`; with `Choice.NONE`, or without a writer, nothing."""

    def __init__(self, writer: LineWriter | None, vantage: Vantage, choice: Choice = Choice.CHANGES) -> None:
        self._writer = writer if choice is not Choice.NONE else None
        self._vantage = vantage
        self._choice = choice
        self._missed: Counter[str] = Counter()
        self._summed_at = monotonic() - SUMMARY
        self._told = 0

    def newly_dropped(self) -> int:
        """Events that were not written since the last call: the reader is slow or gone."""
        dropped = 0 if self._writer is None else self._writer.dropped
        before, self._told = self._told, dropped
        return dropped - before

    def failed(self, run: Run, since: datetime | None) -> None:
        """A cell came to fail with the run that began at `since`."""
        self._say("cell_failed", since=_time(since), run=run_as_dict(run, self._vantage))

    def recovered(self, run: Run, since: datetime | None, failed_since: datetime | None) -> None:
        """A cell that had failed from `failed_since` on holds again since the run that began at `since`."""
        self._say("cell_recovered", since=_time(since), failed_since=_time(failed_since),
                  run=run_as_dict(run, self._vantage))  # fmt: skip

    def runs(self, runs: Sequence[Run]) -> None:
        """The runs of one firing: written with `all`, the failed ones with `failures`."""
        if self._choice is Choice.ALL or self._choice is Choice.FAILURES:
            for run in runs:
                if self._choice is Choice.ALL or not run.ok:
                    self._say("run", run=run_as_dict(run, self._vantage))

    def started(self, *, version: str, config: str, cells: int) -> None:
        """The service began to probe with the configuration of hash `config`."""
        self._say("started", version=version, config=config, cells=cells)

    def stopped(self, *, cancelled: int) -> None:
        """The service ended; `cancelled` runs did not finish within the drain."""
        self._summarise()
        self._say("stopped", cancelled=cancelled)

    def reloaded(self, *, config: str, cells: int, added: int, removed: int, changed: int) -> None:
        """Another configuration took over; the counts are of cells."""
        self._say("reloaded", config=config, cells=cells, added=added, removed=removed, changed=changed)

    def reload_failed(self, errors: Sequence[str]) -> None:
        """A configuration was refused; the one before runs on."""
        self._say("reload_failed", errors=list(errors))

    def missed(self, cause: str, runs: int) -> None:
        """Runs did not take place: they are summed up and written by `tick`."""
        self._missed[cause] += runs

    def regression(self, event: Literal["regression", "regression_over"], what: Mapping[str, object]) -> None:
        """A change of latency or failures was suspected or confirmed, or is over; as JSON has it."""
        self._say(event, **what)

    def budget(self, event: Literal["budget_broken", "budget_kept"], what: Mapping[str, object]) -> None:
        """A quantile passed its budget, or is within it again; as JSON has it."""
        self._say(event, **what)

    def baseline(self, event: Literal["baseline_recorded", "baseline_accepted"], what: Mapping[str, object]) -> None:
        """A baseline was recorded, or is the active one from now on; as JSON has it."""
        self._say(event, **what)

    def tick(self) -> None:
        """Write the sum of missed runs if there are any and the last sum is a minute old. To be called often."""
        if self._missed and monotonic() - self._summed_at >= SUMMARY:
            self._summarise()

    def close(self) -> None:
        """Write what is queued, for a second at most."""
        if self._writer is not None:
            self._writer.close()

    def _summarise(self) -> None:
        if self._missed:
            self._say("runs_missed", missed=dict(self._missed))
            self._missed.clear()
            self._summed_at = monotonic()

    def _say(self, event: str, **what: object) -> None:
        if self._writer is not None:
            said = {"event": event, "at": _time(datetime.now(UTC)), **what}
            self._writer.write(json.dumps(said, separators=(",", ":")))


def _time(moment: datetime | None) -> str | None:
    """RFC 3339 with microseconds, UTC."""
    return None if moment is None else rfc3339(moment)
