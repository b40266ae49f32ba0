"""What banks and groups remember: written down and read again, they go on as if nothing had been."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prober.baseline import grouped
from prober.baseline.bank import Bank
from prober.baseline.fit import fit
from prober.baseline.memory import VERSION, pack, remembered, restore, unpack
from prober.baseline.scores import Block
from prober.baseline.values import BLOCKS, SeriesKey
from tests.baseline.made import DAY, KEY, MONDAY, hours, latencies, starts

KEYS = [replace(KEY, target=name) for name in ("a", "b", "c")]
FITS = [fit(hours(latencies(seed, 24 * BLOCKS), failed=1)) for seed in (11, 12, 13)]
#: Of a few rows and blocks: how many runs held, how much slower they were, how many failed.
Fed = list[list[tuple[int, float, int]]]
FED = st.lists(
    st.lists(
        st.tuples(st.sampled_from([0, 2, 4, 40]), st.sampled_from([0.7, 1.0, 1.6, 4.0]), st.sampled_from([0, 0, 1, 9])),
        min_size=3, max_size=3,
    ),
    min_size=1, max_size=24,
)  # fmt: skip


def bank(keys: Sequence[SeriesKey] = KEYS, baseline: str = "healthy v1") -> Bank:
    return Bank(keys, [FITS[KEYS.index(key)] for key in keys], baseline)


def feed(banks: Iterable[Bank], fed: Fed, first: int = 0) -> None:
    """The same to each, row by row of KEYS."""
    for number, (start, rows) in enumerate(zip(starts(len(fed), MONDAY + DAY + first * 600), fed, strict=True)):
        drawn = [latencies(first + number, 1, runs=max(n, 1))[0][:n] * factor for n, factor, _ in rows]
        for one in banks:
            at = {KEYS.index(key): row for row, key in enumerate(one.keys)}
            rows_of = np.concatenate([np.full(len(drawn[n]), row, np.int64) for n, row in at.items()])
            failed = {(row, "timeout"): rows[n][2] for n, row in at.items() if rows[n][2]}
            one.end_block(Block.of(start, rows_of, np.concatenate([drawn[n] for n in at]), failed))


def as_told(one: Bank) -> object:
    """All that shows of a bank, by series."""
    evidence = {key: dict(zip(one.keys, values.tolist(), strict=True)) for key, values in one.evidence().items()}
    found = sorted(one.regressions(), key=lambda r: (str(r.subject), r.channel, r.direction, r.reason))
    return evidence, found, dict(zip(one.keys, one.state.level.tolist(), strict=True))


@settings(max_examples=40, deadline=None)
@given(FED, FED)
def test_a_bank_that_was_written_down_goes_on_as_one_that_was_not(before: Fed, after: Fed) -> None:
    one = bank()
    feed([one], before)
    again = bank(KEYS[::-1])  # rows may be in another order
    restore(again, unpack(VERSION, pack(remembered([one]))))
    assert as_told(again) == as_told(one)
    feed([one, again], after, len(before))
    assert as_told(again) == as_told(one)


SLOW: Fed = [[(40, 2.0, 0), (3, 1.0, 0), (40, 1.0, 9)]] * 20


def test_rows_that_went_are_left_behind_and_those_that_came_begin_anew() -> None:
    one = bank()
    feed([one], SLOW)
    again = bank(KEYS[:2])
    restore(again, {name: row for name, row in remembered([one]).items() if name[0] != KEYS[1]})
    assert {r.subject for r in again.regressions()} == {KEYS[0]}
    assert not again.state.sums[1].any()


def test_another_baseline_begins_anew() -> None:
    one = bank()
    feed([one], SLOW)
    again = bank(baseline="healthy v2")
    restore(again, remembered([one]))
    assert as_told(again) == as_told(bank(baseline="healthy v2"))


def test_of_nothing_nothing_is_remembered() -> None:
    assert unpack(VERSION, pack({})) == {}


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda _: b"", lambda _: b"x"])
def test_a_damaged_state_is_refused(damage: object) -> None:
    one = bank()
    feed([one], SLOW)
    with pytest.raises(ValueError, match="damaged"):
        unpack(VERSION, damage(pack(remembered([one]))))  # type: ignore[operator]  # a lambda


def test_a_state_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match=f"version {VERSION + 1}"):
        unpack(VERSION + 1, pack({}))


def test_groups_go_on_as_well() -> None:
    def told(banks: Iterable[grouped.GroupBank]) -> object:
        return [(b.evidence().tolist(), list(b.regressions())) for b in banks]

    made = grouped.group_banks([bank()])
    assert {str(group) for one in made for group in one.pool.groups} == {"tcp all"}
    for start in starts(30, MONDAY + DAY):
        for one in made:
            one.end_block(start, dict.fromkeys(KEYS, 0.2))
    assert told(made)[0][1]  # type: ignore[index]  # a list
    again = grouped.group_banks([bank()])
    grouped.restore(again, grouped.unpack(grouped.pack(grouped.remembered(made))))
    assert told(again) == told(made)


@pytest.mark.parametrize(
    "data", [b"1", b"[[1]]", b'[["a","b",[1],[0,0],[[0,0],[0,0]],[]]]', b"{", b'[["a","b",1,2,3,4]]']
)
def test_damaged_groups_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        grouped.unpack(data)
