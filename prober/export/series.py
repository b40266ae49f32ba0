"""Which series a cell has: names, labels and help texts. Tables and pure functions; no values, no I/O.

Everything here is public API (design: metrics): renaming a metric or a label, or moving a bucket, is a major version.
Label values come from the configuration and from closed lists alone: no address, no free text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Literal

from prober.model import Cell, Vantage
from prober.reasons import COMMON_FAILURES, REASONS, SKIPS, Kind, Layer, Reason, Result

#: Upper bounds of the histograms, in seconds: 100 µs to 10 s, three to a decade.
BUCKETS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
#: The parts of the http layer. `upstream` and `network` lie within the first two, where the front end tells them apart.
PHASES = ("request", "first_byte", "upstream", "network", "transfer")
#: `result` of a run; `internal` is a run that failed through the prober itself, or was cancelled by it.
RUN_RESULTS = ("ok", "failed", "internal")

Labels = tuple[tuple[str, str], ...]
#: One sample of a family: what its name ends on beyond the family's own, and its labels beyond the owner's.
Row = tuple[str, Labels]
#: What a layer did, as it is counted.
LayerResult = tuple[Layer, Result, Reason | None]


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides which samples a cell has: cells of one shape differ in their own labels only."""

    kind: Kind
    ladder: tuple[Layer, ...]
    certificate: bool = False
    """It sees the certificate of a server: of the tls layer, or of a name server that is asked over TLS or HTTPS."""

    @property
    def speaks_http(self) -> bool:
        """Whether the top of the ladder has phases."""
        return self.kind in (Kind.HTTP, Kind.KUBERNETES)


#: Of samples that are the same whatever the cell is.
NO_SHAPE = Shape(Kind.TCP, ())


class Owner(StrEnum):
    """Whose sample it is: a cell's own, or one that several cells share."""

    CELL = "cell"
    LOOKUP = "lookup"
    TARGET = "target"
    VERDICT = "verdict"
    BASELINES = "baselines"
    BASELINE = "baseline"
    SKIPPED = "skipped"
    LAYER = "layer"
    SERIES = "series"
    CHANGE = "change"
    REGRESSION = "regression"
    GROUP = "group"
    GROUP_REGRESSION = "group_regression"
    BUDGET = "budget"


_CELL = ("probe", "target", "path", "family")
#: `endpoint_node` is empty (for Prometheus: absent) for the whole cell. `node` would be taken for the prober's own;
#: `quantile` is a label that summaries alone may have.
_SERIES = (*_CELL, "endpoint_node", "layer")
_GROUP = ("group", "scope", "layer")
#: The labels that tell owners apart.
IDENTITY: dict[Owner, tuple[str, ...]] = {
    Owner.CELL: _CELL,
    Owner.LOOKUP: ("probe", "target", "family"),
    Owner.TARGET: ("target", "path", "scheme", "kubernetes_namespace", "kubernetes_service"),
    Owner.VERDICT: ("target", "verdict", "layer"),
    Owner.BASELINES: (),
    Owner.BASELINE: ("label", "version"),
    Owner.SKIPPED: ("cause",),
    Owner.LAYER: ("layer",),
    Owner.SERIES: _SERIES,
    Owner.CHANGE: (*_SERIES, "channel", "direction"),
    Owner.REGRESSION: (*_SERIES, "channel", "direction", "level"),
    Owner.GROUP: _GROUP,
    Owner.GROUP_REGRESSION: (*_GROUP, "direction", "level"),
    Owner.BUDGET: (*_CELL, "layer", "percentile"),
}


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. `name` is without the suffix (`_total`, `info`) that the samples of its type carry."""

    name: str
    type: Literal["gauge", "counter", "histogram", "info"]
    help: str
    owner: Owner
    rows: Callable[[Shape], tuple[Row, ...]]


@lru_cache(maxsize=256)
def _interned(kind: Kind, ladder: tuple[Layer, ...], certificate: bool) -> Shape:
    return Shape(kind, ladder, certificate)


def shape_of(cell: Cell) -> Shape:
    """The shape of `cell`; equal shapes are the same object."""
    encrypted = cell.kind is Kind.DNS and cell.options.dns.transport in ("tls", "https")
    ladder = cell.ladder
    return _interned(cell.kind, ladder, encrypted or Layer.TLS in ladder)


@lru_cache(maxsize=256)
def layer_results(shape: Shape) -> tuple[LayerResult, ...]:
    """All that the layers of a ladder can do, in the ladder's order: ok, each failure, each skip."""
    found: list[LayerResult] = []
    for position, layer in enumerate(shape.ladder):
        found.append((layer, Result.OK, None))
        found += [(layer, Result.FAILED, reason) for reason in (*REASONS[layer], *COMMON_FAILURES)]
        found += [(layer, Result.SKIPPED, reason) for reason in SKIPS if _skips(shape, position, reason)]
    return tuple(found)


def _skips(shape: Shape, position: int, reason: Reason) -> bool:
    """A literal address skips a dns rung that has others above it; what was not reached is never the first rung."""
    if reason is Reason.LITERAL:
        return shape.ladder[position] is Layer.DNS and len(shape.ladder) > 1
    return position > 0


def one(_: Shape) -> tuple[Row, ...]:
    """One sample."""
    return (("", ()),)


def counter(_: Shape) -> tuple[Row, ...]:
    """One sample of a counter."""
    return (("_total", ()),)


def info(_: Shape) -> tuple[Row, ...]:
    """What there is to join on."""
    return (("_info", ()),)


def _runs(_: Shape) -> tuple[Row, ...]:
    return tuple(("_total", (("result", result),)) for result in RUN_RESULTS)


def _histograms(label: str, values: Iterable[str]) -> tuple[Row, ...]:
    """A histogram for each value of `label`: buckets, count, sum, as prometheus_client orders them."""
    bounds = (*(str(bound) for bound in BUCKETS), "+Inf")
    return tuple(
        row
        for value in values
        for row in (
            *(("_bucket", ((label, value), ("le", bound))) for bound in bounds),
            ("_count", ((label, value),)),
            ("_sum", ((label, value),)),
        )
    )


def _run_durations(_: Shape) -> tuple[Row, ...]:
    return _histograms("result", RUN_RESULTS[:2])


def _layer_results(shape: Shape) -> tuple[Row, ...]:
    return tuple(
        ("_total", (("layer", layer.value), ("result", result.value), ("reason", "" if reason is None else reason)))
        for layer, result, reason in layer_results(shape)
    )


def _layer_durations(shape: Shape) -> tuple[Row, ...]:
    return _histograms("layer", (layer.value for layer in shape.ladder))


def _phases(shape: Shape) -> tuple[Row, ...]:
    return _histograms("phase", PHASES) if shape.speaks_http else ()


def _echoes(shape: Shape) -> tuple[Row, ...]:
    return counter(shape) if Layer.ICMP in shape.ladder else ()


def _expiry(shape: Shape) -> tuple[Row, ...]:
    return one(shape) if shape.certificate else ()


UP = Family("prober_up", "gauge", "Whether the cell's last run was good (1) or not (0).", Owner.CELL, one)
RUNS = Family("prober_runs", "counter", "Runs; internal: failed through the prober itself.", Owner.CELL, _runs)
RUN_DURATION = Family(
    "prober_run_duration_seconds", "histogram", "Time of a whole run.", Owner.CELL, _run_durations)  # fmt: skip
LAYER_RESULTS = Family(
    "prober_layer_results", "counter", "What each layer did, and why.", Owner.CELL, _layer_results)  # fmt: skip
LAYER_DURATION = Family(
    "prober_layer_duration_seconds", "histogram", "Time that a layer took, where it held.", Owner.CELL,
    _layer_durations)  # fmt: skip
PHASE_DURATION = Family(
    "prober_http_phase_duration_seconds", "histogram", "Parts of the http layer's time, where it held.", Owner.CELL,
    _phases)  # fmt: skip
ICMP_REQUESTS = Family(
    "prober_icmp_requests", "counter", "Echo requests that were sent.", Owner.CELL, _echoes)  # fmt: skip
ICMP_REPLIES = Family(
    "prober_icmp_replies", "counter", "Echo requests that were answered.", Owner.CELL, _echoes)  # fmt: skip
DNS_QUERIES = Family(
    "prober_dns_queries_per_lookup", "gauge", "Queries sent by the last lookup of the name.", Owner.LOOKUP,
    one)  # fmt: skip
DNS_WASTE = Family(
    "prober_dns_search_waste_seconds", "counter", "Time spent on names of the search list that do not exist.",
    Owner.LOOKUP, counter)  # fmt: skip
EXPIRY = Family(
    "prober_tls_certificate_expiry_timestamp_seconds", "gauge",
    "When the first certificate of the chain expires, once known.", Owner.CELL, _expiry)  # fmt: skip
VERDICT = Family("prober_verdict", "gauge", "What the latest runs say together.", Owner.VERDICT, one)
TARGET_INFO = Family("prober_target", "info", "What a path leads to, to join on.", Owner.TARGET, info)

#: In the order of the exposition.
FAMILIES = (UP, RUNS, RUN_DURATION, LAYER_RESULTS, LAYER_DURATION, PHASE_DURATION, ICMP_REQUESTS, ICMP_REPLIES,
            DNS_QUERIES, DNS_WASTE, EXPIRY, VERDICT, TARGET_INFO)  # fmt: skip


def const_labels(vantage: Vantage) -> Labels:
    """The labels that all series of a vantage carry: its name, zone and region, where known."""
    known = (("vantage", vantage.name), ("zone", vantage.zone), ("region", vantage.region))
    return tuple((name, value) for name, value in known if value)


def cell_labels(cell: Cell) -> tuple[str, ...]:
    """The values of a cell's own labels, in the order of `IDENTITY[Owner.CELL]`."""
    return cell.probe, cell.target, cell.path, cell.family.value


def lookup_labels(cell: Cell) -> tuple[str, ...]:
    """The values of the labels that all paths to a name share."""
    return cell.probe, cell.target, cell.family.value


def target_labels(cell: Cell) -> tuple[str, ...]:
    """The values of `prober_target_info`; empty (for Prometheus: absent) where the path names no Service."""
    service = cell.endpoint.service
    namespace, name = (service.namespace, service.name) if service is not None else ("", "")
    return cell.target, cell.path, cell.endpoint.scheme, namespace, name


def escaped(value: str) -> str:
    """A label's value as all text formats write it."""
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def series_of(cell: Cell) -> int:
    """How many samples `cell` makes at most, alone: what it would share with others counted in, verdicts not."""
    return series_count((cell,))


def series_count(cells: Iterable[Cell]) -> int:
    """How many samples these cells make together at most: what they share counted once, verdicts not."""
    own, lookups, targets = 0, set(), set()
    for cell in cells:
        own += _own(shape_of(cell))
        lookups.add(lookup_labels(cell))
        targets.add(target_labels(cell))
    return own + 2 * len(lookups) + len(targets)


@lru_cache(maxsize=256)
def _own(shape: Shape) -> int:
    return sum(len(family.rows(shape)) for family in FAMILIES if family.owner is Owner.CELL)
