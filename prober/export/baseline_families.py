"""Which series baselines and budgets on quantiles have: names, labels, help texts. A table; everything is public API.

When a baseline was recorded is told as a moment and not as an age: an age would change with every scrape, could not be
kept between blocks, and would lie once the prober stands still. `time() - …` is the age.
"""

from __future__ import annotations

from collections.abc import Iterable

from prober.baseline.channels import COLUMNS
from prober.baseline.grouping import groups_of
from prober.baseline.values import SeriesKey
from prober.export.series import Family, Owner, Row, Shape, counter, info, one
from prober.model import Cell

#: What of a series is watched, and which way.
WATCHED = tuple(dict.fromkeys((column.channel, column.direction) for column in COLUMNS))
WAYS = tuple(dict.fromkeys(direction for _, direction in WATCHED))


def _watched(_: Shape) -> tuple[Row, ...]:
    return tuple(("", (("channel", channel.value), ("direction", direction.value))) for channel, direction in WATCHED)


def _ways(_: Shape) -> tuple[Row, ...]:
    return tuple(("", (("direction", direction.value),)) for direction in WAYS)


INFO = Family("prober_baseline", "info", "The baselines that series are held against.", Owner.BASELINE, info)
RECORDED = Family(
    "prober_baseline_recorded_timestamp_seconds", "gauge", "When an active baseline was recorded.", Owner.BASELINE,
    one)  # fmt: skip
COVERAGE = Family(
    "prober_baseline_coverage_ratio", "gauge", "The share of the measured series that have a baseline.",
    Owner.BASELINES, one)  # fmt: skip
LAST_BLOCK = Family(
    "prober_baseline_last_block_timestamp_seconds", "gauge", "When the last block that was judged ended.",
    Owner.BASELINES, one)  # fmt: skip
SKIPPED = Family(
    "prober_baseline_blocks_skipped", "counter", "Blocks of ten minutes that say nothing, and why.", Owner.SKIPPED,
    counter)  # fmt: skip
CPU = Family(
    "prober_baseline_cpu_seconds", "counter", "CPU time that sampling and judging have taken, the store left out.",
    Owner.BASELINES, counter)  # fmt: skip
PERSISTENT = Family(
    "prober_baseline_store_persistent", "gauge", "Whether baselines outlive the process (1) or not (0).",
    Owner.BASELINES, one)  # fmt: skip
STORE_FAILURES = Family(
    "prober_baseline_store_failures", "counter", "What the store could not read or write.", Owner.BASELINES,
    counter)  # fmt: skip
SUSPECTS = Family(
    "prober_baseline_suspects", "gauge", "Series of a layer that are suspected to be worse than usual.", Owner.LAYER,
    one)  # fmt: skip
BY_CHANCE = Family(
    "prober_baseline_suspects_by_chance", "gauge", "As many of them as chance alone makes, but for 1 time in 1000.",
    Owner.LAYER, one)  # fmt: skip
RATIO = Family(
    "prober_baseline_shift_ratio", "gauge", "Latency of the last hour against the baseline: 1.18 is 18 % slower.",
    Owner.SERIES, one)  # fmt: skip
LOWER = Family(
    "prober_baseline_shift_ratio_lower", "gauge", "The lower bound (95 %) of prober_baseline_shift_ratio.",
    Owner.SERIES, one)  # fmt: skip
EVIDENCE = Family(
    "prober_baseline_evidence", "gauge", "Evidence of a change: 1 is the threshold of suspect, 2 that of confirmed.",
    Owner.SERIES, _watched)  # fmt: skip
REGRESSION = Family(
    "prober_regression", "gauge", "1 while a series is not as its baseline was.", Owner.REGRESSION, one)  # fmt: skip
ONSET = Family(
    "prober_regression_onset_timestamp_seconds", "gauge", "When the change began.", Owner.CHANGE, one)  # fmt: skip
GROUP_RATIO = Family(
    "prober_group_shift_ratio", "gauge", "Latency of a group against its baseline, or of one side beyond the other.",
    Owner.GROUP, one)  # fmt: skip
GROUP_LOWER = Family(
    "prober_group_shift_ratio_lower", "gauge", "The lower bound (95 %) of prober_group_shift_ratio.", Owner.GROUP,
    one)  # fmt: skip
GROUP_EVIDENCE = Family(
    "prober_group_evidence", "gauge", "Evidence of a change of a group, as prober_baseline_evidence.", Owner.GROUP,
    _ways)  # fmt: skip
GROUP_REGRESSION = Family(
    "prober_group_regression", "gauge", "1 while a group is not as its baseline was.", Owner.GROUP_REGRESSION,
    one)  # fmt: skip
BREACHED = Family(
    "prober_budget_breached", "gauge", "Whether a quantile is over its budget (1) or not (0).", Owner.BUDGET,
    one)  # fmt: skip
USED = Family(
    "prober_budget_used_ratio", "gauge", "The quantile against its budget, once known: above 1 is over.", Owner.BUDGET,
    one)  # fmt: skip

#: In the order of the exposition.
FAMILIES = (
    INFO, RECORDED, COVERAGE, LAST_BLOCK, SKIPPED, CPU, PERSISTENT, STORE_FAILURES, SUSPECTS, BY_CHANCE, RATIO, LOWER,
    EVIDENCE, REGRESSION, ONSET, GROUP_RATIO, GROUP_LOWER, GROUP_EVIDENCE, GROUP_REGRESSION, BREACHED, USED,
)  # fmt: skip
#: Samples of a series that is shown, and those that it may have beside while it is not as usual.
_STEADY = 2 + len(WATCHED)
_CHANGED = 2 * len(WATCHED)
_GROUP_STEADY = 2 + len(WAYS)
_GROUP_CHANGED = len(WAYS)


def budget_samples(cells: Iterable[Cell]) -> int:
    """How many samples the budgets on quantiles of these cells make."""
    return 2 * sum(len(limits) for cell in cells for limits in cell.quantile_budget.values())


def baseline_samples(cells: Iterable[Cell]) -> tuple[int, int]:
    """How many samples baselines of these cells make where all is shown and as usual, and how many at most; without
    those of single nodes of endpoints, which nobody knows before."""
    keys = [
        SeriesKey(cell.probe, cell.target, cell.path, cell.family.value, layer.value)
        for cell in cells
        for layer in cell.ladder
    ]
    groups = len(groups_of(keys))
    steady = _STEADY * len(keys) + _GROUP_STEADY * groups
    return steady, steady + _CHANGED * len(keys) + _GROUP_CHANGED * groups
