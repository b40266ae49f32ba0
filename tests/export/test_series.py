"""Which series a cell has follows from its kind and ladder alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prober.export.cells import CellMetrics
from prober.export.collector import AccountCollector
from prober.export.series import (
    BUCKETS,
    FAMILIES,
    IDENTITY,
    const_labels,
    layer_results,
    series_count,
    series_of,
    shape_of,
)
from prober.model import Cell, ServiceRef, Vantage
from prober.reasons import COMMON_FAILURES, REASONS, Family, Kind, Layer, Reason, Result
from tests.support.runs import good_run, named

CELLS = [
    named(Kind.ICMP, "icmp", "ping/web/pod"),
    named(Kind.TCP, "tcp", "l4/web/service"),
    named(Kind.TLS, "tls", "certificate/web/ingress"),
    named(Kind.HTTP, "http", "web/web/service"),
    named(Kind.HTTP, "https", "web/web/ingress"),
    named(Kind.GRPC, "grpcs", "pay/payments/service"),
    named(Kind.DNS, "dns", "names/web.app/default"),
    named(Kind.KUBERNETES, "https", "apiserver/kubernetes/default"),
]


def samples_of(*cells: Cell) -> int:
    """Samples that prometheus_client collects, the certificate's expiry known."""
    metrics = CellMetrics(Vantage("here"), lambda _: None)
    metrics.set_cells(cells)
    for cell in cells:
        evidence = {Layer.TLS: {"not_after_timestamp": 1.8e9}}
        metrics.record(cell, (good_run(cell, evidence=evidence),))
    return sum(len(metric.samples) for metric in AccountCollector(metrics).collect())


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell.kind}-{cell.endpoint.scheme}")
def test_plan_counts_what_is_collected(cell: Cell) -> None:
    assert series_of(cell) == samples_of(cell)


def test_what_cells_share_is_counted_once() -> None:
    other_path = replace(CELLS[4], path="external")
    cells = [*CELLS, other_path, replace(CELLS[1], family=Family.IPV6)]
    assert series_count(cells) == samples_of(*cells)
    assert series_count([CELLS[4], other_path]) == 2 * series_of(CELLS[4]) - 2


def test_histograms_reach_from_100_microseconds_to_10_seconds() -> None:
    assert (BUCKETS[0], BUCKETS[-1], len(BUCKETS)) == (0.0001, 10.0, 16)
    assert sorted(BUCKETS) == list(BUCKETS)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell.kind}-{cell.endpoint.scheme}")
def test_each_layer_can_hold_fail_for_each_reason_and_be_skipped(cell: Cell) -> None:
    expected = set()
    for position, layer in enumerate(cell.ladder):
        expected |= {(layer, Result.OK, None)}
        expected |= {(layer, Result.FAILED, reason) for reason in (*REASONS[layer], *COMMON_FAILURES)}
        if position:
            expected |= {(layer, Result.SKIPPED, Reason.SKIPPED_BELOW)}
    if cell.kind is not Kind.DNS:
        expected |= {(Layer.DNS, Result.SKIPPED, Reason.LITERAL)}
    results = layer_results(shape_of(cell))
    assert set(results) == expected
    assert len(results) == len(expected)


def test_no_label_holds_an_address_or_a_url() -> None:
    cell = named(Kind.HTTP, "https", "web/web/pod", host="192.0.2.1", service=ServiceRef("app", "web", 8080))
    metrics = CellMetrics(Vantage("here"), lambda _: None)
    metrics.set_cells([cell])
    samples = [sample for metric in AccountCollector(metrics).collect() for sample in metric.samples]
    assert not any("192.0.2.1" in value or "/" in value for sample in samples for value in sample.labels.values())
    info = next(sample.labels for sample in samples if sample.name == "prober_target_info")
    assert info == {"target": "web", "path": "pod", "scheme": "https", "kubernetes_namespace": "app",
                    "kubernetes_service": "web", "vantage": "here"}  # fmt: skip


def test_constant_labels_are_those_that_are_known() -> None:
    assert const_labels(Vantage("a", zone="z")) == (("vantage", "a"), ("zone", "z"))
    assert const_labels(Vantage("a", "node", "z", "r")) == (("vantage", "a"), ("zone", "z"), ("region", "r"))


def test_names_follow_the_conventions_of_prometheus() -> None:
    for family in FAMILIES:
        assert family.name.startswith("prober_")
        assert not family.name.endswith(("_total", "_info", "_count", "_sum", "_bucket"))
        assert family.help.endswith(".")
        constant = {"vantage", "zone", "region"}
        assert not constant & set(IDENTITY[family.owner])
