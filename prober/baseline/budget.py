"""Budgets on quantiles: how a cell's layers stand to them at the end of a block. Pure; `ledger` has the memory.

A quantile is judged over the runs of the last hour in which the layer held; where an hour has too few to know it, the
window reaches back until it has enough (`options.budget`). `allowed` is the share of the runs that may be above the
budget: 1 % for a p99.

- Broken: so many runs are above it that there is at most a chance of 1 % for them if the quantile lay within: the lower
  confidence bound of the order statistic (binomial, 99 %) lies above the budget. It is asked 144 times a day, so 95 %
  would be wrong too often. A run counts as above where its whole bin is.
- Kept again: the quantile itself is within. (An upper bound would not do: a p99 has none of 99 % below 459 runs.)
- Since: the beginning of the unbroken row of blocks with more than `allowed` above the budget.
- Not known, so neither: too few runs, even in a day.

Runs in which a layer failed count nowhere: they have no latency. No independence is claimed: ten slow minutes do break
a p99, of which an hour allows 36 seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from prober.baseline.sketch import BOTTOM, PER_E, Sketch
from prober.baseline.values import BLOCK, SeriesKey
from prober.model import Cell
from prober.options.budget import QUANTILES, WINDOW, runs_needed
from prober.reasons import Layer
from prober.round_trips import explained, on_the_connection
from prober.units import human_moment, human_seconds

#: What stands in the place of a layer for the whole run.
TOTAL: Final = "total"
#: The chance that a kept budget counts as broken.
CHANCE: Final = 0.01
#: Runs on either side without which nothing is said of what grew.
_FEW: Final = 20


class Block(NamedTuple):
    """Ten minutes of one cell: `start` in unix seconds, and the times of the runs in which each layer held."""

    start: int
    sketches: Mapping[str, Sketch]

    def of(self, layer: str) -> Sketch:
        """The times of one layer, or of `total`."""
        return self.sketches.get(layer, _NOTHING)


_NOTHING: Final = Sketch.empty()


@dataclass(frozen=True, slots=True)
class Standing:
    """How one quantile of one layer stands to its budget."""

    series: SeriesKey
    """Its `layer` may be `total`."""
    quantile: str
    budget: float
    """Seconds, as the next one."""
    measured: float | None
    """None: too few runs to know it."""
    runs: int
    """That it is known from."""
    breached: bool = False
    since: int | None = None
    """Unix seconds; None where it is not breached."""
    layer: str = ""
    """The layer to look at where it is breached; of `total` the one that grew, or is the largest."""
    why: str = ""
    """What is known of the reason, as a clause; "" is nothing."""

    @property
    def used(self) -> float | None:
        """The measured quantile as a share of the budget: above 1 is over."""
        return None if self.measured is None else self.measured / self.budget


def chance(runs: int, above: int, allowed: float) -> float:
    """How likely `above` or more of `runs` are above a quantile that each exceeds with the chance `allowed`."""
    if above <= runs * allowed:
        return 1.0  # no more than there may be is never rare: nothing to sum up
    log = math.lgamma(runs + 1) - math.lgamma(above + 1) - math.lgamma(runs - above + 1)
    term = math.exp(log + above * math.log(allowed) + (runs - above) * math.log1p(-allowed))
    sum_, odds = 0.0, allowed / (1 - allowed)
    for count in range(above, runs + 1):
        sum_ += term
        if term <= sum_ * 1e-9:
            break
        term *= (runs - count) / (count + 1) * odds
    return min(sum_, 1.0)


def judge(cell: Cell, blocks: Sequence[Block], before: Iterable[Standing] = ()) -> tuple[Standing, ...]:
    """How `cell` stands at the end of the latest of its `blocks` (in order of time), and how it stood one before."""
    earlier = {(standing.series.layer, standing.quantile): standing for standing in before}
    standings: list[Standing] = []
    for layer, limits in cell.quantile_budget.items():
        series = SeriesKey(cell.probe, cell.target, cell.path, cell.family.value, layer)
        windows: dict[int, Sketch] = {}  # the quantiles of a layer mostly look back equally far
        for quantile, budget in limits.items():
            width = _width(blocks, layer, runs_needed(QUANTILES[quantile]))
            if width not in windows:
                windows[width] = Sketch.merged(block.of(layer) for block in blocks[-width:])
            of = Standing(series, quantile, budget, None, windows[width].total)
            standings.append(_stand(cell, blocks, windows[width], of, earlier.get((layer, quantile))))
    return tuple(standings)


def _stand(cell: Cell, blocks: Sequence[Block], known: Sketch, of: Standing, before: Standing | None) -> Standing:
    """`of`, which says nothing but what is judged, by the `known` times of its window."""
    share, layer = QUANTILES[of.quantile], of.series.layer
    if of.runs < runs_needed(share):
        return of
    measured = known.quantile(share)
    of = replace(of, measured=measured)
    if before is not None and before.breached:
        breached = measured > of.budget
    else:
        breached = chance(of.runs, _above(known, of.budget), 1 - share) <= CHANCE
    if not breached:
        return of
    since = before.since if before is not None else None
    since = _onset(blocks, layer, of.budget, 1 - share) if since is None else since
    look_at, why = _reason(cell, blocks, since, of)
    return replace(of, breached=True, since=since, layer=look_at, why=why)


def _width(blocks: Sequence[Block], layer: str, needed: int) -> int:
    """How many of the latest blocks a quantile is known from."""
    runs, end = 0, blocks[-1].start + BLOCK
    for width, block in enumerate(reversed(blocks)):
        if runs >= needed and block.start < end - WINDOW:
            return width
        runs += block.of(layer).total
    return len(blocks)


def _above(sketch: Sketch, budget: float) -> int:
    """Runs whose whole bin is above the budget."""
    first = math.ceil((math.log(budget) - BOTTOM) * PER_E - 1e-9)
    return int(sketch.counts[sketch.bins >= first].sum())


def _onset(blocks: Sequence[Block], layer: str, budget: float, allowed: float) -> int:
    """The start of the latest unbroken row of blocks with more than `allowed` above the budget; without runs a block
    breaks no row."""
    onset = None
    for block in reversed(blocks):
        sketch = block.of(layer)
        if _above(sketch, budget) > sketch.total * allowed:
            onset = block.start
        elif sketch.total and onset is not None:
            break
    return blocks[-1].start if onset is None else onset


def _reason(cell: Cell, blocks: Sequence[Block], since: int, of: Standing) -> tuple[str, str]:
    """The layer to look at, and what is known of the reason."""
    share, layer = QUANTILES[of.quantile], of.series.layer
    then = Block(0, _merged(block for block in blocks if block.start < since))
    now = Block(since, _merged(block for block in blocks if block.start >= since))
    if layer != TOTAL:
        count, tcp = on_the_connection(cell, layer), now.of(Layer.TCP)
        return layer, explained(count, tcp.quantile(0.5), of.measured or 0.0) if count and tcp.total else ""
    rungs = [str(rung) for rung in cell.ladder if now.of(rung).total]
    if not rungs:
        return layer, ""
    grown = {rung: now.of(rung).quantile(share) - then.of(rung).quantile(share) for rung in rungs if _many(then, rung)}
    most = max(grown, key=lambda rung: grown[rung], default="")
    if most and _many(then, TOTAL):
        all_ = now.of(TOTAL).quantile(share) - then.of(TOTAL).quantile(share)
        if grown[most] > 0 and grown[most] >= all_ / 2:
            return most, f"{most} grew by {human_seconds(grown[most])}"
    largest = max(rungs, key=lambda rung: now.of(rung).quantile(share))
    return largest, f"most of it {largest}: {human_seconds(now.of(largest).quantile(share))}"


def _many(block: Block, layer: str) -> bool:
    return block.of(layer).total >= _FEW


def _merged(blocks: Iterable[Block]) -> dict[str, Sketch]:
    parts: dict[str, list[Sketch]] = {}
    for block in blocks:
        for layer, sketch in block.sketches.items():
            parts.setdefault(layer, []).append(sketch)
    return {layer: Sketch.merged(sketches) for layer, sketches in parts.items()}


def sentence(standings: Sequence[Standing], now: float) -> str:
    """What the standings of one cell say together at `now` (unix seconds); "" where nothing is breached.

    `web/web-api/service/ipv4 is over its budget: tcp p99 7.1 ms of 5.0 ms since 14:20; dns and http are within theirs`
    """
    breached = [standing for standing in standings if standing.breached]
    if not breached:
        return ""
    over = {standing.series.layer for standing in breached}
    rest = [standing for standing in standings if standing.series.layer not in over]
    unknown = dict.fromkeys(standing.series.layer for standing in rest if standing.measured is None)
    within = [layer for layer in dict.fromkeys(standing.series.layer for standing in rest) if layer not in unknown]
    says = f"{breached[0].series.cell} is over its budget: {', '.join(_told(standing, now) for standing in breached)}"
    if within:
        says += f"; {_listed(within)} within {'theirs' if len(within) > 1 else 'its own'}"
    return says + (f"; {_listed(list(unknown))} not known yet" if unknown else "")


def _told(standing: Standing, now: float) -> str:
    figures = f"{human_seconds(standing.measured or 0.0)} of {human_seconds(standing.budget)}"
    when = human_moment(standing.since or 0, now)
    why = f" ({standing.why})" if standing.why else ""
    return f"{standing.series.layer} {standing.quantile} {figures} since {when}{why}"


def _listed(layers: Sequence[str]) -> str:
    """`dns is`, `dns and tcp are`, `dns, tcp and tls are`."""
    if len(layers) == 1:
        return f"{layers[0]} is"
    return f"{', '.join(layers[:-1])} and {layers[-1]} are"
