"""The cells' metrics as prometheus_client sees them: a Collector like any other, for any registry and encoder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import Metric
from prometheus_client.registry import Collector

from prober.export.accounts import VALUES
from prober.export.cells import CellMetrics
from prober.export.series import FAMILIES, IDENTITY, Family, Labels, Shape


class CellCollector(Collector):
    """All series of a `CellMetrics`. Complete and slow (some µs a sample, all at once): the service scrapes by
    `Exposition`, which gives the same bytes."""

    def __init__(self, cells: CellMetrics) -> None:
        self._cells = cells

    def describe(self) -> Iterable[Metric]:
        """The families without samples: a registry looks for clashing names."""
        return [metric_of(family) for family in FAMILIES]

    def collect(self) -> Iterator[Metric]:
        """The families, each with all its samples."""
        for family, accounts in self._cells.families():
            metric, values_of = metric_of(family), VALUES[family.name]
            for account in accounts:
                add_samples(metric, family, account.shape, account.labels, values_of(account), self._cells.const)
            yield metric


class One(Collector):
    """A registry of given metrics: what the encoders take."""

    def __init__(self, *metrics: Metric) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        """The given metrics."""
        return self._metrics


def metric_of(family: Family) -> Metric:
    """The family without samples."""
    return Metric(family.name, family.help, family.type)


def add_samples(
    metric: Metric, family: Family, shape: Shape, labels: Sequence[str], values: Sequence[float], const: Labels
) -> None:
    """Add the samples of one account: as many as it has values."""
    if not values:
        return
    identity = (*zip(IDENTITY[family.owner], labels, strict=True), *const)
    for (suffix, own), value in zip(family.rows(shape), values, strict=True):
        metric.add_sample(family.name + suffix, dict((*identity, *own)), value)
