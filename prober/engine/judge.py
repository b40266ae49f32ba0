"""From the outcomes of a climb to its judgement: budgets, what was expected, whom to blame. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from prober.model import Blame, Cell, Evidence, Outcome
from prober.reasons import Layer, Reason, Result


def judge(
    cell: Cell, outcomes: Sequence[Outcome], later: float = 0.0
) -> tuple[tuple[Outcome, ...], bool, Blame | None]:
    """The outcomes as they count, whether the run is good, and the blame if it is not; redirects took `later` s."""
    if cell.expect.failed is not None:
        return _negative(cell, cell.expect.failed, outcomes)
    within = tuple([_within_budget(cell, outcome) for outcome in outcomes] if cell.budget else outcomes)
    blame = _first_failure(within)
    if blame is None and (total := cell.budget.get("total")) is not None:
        within, blame = _within_total(total, within, later)
    return within, blame is None, blame


def _within_budget(cell: Cell, outcome: Outcome) -> Outcome:
    budget = cell.budget.get(outcome.layer)
    if budget is None or outcome.result is not Result.OK or outcome.seconds is None or outcome.seconds <= budget:
        return outcome
    return _over(outcome, budget)


def _within_total(
    budget: float, outcomes: tuple[Outcome, ...], later: float
) -> tuple[tuple[Outcome, ...], Blame | None]:
    """Over the whole budget: the slowest layer is to blame, http for what its redirects took."""
    if sum(o.seconds or 0.0 for o in outcomes) + later <= budget:
        return outcomes, None
    slowest = max(outcomes, key=lambda o: (o.seconds or 0.0) + (later if o.layer is Layer.HTTP else 0.0))
    return (
        tuple(_over(o, budget, total=True) if o is slowest else o for o in outcomes),
        Blame(slowest.layer, Reason.OVER_BUDGET),
    )


def _over(outcome: Outcome, budget: float, *, total: bool = False) -> Outcome:
    evidence: Evidence = {**outcome.evidence, "total_budget" if total else "budget": budget}
    return replace(outcome, result=Result.FAILED, reason=Reason.OVER_BUDGET, evidence=evidence)


def _first_failure(outcomes: Sequence[Outcome]) -> Blame | None:
    """A layer that broke outweighs one that was slow."""
    failed = [o for o in outcomes if o.result is Result.FAILED and o.reason is not None]
    if not failed:
        return None
    failed.sort(key=lambda o: o.reason is Reason.OVER_BUDGET)  # stable: the ladder's order within each
    return Blame(failed[0].layer, failed[0].reason) if failed[0].reason else None


def _negative(cell: Cell, layer: Layer, outcomes: Sequence[Outcome]) -> tuple[tuple[Outcome, ...], bool, Blame | None]:
    """`expect: {failed: LAYER}`: that layer has to fail for one of the named reasons; passing it is the failure."""
    judged: list[Outcome] = []
    met = False
    for outcome in outcomes:
        if outcome.layer is layer and outcome.result is Result.OK:
            outcome = replace(outcome, result=Result.FAILED, reason=Reason.UNEXPECTED_SUCCESS)
        elif outcome.layer is layer and outcome.result is Result.FAILED and outcome.reason is not Reason.INTERNAL:
            met = not cell.expect.reason or outcome.reason in cell.expect.reason
        judged.append(outcome)
    return tuple(judged), met, None if met else _first_failure(judged)
