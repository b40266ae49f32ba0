"""A comparison as JSON: seconds, ratios (1.18 is 18 % slower), RFC 3339. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from prober.baseline.compare import Row
from prober.cli.baseline.kept import finite
from prober.cli.baseline.notes import left_out, next_steps
from prober.cli.baseline.report import Report
from prober.cli.baseline.sentences import Sentence, climbing, improved, sentences
from prober.cli.baseline.sides import Side
from prober.units import rfc3339_at


def as_json(report: Report) -> dict[str, Any]:
    """All of it: every row of every kind, whatever was asked for."""
    comparison = report.comparison
    return {
        "before": _side(report.before),
        "after": _side(report.after),
        "regressed": comparison.regressed,
        "regressions": [_sentence(one) for one in sentences(comparison, report.origins)],
        "improvements": [_sentence(one) for one in improved(comparison, report.origins)],
        "layers": _rows(comparison.layers),
        "parts": {kind: _rows(rows) for kind, rows in comparison.parts.items()},
        "series": _rows(comparison.series),
        "left_out": left_out(report),
        "next": next_steps(report),
    }


def _side(side: Side) -> dict[str, Any]:
    return {
        "name": side.name,
        "recordings": [
            {
                "label": one.label,
                "version": one.version,
                "since": rfc3339_at(one.since),
                "until": rfc3339_at(one.until),
                "recorded_at": rfc3339_at(one.recorded_at),
                "origin": {**asdict(one.origin), "about": dict(one.origin.about)},
                "series": len(one.series),
            }
            for one in side.recordings
        ],
    }


def _sentence(one: Sentence) -> dict[str, Any]:
    since = None if one.onset is None else rfc3339_at(one.onset)
    apart = one.apart
    split = None if apart is None else {
        "says": apart.says,
        "also": list(apart.also),
        "vantages": [origin.vantage for origin in apart.some],
        "others": [origin.vantage for origin in apart.others],
    }  # fmt: skip
    return {"layer": one.layer, "verdict": one.finding.value, "says": one.told(""), "since": since, "apart": split}


def _rows(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [_row(row) for row in climbing(rows)]


def _row(row: Row) -> dict[str, Any]:
    fields = asdict(row)
    verdict = fields.pop("finding").value
    del fields["evidence"]  # of no scale that anybody else has
    if not row.labels:
        del fields["labels"]  # parts, and layers as a whole
    fields["onset"] = None if row.onset is None else rfc3339_at(row.onset)
    if row.slowest is not None:
        fields["slowest"] = {"hour": rfc3339_at(row.slowest[0]), "change": row.slowest[1]}
    return finite({**fields, "verdict": verdict})
