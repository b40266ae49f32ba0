"""Histograms that cost next to nothing to add to: for what every run tells of itself."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Tally:
    """The numbers of one histogram: how many values each bucket has, the last one up to +Inf, and their sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Count `value`."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Histograms(Collector):
    """A family of histograms with the same upper `bounds`: one for each of `values` of `label`, or one without labels.

    prometheus_client's own takes a lock for the sum and another one for the bucket, and looks for it from below.
    """

    def __init__(
        self, name: str, help: str, bounds: Sequence[float], label: str = "", values: Sequence[str] = ("",)  # noqa: A002 - prometheus_client's name for it
    ) -> None:  # fmt: skip
        self._name, self._help, self._label = name, help, label
        self._written = [*map(floatToGoString, bounds), "+Inf"]
        self.of = {value: Tally(bounds) for value in values}

    def describe(self) -> Iterator[HistogramMetricFamily]:
        """The family without samples: a registry looks for clashing names."""
        yield HistogramMetricFamily(self._name, self._help, labels=[self._label] if self._label else [])

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The family."""
        (family,) = self.describe()
        for value, tally in self.of.items():
            buckets = zip(self._written, accumulate(tally.counts, initial=None), strict=True)
            family.add_metric([value] if self._label else [], [(le, float(n)) for le, n in buckets], tally.sum)
        yield family
