"""The judgement of a run: budgets, expected failures, whose fault it was. Tables over pure values."""

from __future__ import annotations

import pytest

from prober.engine.judge import judge
from prober.model import Blame, Outcome
from prober.options import Expect
from prober.reasons import Kind, Layer, Reason, Result
from tests.support.cells import make_cell

DNS, TCP, TLS, HTTP = Layer.DNS, Layer.TCP, Layer.TLS, Layer.HTTP


def ok(layer: Layer, milliseconds: float = 1) -> Outcome:
    return Outcome(layer, Result.OK, milliseconds / 1e3, None, {"seen": layer.value})


def failed(layer: Layer, reason: Reason, milliseconds: float = 1) -> Outcome:
    return Outcome(layer, Result.FAILED, milliseconds / 1e3, reason)


def skipped(layer: Layer, reason: Reason = Reason.SKIPPED_BELOW) -> Outcome:
    return Outcome(layer, Result.SKIPPED, None, reason)


FAST = (ok(DNS), ok(TCP), ok(TLS), ok(HTTP))
NO_DNS = (skipped(DNS, Reason.LITERAL), ok(TCP), ok(TLS), ok(HTTP))
DOWN = (ok(DNS), failed(TCP, Reason.REFUSED), skipped(TLS), skipped(HTTP))
EXPIRED = (ok(DNS, 30), ok(TCP), failed(TLS, Reason.EXPIRED), skipped(HTTP))
SLOW_TCP = (ok(DNS), ok(TCP, 9), ok(TLS), ok(HTTP))


@pytest.mark.parametrize(
    ("outcomes", "budget", "blame"),
    [
        (FAST, {}, None),
        (NO_DNS, {}, None),
        (DOWN, {}, (TCP, Reason.REFUSED)),
        (FAST, {"tcp": 0.001}, None),  # exactly on budget
        (SLOW_TCP, {"tcp": 0.002}, (TCP, Reason.OVER_BUDGET)),
        (SLOW_TCP, {"tls": 0.002}, None),
        (NO_DNS, {"dns": 0.0001}, None),  # a skipped layer has no time
        ((ok(DNS, 9), ok(TCP, 9), ok(TLS), ok(HTTP)), {"dns": 0.001, "tcp": 0.001}, (DNS, Reason.OVER_BUDGET)),
        (EXPIRED, {"dns": 0.001}, (TLS, Reason.EXPIRED)),  # what broke outweighs what was slow
        (FAST, {"total": 0.005}, None),
        (FAST, {"total": 0.004}, None),
        (SLOW_TCP, {"total": 0.010}, (TCP, Reason.OVER_BUDGET)),
        (SLOW_TCP, {"tcp": 0.002, "total": 0.010}, (TCP, Reason.OVER_BUDGET)),
        (EXPIRED, {"total": 0.010}, (TLS, Reason.EXPIRED)),
    ],
)
def test_budgets_and_blame(
    outcomes: tuple[Outcome, ...], budget: dict[str, float], blame: tuple[Layer, Reason] | None
) -> None:
    cell = make_cell(Kind.HTTP, "https", "web.app", budget=budget)
    _, good, blamed = judge(cell, outcomes)
    assert blamed == (None if blame is None else Blame(*blame))
    assert good is (blame is None)


def test_a_layer_over_its_budget_fails_but_its_time_still_counts_as_a_latency() -> None:
    cell = make_cell(Kind.HTTP, "https", "web.app", budget={"tcp": 0.002})
    outcomes, _, _ = judge(cell, SLOW_TCP)
    tcp = outcomes[1]
    assert (tcp.result, tcp.reason, tcp.seconds, tcp.held) == (Result.FAILED, Reason.OVER_BUDGET, 0.009, True)
    assert tcp.evidence == {"seen": "tcp", "budget": 0.002}
    assert outcomes[0] is SLOW_TCP[0]


def test_over_the_total_budget_the_slowest_layer_says_so() -> None:
    cell = make_cell(Kind.HTTP, "https", "web.app", budget={"total": 0.005})
    outcomes, _, _ = judge(cell, SLOW_TCP)
    assert [o.result for o in outcomes] == [Result.OK, Result.FAILED, Result.OK, Result.OK]
    assert outcomes[1].evidence["total_budget"] == 0.005


@pytest.mark.parametrize(
    ("expect", "outcomes", "good", "blame"),
    [
        (Expect(failed=TCP), DOWN, True, None),
        (Expect(failed=TCP, reason=(Reason.TIMEOUT, Reason.REFUSED)), DOWN, True, None),
        (Expect(failed=TCP, reason=(Reason.TIMEOUT,)), DOWN, False, (TCP, Reason.REFUSED)),
        (Expect(failed=TCP), FAST, False, (TCP, Reason.UNEXPECTED_SUCCESS)),
        (Expect(failed=TCP), EXPIRED, False, (TCP, Reason.UNEXPECTED_SUCCESS)),
        (Expect(failed=TLS), DOWN, False, (TCP, Reason.REFUSED)),
        (Expect(failed=TLS, reason=(Reason.EXPIRED,)), EXPIRED, True, None),
        (Expect(failed=DNS), NO_DNS, False, None),
        (Expect(failed=TCP), (ok(DNS), failed(TCP, Reason.INTERNAL)), False, (TCP, Reason.INTERNAL)),
    ],
)
def test_expected_failures(
    expect: Expect, outcomes: tuple[Outcome, ...], good: bool, blame: tuple[Layer, Reason] | None
) -> None:
    cell = make_cell(Kind.HTTP, "https", "web.app", expect=expect)
    _, is_good, blamed = judge(cell, outcomes)
    assert (is_good, blamed) == (good, None if blame is None else Blame(*blame))


def test_an_expected_failure_keeps_its_reason_in_the_outcome() -> None:
    cell = make_cell(Kind.HTTP, "https", "web.app", expect=Expect(failed=TCP))
    outcomes, _, _ = judge(cell, DOWN)
    assert outcomes == DOWN
