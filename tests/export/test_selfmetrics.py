"""What the prober says of itself."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from prober import __version__
from prober.export.selfmetrics import SelfMetrics
from prober.model import Outcome, Run, Vantage
from prober.reasons import Kind, Layer, Reason, Result
from tests.support.cells import make_cell

VANTAGE = Vantage("node-a", "node-7", "eu-1a", pod="prober-x", namespace="monitoring")


@pytest.fixture
def itself() -> SelfMetrics:
    return SelfMetrics(VANTAGE, process=False)


def test_missed_runs_exist_for_every_cause_from_the_start(itself: SelfMetrics) -> None:
    itself.missed("overrun")
    itself.missed("draining", 3)
    value = itself.registry.get_sample_value
    counts = {cause: value("prober_runs_missed_total", {"cause": cause})
              for cause in ("overrun", "misfire", "saturated", "draining")}  # fmt: skip
    assert counts == {"overrun": 1, "misfire": 0, "saturated": 0, "draining": 3}


def test_lags_are_histograms(itself: SelfMetrics) -> None:
    itself.lag(0.002)
    itself.loop_lag(0.3)
    value = itself.registry.get_sample_value
    assert value("prober_schedule_lag_seconds_bucket", {"le": "0.0025"}) == 1
    assert value("prober_schedule_lag_seconds_sum") == 0.002
    assert value("prober_loop_lag_seconds_bucket", {"le": "0.25"}) == 0
    assert value("prober_loop_lag_seconds_bucket", {"le": "0.5"}) == 1


def test_the_local_time_of_each_layer_is_counted_where_it_is_known(itself: SelfMetrics) -> None:
    cell = make_cell(Kind.TCP, "tcp", "name.example", 1)
    outcomes = (
        Outcome(Layer.DNS, Result.OK, 0.001, None, {"local_seconds": 0.0002}),
        Outcome(Layer.TCP, Result.FAILED, 0.001, Reason.REFUSED, {"clock": "user"}),
    )
    itself.climbed(Run(cell, datetime.now(UTC), 0.01, outcomes, ok=False))
    value = itself.registry.get_sample_value
    counts = {layer: value("prober_layer_local_seconds_count", {"layer": layer}) for layer in Layer}
    assert counts == {**dict.fromkeys(Layer, 0), Layer.DNS: 1}
    assert value("prober_layer_local_seconds_bucket", {"layer": "dns", "le": "0.0001"}) == 0
    assert value("prober_layer_local_seconds_bucket", {"layer": "dns", "le": "0.00025"}) == 1


def test_a_failed_reload_leaves_hash_and_time_of_what_runs_on(itself: SelfMetrics) -> None:
    value = itself.registry.get_sample_value
    itself.reloaded(True, "abc", 1000.0)
    itself.reloaded(False, "bad", 2000.0)
    assert value("prober_config_last_reload_successful") == 0
    assert value("prober_config_last_reload_success_timestamp_seconds") == 1000
    assert value("prober_config_hash_info", {"hash": "abc"}) == 1
    assert value("prober_config_hash_info", {"hash": "bad"}) is None
    itself.reloaded(True, "def", 3000.0)
    assert value("prober_config_last_reload_successful") == 1
    assert value("prober_config_hash_info", {"hash": "abc"}) is None
    assert value("prober_config_hash_info", {"hash": "def"}) == 1


def test_the_vantage_is_there_to_join_on_with_what_is_known_of_it(itself: SelfMetrics) -> None:
    vantage = {"vantage": "node-a", "node": "node-7", "zone": "eu-1a", "pod": "prober-x", "namespace": "monitoring"}
    assert itself.registry.get_sample_value("prober_vantage_info", vantage) == 1


def test_cells_and_runs_in_flight(itself: SelfMetrics) -> None:
    itself.cells(12)
    itself.in_flight(3)
    assert itself.registry.get_sample_value("prober_cells") == 12
    assert itself.registry.get_sample_value("prober_runs_in_flight") == 3


def test_no_created_series_and_process_metrics_where_asked_for() -> None:
    names = {sample.name for metric in SelfMetrics(VANTAGE).registry.collect() for sample in metric.samples}
    assert not any(name.startswith("prober_") and name.endswith("_created") for name in names)
    assert {"prober_build_info", "python_info", "python_gc_collections_total"} <= names
    builds = [m.samples[0].labels for m in SelfMetrics(VANTAGE).registry.collect() if m.name == "prober_build"]
    assert [labels["version"] for labels in builds] == [__version__]
