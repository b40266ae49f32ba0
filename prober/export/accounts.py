"""What is counted: one array of numbers per cell, and the order in which they become samples. No I/O.

Adding a run is the hot path: increments and one bisection per histogram, no label is touched. The values of a
family come out in the order of its rows (`series`).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any

from prober.export import series
from prober.export.series import (
    BUCKETS,
    NO_SHAPE,
    PHASES,
    RUN_RESULTS,
    Family,
    LayerResult,
    Shape,
    cell_labels,
    escaped,
    layer_results,
    shape_of,
)
from prober.model import Cell, Evidence, Outcome, Run
from prober.reasons import Layer, Reason, Result

_OK, _FAILED, _INTERNAL = range(len(RUN_RESULTS))
#: Where the histograms of whole runs begin, and how many numbers one histogram has: buckets, +Inf, sum.
_RUN_SECONDS = len(RUN_RESULTS)
_WIDTH = len(BUCKETS) + 2
_PHASE_AT = {phase: position for position, phase in enumerate(PHASES)}


NOTHING: Mapping[str, Sequence[float]] = {}


class Account:
    """One owner of samples. `written` is its labels as the text formats have them; `version` moves whenever a value may
    have; `blocks` is where the exposition keeps
    what it has rendered of this account `alone`, so that it lives and dies with it."""

    __slots__ = ("alone", "blocks", "labels", "shape", "version", "written")

    def __init__(self, labels: tuple[str, ...], shape: Shape) -> None:
        self.labels = labels
        self.written = tuple(map(escaped, labels))
        self.shape = shape
        self.version = 0
        self.alone = (self,)
        self.blocks: dict[str, Any] = {}


class Shown(Account):
    """Samples whose values are handed over whole, by family: there is nothing to count."""

    __slots__ = ("values",)

    def __init__(self, labels: tuple[str, ...], values: Mapping[str, Sequence[float]] = NOTHING) -> None:
        super().__init__(labels, NO_SHAPE)
        self.values = values

    def show(self, values: Mapping[str, Sequence[float]]) -> None:
        """Take on other values."""
        if values != self.values:
            self.values = values
            self.version += 1


class LookupAccount(Account):
    """What the lookups of one name cost: shared by all paths of a probe to a target in one family."""

    __slots__ = ("queries", "wasted")

    def __init__(self, labels: tuple[str, ...], shape: Shape) -> None:
        super().__init__(labels, shape)
        self.queries = 0.0
        self.wasted = 0.0

    def add(self, lookup: Outcome) -> None:
        """Take over `queries` and add `wasted_seconds` of a dns rung's evidence, where it gives them."""
        queries, wasted = _number(lookup.evidence, "queries"), _number(lookup.evidence, "wasted_seconds")
        if queries is not None and queries != self.queries:
            self.queries = queries
            self.version += 1
        if wasted:
            self.wasted += wasted
            self.version += 1


class CellAccount(Account):
    """All that is counted of one cell: one array of numbers, laid out by the cell's shape."""

    __slots__ = ("cell", "expiry", "layout", "lookup", "numbers", "up", "verdicts")

    def __init__(self, cell: Cell) -> None:
        shape = shape_of(cell)
        super().__init__(cell_labels(cell), shape)
        self.cell = cell
        self.layout = layout_of(shape)
        self.numbers = array("d", bytes(8 * self.layout.size))
        self.up = 0
        self.expiry: float | None = None
        self.lookup: LookupAccount | None = None
        self.verdicts: frozenset[tuple[str, ...]] = frozenset()

    def is_of(self, cell: Cell) -> bool:
        """Whether this account is that of `cell`: equal cells are probed in the same way."""
        if cell is self.cell:
            return True
        if cell != self.cell:
            return False
        self.cell = cell  # the next look is by identity
        return True

    def add(self, runs: tuple[Run, ...]) -> bool:
        """Count one firing. False if one of its runs failed through the prober itself: the target is as it was."""
        self.version += 1
        numbers = self.numbers
        ok, ours, expiry = True, False, None
        for run in runs:
            if run.ours:
                ours = True
                numbers[_INTERNAL] += 1
            else:
                ok = ok and run.ok
                result = _OK if run.ok else _FAILED
                numbers[result] += 1
                _observe(numbers, _RUN_SECONDS + result * _WIDTH, run.seconds)
            seen = self._add_layers(run)
            if seen is not None:
                expiry = seen if expiry is None else min(seen, expiry)
        if expiry is not None:
            self.expiry = expiry
        if not ours:
            self.up = int(ok)
        return not ours

    def _add_layers(self, run: Run) -> float | None:
        """Count what each layer did; returns when the certificate expires (unix time), if the run saw one."""
        numbers, slots, expiry = self.numbers, self.layout.slots, None
        for outcome in run.outcomes:
            slot = slots.get((outcome.layer, outcome.result, outcome.reason))
            if slot is None:  # a reason that the layer has not: our own bug
                slot = slots[outcome.layer, Result.FAILED, Reason.INTERNAL]
            at, histogram = slot
            numbers[at] += 1
            if histogram and outcome.seconds is not None:
                _observe(numbers, histogram, outcome.seconds)
            if outcome.layer is Layer.ICMP:
                self._add_echoes(outcome)
            elif outcome.layer is Layer.TLS:
                expiry = _number(outcome.evidence, "not_after_timestamp")
            elif outcome.layer is Layer.DNS and (tls := outcome.evidence.get("tls")) is not None:
                expiry = _number(tls, "not_after_timestamp")  # a name server's, over TLS or HTTPS
        if run.phases and self.shape.speaks_http and run.outcomes[-1].held:
            for phase, seconds in run.phases.items():
                if (position := _PHASE_AT.get(phase)) is not None:
                    _observe(numbers, self.layout.phases.start + position * _WIDTH, seconds)
        return expiry

    def _add_echoes(self, outcome: Outcome) -> None:
        """Count the requests that left, and those that were answered."""
        at = self.layout.echoes.start
        self.numbers[at] += _number(outcome.evidence, "sent") or 0
        self.numbers[at + 1] += _number(outcome.evidence, "received") or 0


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the numbers of a shape lie: runs, their durations, layer results, layer durations, http phases, echoes.

    `slots`: what a layer did → where it is counted, and where the histogram for its time lies (0: it did not hold).
    """

    size: int
    results: slice
    layers: slice
    phases: slice
    echoes: slice
    slots: Mapping[LayerResult, tuple[int, int]]


@lru_cache(maxsize=256)
def layout_of(shape: Shape) -> Layout:
    """The layout that all cells of a shape share."""
    what = layer_results(shape)
    results = slice(_RUN_SECONDS + 2 * _WIDTH, _RUN_SECONDS + 2 * _WIDTH + len(what))
    layers = slice(results.stop, results.stop + len(shape.ladder) * _WIDTH)
    phases = slice(layers.stop, layers.stop + (len(PHASES) * _WIDTH if shape.speaks_http else 0))
    echoes = slice(phases.stop, phases.stop + (2 if Layer.ICMP in shape.ladder else 0))
    slots = {
        result: (at, layers.start + shape.ladder.index(result[0]) * _WIDTH if _held(result) else 0)
        for at, result in enumerate(what, results.start)
    }
    return Layout(echoes.stop, results, layers, phases, echoes, slots)


def _held(what: LayerResult) -> bool:
    layer, result, reason = what
    return Outcome(layer, result, reason=reason).held


def _observe(numbers: array[float], at: int, seconds: float) -> None:
    """Add to the histogram that begins at `at`: its buckets, the last of them +Inf, then its sum."""
    numbers[at + bisect_left(BUCKETS, seconds)] += 1
    numbers[at + _WIDTH - 1] += seconds


def _number(evidence: Evidence, key: str) -> float | None:
    value = evidence.get(key)
    return value if isinstance(value, int | float) else None


def _histograms(numbers: array[float]) -> list[float]:
    """Cumulative buckets, count and sum of each histogram."""
    values: list[float] = []
    for at in range(0, len(numbers), _WIDTH):
        values += accumulate(numbers[at : at + _WIDTH - 1])
        values += (values[-1], numbers[at + _WIDTH - 1])
    return values


def values_of(family: Family) -> Callable[[Any], Sequence[float]]:
    """What gives the values of an account in a family, in the order of the family's rows; none where there are none."""
    return VALUES.get(family.name) or (lambda account: account.values.get(family.name, ()))


#: family → the values of an account of a cell, or of what cells share; none where nothing is known yet.
VALUES: Mapping[str, Callable[[Any], Sequence[float]]] = {
    series.UP.name: lambda account: (account.up,),
    series.RUNS.name: lambda account: account.numbers[:_RUN_SECONDS],
    series.RUN_DURATION.name: lambda account: _histograms(account.numbers[_RUN_SECONDS : account.layout.results.start]),
    series.LAYER_RESULTS.name: lambda account: account.numbers[account.layout.results],
    series.LAYER_DURATION.name: lambda account: _histograms(account.numbers[account.layout.layers]),
    series.PHASE_DURATION.name: lambda account: _histograms(account.numbers[account.layout.phases]),
    series.ICMP_REQUESTS.name: lambda account: account.numbers[account.layout.echoes][:1],
    series.ICMP_REPLIES.name: lambda account: account.numbers[account.layout.echoes][1:],
    series.DNS_QUERIES.name: lambda account: (account.queries,),
    series.DNS_WASTE.name: lambda account: (account.wasted,),
    series.EXPIRY.name: lambda account: () if account.expiry is None else (account.expiry,),
    series.VERDICT.name: lambda _: (1,),
    series.TARGET_INFO.name: lambda _: (1,),
}
