from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from prober.baseline.sketch import BINS, HIGHEST, LOWEST, WIDTH, Sketch, bins_of

LATENCIES = st.lists(st.floats(1e-6, 120.0), max_size=60)


@given(LATENCIES, LATENCIES)
def test_a_merged_sketch_is_that_of_all_latencies(some: list[float], others: list[float]) -> None:
    assert Sketch.merged((Sketch.of(some), Sketch.of(others))) == Sketch.of([*some, *others])


@given(LATENCIES, st.randoms())
def test_the_order_of_latencies_changes_nothing(some: list[float], random: object) -> None:
    shuffled = list(some)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis hands out a random.Random
    assert Sketch.of(shuffled) == Sketch.of(some)


@given(st.lists(st.floats(2e-5, 50.0), min_size=1, max_size=200), st.sampled_from([0.01, 0.5, 0.9, 0.99]))
def test_a_quantile_is_within_a_bin_of_the_true_one(some: list[float], q: float) -> None:
    rank = max(int(np.ceil(q * len(some))) - 1, 0)
    true = sorted(some)[rank]
    assert abs(np.log(Sketch.of(some).quantile(q) / true)) <= WIDTH * 1.001


@given(st.integers(1, 60))
def test_a_factor_of_whole_bins_moves_every_latency_by_as_many(by: int) -> None:
    some = np.array([0.00011, 0.0002, 0.00034, 0.001])
    assert (bins_of(some * np.exp((by + 1e-9) * WIDTH)) - bins_of(some) == by).all()


def test_what_lies_outside_counts_in_the_first_or_the_last_bin() -> None:
    sketch = Sketch.of([1e-9, LOWEST, HIGHEST * 2, 1e9])
    assert sketch.bins.tolist() == [0, BINS - 1]
    assert sketch.counts.tolist() == [2, 2]
