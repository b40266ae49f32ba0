"""Phases and slots: pure tables."""

from __future__ import annotations

from collections import Counter

import pytest

from prober.engine.slots import LIGHT, SLOT_WIDTH, WIDE_SLOT, Slot, slot_of, width_for
from tests.support.scheduling import cell


@pytest.mark.parametrize(
    ("cell_id", "interval", "phase"),
    [
        ("web/web-api/service/ipv4", 10.0, 1_350_000),
        ("web/web-api/service/ipv6", 10.0, 7_150_000),
        ("web/web-api/service/ipv4", 15.0, 2_050_000),
        ("web/web-api/service/ipv4", 0.05, 0),
        ("web/web-api/service/ipv4", 0.02, 0),
    ],
)
def test_the_phase_of_a_cell_is_a_promise(cell_id: str, interval: float, phase: int) -> None:
    """In microseconds. A change here would move every cell of every user at the next upgrade."""
    assert slot_of(cell_id, interval) == (round(interval * 1e6), phase)


@pytest.mark.parametrize(("interval", "slots"), [(0.02, 1), (0.05, 1), (0.12, 2), (1.0, 20), (10.0, 200), (60.0, 1200)])
def test_an_interval_has_as_many_slots_as_fit_into_it(interval: float, slots: int) -> None:
    phases = {slot_of(f"cell-{n}", interval)[1] for n in range(slots * 20)}
    assert len(phases) == slots
    assert max(phases) < interval * 1e6
    assert all(phase == number * round(interval * 1e6) // slots for number, phase in enumerate(sorted(phases)))


def test_the_hash_spreads_cells_evenly() -> None:
    load = Counter(slot_of(f"web/target-{n}/service/ipv4", 10.0)[1] for n in range(10_000))
    assert len(load) == 200
    assert max(load.values()) < 50 + 5 * 50**0.5  # five standard deviations of a fair throw


@pytest.mark.parametrize(("now", "index"), [(0, -1), (29, -1), (30, 0), (129, 0), (130, 1), (1030, 10)])
def test_firings_are_numbered_from_1970(now: int, index: int) -> None:
    slot = Slot(interval=100, phase=30, last=0)
    assert slot.index(now) == index
    assert slot.due(index) <= now < slot.due(index + 1)


@pytest.mark.parametrize(("interval", "width"), [(10.0, WIDE_SLOT), (100 / LIGHT, WIDE_SLOT), (0.4, SLOT_WIDTH)])
def test_a_light_schedule_has_wide_slots(interval: float, width: float) -> None:
    assert width_for([cell(f"cell-{n}", interval) for n in range(100)]) == width


def test_in_a_wide_slot_a_cell_is_due_at_most_a_narrow_one_earlier() -> None:
    for number in range(1000):
        (_, narrow), (_, wide) = (slot_of(f"cell-{number}", 10.0, width) for width in (SLOT_WIDTH, WIDE_SLOT))
        assert narrow - wide in (0, 50_000)
