"""What `/metrics` shows of blocks that a real tracker has judged."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from prober.baseline.standings import alarmed_groups
from prober.baseline.summary import fold
from prober.baseline.values import BLOCK
from prober.engine.baselines.showing import Showing
from prober.export.cells import CellMetrics
from prober.export.exposition import Exposition
from prober.export.selfmetrics import SelfMetrics
from prober.model import Cell
from prober.options import BaselineSettings
from tests.baseline.made import latencies
from tests.support.runs import explain
from tests.support.tracking import HERE, WATCHED, Turned, baseline, feed, watched

SLOW, STEADY = watched("slow"), watched("steady")


class Shown(Turned):
    """A tracker, and the text of its metrics."""

    def __init__(self, data: Path | None = None, now: float = WATCHED) -> None:
        super().__init__(data, now)
        self.showing = Showing(self.tracker, HERE)
        self.tracker.show = self.showing.show
        self.exposition = Exposition(CellMetrics(HERE, explain), SelfMetrics(HERE, process=False))
        self.exposition.add(self.showing.metrics)

    async def watch(self, *cells: Cell, **settings: str) -> None:
        wanted = BaselineSettings.model_validate(settings)
        await self.take(*cells, settings=wanted, accepted=baseline(*cells))
        await self.showing.set_cells(cells, wanted)

    async def text(self) -> str:
        _, body = await self.exposition.render("", "")
        return b"".join([chunk async for chunk in body]).decode()

    async def values(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """Of one family, by the values of these labels."""
        found = {}
        for family in parse(await self.text()):
            for sample in family.samples:
                if sample.name == name:
                    found[tuple(sample.labels.get(label, "") for label in labels)] = sample.value
        return found


@pytest.fixture
async def shown() -> AsyncIterator[Shown]:
    made = Shown()
    yield made
    await made.tracker.close()


async def test_what_alarms_is_shown_and_what_is_as_usual_is_not(shown: Shown) -> None:
    await shown.watch(SLOW, STEADY)
    assert await shown.values("prober_baseline_store_persistent") == {(): 0}
    assert await shown.values("prober_baseline_last_block_timestamp_seconds") == {}
    await feed(shown, latencies(1, 3), latencies(2, 3))
    began = shown.now
    slower = [part * 1.5 for part in latencies(3, 12)]
    await feed(shown, slower, latencies(4, 12))
    ratios = await shown.values("prober_baseline_shift_ratio", "target")
    assert set(ratios) == {("slow",)}
    assert ratios["slow",] == pytest.approx(1.5, rel=0.1)
    lower = await shown.values("prober_baseline_shift_ratio_lower", "target")
    assert 1.1 < lower["slow",] < ratios["slow",]
    evidence = await shown.values("prober_baseline_evidence", "target", "channel", "direction")
    assert evidence["slow", "location", "regressed"] > 2 > evidence["slow", "location", "improved"]
    regressions = await shown.values("prober_regression", "target", "channel", "direction", "level")
    assert regressions["slow", "location", "regressed", "confirmed"] == 1
    onset = await shown.values("prober_regression_onset_timestamp_seconds", "channel")
    assert abs(onset["location",] - began) <= 3 * BLOCK
    assert await shown.values("prober_baseline_suspects", "layer") == {("tcp",): 1}
    assert await shown.values("prober_baseline_suspects_by_chance", "layer") == {("tcp",): 2}
    assert await shown.values("prober_baseline_coverage_ratio") == {(): 0.5}  # of dns nothing is in the baseline
    assert await shown.values("prober_baseline_last_block_timestamp_seconds") == {(): shown.now}
    assert await shown.values("prober_baseline_info", "label", "version") == {("healthy", "1"): 1}
    assert await shown.values("prober_baseline_recorded_timestamp_seconds") == {(): WATCHED}
    assert (await shown.values("prober_baseline_cpu_seconds_total"))[()] > 0


async def test_what_was_known_is_shown_after_a_restart_before_a_block_is_over(tmp_path: Path) -> None:
    names = ("prober_regression", "prober_group_regression", "prober_baseline_shift_ratio", "prober_baseline_suspects",
             "prober_baseline_last_block_timestamp_seconds")  # fmt: skip
    labels = ("target", "path", "group", "scope", "channel", "level")
    cells = [watched("api", path=path) for path in ("ingress", "service")]
    both = latencies(5, 40)
    before = Shown(tmp_path / "baseline.db")
    await before.watch(*cells)
    await feed(before, [part * 1.15 for part in both], both)
    known = [await before.values(name, *labels) for name in names]
    assert all(known)
    await before.tracker.close()
    after = Shown(tmp_path / "baseline.db", before.now + 100)
    await after.watch(*cells)
    await after.tracker.idle()
    assert [await after.values(name, *labels) for name in names] == known
    assert after.baselines.judged == 2
    await after.tracker.close()


async def test_all_series_are_shown_where_that_is_wished_and_go_with_their_cell(shown: Shown) -> None:
    await shown.watch(SLOW, STEADY, metrics="all")
    await feed(shown, latencies(1, 2), latencies(2, 2))
    assert set(await shown.values("prober_baseline_shift_ratio", "target")) == {("slow",), ("steady",)}
    await shown.watch(STEADY, metrics="all")
    assert set(await shown.values("prober_baseline_shift_ratio", "target")) == {("steady",)}
    await shown.watch(STEADY)
    assert await shown.values("prober_baseline_shift_ratio", "target") == {}


async def test_blocks_that_say_nothing_are_counted_by_cause(shown: Shown) -> None:
    await shown.watch(STEADY)
    await shown.pass_by(BLOCK)
    causes = await shown.values("prober_baseline_blocks_skipped_total", "cause")
    assert causes == {("started",): 0, ("clock",): 0, ("missed",): 1}


async def test_a_budget_is_shown_from_the_start_and_once_it_is_broken(shown: Shown) -> None:
    cell = replace(STEADY, quantile_budget={"tcp": {"p50": 1e-9}}, baseline=False)
    await shown.watch(cell, metrics="all")
    assert await shown.values("prober_budget_breached", "percentile") == {("p50",): 0}
    assert await shown.values("prober_budget_used_ratio", "percentile") == {}
    await feed(shown, latencies(1, 6))
    assert await shown.values("prober_budget_breached", "percentile") == {("p50",): 1}
    assert (await shown.values("prober_budget_used_ratio", "percentile"))["p50",] > 1000


async def test_a_group_is_shown_and_told_beyond_its_other_side(shown: Shown) -> None:
    """What both sides of a difference share is none of it."""
    paths = [watched("api", path=path) for path in ("ingress", "service")]
    await shown.watch(*paths)
    both = latencies(5, 40)
    await feed(shown, [part * 1.15 for part in both], both)
    levels = await shown.values("prober_group_regression", "group", "scope", "layer", "direction", "level")
    assert levels["ingress minus service", "test/api/ipv4", "tcp", "regressed", "confirmed"] == 1
    ratios = await shown.values("prober_group_shift_ratio", "group")
    assert ratios["ingress minus service",] == pytest.approx(1.15, abs=0.03)
    lower = await shown.values("prober_group_shift_ratio_lower", "group")
    assert 1 < lower["ingress minus service",] <= ratios["ingress minus service",]
    groups = alarmed_groups(shown.baselines.groups())
    known = [key for bank in shown.baselines.banks() for key in bank.keys]
    told = [one for one in fold(shown.baselines.regressions(), known, groups) if one.group]
    assert [(one.group, one.scopes, one.pages) for one in told] == [("ingress minus service", ("test/api/ipv4",), True)]
    assert " slower since " in told[0].says(shown.now)
    assert " in ingress beyond service for test/api/ipv4 (" in told[0].says(shown.now)


async def test_a_disk_that_fails_is_counted_and_takes_no_baseline_away(shown: Shown) -> None:
    await shown.watch(STEADY)
    await feed(shown, latencies(1, 1))
    store = shown.baselines.store
    store._thread.submit(store._db.connection.execute, "ALTER TABLE baselines RENAME TO gone").result()
    await feed(shown, latencies(2, 1))
    assert await shown.values("prober_baseline_info", "label", "version") == {("healthy", "1"): 1}
    assert (await shown.values("prober_baseline_store_failures_total"))[()] > 0
