"""Budgets on quantiles: when they are broken, kept again or not known, since when, and what is said. Tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from math import comb

import pytest

from prober.baseline.budget import CHANCE, Block, Standing, chance, judge, sentence
from prober.baseline.sketch import Sketch
from prober.baseline.values import BLOCK, SeriesKey
from prober.model import Cell, Endpoint
from prober.options.budget import QUANTILES
from prober.reasons import Kind
from tests.support.cells import make_cell

#: 2026-11-22T14:00:00Z, the start of a block.
START = 1_795_356_000
FAST, SLOW = 0.001, 0.02
PER_BLOCK = 40  # runs of ten minutes at 15 s


def budgeted(quantile: str = "p99", seconds: float = 0.005, layer: str = "tcp", **more: dict[str, float]) -> Cell:
    cell = replace(make_cell(Kind.HTTP, "https", "web-api.app"), probe="web", target="web-api", path="service")
    return replace(cell, quantile_budget={layer: {quantile: seconds}, **more})


def times(fast: int, slow: int = 0, *, of: float = FAST, at: float = SLOW) -> Sketch:
    return Sketch.of([of] * fast + [at] * slow)


def blocks(*slow: int | None, runs: int = PER_BLOCK, layer: str = "tcp") -> list[Block]:
    """A block for each number: that many of its `runs` are slow. None: it has no runs."""
    return [
        Block(START + n * BLOCK, {} if count is None else {layer: times(runs - count, count)})
        for n, count in enumerate(slow)
    ]


def last(cell: Cell, history: Sequence[Block]) -> Standing:
    """How the cell's only budget stands after all blocks, judged one by one as they come."""
    standings: tuple[Standing, ...] = ()
    for n in range(len(history)):
        standings = judge(cell, history[: n + 1], standings)
    (standing,) = standings
    return standing


#: Quantile, runs of an hour, how many of them are slow → known, broken.
RULE = [
    ("p99", 96, 60, False, False),
    ("p99", 102, 4, True, False),
    ("p99", 102, 5, True, True),
    ("p99", 240, 0, True, False),
    ("p99", 240, 7, True, False),
    ("p99", 240, 8, True, True),
    ("p95", 240, 20, True, False),
    ("p95", 240, 21, True, True),
    ("p50", 18, 18, False, False),
    ("p50", 240, 138, True, False),
    ("p50", 240, 139, True, True),
    ("p50", 240, 240, True, True),
    ("p99.9", 240, 240, False, False),
    ("p99.9", 1002, 4, True, False),
    ("p99.9", 1002, 5, True, True),
]


@pytest.mark.parametrize(("quantile", "runs", "slow", "known", "broken"), RULE)
def test_a_budget_is_broken_where_more_is_above_it_than_scatter_explains(
    quantile: str, runs: int, slow: int, known: bool, broken: bool
) -> None:
    hour = [Block(START + n * BLOCK, {"tcp": times(runs // 6, 0)}) for n in range(6)]
    for n in range(slow):
        fast = hour[n % 6].of("tcp").total
        before = int(hour[n % 6].of("tcp").counts[-1]) if n >= 6 else 0
        hour[n % 6] = Block(hour[n % 6].start, {"tcp": times(fast - before - 1, before + 1)})
    (standing,) = judge(budgeted(quantile), hour)
    assert (standing.measured is not None, standing.breached, standing.runs) == (known, broken, runs)


@pytest.mark.parametrize("runs", [20, 100, 240])
@pytest.mark.parametrize("share", QUANTILES.values())
def test_the_chance_is_that_of_the_binomial_distribution(runs: int, share: float) -> None:
    allowed = 1 - share
    terms = [comb(runs, n) * allowed**n * share ** (runs - n) for n in range(runs + 1)]
    for above in range(math.floor(runs * allowed) + 1, runs + 1):
        exact = math.fsum(terms[above:])
        assert chance(runs, above, allowed) == pytest.approx(exact, rel=1e-6, abs=1e-12)


def test_the_chance_is_known_for_any_number_of_runs() -> None:
    found = [chance(360_000, above, 0.5) for above in (180_000, 180_100, 180_600, 190_000, 360_000)]
    assert found == sorted(found, reverse=True)
    assert found[0] == 1.0
    assert 0.3 < found[1] < 0.4, "a third of a standard deviation above the mean"
    assert found[-1] == 0.0


def test_a_layer_with_half_as_much_above_as_there_may_be_breaks_no_budget_in_years() -> None:
    breaking = next(above for above in range(240) if chance(240, above, 0.01) <= CHANCE)
    judgements = 144 * 365
    assert chance(240, breaking, 0.005) * judgements < 3, "at most, were the windows of an hour apart"


def test_runs_in_the_bin_of_the_budget_itself_are_not_above_it() -> None:
    just = Block(START, {"tcp": Sketch.of([0.00501] * 240)})
    assert judge(budgeted("p50", 0.005), [just])[0].breached is False
    assert judge(budgeted("p50", 0.0047), [just])[0].breached is True


#: Slow runs of each block → broken at the end, and the block since which.
COURSES: list[tuple[list[int | None], int | None]] = [
    ([0, 0, 0, 0, 0, 0], None),
    ([0, 0, 0, 0, 0, 8], 5),
    ([0, 0, 0, 0, 4, 4], 4),
    ([0, 0, 0, 4, None, 4], 3),
    ([0, 0, 4, 0, 4, 4], 4),
    ([8, 0, 0, 0, 0, 0], 0),
    ([8, 0, 0, 0, 0, 0, 0], None),
    ([0, 0, 0, 0, 0, 20, 0, 0, 0, 0, 0], 5),
    ([0, 0, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0], None),
    ([0, 0, 8, 0, 0, 0, 0, 3], 2),
    ([0, 0, 8, 0, 0, 0, 0, 0, 2], None),
    ([0, 0, 8, 0, 0, 0, 0, 0, 3], 2),
]


@pytest.mark.parametrize(("slow", "since"), COURSES)
def test_a_breach_lasts_until_the_quantile_is_within_again_and_began_with_its_row_of_blocks(
    slow: list[int | None], since: int | None
) -> None:
    standing = last(budgeted(), blocks(*slow))
    assert standing.breached is (since is not None)
    assert standing.since == (None if since is None else START + since * BLOCK)


def test_what_is_over_scatter_once_stays_until_the_quantile_itself_is_within() -> None:
    """Four of 240 are too few to begin a breach of p99, and too many to end one."""
    assert last(budgeted(), blocks(8, 0, 0, 0, 0, 0, 4)).breached is True
    assert last(budgeted(), blocks(0, 0, 0, 0, 0, 0, 4)).breached is False


def test_where_an_hour_has_too_few_runs_the_window_reaches_back_until_it_has_enough() -> None:
    rare = [last(budgeted(), blocks(*[0] * n, runs=10)) for n in (6, 9, 10, 40)]
    assert [standing.measured is not None for standing in rare] == [False, False, True, True]
    assert rare[-1].runs == 100, "no more than it takes"
    slow = last(budgeted(), blocks(*[1] * 5, *[0] * 5, runs=10))
    assert (slow.breached, slow.since) == (True, START)
    assert last(budgeted(), blocks(*[1] * 5, *[0] * 10, runs=10)).breached is False


def test_no_runs_at_all_are_not_known() -> None:
    standing = last(budgeted(), blocks(None, None))
    assert (standing.measured, standing.used, standing.breached, standing.runs) == (None, None, False, 0)


def test_the_share_of_the_budget_that_is_used_is_the_measured_one() -> None:
    standing = last(budgeted("p50", 0.002), blocks(0, 0))
    assert standing.used == pytest.approx(0.5, rel=0.05)
    assert standing.series == SeriesKey("web", "web-api", "service", "ipv4", "tcp")


def hours(**layers: tuple[float, float]) -> list[Block]:
    """Layer → its times in the first hour, and in the second one."""
    return [
        Block(START + n * BLOCK, {layer: Sketch.of([of[n >= 6]] * PER_BLOCK) for layer, of in layers.items()})
        for n in range(12)
    ]


#: Times of an hour and of the next one → the layer that is named for `total`, and why.
TOTALS = [
    ({"dns": (0.1, 0.1), "tcp": (0.01, 0.01), "http": (0.05, 0.3), "total": (0.16, 0.41)}, "http", "http grew by 2"),
    ({"dns": (0.3, 0.3), "tcp": (0.01, 0.05), "http": (0.05, 0.25), "total": (0.36, 0.8)}, "dns", "most of it dns: 3"),
    ({"dns": (0.01, 0.3), "tcp": (0.01, 0.01), "http": (0.25, 0.25), "total": (0.28, 0.55)}, "dns", "dns grew by 2"),
]


@pytest.mark.parametrize(("layers", "named", "why"), TOTALS)
def test_of_the_whole_run_the_layer_is_named_that_grew_or_is_the_largest(
    layers: dict[str, tuple[float, float]], named: str, why: str
) -> None:
    standing = last(budgeted("p95", 0.38, "total"), hours(**layers))
    assert (standing.breached, standing.layer) == (True, named)
    assert standing.why.startswith(why)


def test_without_an_hour_before_the_largest_layer_is_named() -> None:
    standing = last(budgeted("p95", 0.3, "total"), hours(tcp=(0.01, 0.01), http=(0.39, 0.39), total=(0.4, 0.4)))
    assert (standing.since, standing.layer) == (START, "http")
    assert standing.why.startswith("most of it http: 4")
    nameless = last(budgeted("p95", 0.3, "total"), hours(total=(0.4, 0.4)))
    assert (nameless.layer, nameless.why) == ("total", "")


#: Cell, times of tcp and of the layer → whether the way there explains it.
WAYS = [
    (budgeted("p99", 0.02, "tls"), 0.018, "most of it is the way there: 1 round trip of 1"),
    (budgeted("p99", 0.02, "tls"), 0.0004, "the way there is only 1 round trip of 4"),
    (budgeted("p99", 0.02), 0.03, ""),
]


@pytest.mark.parametrize(("cell", "tcp", "why"), WAYS)
def test_the_round_trip_of_tcp_says_whether_the_way_there_is_what_is_slow(cell: Cell, tcp: float, why: str) -> None:
    standing = last(cell, hours(tcp=(tcp, tcp), tls=(0.03, 0.03)))
    assert standing.breached
    assert standing.why.startswith(why)
    assert bool(standing.why) is bool(why)


def test_behind_a_proxy_the_round_trip_of_tcp_explains_nothing() -> None:
    cell = budgeted("p99", 0.02, "tls")
    proxied = replace(cell, endpoint=replace(cell.endpoint, proxy=Endpoint("http", "proxy", 3128)))
    assert last(proxied, hours(tcp=(0.018, 0.018), tls=(0.03, 0.03))).why == ""


def standing(layer: str, quantile: str, measured: float | None, budget: float) -> Standing:
    return Standing(SeriesKey("web", "web-api", "service", "ipv4", layer), quantile, budget, measured, 240)


TCP = replace(standing("tcp", "p99", 0.0071, 0.005), breached=True, since=START + 2 * BLOCK, layer="tcp")
TOTAL = replace(
    standing("total", "p95", 0.34, 0.3), breached=True, since=START, layer="http", why="http grew by 120 ms"
)
DNS, TLS, HTTP = (standing(layer, "p99", 0.001, 0.005) for layer in ("dns", "tls", "http"))
IS_OVER = "web/web-api/service/ipv4 is over its budget:"
SENTENCES = [
    ([DNS, TLS], ""),
    ([DNS, TCP, TLS, HTTP], f"{IS_OVER} tcp p99 7.1 ms of 5.0 ms since 14:20; dns, tls and http are within theirs"),
    ([TCP], f"{IS_OVER} tcp p99 7.1 ms of 5.0 ms since 14:20"),
    ([TCP, standing("tcp", "p50", 0.001, 0.005), TLS],
     f"{IS_OVER} tcp p99 7.1 ms of 5.0 ms since 14:20; tls is within its own"),
    ([TCP, standing("http", "p99.9", None, 0.1)],
     f"{IS_OVER} tcp p99 7.1 ms of 5.0 ms since 14:20; http is not known yet"),
    ([TOTAL, TLS, DNS],
     f"{IS_OVER} total p95 340 ms of 300 ms since 14:00 (http grew by 120 ms); tls and dns are within theirs"),
    ([TCP, replace(TCP, quantile="p50", since=START - 86_400)],
     f"{IS_OVER} tcp p99 7.1 ms of 5.0 ms since 14:20, tcp p50 7.1 ms of 5.0 ms since 2026-11-21 14:00"),
]  # fmt: skip


@pytest.mark.parametrize(("standings", "says"), SENTENCES)
def test_the_standings_of_a_cell_are_one_sentence(standings: list[Standing], says: str) -> None:
    assert sentence(standings, START + 3600) == says
