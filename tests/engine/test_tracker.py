"""Runs through hours and days of blocks, on a clock that the test turns."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from prober.baseline.store import Block as Kept
from prober.baseline.store import Store
from prober.baseline.values import BLOCK, BLOCKS, HOUR, Channel, Level, Regression
from prober.options import BaselineSettings, KindOptions, RecordOptions
from tests.baseline.made import hours, latencies
from tests.support.tracking import WATCHED, Turned, baseline, feed, runs, tcp, watched

DAY = 24 * HOUR


@pytest.fixture
async def turned() -> AsyncIterator[Turned]:
    made = Turned(now=WATCHED)
    yield made
    await made.tracker.close()


def located(turned: Turned) -> list[Regression]:
    return [one for one in turned.baselines.regressions() if one.channel is Channel.LOCATION]


async def test_a_baseline_is_recorded_by_itself_and_what_is_slower_then_is_told(turned: Turned) -> None:
    cell = watched()
    await turned.take(cell, settings=BaselineSettings(record=RecordOptions(after=float(DAY), label="first")))
    await feed(turned, latencies(1, 25 * BLOCKS))
    (first,) = await turned.baselines.baselines()
    assert (first.name, first.origin.about, first.active) == ("first v1", {"kernel": "6.12.8"}, 2)
    assert turned.baselines.coverage() == 1.0
    began = turned.now
    await feed(turned, latencies(2, 12), factor=1.5)
    (found,) = located(turned)
    assert (found.level, found.baseline, found.subject) == (Level.CONFIRMED, "first v1", tcp(cell))
    assert abs(found.onset - began) <= 3 * BLOCK
    levels = [e["level"] for e in turned.events.of("regression") if e["channel"] == "location"]
    assert levels == ["suspect", "confirmed"]
    assert "tcp" in turned.events.of("regression")[0]["says"]
    await feed(turned, latencies(3, 24 * BLOCKS), factor=0.96)
    assert turned.baselines.regressions() == ()
    assert {one["channel"] for one in turned.events.of("regression_over")} >= {"location", "rank"}
    past = await turned.baselines.past(0, turned.now)
    assert {one.cleared is not None for one in past} == {True}
    assert turned.tracker.skipped == {}
    assert len(await turned.baselines.baselines()) == 1


async def test_a_first_baseline_waits_until_all_is_there_and_says_so_once(
    turned: Turned, caplog: pytest.LogCaptureFixture
) -> None:
    await turned.take(watched(), settings=BaselineSettings(record=RecordOptions(after=float(DAY), label="first")))
    healthy = latencies(4, 24 * BLOCKS)
    await feed(turned, healthy[:20])
    for _ in range(18):
        await turned.pass_by(BLOCK)  # without a run
    await feed(turned, healthy[20:])
    assert await turned.baselines.baselines() == ()
    assert len([r for r in caplog.records if "not recorded yet" in r.message]) == 1
    await feed(turned, latencies(5, 4 * BLOCKS))
    assert [one.name for one in await turned.baselines.baselines()] == ["first v1"]


@pytest.mark.parametrize("after", [3, 30])
async def test_a_restart_changes_nothing(tmp_path: Path, after: int) -> None:
    """Whether nothing or something was known of a change when the process ended."""
    cells = [watched(name) for name in ("a", "b", "c")]
    blocks = [latencies(seed, 60) for seed in (6, 7, 8)]

    async def begin(data: Path, now: float) -> Turned:
        made = Turned(data / "baseline.db", now)
        await made.take(*cells, accepted=baseline(*cells))
        return made

    async def go_on(turned: Turned, start: int, end: int) -> None:
        for at in range(start, end):
            factor = 1.3 if at >= 12 else 1.0
            others = (runs(cell, part[at]) for cell, part in zip(cells[1:], blocks[1:], strict=True))
            await turned.block(runs(cells[0], blocks[0][at] * factor, at % 5 == 0), *others)

    whole = await begin(tmp_path / "whole", WATCHED)
    await go_on(whole, 0, 60)
    cut = await begin(tmp_path / "cut", WATCHED)
    await go_on(cut, 0, after)
    await cut.tracker.close()
    again = await begin(tmp_path / "cut", cut.now)
    await go_on(again, after, 60)
    assert again.baselines.regressions() == whole.baselines.regressions() != ()
    assert list(again.baselines.rows()) == list(whole.baselines.rows())
    groups = [[group.evidence().tolist() for group in one.baselines.groups()] for one in (whole, again)]
    assert groups[0] == groups[1] != []
    told = [e for events in (cut.events, again.events) for e in events.of("regression")]
    assert told == whole.events.of("regression")
    windows = [await one.baselines.window(WATCHED, whole.now) for one in (whole, again)]
    assert dict(windows[0].series) == dict(windows[1].series)
    for one in (whole, again):
        await one.tracker.close()


async def test_a_change_that_is_to_stay_is_recorded_when_that_is_said_and_accepting_it_ends_the_alarm(
    turned: Turned,
) -> None:
    paths = [watched("api", path=path) for path in ("ingress", "service")]
    await turned.take(*paths, accepted=baseline(*paths))
    both = latencies(5, 24 * BLOCKS)
    await feed(turned, [part * 1.15 for part in both], both)
    refused = (await turned.baselines.record("later", turned.now, WATCHED)).refused
    (why,) = {one.why for one in refused if one.series == tcp(paths[0])}
    assert "had regressed in the window" in why
    assert tcp(paths[1]) not in {one.series for one in refused}
    recorded = await turned.baselines.record("later", turned.now, WATCHED, regressed=True)
    assert set((await turned.baselines.get("later", recorded.baseline.version)).series) >= {tcp(path) for path in paths}
    await turned.baselines.accept("later")
    await turned.tracker.idle()
    await feed(turned, [part * 1.15 for part in both[:2]], both[:2])
    assert turned.baselines.regressions() == ()


async def test_a_cell_that_goes_takes_its_rows_along_and_ends_its_regressions(turned: Turned) -> None:
    one, other = watched("a"), watched("b")
    await turned.take(one, other, accepted=baseline(one, other))
    await feed(turned, latencies(8, 20), latencies(9, 20), factor=2.0)
    level = {row.key: row.shift for row in turned.baselines.rows()}
    assert {r.subject for r in located(turned)} == {tcp(one), tcp(other)}
    await turned.take(other)
    await feed(turned, latencies(10, 1), factor=2.0)
    assert [row.key for row in turned.baselines.rows()] == [tcp(other)]
    assert {r.subject for r in located(turned)} == {tcp(other)}
    assert next(turned.baselines.rows()).shift > level[tcp(other)] * 0.9
    assert {event["subject"] for event in turned.events.of("regression_over")} == {str(tcp(one))}


async def test_a_cell_that_is_probed_in_another_way_has_no_baseline_until_it_is_as_before(
    turned: Turned, caplog: pytest.LogCaptureFixture
) -> None:
    cell = watched()
    await turned.take(cell, accepted=baseline(cell))
    await feed(turned, latencies(8, 3))
    assert turned.baselines.judged == 1
    changed = replace(cell, options=KindOptions.model_validate({"resolver": {"ndots": 1}}))
    await turned.take(changed)
    await feed(turned, latencies(9, 3))
    assert turned.baselines.judged == 0
    assert turned.baselines.other_ways == {cell.id}
    assert [r.message for r in caplog.records if "another way" in r.message] != []
    await turned.take(cell)
    await feed(turned, latencies(9, 3))
    assert turned.baselines.judged == 1
    assert turned.baselines.other_ways == set()


async def test_what_a_cell_is_held_against_and_how_often_is_no_other_way(turned: Turned) -> None:
    cell = watched()
    await turned.take(cell, accepted=baseline(cell))
    await turned.take(replace(cell, budget={"tcp": 1.0}, quantile_budget={"tcp": {"p99": 1.0}}, interval=20.0))
    await feed(turned, latencies(8, 3))
    assert turned.baselines.judged == 1


async def test_another_accepted_baseline_begins_anew(turned: Turned) -> None:
    cell = watched()
    await turned.take(cell, accepted=baseline(cell))
    await feed(turned, latencies(8, 60), factor=1.5)
    assert located(turned)
    await turned.baselines.import_(await turned.baselines.export("healthy"))
    slower = hours([x * 1.5 for x in latencies(11, 48 * BLOCKS)])
    turned.baselines.store.put(replace(baseline(cell, label="slower"), series={tcp(cell): slower})).result()
    await turned.baselines.accept("slower")
    await turned.tracker.idle()
    await feed(turned, latencies(9, 12), factor=1.5)
    assert turned.baselines.regressions() == ()
    assert {row.baseline for row in turned.baselines.rows()} == {"slower v1"}


async def test_more_series_than_a_bank_or_a_thread_takes_are_fitted_and_judged(turned: Turned) -> None:
    cells = [watched(f"t{number}") for number in range(60)]
    await turned.take(*cells, accepted=baseline(*cells))
    block = latencies(8, 1)
    await feed(turned, *[block] * 60)
    assert turned.baselines.judged == 60
    assert turned.baselines.unfit == {}


async def test_a_state_that_cannot_be_read_is_begun_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, cell = tmp_path / "baseline.db", watched()
    turned = Turned(path, WATCHED)
    await turned.take(cell, accepted=baseline(cell))
    await feed(turned, latencies(8, 12), factor=1.5)
    await turned.tracker.close()
    store = Store.open(path)
    block, state = store.load_state().result() or pytest.fail("no state")
    store.save_block(Kept(block, {}, state=replace(state, version=99))).result()
    store.close()
    again = Turned(path, turned.now)
    await again.take(cell)
    await feed(again, latencies(9, 1))
    assert [r.message for r in caplog.records if "begin anew" in r.message] != []
    assert again.baselines.regressions() == ()
    assert {one.cleared is not None for one in await again.baselines.past(0, again.now)} == {True}
    await again.tracker.close()
