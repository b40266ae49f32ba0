"""What a comparison found, as sentences: worst first, where, by how much, since when. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, NamedTuple

from prober.baseline.compare import BAD, Comparison, Finding, Row
from prober.baseline.sentences import listed, value_words
from prober.baseline.values import Origin
from prober.cli.baseline.apart import Apart, apart
from prober.cli.baseline.kept import height
from prober.units import human_seconds, human_share


@dataclass(frozen=True, slots=True)
class Sentence:
    """One thing that was found."""

    finding: Finding
    layer: str
    says: str
    places: tuple[str, ...]
    """The kinds of parts that tell where it is: `path`, `family` …; none where it is everywhere."""
    onset: float | None
    """Unix seconds, where it is known."""
    weight: float
    """How large it is, among those of one finding."""
    apart: Apart | None = None
    """What sets its vantages apart from the others, where something does."""

    def told(self, since: str) -> str:
        """The whole of it; `since` is when, or nothing."""
        return ", ".join(part for part in (self.says, since, "" if self.apart is None else self.apart.says) if part)


class _Place(NamedTuple):
    """The parts of one kind in which something was found."""

    says: str
    names: tuple[str, ...]


def climbing(rows: Sequence[Row]) -> list[Row]:
    """In the order in which layers are climbed."""
    return sorted(rows, key=lambda row: height(row.layer))


def worst_first(rows: Sequence[Row]) -> list[Row]:
    """Bad ones first, each kind of them by size; then those that chance explains, then all others by layer."""

    def place(row: Row) -> tuple[int, float]:
        return (_rank(row.finding) if row.sure else len(BAD), -_size(row) if row.bad else 0.0)

    return sorted(climbing(rows), key=place)


def sentences(comparison: Comparison, origins: Sequence[Origin] = ()) -> list[Sentence]:
    """What got worse, worst first; of a layer as a whole, of parts of it, or of series. `origins`: where the vantages
    of the later side were."""
    found = list(_found(comparison, BAD, origins))
    return sorted(found, key=lambda one: (_rank(one.finding), -one.weight))


def improved(comparison: Comparison, origins: Sequence[Origin] = ()) -> list[Sentence]:
    """What got faster, most first."""
    return sorted(_found(comparison, (Finding.FASTER,), origins), key=lambda one: one.weight)


def named(comparison: Comparison, rows: Sequence[Row]) -> list[str]:
    """What series are called beside their layer: their cells, and the vantages where there are several."""
    several = len({row.vantage for row in comparison.series}) > 1
    return [row.name.replace(f" {row.layer}", "", 1) + (f" from {row.vantage}" if several else "") for row in rows]


def _found(comparison: Comparison, findings: Sequence[Finding], origins: Sequence[Origin]) -> Iterator[Sentence]:
    for finding in findings:
        for layer in dict.fromkeys(row.layer for row in climbing(comparison.layers)):
            yield from _of_layer(comparison, finding, layer, origins)


def _of_layer(comparison: Comparison, finding: Finding, layer: str, origins: Sequence[Origin]) -> Iterator[Sentence]:
    def of(rows: Sequence[Row]) -> list[Row]:
        return [row for row in rows if row.layer == layer and row.finding is finding and (row.sure or not row.bad)]

    series, whole = of(comparison.series), of(comparison.layers)
    parts = {kind: of(rows) for kind, rows in comparison.parts.items()}
    pooled = [*whole, *(row for rows in parts.values() for row in rows)]
    outside = series
    if pooled:
        split = apart(comparison, finding, layer, origins)
        places = _places(comparison, layer, parts, split)
        inside, outside = _shared_out(series, places)
        known = [row for row in comparison.series if row.layer == layer and row.finding is not Finding.UNKNOWN]
        share = f"({len(inside)} of {len(known)} series)" if inside else ""
        where = " ".join([*(place.says for place in places.values()), share])
        kinds = tuple(places) if split is None else (*places, "node", "zone")  # those need no further look
        yield _sentence(finding, inside or pooled, where, _began(whole or pooled), kinds, split)
    if outside:
        where = f"on {listed(named(comparison, outside))}"
        yield _sentence(finding, outside, where, _began(outside))


def _sentence(
    finding: Finding, told: Sequence[Row], where: str, onset: float | None,
    kinds: tuple[str, ...] = (), split: Apart | None = None,
) -> Sentence:  # fmt: skip
    layer, size = told[0].layer, median(_size(row) for row in told)
    says = " ".join(part for part in (layer, _HOW[finding](told, size), where.strip()) if part)
    return Sentence(finding, layer, says, kinds, onset, size, split)


def _began(rows: Sequence[Row]) -> float | None:
    return min((row.onset for row in rows if row.onset is not None), default=None)


def _shared_out(series: Sequence[Row], places: Mapping[str, _Place]) -> tuple[list[Row], list[Row]]:
    """Those that lie where the places say, and those that do not. All do where none does: then they are no single
    place, but several."""

    def there(row: Row) -> bool:
        return all(row.labels.get(kind, "") in place.names for kind, place in places.items())

    inside = [row for row in series if there(row)]
    return (inside, [row for row in series if not there(row)]) if inside else (list(series), [])


def _places(
    comparison: Comparison, layer: str, bad: Mapping[str, Sequence[Row]], split: Apart | None
) -> dict[str, _Place]:
    """Where it is, by each kind of part that tells some from others: where it is everywhere, that says nothing. What
    repeats the vantages of a split is left to it."""
    found: dict[str, _Place] = {}
    said: set[tuple[str, ...]] = set()
    for kind, rows in comparison.parts.items():
        known = [row for row in rows if row.layer == layer and row.finding is not Finding.UNKNOWN]
        names = tuple(row.name for row in bad.get(kind, ()))
        if not 0 < len(names) < len(known) or names in said or (split is not None and split.repeats(kind, names)):
            continue
        said.add(names)
        says = f"seen from {listed(names)}" if kind == "vantage" else value_words(kind, names)
        found[kind] = _Place(says, names)
    if split is not None:
        found["vantage"] = _Place(split.where, tuple(origin.vantage for origin in split.some))
    return found


def _size(row: Row) -> float:
    """By how much it changed: a ratio, or how many more runs failed."""
    if row.finding is Finding.FAILING:
        return row.now.failed - row.was.failed
    size = row.tail if row.finding is Finding.HEAVIER_TAIL and row.tail is not None else row.change
    return size.change if size is not None else 1.0


def _rank(finding: Finding) -> int:
    order = (*BAD, None, Finding.FASTER, Finding.SAME, Finding.UNKNOWN)
    return order.index(finding)


def _failing(rows: Sequence[Row], _size: float) -> str:
    was, now = (sum(side.failed * side.runs for side in sides) / max(sum(side.runs for side in sides), 1)
                for sides in ([row.was for row in rows], [row.now for row in rows]))  # fmt: skip
    return f"fails in {human_share(now)} of the runs (it was {human_share(was)})"


def _slower(_rows: Sequence[Row], size: float) -> str:
    return f"{human_share(abs(size - 1))} slower"


def _tail(rows: Sequence[Row], size: float) -> str:
    return f"has a p99 {human_share(abs(size - 1))} higher ({human_seconds(median(row.now.p99 for row in rows))})"


def _faster(_rows: Sequence[Row], size: float) -> str:
    return f"{human_share(abs(size - 1))} faster"


_HOW: Final[Mapping[Finding, Callable[[Sequence[Row], float], str]]] = {
    Finding.FAILING: _failing,
    Finding.SLOWER: _slower,
    Finding.HEAVIER_TAIL: _tail,
    Finding.FASTER: _faster,
}
