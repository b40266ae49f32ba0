"""Runs for tests, as a climb would have made them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from prober.model import Blame, Cell, Outcome, Run, Verdict
from prober.reasons import Kind, Layer, Reason, Result
from tests.support.cells import make_cell

MORNING = datetime(2026, 11, 22, 10, 0, 0, 123456, UTC)


def named(kind: Kind, scheme: str, name: str, **more: Any) -> Cell:
    """A cell whose id is `name` (`probe/target/path`) and the family."""
    probe, target, path = name.split("/")
    return replace(make_cell(kind, scheme, more.pop("host", "web.app"), **more), probe=probe, target=target, path=path)


def good_run(
    cell: Cell,
    *,
    after: float = 0.0,
    seconds: Mapping[Layer, float] | None = None,
    evidence: Mapping[Layer, dict[str, Any]] | None = None,
    phases: Mapping[str, float] | None = None,
) -> Run:
    """Every layer ok, a millisecond each where `seconds` says nothing; begun `after` seconds in the morning."""
    outcomes = tuple(
        Outcome(layer, Result.OK, (seconds or {}).get(layer, 0.001), None, (evidence or {}).get(layer, {}))
        for layer in cell.ladder
    )
    total = sum(outcome.seconds or 0.0 for outcome in outcomes)
    begun = MORNING + timedelta(seconds=after)
    return Run(cell, begun, total, outcomes, True, None, "192.0.2.7", 443, phases or {})


def failed_run(cell: Cell, layer: Layer, reason: Reason, *, after: float = 0.0, seconds: float = 0.002) -> Run:
    """Everything below `layer` ok, `layer` failed for `reason`, everything above skipped."""
    good = good_run(cell, after=after)
    at = cell.ladder.index(layer)
    outcomes = (
        *good.outcomes[:at],
        Outcome(layer, Result.FAILED, seconds, reason),
        *(Outcome(above, Result.SKIPPED, None, Reason.SKIPPED_BELOW) for above in cell.ladder[at + 1 :]),
    )
    total = sum(outcome.seconds or 0.0 for outcome in outcomes)
    return replace(good, outcomes=outcomes, ok=False, seconds=total, blame=Blame(layer, reason))


def literal_run(cell: Cell) -> Run:
    """A good run to a literal address."""
    good = good_run(cell)
    dns, *above = good.outcomes
    return replace(good, outcomes=(replace(dns, result=Result.SKIPPED, seconds=None, reason=Reason.LITERAL), *above))


def explain(run: Run) -> Verdict | None:
    """A verdict named after the blame."""
    return run.blame and Verdict(f"{run.blame.layer}_{run.blame.reason}", run.blame.layer, run.blame.reason, "")


def http(run: Run) -> Outcome:
    """The outcome of the http layer, which `run` has."""
    outcome = run.outcome(Layer.HTTP)
    assert outcome is not None
    return outcome
