"""Histograms that are cheap to add to say what prometheus_client's own would."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics

from prober.export.tally import Histograms

BOUNDS = (0.001, 0.01, 1.0)
VALUES = (0.0, 0.001, 0.0011, 0.5, 1.0, 7.0)


def test_a_family_with_a_label_is_written_as_the_library_writes_it() -> None:
    disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    tallies = Histograms("some_seconds", "Some time.", BOUNDS, "layer", ["dns", "tcp"])
    ours.register(tallies)
    histogram = Histogram("some_seconds", "Some time.", ["layer"], buckets=BOUNDS, registry=theirs)
    for layer in ("dns", "tcp"):
        histogram.labels(layer)
    for value in VALUES:
        tallies.of["tcp"].add(value)
        histogram.labels("tcp").observe(value)
    assert generate_latest(ours) == generate_latest(theirs)
    assert openmetrics(ours) == openmetrics(theirs)  # type: ignore[no-untyped-call]  # the same


def test_a_family_without_labels_is_written_as_the_library_writes_it() -> None:
    disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    tallies = Histograms("some_seconds", "Some time.", BOUNDS)
    ours.register(tallies)
    histogram = Histogram("some_seconds", "Some time.", buckets=BOUNDS, registry=theirs)
    for value in VALUES:
        tallies.of[""].add(value)
        histogram.observe(value)
    assert generate_latest(ours) == generate_latest(theirs)
