"""Two recordings side by side: before and after a change, a release and the one before, a baseline and now. Pure.

The same scores as live, over all that was recorded: small changes that take a day to be believed are believed at
once if a day was recorded. What is told of several series together is judged by the noise that just this pool had in
the baseline.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np

from prober.baseline.after import SURE_FAILING, After, Gained, Judged, failing, judge, look, onset_of, slowest_of
from prober.baseline.comparison import BAD, Comparison, Figures, Finding, Row
from prober.baseline.fit import Fit, NotEnough, fit
from prober.baseline.pools import Pooled, pool_of
from prober.baseline.sketch import Sketch
from prober.baseline.values import Hour, Recording, SeriesKey, Size

__all__ = ["BAD", "Comparison", "Figures", "Finding", "Row", "compare"]

#: How many rows of a kind may look worse by chance (in normal noise; the margins keep it a tenth of that). Where there
#: are up to ten of them, whatever is found for one of them counts.
_BY_CHANCE: Final = 0.2


class Met(NamedTuple):
    """What was met of a series on one side: all latencies, and failures."""

    sketch: Sketch
    failed: int

    @classmethod
    def of(cls, hours: Sequence[Hour]) -> Met:
        """In these hours."""
        return cls(Sketch.merged(hour.sketch for hour in hours), sum(sum(hour.failed.values()) for hour in hours))

    @classmethod
    def together(cls, several: Iterable[Met]) -> Met:
        """Of several series."""
        listed = list(several)
        return cls(Sketch.merged(one.sketch for one in listed), sum(one.failed for one in listed))

    def figures(self, season: float = 0.0) -> Figures:
        """As a row has it; `season` (log seconds) is added to what is told."""
        runs, factor = self.sketch.total + self.failed, math.exp(season)
        p50, p99 = (self.sketch.quantile(q) * factor for q in (0.5, 0.99))
        return Figures(p50, p99, self.failed / max(runs, 1), runs)


@dataclass(frozen=True, slots=True)
class Told:
    """A series on both sides."""

    vantage: str
    zone: str
    node: str
    key: SeriesKey
    fit: Fit | None
    before: Met
    later: Met
    after: After | None
    judged: Judged | None
    failing: Gained | None
    """Evidence of more failures, where the layer never held on the later side."""
    why: str


_PARTS: Final[Mapping[str, Callable[[Told], str]]] = {
    "path": lambda one: one.key.path,
    "family": lambda one: one.key.family,
    "target": lambda one: one.key.target,
    "node": lambda one: one.key.node or one.node,
    "zone": lambda one: one.zone,
    "vantage": lambda one: one.vantage,
}


def compare(
    before: Sequence[Recording], after: Sequence[Recording], progress: Callable[[int, int], None] = lambda _n, _of: None
) -> Comparison:
    """Compare recordings of the same vantages (of one alone, if each side has but one, whatever its name).

    Series that only one side has are left out. `progress` is told how many series of how many were compared.
    """
    told = [(one, replace(_row(one), labels=_labels(one))) for one in _told(before, after, progress)]
    whole = [(one, row) for one, row in told if not one.key.node]
    parts = {}
    for kind, part in _PARTS.items():
        chosen = told if kind == "node" and len(whole) < len(told) else whole
        if len({part(one) for one, _ in chosen} - {""}) > 1:
            parts[kind] = _marked(_pools(chosen, part))
    return Comparison(_marked(_pools(whole, lambda _: "all")), parts, _marked([row for _, row in told]))


def _marked(rows: Sequence[Row]) -> tuple[Row, ...]:
    """The rows, those that got worse no further than one of so many does by chance marked as not sure."""
    enough = math.log(max(len(rows), 1) / _BY_CHANCE)
    return tuple(replace(row, sure=False) if row.bad and row.evidence < enough else row for row in rows)


def _told(
    before: Sequence[Recording], after: Sequence[Recording], progress: Callable[[int, int], None]
) -> Iterator[Told]:
    alone = len(before) == len(after) == 1
    later = {"" if alone else recording.origin.vantage: recording for recording in after}
    pairs = [
        (recording, other, key)
        for recording in before
        if (other := later.get("" if alone else recording.origin.vantage)) is not None
        for key in sorted(recording.series.keys() & other.series.keys())
    ]
    for number, (recording, other, key) in enumerate(pairs):
        progress(number, len(pairs))
        yield _pair(recording, other, key)
    progress(len(pairs), len(pairs))


def _pair(recording: Recording, other: Recording, key: SeriesKey) -> Told:
    """One series on both sides."""
    hours, later, origin = recording.series[key], other.series[key], recording.origin
    settings, now = recording.settings.get(key.cell), other.settings.get(key.cell)
    known, looked, why = None, None, ""
    if settings is not None and now is not None and settings != now:
        why = "it is probed in another way now"
    else:
        try:
            known = fit(hours)
        except NotEnough as error:
            why = str(error)
    fails = None
    if known is not None and (looked := look(known, later)) is None:
        why, fails = "no latency in the later recording", failing(known, later)
    judged = None if known is None or looked is None else judge(known, looked)
    sides = Met.of(hours), Met.of(later)
    return Told(origin.vantage, origin.zone, origin.node, key, known, *sides, looked, judged, fails, why)


def _labels(one: Told) -> dict[str, str]:
    """Which part of each kind a series is in."""
    return {kind: name for kind, part in _PARTS.items() if (name := part(one))}


def _row(one: Told) -> Row:
    """The row of one series."""
    if one.after is None or one.judged is None:
        was, now = one.before.figures(), one.later.figures()
        if one.failing is not None and one.failing.whole > SURE_FAILING:
            return Row(str(one.key), one.key.layer, 1, was, now, Finding.FAILING, vantage=one.vantage,
                       evidence=one.failing.whole, onset=one.failing.onset)  # fmt: skip
        return Row(str(one.key), one.key.layer, 1, was, now, Finding.UNKNOWN, why=one.why, vantage=one.vantage)
    after, judged = one.after, one.judged
    finding = _finding(judged.way, judged)
    return Row(
        str(one.key), one.key.layer, 1, one.before.figures(after.season), one.later.figures(), finding,
        judged.location.size,
        None if judged.tail is None else judged.tail.size, _onset(finding, after, judged),
        slowest_of(after.starts, after.told), vantage=one.vantage, evidence=judged.evidence,
    )  # fmt: skip


def _onset(finding: Finding, after: After, judged: Judged) -> float | None:
    """The hour with which most likely began what was found."""
    if finding is Finding.SAME:
        return None
    if finding is Finding.FAILING:
        return after.failing.onset
    if finding is Finding.HEAVIER_TAIL:
        return judged.tail_onset
    return onset_of(after.starts, after.told, math.log(judged.location.size.change))


def _finding(way: int, judged: Judged | None) -> Finding:
    if judged is not None and judged.failures is not None:
        return Finding.FAILING
    if way > 0:
        return Finding.SLOWER
    if judged is not None and judged.tail is not None:
        return Finding.HEAVIER_TAIL
    return Finding.FASTER if way < 0 else Finding.SAME


def _pools(told: Sequence[tuple[Told, Row]], part: Callable[[Told], str]) -> tuple[Row, ...]:
    """A row for each layer and each value of `part`, in the order in which they first come."""
    found: dict[tuple[str, str], list[tuple[Told, Row]]] = defaultdict(list)
    for one, row in told:
        if part(one):
            found[one.key.layer, part(one)].append((one, row))
    return tuple(_pool(name, layer, members) for (layer, name), members in found.items())


def _pool(name: str, layer: str, members: Sequence[tuple[Told, Row]]) -> Row:
    """The row of several series; of one, its own under this name."""
    rows = [row for _, row in members]
    known = [(one.fit, one.after) for one, _ in members if one.fit is not None and one.after is not None]
    season = float(np.mean([after.season for _, after in known])) if known else 0.0
    was = Met.together(one.before for one, _ in members).figures(season)
    now = Met.together(one.later for one, _ in members).figures()
    head = name, layer, len(members), was, now
    bad = sum(row.bad for row in rows)
    if not known:
        finding = Finding.FAILING if 2 * bad >= len(rows) else Finding.UNKNOWN
        evidence = max(row.evidence for row in rows)
        return Row(*head, finding, onset=_middle_onset(finding, rows), why=rows[0].why, regressed=bad,
                   evidence=evidence)  # fmt: skip
    pooled = pool_of(known)
    finding, onset = _pooled_finding(pooled, rows)
    return Row(
        *head, finding, pooled.size, _middle([row.tail for row in rows if row.tail is not None]), onset,
        slowest_of(pooled.starts, pooled.shifts), regressed=bad,
        evidence=max([pooled.evidence, *(row.evidence for row in rows if row.finding is finding)]),
    )  # fmt: skip


def _middle(sizes: Sequence[Size]) -> Size | None:
    """The one in the middle, by size."""
    return sorted(sizes, key=lambda size: size.change)[len(sizes) // 2] if sizes else None


def _pooled_finding(pooled: Pooled, rows: Sequence[Row]) -> tuple[Finding, float | None]:
    """What the pool says by itself, else what most of its series say."""
    for finding in (Finding.FAILING, Finding.HEAVIER_TAIL):
        if 2 * sum(row.finding is finding for row in rows) >= len(rows):
            return finding, _middle_onset(finding, rows)
    if pooled.way == 0:
        return Finding.SAME, None
    onset = onset_of(pooled.starts, pooled.shifts, math.log(pooled.size.change))
    return (Finding.SLOWER if pooled.way > 0 else Finding.FASTER), onset


def _middle_onset(finding: Finding, rows: Sequence[Row]) -> float | None:
    """The one in the middle, of the rows of which that was found."""
    onsets = sorted(row.onset for row in rows if row.finding is finding and row.onset is not None)
    return onsets[len(onsets) // 2] if onsets else None
