"""From the block `budget:` to what cells carry: each run's own, and those of quantiles."""

from __future__ import annotations

from pathlib import Path

import pytest

from prober.config.load import load
from prober.config.matrix import expand
from prober.model import Cell, Vantage
from prober.options.budget import QUANTILES, runs_needed
from prober.reasons import Family

FILE = Path(__file__).parent / "good" / "budget.yaml"
VANTAGE = Vantage("n1", families=(Family.IPV4,))


def cell(probe: str) -> Cell:
    (found,) = [c for c in expand(load(FILE, {}), VANTAGE) if c.probe == probe]
    return found


#: Probe → budgets of each run, budgets of quantiles.
BUDGETS = {
    "defaults": ({"dns": 0.9}, {"tcp": {"p50": 0.001, "p99": 0.005}, "total": {"p99": 9.0}}),
    "own": ({"dns": 0.9, "tcp": 0.01, "http": 2.0}, {"http": {"p50": 0.09, "p99.9": 0.15}, "total": {"p99": 9.0}}),
    "included": ({"dns": 0.9}, {"tcp": {"p90": 0.003}, "total": {"p99": 9.0}}),
    "closed": ({"dns": 0.9}, {}),
    "rare": ({"dns": 0.9}, {"tcp": {"p99": 0.005}, "total": {"p99": 9.0}}),
}


@pytest.mark.parametrize("probe", BUDGETS)
def test_the_nearest_place_that_names_a_layer_says_all_of_its_budget(probe: str) -> None:
    made = cell(probe)
    assert (made.budget, made.quantile_budget) == BUDGETS[probe]


def test_quantiles_are_in_rising_order_whatever_the_order_in_the_file() -> None:
    assert list(cell("own").quantile_budget["http"]) == ["p50", "p99.9"]


def test_a_probe_can_be_left_out_of_the_baselines() -> None:
    assert {c.probe: c.baseline for c in expand(load(FILE, {}), VANTAGE)} == {
        **dict.fromkeys(BUDGETS, True), "own": False
    }  # fmt: skip


@pytest.mark.parametrize(
    ("quantile", "runs"), [("p50", 20), ("p75", 20), ("p90", 20), ("p95", 20), ("p99", 100), ("p99.9", 1000)]
)
def test_a_quantile_needs_as_many_runs_as_one_of_them_may_be_above_it(quantile: str, runs: int) -> None:
    assert runs_needed(QUANTILES[quantile]) == runs
