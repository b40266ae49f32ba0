"""What a stream's times make of the moments at which bytes passed the kernel."""

from __future__ import annotations

import pytest

from prober.wire.http import Record
from prober.wire.stream import Times


def test_the_network_took_what_lies_between_a_flight_and_the_last_segment_of_its_answer() -> None:
    times = Times()
    start = times._since
    times.handed(start + 1.0)
    times.arrived(start + 1.2, kernel=True)
    times.arrived(start + 1.5, kernel=True)
    times.handed(start + 4.0)  # busy with itself for 2.5 s
    times.arrived(start + 4.1, kernel=True)
    assert times.network == pytest.approx(0.6)
    assert (times.began, times.sent, times.received) == (start + 1.0, start + 4.0, start + 4.1)
    assert times.kernel


def test_what_came_before_the_latest_sending_takes_no_time() -> None:
    times = Times()
    start = times._since
    times.handed(start + 2.0)
    times.arrived(start + 1.0, kernel=True)
    times.arrived(start + 2.5, kernel=True)
    assert times.network == pytest.approx(0.5)


def test_one_receipt_without_a_stamp_puts_the_exchange_on_the_user_clock_and_the_next_one_begins_anew() -> None:
    times = Times()
    assert not times.kernel
    times.arrived(times._since + 1, kernel=True)
    times.arrived(times._since + 1, kernel=False)
    assert not times.kernel
    times.start()
    assert (times.began, times.sent, times.received, times.network) == (None, None, None, 0.0)
    times.arrived(times._since + 1, kernel=True)
    assert times.kernel


@pytest.mark.parametrize(
    ("marks", "phases", "seconds"),
    [
        ((1.0, 1.1, 1.3, 1.6), {"request": 0.1, "first_byte": 0.2, "transfer": 0.3}, 0.6),
        (
            (1.0, 1.5, 1.2, 1.6),
            {"request": 0.5, "first_byte": 0.0, "transfer": 0.1},
            0.6,
        ),  # an early answer
        ((1.0, 1.5, 1.2, 1.3), {"request": 0.5, "first_byte": 0.0, "transfer": 0.0}, 0.5),
        ((1.0, 1.1, None, None), {"request": 0.1}, None),
        ((1.0, None, 1.3, 1.6), {"transfer": 0.3}, 0.6),  # the connection did not take it all
        ((None, None, None, None), {}, None),
    ],
)
def test_phases_are_disjoint_and_make_up_the_whole(
    marks: tuple[float | None, ...], phases: dict[str, float], seconds: float | None
) -> None:
    began, sent, first, ended = marks
    record = Record(began=began, sent=sent, first=first, ended=ended)
    assert record.phases() == pytest.approx(phases)
    assert record.seconds == (None if seconds is None else pytest.approx(seconds))
