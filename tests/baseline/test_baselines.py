"""Baselines: what a window has to have, versions, which one is active, what comes from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from prober.baseline.store import Active, Block, Refused, Store, UnknownBaseline, WindowRefused, Wishes
from prober.baseline.values import BLOCK, HOUR, Direction, Level
from tests.support.hours import DAY, ORIGIN, START, filled, hour, key, recording, regression

UNTIL = START + 2 * DAY
SETTINGS = {key(n).cell: f"hash-{n}" for n in range(3)}


@pytest.fixture
def empty() -> Iterator[Store]:
    store = Store.open(None, clock=lambda: UNTIL + 7.0)
    yield store
    store.close()


@pytest.fixture
def store(empty: Store) -> Store:
    """With two days of three series."""
    return filled(empty, recording(series=3))


def test_a_recording_is_the_hours_of_its_window_and_active_for_series_that_have_none(store: Store) -> None:
    recorded = store.record("healthy", START, UNTIL, ORIGIN, {**SETTINGS, "other/cell/of/no-one": "x"}).result()
    assert recorded.refused == ()
    info = recorded.baseline
    assert (info.name, info.series, info.active, info.since, info.until) == ("healthy v1", 3, 3, START, UNTIL)
    assert (info.recorded_at, info.origin) == (UNTIL + 7.0, ORIGIN)
    assert store.list().result() == (info,)
    got = store.get("healthy").result()
    assert got == replace(recording(series=3), recorded_at=UNTIL + 7.0, settings=SETTINGS)
    assert store.get("healthy", 1, [key(1), key(9)]).result().series == {key(1): got.series[key(1)]}
    assert store.active().result()[key(1)] == Active("healthy", 1, "hash-1", None, None)


def test_the_next_of_a_label_is_its_next_version_and_not_active_by_itself(store: Store) -> None:
    store.record("healthy", START, UNTIL, ORIGIN, SETTINGS).result()
    second = store.record("healthy", START, START + DAY, ORIGIN, SETTINGS, Wishes((key(0), key(1)))).result().baseline
    assert (second.version, second.series, second.active) == (2, 2, 0)
    assert store.activate("healthy").result() == replace(second, active=2)
    versions = {one: active.version for one, active in store.active().result().items()}
    assert versions == {key(0): 2, key(1): 2, key(2): 1}
    store.activate("healthy", 1).result()
    assert {active.version for active in store.active().result().values()} == {1}


@pytest.mark.parametrize(
    ("since", "until", "why"),
    [
        (START, START + DAY - 1, "the window is 23.9 h: a baseline needs"),
        (UNTIL, START, "the window is 0 h"),
        (START, float("inf"), "a beginning and an end"),
        (START - 9 * DAY, START - 7 * DAY, "nothing was measured in the window"),
    ],
)
def test_a_window_that_cannot_be_one_is_refused(store: Store, since: float, until: float, why: str) -> None:
    with pytest.raises(WindowRefused, match=why):
        store.record("healthy", since, until, ORIGIN, SETTINGS).result()
    assert store.list().result() == ()


def test_a_series_that_is_not_fit_is_refused_by_name_and_the_others_are_recorded(empty: Store) -> None:
    good, gaps, few, regressed, grown, improved = (key(n) for n in range(6))
    every = {one: tuple(hour(START + at * HOUR) for at in range(24)) for one in (good, regressed, grown, improved)}
    every[gaps] = (*every[good][:21], hour(START + 21 * HOUR, covered=0b111))
    every[few] = tuple(hour(START + at * HOUR, 41) for at in range(24))
    filled(empty, replace(recording(), series=every, until=float(START + DAY)))
    found = (
        regression(regressed, START + DAY - BLOCK),
        regression(grown, START - DAY, level=Level.CONFIRMED, cleared=START + 1.0),
        regression(improved, START, direction=Direction.IMPROVED),
        regression(good, START - DAY, cleared=float(START)),
    )
    empty.save_block(Block(START + DAY, {}, regressions=found)).result()
    refused = empty.record("healthy", START, START + DAY, ORIGIN, {}, Wishes((*every, key(9)))).result().refused
    assert set(refused) == {
        Refused(gaps, "89 % of the window's blocks were measured: 90 % are needed"),
        Refused(few, "984 successes in the window: 1000 are needed"),
        Refused(regressed, "it had regressed in the window (location, suspect) since 2026-11-27T23:50:00.000000Z"),
        Refused(grown, "it had regressed in the window (location, confirmed) since 2026-11-26T00:00:00.000000Z"),
        Refused(key(9), "0 % of the window's blocks were measured: 90 % are needed"),
    }
    assert set(empty.get("healthy").result().series) == {good, improved}
    wishes = Wishes(regressed=True, refused={good: "it is in doubt"})
    refused = empty.record("healthy", START, START + DAY, ORIGIN, {}, wishes).result().refused
    assert {one.series: one.why for one in refused}[good] == "it is in doubt"
    assert set(empty.get("healthy").result().series) == {regressed, grown, improved}


def test_where_no_series_is_left_the_whole_is_refused_and_no_version_is_used_up(store: Store) -> None:
    with pytest.raises(WindowRefused, match="none of 1 series is fit") as caught:
        store.record("healthy", START, UNTIL, ORIGIN, {}, Wishes((key(9),))).result()
    assert [one.series for one in caught.value.refused] == [key(9)]
    assert store.record("healthy", START, UNTIL, ORIGIN, {}).result().baseline.version == 1


def test_a_window_takes_in_the_hours_all_of_whose_blocks_are_in_it(empty: Store) -> None:
    hours = [hour(START + at * HOUR) for at in range(25)]
    now = hour(START + 25 * HOUR, 100, covered=0b000111)
    filled(empty, replace(recording(), series={key(): (*hours, now)}, until=float(START + 26 * HOUR)))
    since, until = START + 1200.0, START + 25 * HOUR + 1900.0
    found = empty.window(since, until, ORIGIN, SETTINGS).result()
    assert (found.label, found.since, found.until) == ("now", since, until)
    assert found.series == {key(): (*hours[1:], now)}
    assert empty.window(since, until - 101, ORIGIN, SETTINGS).result().series == {key(): tuple(hours[1:])}


def test_hours_from_before_a_cell_was_probed_in_another_way_are_not_taken(empty: Store) -> None:
    every = recording(series=2, hours=72)
    empty.save_block(Block(START, {one: held[0] for one, held in every.series.items()}, settings=SETTINGS)).result()
    filled(empty, every)
    changed = {key(0).cell: "hash-changed"}
    empty.save_block(Block(START + 30 * HOUR + BLOCK, {}, settings=changed)).result()
    recorded = empty.record("healthy", START, START + 72 * HOUR, ORIGIN, SETTINGS | changed).result()
    assert recorded.refused == (Refused(key(0), "it was probed in another way until 2026-11-28T06:10:00.000000Z"),)
    later = empty.record("later", START + 31 * HOUR, START + 72 * HOUR, ORIGIN, SETTINGS | changed).result()
    assert later.refused == ()
    assert len(empty.window(START, START + 72 * HOUR, ORIGIN, {}).result().series[key(0)]) == 41


@pytest.mark.parametrize("label", ["", " a", "now", "a/b", "a\nb", "x" * 101])
def test_a_label_fits_into_a_path_and_a_table(store: Store, label: str) -> None:
    with pytest.raises(ValueError, match="label"):
        store.record(label, START, UNTIL, ORIGIN, SETTINGS)
    with pytest.raises(ValueError, match="label"):
        store.put(recording(label)).result()


def test_what_is_imported_keeps_its_version_unless_another_recording_has_it(store: Store) -> None:
    own = store.record("healthy", START, UNTIL, ORIGIN, SETTINGS).result().baseline
    exported = store.get("healthy").result()
    assert store.put(exported).result() == own
    assert store.put(recording("healthy", seed=1, version=1)).result().version == 2
    assert store.put(recording("healthy", seed=1, version=1)).result().version == 2
    assert store.put(recording("healthy", seed=2, version=7)).result().version == 7
    assert store.record("healthy", START, UNTIL, ORIGIN, SETTINGS).result().baseline.version == 8
    elsewhere = store.put(recording("elsewhere", version=3)).result()
    assert (elsewhere.version, elsewhere.active) == (3, 0)
    assert store.get("elsewhere").result() == recording("elsewhere", version=3)
    with pytest.raises(ValueError, match="has a series"):
        store.put(replace(exported, series={})).result()
    with pytest.raises(ValueError, match="ends after it begins"):
        store.put(replace(exported, until=exported.since)).result()


def test_fits_are_kept_beside_their_baseline_and_replaced(store: Store) -> None:
    store.record("healthy", START, UNTIL, ORIGIN, SETTINGS).result()
    store.keep_fits("healthy", 1, {key(0): b"old", key(1): b"one", key(9): b"none"}, 1).result()
    store.keep_fits("healthy", 1, {key(0): b"new"}, 2).result()
    active = store.active().result()
    assert [(active[key(n)].fit, active[key(n)].fit_version) for n in range(3)] == [
        (b"new", 2),
        (b"one", 1),
        (None, None),
    ]
    with pytest.raises(UnknownBaseline, match="there is no healthy v2"):
        store.keep_fits("healthy", 2, {}, 1).result()


def test_an_active_baseline_is_not_deleted_by_mistake_and_no_version_comes_twice(store: Store) -> None:
    store.record("healthy", START, UNTIL, ORIGIN, SETTINGS).result()
    store.keep_fits("healthy", 1, {key(0): b"fit"}, 1).result()
    with pytest.raises(ValueError, match="healthy v1 is the active baseline of 3 series"):
        store.delete("healthy", 1).result()
    store.delete("healthy", 1, force=True).result()
    assert (store.list().result(), store.active().result()) == ((), {})
    with pytest.raises(UnknownBaseline, match="there is no baseline healthy"):
        store.get("healthy").result()
    assert store.record("healthy", START, UNTIL, ORIGIN, SETTINGS).result().baseline.version == 2
