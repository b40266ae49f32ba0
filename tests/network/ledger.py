"""What the metrics of a cell must be, given every one of its runs: the books, to be compared with a scrape. Pure."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prober.reasons import OURS

#: A sample: its metric and the labels that are not those of the cell.
Key = tuple[str, frozenset[tuple[str, str]]]
CellName = tuple[str, str, str, str]
_OF_CELL = ("probe", "target", "path", "family")
_ELSEWHERE = ("vantage", "zone", "region")
_SAMPLE = re.compile(r"^(prober_\w+)\{(.*)\} (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
#: What is compared: whatever is counted of a cell.
_COUNTED = (
    "prober_runs_total", "prober_run_duration_seconds", "prober_layer_results_total", "prober_layer_duration_seconds",
    "prober_http_phase_duration_seconds", "prober_icmp_requests_total", "prober_icmp_replies_total",
)  # fmt: skip
#: The event log has its seconds to the microsecond.
_ROUNDED = 1e-6


def scraped(text: str) -> dict[CellName, dict[Key, float]]:
    """The counters and histograms of each cell in the text of a scrape."""
    found: dict[CellName, dict[Key, float]] = {}
    for name, written, value in _SAMPLE.findall(text):
        if name.startswith(_COUNTED):
            labels = dict(_LABEL.findall(written))
            cell: CellName = tuple(labels.pop(label) for label in _OF_CELL)  # type: ignore[assignment]  # four of them
            rest = frozenset((label, value) for label, value in labels.items() if label not in _ELSEWHERE)
            found.setdefault(cell, {})[name, rest] = float(value)
    return found


def name_of(run: Mapping[str, Any]) -> CellName:
    """The cell that this run is of."""
    return run["probe"], run["target"], run["path"], run["family"]


def total(samples: Mapping[Key, float], metric: str) -> float:
    """The sum of all samples of a metric."""
    return sum(value for (name, _), value in samples.items() if name == metric)


def differences(samples: Mapping[Key, float], runs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Where the samples of a cell are not exactly what its runs make; sums of seconds to a microsecond each."""
    counts, seconds = _books(runs)
    for key, value in samples.items():
        name, labels = key
        if name.endswith("_bucket"):
            if not _fits(value, dict(labels), seconds[name.removesuffix("_bucket"), _without_bound(labels)]):
                yield f"{name}{dict(labels)} is {value}"
        elif name.endswith("_sum"):
            spent = seconds[name.removesuffix("_sum"), labels]
            if not math.isclose(value, math.fsum(spent), abs_tol=_ROUNDED * (len(spent) + 1)):
                yield f"{name}{dict(labels)} is {value} rather than {math.fsum(spent)}"
        elif value != counts[key]:
            yield f"{name}{dict(labels)} is {value} rather than {counts[key]}"
    yield from (f"{key} is missing" for key in counts if key not in samples)


def _without_bound(labels: frozenset[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    return frozenset(label for label in labels if label[0] != "le")


def _fits(value: float, labels: Mapping[str, str], seconds: Sequence[float]) -> bool:
    """Whether a bucket holds these, which are rounded."""
    bound = float(labels["le"])
    least = sum(each <= bound - _ROUNDED for each in seconds)
    return least <= value <= sum(each <= bound + _ROUNDED for each in seconds)


class _Seconds(dict[Key, list[float]]):
    """Of each histogram the values that were put into it."""

    def __missing__(self, key: Key) -> list[float]:
        self[key] = []
        return self[key]


def _books(runs: Sequence[Mapping[str, Any]]) -> tuple[Counter[Key], _Seconds]:
    """What counters and the counts of histograms must be, and what went into each histogram."""
    counts: Counter[Key] = Counter()
    seconds = _Seconds()

    def observe(name: str, value: float, **labels: str) -> None:
        key = frozenset(labels.items())
        seconds[name, key].append(value)
        counts[f"{name}_count", key] += 1

    for run in runs:
        ours = run["blame"] is not None and run["blame"]["reason"] in OURS
        result = "internal" if ours else "ok" if run["ok"] else "failed"
        counts["prober_runs_total", frozenset({("result", result)})] += 1
        if not ours:
            observe("prober_run_duration_seconds", run["seconds"], result=result)
        for layer in run["layers"]:
            _count_layer(counts, layer)
            if layer["result"] == "ok" or layer["reason"] == "over_budget":
                observe("prober_layer_duration_seconds", layer["seconds"], layer=layer["layer"])
        for phase, took in run.get("phases", {}).items():
            if run["layers"][-1]["result"] == "ok":
                observe("prober_http_phase_duration_seconds", took, phase=phase)
    return counts, seconds


def _count_layer(counts: Counter[Key], layer: Mapping[str, Any]) -> None:
    labels = {"layer": layer["layer"], "result": layer["result"], "reason": layer["reason"] or ""}
    counts["prober_layer_results_total", frozenset(labels.items())] += 1
    if layer["layer"] == "icmp":
        counts["prober_icmp_requests_total", frozenset()] += layer["evidence"].get("sent", 0)
        counts["prober_icmp_replies_total", frozenset()] += layer["evidence"].get("received", 0)
