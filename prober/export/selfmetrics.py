"""What the prober says of itself: its schedule, its loop, its configuration, its process."""

from __future__ import annotations

import platform
from typing import Literal, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from prober import __version__
from prober.export.tally import Histograms
from prober.model import Run, Vantage
from prober.reasons import Layer

#: Why a run that was due did not take place.
Cause = Literal["overrun", "misfire", "saturated", "draining"]
#: Upper bounds of lags, in seconds.
LAG_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
#: Upper bounds of the local times of layers, in seconds.
LOCAL_BUCKETS = (0.0001, 0.00025, *LAG_BUCKETS)


class SelfMetrics:
    """The self metrics, in a registry of their own. `process=False` leaves out those of the process and the
    interpreter, which differ from scrape to scrape."""

    def __init__(self, vantage: Vantage, *, process: bool = True) -> None:
        # `_created` doubles the series, and tells no more than the start time of the process
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped
        self.registry = registry = CollectorRegistry()
        lag = Histograms("prober_schedule_lag_seconds", "Start of a run after its slot.", LAG_BUCKETS)
        registry.register(lag)
        self.lag = lag.of[""].add
        """A run began so many seconds after its slot."""
        missed = Counter("prober_runs_missed", "Runs that were due and did not start.", ["cause"], registry=registry)
        self._missed = {cause: missed.labels(cause) for cause in get_args(Cause)}
        self._loop_lag = Histogram(
            "prober_loop_lag_seconds", "Delay of a timer of the event loop.", buckets=LAG_BUCKETS, registry=registry
        )
        local = Histograms(
            "prober_layer_local_seconds", "Time of a layer that was the prober's own (loop, cryptography, parsing).",
            LOCAL_BUCKETS, "layer", [layer.value for layer in Layer])  # fmt: skip
        registry.register(local)
        self._local = {layer: local.of[layer].add for layer in Layer}
        self._in_flight = Gauge("prober_runs_in_flight", "Runs under way.", registry=registry)
        self._cells = Gauge("prober_cells", "Cells of the running configuration.", registry=registry)
        self._dropped = Counter(
            "prober_events_dropped", "Events that the event log could not write.", registry=registry
        )
        self._reload_ok = Gauge(
            "prober_config_last_reload_successful", "Whether the last (re)load of the configuration succeeded.",
            registry=registry)  # fmt: skip
        self._reload_at = Gauge(
            "prober_config_last_reload_success_timestamp_seconds", "When the running configuration was loaded.",
            registry=registry)  # fmt: skip
        self._hash = Gauge("prober_config_hash_info", "The running configuration.", ["hash"], registry=registry)
        Info("prober_build", "This build of the prober.", registry=registry).info(
            {"version": __version__, "python": platform.python_version()}
        )
        Info("prober_vantage", "Where the probes run.", registry=registry).info(_vantage_labels(vantage))
        if process:
            ProcessCollector(registry=registry)
            PlatformCollector(registry=registry)
            GCCollector(registry=registry)

    def missed(self, cause: Cause, n: int = 1) -> None:
        """`n` runs that were due did not start."""
        self._missed[cause].inc(n)

    def loop_lag(self, seconds: float) -> None:
        """A timer of the event loop came `seconds` late."""
        self._loop_lag.observe(seconds)

    def reloaded(self, ok: bool, hash: str, when_unix: float) -> None:  # noqa: A002 - the label's own name
        """A (re)load ended at `when_unix`. If it failed, hash and time stay those of the configuration that runs on."""
        self._reload_ok.set(int(ok))
        if ok:
            self._reload_at.set(when_unix)
            self._hash.clear()
            self._hash.labels(hash).set(1)

    def cells(self, n: int) -> None:
        """The running configuration has `n` cells."""
        self._cells.set(n)

    def events_dropped(self, n: int) -> None:
        """`n` more events were not written: the reader of the event log is slow or gone."""
        self._dropped.inc(n)

    def climbed(self, run: Run) -> None:
        """A run ended: what each of its layers cost beside the network's time."""
        for outcome in run.outcomes:
            seconds = outcome.evidence.get("local_seconds")
            if seconds is not None:
                self._local[outcome.layer](seconds)

    def in_flight(self, n: int) -> None:
        """`n` runs are under way."""
        self._in_flight.set(n)


def _vantage_labels(vantage: Vantage) -> dict[str, str]:
    known = {
        "vantage": vantage.name,
        "node": vantage.node,
        "zone": vantage.zone,
        "region": vantage.region,
        "pod": vantage.pod,
        "namespace": vantage.namespace,
    }
    return {name: value for name, value in known.items() if value}
