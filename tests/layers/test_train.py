"""What a train of echoes shows, as tables."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from prober.layers.icmp.train import deviation, jitter, reordered
from prober.wire.echo import EchoReply
from prober.wire.stamps import Span


@pytest.mark.parametrize(
    ("turns", "count"),
    [([], 0), ([1], 0), ([1, 2, 3], 0), ([2, 1, 3], 1), ([2, 1, 4, 3], 2), ([3, 1, 2], 1), ([3, 2, 1], 2)],
)
def test_a_reply_behind_that_of_a_later_request_is_out_of_order(turns: Sequence[int], count: int) -> None:
    replies = [EchoReply(Span(0.001, kernel=True), 64, "192.0.2.1", turn) for turn in turns]
    assert reordered(replies) == count


@pytest.mark.parametrize(
    ("times", "mdev", "mean_difference"),
    [
        ([0.001], 0.0, 0.0),
        ([0.001, 0.001, 0.001], 0.0, 0.0),
        ([0.001, 0.003], 0.001, 0.002),
        ([0.001, 0.003, 0.001, 0.003], 0.001, 0.002),
        ([0.001, 0.002, 0.003, 0.004], 0.001118, 0.001),  # a ramp spreads, but hardly jitters
    ],
)
def test_deviation_and_jitter_of_round_trips(times: Sequence[float], mdev: float, mean_difference: float) -> None:
    assert deviation(times) == pytest.approx(mdev, abs=1e-6)
    assert jitter(times) == pytest.approx(mean_difference, abs=1e-9)
