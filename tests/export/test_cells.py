"""What is counted when a cell fires, and what a reload keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from prober.export.cells import CellMetrics
from prober.export.collector import AccountCollector
from prober.model import Cell, Outcome, Run, Vantage
from prober.reasons import Family, Kind, Layer, Reason, Result
from tests.support.runs import explain, failed_run, good_run, literal_run, named

TCP = named(Kind.TCP, "tcp", "l4/web/service")
DNS = named(Kind.DNS, "dns", "names/example.com/A", options={"dns": {"transport": "tls"}})
HTTPS = named(Kind.HTTP, "https", "web/web/ingress")


class Watched:
    """Metrics with a registry to look into."""

    def __init__(self, *cells: Cell) -> None:
        self.metrics = CellMetrics(Vantage("here"), explain)
        self.registry = CollectorRegistry()
        self.registry.register(AccountCollector(self.metrics))
        self.metrics.set_cells(cells)

    def fire(self, *runs: Run) -> None:
        self.metrics.record(runs[0].cell, runs)

    def value(self, name: str, cell: Cell = TCP, labels: Sequence[str] = ("probe", "target", "path", "family"),
              **more: str) -> float | None:  # fmt: skip
        own = {label: str(getattr(cell, label)) for label in labels}
        return self.registry.get_sample_value(name, {**own, "vantage": "here", **more})

    def shared(self, name: str, cell: Cell = TCP) -> float | None:
        return self.value(name, cell, ("probe", "target", "family"))

    def verdict(self, code: str, layer: Layer, target: str = "web") -> float | None:
        labels = {"target": target, "verdict": code, "layer": layer.value, "vantage": "here"}
        return self.registry.get_sample_value("prober_verdict", labels)


def test_all_series_exist_from_the_start_at_zero() -> None:
    watched = Watched(TCP)
    samples = [sample for metric in watched.registry.collect() for sample in metric.samples]
    assert {sample.value for sample in samples if sample.name != "prober_target_info"} == {0}
    assert watched.value("prober_up") == 0
    assert watched.value("prober_layer_results_total", layer="tcp", result="failed", reason="rejected") == 0


def test_a_good_run_is_counted_in_every_layer() -> None:
    watched = Watched(TCP)
    watched.fire(good_run(TCP, seconds={Layer.DNS: 0.0001, Layer.TCP: 0.003}))
    assert watched.value("prober_up") == 1
    assert watched.value("prober_runs_total", result="ok") == 1
    assert watched.value("prober_layer_results_total", layer="tcp", result="ok", reason="") == 1
    bucket = "prober_layer_duration_seconds_bucket"
    assert watched.value(bucket, layer="dns", le="0.0001") == 1, "an upper bound is part of its bucket"
    assert watched.value(bucket, layer="tcp", le="0.0025") == 0
    assert watched.value(bucket, layer="tcp", le="0.005") == 1
    assert watched.value(bucket, layer="tcp", le="+Inf") == 1
    assert watched.value("prober_layer_duration_seconds_sum", layer="tcp") == 0.003
    assert watched.value("prober_run_duration_seconds_count", result="ok") == 1
    assert watched.value("prober_run_duration_seconds_count", result="failed") == 0


def test_echoes_are_counted_by_cells_of_kind_icmp_alone() -> None:
    ping = named(Kind.ICMP, "icmp", "ping/web/pod")
    watched = Watched(TCP, ping)
    assert watched.value("prober_icmp_requests_total", ping) == 0
    assert watched.value("prober_icmp_requests_total", TCP) is None
    watched.fire(good_run(ping, evidence={Layer.ICMP: {"sent": 5, "received": 4}}))
    watched.fire(failed_run(ping, Layer.ICMP, Reason.NOT_PERMITTED))
    assert watched.value("prober_icmp_requests_total", ping) == 5
    assert watched.value("prober_icmp_replies_total", ping) == 4


def test_a_failed_layer_is_counted_and_leaves_no_latency() -> None:
    watched = Watched(HTTPS)
    watched.fire(failed_run(HTTPS, Layer.TLS, Reason.EXPIRED))
    assert watched.value("prober_up", HTTPS) == 0
    assert watched.value("prober_layer_results_total", HTTPS, layer="tls", result="failed", reason="expired") == 1
    above = {"layer": "http", "result": "skipped", "reason": "skipped_below"}
    assert watched.value("prober_layer_results_total", HTTPS, **above) == 1
    counts = [
        watched.value("prober_layer_duration_seconds_count", HTTPS, layer=layer) for layer in ("tcp", "tls", "http")
    ]
    assert counts == [1, 0, 0]
    assert watched.value("prober_run_duration_seconds_count", HTTPS, result="failed") == 1


def test_a_layer_over_its_budget_has_failed_and_its_time_belongs_to_the_latencies() -> None:
    watched = Watched(TCP)
    watched.fire(failed_run(TCP, Layer.TCP, Reason.OVER_BUDGET, seconds=0.2))
    assert watched.value("prober_layer_results_total", layer="tcp", result="failed", reason="over_budget") == 1
    assert watched.value("prober_layer_duration_seconds_sum", layer="tcp") == 0.2


def test_a_literal_address_skips_dns() -> None:
    watched = Watched(TCP)
    watched.fire(literal_run(TCP))
    assert watched.value("prober_layer_results_total", layer="dns", result="skipped", reason="literal") == 1
    assert watched.value("prober_layer_duration_seconds_count", layer="dns") == 0
    assert watched.value("prober_up") == 1


@pytest.mark.parametrize("reason", [Reason.INTERNAL, Reason.CANCELLED])
def test_what_fails_through_the_prober_itself_counts_against_nobody(reason: Reason) -> None:
    watched = Watched(TCP)
    watched.fire(good_run(TCP))
    watched.fire(failed_run(TCP, Layer.TCP, reason))
    assert watched.value("prober_up") == 1
    assert [watched.value("prober_runs_total", result=r) for r in ("ok", "failed", "internal")] == [1, 0, 1]
    assert watched.value("prober_layer_results_total", layer="tcp", result="failed", reason=reason.value) == 1
    assert watched.value("prober_run_duration_seconds_count", result="failed") == 0
    assert watched.verdict(f"tcp_{reason}", Layer.TCP) is None


def test_a_reason_that_the_layer_does_not_have_is_our_bug_and_is_counted_as_such() -> None:
    watched = Watched(TCP)
    watched.fire(failed_run(TCP, Layer.TCP, Reason.EXPIRED))
    assert watched.value("prober_layer_results_total", layer="tcp", result="failed", reason="internal") == 1


def test_a_cell_with_several_addresses_is_up_only_if_all_of_them_are() -> None:
    watched = Watched(TCP)
    watched.fire(good_run(TCP), failed_run(TCP, Layer.TCP, Reason.REFUSED))
    assert watched.value("prober_up") == 0
    assert [watched.value("prober_runs_total", result=result) for result in ("ok", "failed")] == [1, 1]
    watched.fire(good_run(TCP), good_run(TCP))
    assert watched.value("prober_up") == 1


def test_http_phases_are_observed_where_the_layer_held() -> None:
    watched = Watched(HTTPS)
    phases = {"request": 0.0002, "first_byte": 0.02, "transfer": 0.001}
    watched.fire(good_run(HTTPS, phases=phases))
    watched.fire(replace(failed_run(HTTPS, Layer.HTTP, Reason.STATUS), phases=phases))
    sums = {
        phase: watched.value("prober_http_phase_duration_seconds_sum", HTTPS, phase=phase)
        for phase in ("request", "first_byte", "upstream", "network", "transfer")
    }
    assert sums == {**phases, "upstream": 0.0, "network": 0.0}
    assert watched.value("prober_http_phase_duration_seconds_count", HTTPS, phase="upstream") == 0


def test_the_certificates_expiry_is_there_once_known_and_stays_when_verification_fails() -> None:
    name = "prober_tls_certificate_expiry_timestamp_seconds"
    watched = Watched(HTTPS)
    assert watched.value(name, HTTPS) is None
    first, second = ({Layer.TLS: {"not_after_timestamp": when}} for when in (1.8e9, 1.7e9))
    watched.fire(good_run(HTTPS, evidence=first), good_run(HTTPS, evidence=second))
    assert watched.value(name, HTTPS) == 1.7e9, "of several addresses the first to expire"
    watched.fire(failed_run(HTTPS, Layer.TCP, Reason.TIMEOUT))
    assert watched.value(name, HTTPS) == 1.7e9
    expired = failed_run(HTTPS, Layer.TLS, Reason.EXPIRED)
    outcomes = tuple(
        replace(o, evidence={"not_after_timestamp": 1.6e9}) if o.layer is Layer.TLS else o for o in expired.outcomes
    )
    watched.fire(replace(expired, outcomes=outcomes))
    assert watched.value(name, HTTPS) == 1.6e9


def test_a_name_servers_certificate_expires_too() -> None:
    watched = Watched(DNS)
    watched.fire(good_run(DNS, evidence={Layer.DNS: {"tls": {"not_after_timestamp": 1.8e9}}}))
    assert watched.value("prober_tls_certificate_expiry_timestamp_seconds", DNS) == 1.8e9
    watched.fire(good_run(DNS, evidence={Layer.DNS: {"tls": {}}}))
    assert watched.value("prober_tls_certificate_expiry_timestamp_seconds", DNS) == 1.8e9


def test_lookups_are_shared_by_the_paths_of_a_probe_to_a_target() -> None:
    other = replace(TCP, path="pod")
    watched = Watched(TCP, other)
    watched.fire(good_run(TCP, evidence={Layer.DNS: {"queries": 8, "wasted_seconds": 0.25}}))
    watched.fire(good_run(other, evidence={Layer.DNS: {"queries": 2, "wasted_seconds": 0.5}}))
    assert watched.shared("prober_dns_queries_per_lookup") == 2
    assert watched.shared("prober_dns_search_waste_seconds_total") == 0.75
    watched.metrics.set_cells([other])
    assert watched.shared("prober_dns_search_waste_seconds_total") == 0.75, "one of its cells is still there"
    watched.metrics.set_cells([replace(other, interval=1.0)])
    assert watched.shared("prober_dns_search_waste_seconds_total") == 0
    watched.metrics.set_cells([])
    assert watched.shared("prober_dns_search_waste_seconds_total") is None


def test_one_lookup_for_many_addresses_is_one_lookup() -> None:
    watched = Watched(TCP)
    run = good_run(TCP, evidence={Layer.DNS: {"queries": 4, "wasted_seconds": 0.25}})
    watched.fire(run, run, run)
    assert watched.shared("prober_dns_search_waste_seconds_total") == 0.25


def test_a_verdict_is_there_as_long_as_one_cell_says_it() -> None:
    other = replace(TCP, family=Family.IPV6)
    watched = Watched(TCP, other)
    watched.fire(failed_run(TCP, Layer.TCP, Reason.REFUSED))
    watched.fire(failed_run(other, Layer.TCP, Reason.REFUSED))
    assert watched.verdict("tcp_refused", Layer.TCP) == 1
    watched.fire(good_run(TCP))
    assert watched.verdict("tcp_refused", Layer.TCP) == 1
    watched.fire(failed_run(other, Layer.DNS, Reason.TIMEOUT))
    assert watched.verdict("tcp_refused", Layer.TCP) is None
    assert watched.verdict("dns_timeout", Layer.DNS) == 1
    watched.metrics.set_cells([TCP])
    assert watched.verdict("dns_timeout", Layer.DNS) is None


def test_a_reload_keeps_equal_cells_resets_changed_ones_and_forgets_the_rest() -> None:
    watched = Watched(TCP, HTTPS)
    watched.fire(good_run(TCP))
    watched.fire(good_run(HTTPS))
    equal = replace(TCP)
    assert equal is not TCP
    watched.metrics.set_cells([equal, replace(HTTPS, timeout=1.0)])
    assert watched.value("prober_runs_total", result="ok") == 1
    assert watched.value("prober_runs_total", HTTPS, result="ok") == 0
    watched.metrics.set_cells([HTTPS])
    assert watched.value("prober_runs_total", result="ok") is None
    names = [sample.labels for metric in watched.registry.collect() for sample in metric.samples]
    assert not any(labels.get("path") == "service" for labels in names)


def test_accounts_made_ahead_of_a_reload_are_those_of_the_new_cells_alone() -> None:
    watched = Watched(TCP, HTTPS)
    watched.fire(good_run(TCP))
    watched.fire(good_run(HTTPS))
    slower = replace(HTTPS, interval=99.0)
    assert len(list(watched.metrics.prepare([TCP, slower]))) == 1
    assert watched.value("prober_runs_total", HTTPS, result="ok") == 1  # nothing has changed yet
    watched.metrics.set_cells([TCP, slower])
    assert watched.value("prober_runs_total", TCP, result="ok") == 1
    assert watched.value("prober_runs_total", slower, result="ok") == 0
    list(watched.metrics.prepare([TCP, HTTPS]))
    watched.metrics.set_cells([TCP, slower])  # another matrix came into force after all
    watched.fire(good_run(slower))
    assert watched.value("prober_runs_total", slower, result="ok") == 1


def test_a_run_of_a_cell_that_has_left_or_changed_is_not_counted() -> None:
    watched = Watched(replace(TCP, timeout=1.0))
    watched.fire(good_run(TCP))
    watched.fire(good_run(HTTPS))
    watched.metrics.record(TCP, ())
    assert watched.value("prober_runs_total", result="ok") == 0
    assert watched.value("prober_runs_total", HTTPS, result="ok") is None


def test_evidence_that_is_no_number_is_left_alone() -> None:
    watched = Watched(TCP)
    run = good_run(TCP)
    odd = (Outcome(Layer.DNS, Result.OK, 0.001, None, {"queries": "many"}), *run.outcomes[1:])
    watched.fire(replace(run, outcomes=odd))
    assert watched.shared("prober_dns_queries_per_lookup") == 0
