"""One run, or one verdict, as JSON-ready values: `-o ndjson`, the API and the event log share this form.

Pure. The keys, their order and their units (seconds) are a public contract: adding a key is a minor version.
"""

from __future__ import annotations

from prober.export.reproduce import reproduce
from prober.model import Outcome, Run, Vantage, Verdict
from prober.round_trips import trips_of
from prober.units import rfc3339


def run_as_dict(run: Run, vantage: Vantage | None) -> dict[str, object]:
    """`run` as one JSON object; `vantage` is null where it is not known.

    Times are seconds rounded to the microsecond, `started_at` is RFC 3339 in UTC. `phases` is there only where
    the http layer got far enough to have any, `hops` only where redirects were followed, a layer's `round_trips` where
    it held and they are known.
    """
    shown: dict[str, object] = {
        "probe": run.cell.probe,
        "kind": run.cell.kind.value,
        "target": run.cell.target,
        "path": run.cell.path,
        "family": run.cell.family.value,
        "vantage": None if vantage is None else _vantage(vantage),
        "started_at": rfc3339(run.started_at),
        "ok": run.ok,
        "seconds": round(run.seconds, 6),
        "address": run.address,
        "port": run.port,
        "blame": None if run.blame is None else {"layer": run.blame.layer.value, "reason": run.blame.reason.value},
        "layers": [_layer(run, outcome) for outcome in run.outcomes],
    }
    if run.phases:
        shown["phases"] = {name: round(seconds, 6) for name, seconds in run.phases.items()}
    if run.hops:
        shown["hops"] = [_hop(hop) for hop in run.hops]
    shown["reproduce"] = reproduce(run)
    return shown


def _hop(run: Run) -> dict[str, object]:
    """A climb that a redirect led to: `url` is shown without what must be hidden."""
    shown: dict[str, object] = {"url": run.cell.endpoint.shown}
    whole = run_as_dict(run, None)
    kept = ("started_at", "ok", "seconds", "address", "port", "blame", "layers", "phases")
    return shown | {key: whole[key] for key in kept if key in whole}


def verdict_as_dict(verdict: Verdict) -> dict[str, object]:
    """`verdict` as one JSON object."""
    return {
        "code": verdict.code,
        "layer": verdict.layer.value,
        "reason": verdict.reason.value,
        "says": verdict.says,
        "ruled_out": list(verdict.ruled_out),
        "next_check": verdict.next_check,
        "advisory": verdict.advisory,
    }


def _vantage(vantage: Vantage) -> dict[str, object]:
    return {"name": vantage.name, "node": vantage.node, "zone": vantage.zone, "region": vantage.region}


def _layer(run: Run, outcome: Outcome) -> dict[str, object]:
    shown: dict[str, object] = {
        "layer": outcome.layer.value,
        "result": outcome.result.value,
        "seconds": None if outcome.seconds is None else round(outcome.seconds, 6),
        "reason": None if outcome.reason is None else outcome.reason.value,
        "evidence": dict(outcome.evidence),
    }
    if (trips := trips_of(run, outcome)) is not None:
        shown["round_trips"] = trips.count
    return shown
