"""Accounts as prometheus_client sees them: a Collector like any other, for any registry and encoder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from prometheus_client import Metric
from prometheus_client.registry import Collector

from prober.export.accounts import Account, values_of
from prober.export.series import IDENTITY, Family, Labels, Shape


class Source(Protocol):
    """Families and the accounts that have their samples."""

    const: Labels
    """Labels that all its samples carry."""

    def families(self) -> Sequence[tuple[Family, Sequence[Account]]]:
        """Each family with the accounts that have its samples; the lists are never changed, but replaced."""
        ...


class AccountCollector(Collector):
    """All series of a source. Complete and slow (some µs a sample, all at once): the service scrapes by `Exposition`,
    which gives the same bytes."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def describe(self) -> Iterable[Metric]:
        """The families without samples: a registry looks for clashing names."""
        return [metric_of(family) for family, _ in self._source.families()]

    def collect(self) -> Iterator[Metric]:
        """The families, each with all its samples."""
        for family, accounts in self._source.families():
            metric, of = metric_of(family), values_of(family)
            for account in accounts:
                add_samples(metric, family, account.shape, account.labels, of(account), self._source.const)
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
