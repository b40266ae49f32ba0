"""Which blocks say nothing, and what of a run counts for which series."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from prober.baseline.values import BLOCK, HOUR
from prober.model import ServiceRef
from prober.options import BaselineSettings, Expect
from prober.reasons import Kind, Layer, Reason
from tests.baseline.made import latencies
from tests.support.cells import make_cell
from tests.support.runs import failed_run, good_run
from tests.support.tracking import WATCHED, Turned, baseline, feed, runs, watched


@pytest.fixture
async def turned() -> AsyncIterator[Turned]:
    made = Turned(now=WATCHED)
    yield made
    await made.tracker.close()


class TestBlocksThatSayNothing:
    async def test_the_one_in_which_the_prober_began(self) -> None:
        turned = Turned(now=WATCHED + 100)
        await turned.take(watched())
        await feed(turned, latencies(8, 1))
        assert turned.tracker.skipped == {"started": 1}
        await feed(turned, latencies(8, 1))
        assert (turned.tracker.skipped, turned.baselines.last_block) == ({"started": 1}, WATCHED + BLOCK)
        await turned.tracker.close()

    @pytest.mark.parametrize("step", [-90.0, 40.0, 7200.0, -7200.0])
    async def test_one_in_which_the_clock_was_set(self, turned: Turned, step: float) -> None:
        cell = watched()
        await turned.take(cell, accepted=baseline(cell))
        await feed(turned, latencies(8, 20))
        before = list(turned.baselines.rows())
        for seconds in latencies(9, 1)[0]:
            turned.tracker.record(cell, runs(cell, [seconds]))
        turned.now += step
        turned.tracker.tick()
        await turned.pass_by(BLOCK - turned.now % BLOCK)
        assert set(turned.tracker.skipped) in ({"clock"}, {"clock", "missed"})
        assert list(turned.baselines.rows()) == before
        await feed(turned, latencies(8, 2))
        assert turned.baselines.last_block == turned.now - BLOCK

    async def test_one_in_which_the_machine_slept(self, turned: Turned) -> None:
        await turned.take(watched())
        await turned.pass_by(100)
        await turned.pass_by(5 * HOUR, slept=True)
        await turned.pass_by(BLOCK - turned.now % BLOCK)
        assert turned.tracker.skipped == {"clock": 2}
        await feed(turned, latencies(8, 1))
        assert turned.tracker.skipped == {"clock": 2}

    async def test_one_in_which_most_runs_did_not_take_place(self, turned: Turned) -> None:
        await turned.take(watched())
        await feed(turned, latencies(8, 1, runs=19))
        assert (turned.tracker.skipped, turned.baselines.last_block) == ({"missed": 1}, None)
        await feed(turned, latencies(8, 1, runs=20))
        assert (turned.tracker.skipped, turned.baselines.last_block) == ({"missed": 1}, WATCHED + BLOCK)

    async def test_one_that_was_told_already_before_the_clock_was_set_back(self, turned: Turned) -> None:
        cell = watched()
        await turned.take(cell, accepted=baseline(cell))
        await feed(turned, latencies(8, 30))
        whole = await turned.baselines.window(WATCHED, turned.now)
        rows = list(turned.baselines.rows())
        turned.now -= 2 * HOUR
        turned.tracker.tick()
        await feed(turned, latencies(9, 5), factor=9.0)
        assert dict((await turned.baselines.window(WATCHED, turned.now + 2 * HOUR)).series) == dict(whole.series)
        assert [row.shift for row in turned.baselines.rows()] == [row.shift for row in rows]

    async def test_that_of_a_cell_alone_that_came_within_it(self, turned: Turned) -> None:
        one, other = watched("a"), watched("b")
        await turned.take(one)
        await turned.pass_by(60)
        await turned.take(one, other)
        await feed(turned, latencies(8, 1), latencies(9, 1))
        found = await turned.baselines.window(WATCHED, turned.now)
        assert {key.target for key in found.series} == {"a"}


async def test_what_is_left_out_of_baselines_is_not_sampled(turned: Turned) -> None:
    hidden, canary = watched("a", baseline=False), watched("b", expect=Expect(failed=Layer.TCP))
    await turned.take(hidden, canary)
    await feed(turned, latencies(8, 2), latencies(8, 2))
    assert turned.baselines.series == 0


async def test_failures_and_layers_that_were_not_reached(turned: Turned) -> None:
    cell = replace(make_cell(Kind.TLS, "tls", "192.0.2.7"), interval=15.0)
    await turned.take(cell)
    await turned.block([failed_run(cell, Layer.TCP, Reason.REFUSED)] * 30 + [good_run(cell)] * 10)
    found = (await turned.baselines.window(WATCHED, turned.now)).series
    told = {key.layer: (hour.sketch.total, dict(hour.failed)) for key, (hour,) in found.items()}
    assert told == {"dns": (40, {}), "tcp": (10, {"refused": 30}), "tls": (10, {})}


async def test_addresses_of_one_cell_are_one_series_and_one_for_each_node() -> None:
    nodes = {"10.0.0.1": "east", "10.0.0.2": "west", "10.0.0.3": "west"}
    turned = Turned(now=WATCHED, nodes=nodes)
    cell = replace(make_cell(Kind.TCP, "tcp", "", 80, service=ServiceRef("app", "web", 80)), interval=15.0)
    await turned.take(cell)
    await turned.block(
        [replace(good_run(cell), address=address) for address in (*nodes, "10.0.0.9") for _ in range(10)]
    )
    found = (await turned.baselines.window(WATCHED, turned.now)).series
    held = {key.node: hour.sketch.total for key, (hour,) in found.items() if key.layer == "tcp"}
    assert held == {"": 40, "east": 10, "west": 20}
    await turned.tracker.close()


async def test_budgets_are_judged_where_baselines_are_not_enabled(turned: Turned) -> None:
    cell = watched(quantile_budget={"tcp": {"p50": 0.002}, "total": {"p99": 1.0}})
    await turned.take(cell, settings=BaselineSettings(enabled=False))
    assert turned.tracker.baselines is None
    await feed(turned, latencies(8, 6), factor=5.0)
    broken = {one.series.layer: one.breached for one in turned.tracker.ledger.standings(cell.id)}
    assert broken == {"tcp": True, "total": False}
    (event,) = turned.events.of("budget_broken")
    assert (event["cell"], event["layer"], event["quantile"]) == (cell.id, "tcp", "p50")
    await feed(turned, latencies(9, 10))
    assert len(turned.events.of("budget_kept")) == 1
