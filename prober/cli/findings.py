"""What `prober explain` tells of one cell, from a climb of our own or from the API of a running prober."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prober.cli.asking import NoAnswer, Refused, address_of, ask
from prober.cli.climbing import climb_all
from prober.cli.configured import UsageError, cells_of, only
from prober.config.words import suggest
from prober.diagnosis.beside import Together
from prober.export.runs import run_as_dict
from prober.kubernetes.vantage import find_vantage
from prober.model import Cell, Run, Verdict
from prober.reasons import Layer, Reason
from prober.units import human_span

#: Seconds to wait for the API.
TIMEOUT = 10.0
_LONGEST_EVIDENCE = 600
_FOR_MACHINES = frozenset({"not_after_timestamp", "detail", "clock", "local_seconds"})

__all__ = ["TIMEOUT", "Finding", "UsageError", "climbed", "fetched"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One cell as people want it told. `known` is False before its first run."""

    id: str
    known: bool
    failed: bool
    since: str = ""
    layer: str = ""
    """The layer to blame."""
    evidence: str = ""
    verdict: Verdict | None = None
    reproduce: str = ""

    @property
    def advisory(self) -> bool:
        """It fails, but harms nobody."""
        return self.failed and self.verdict is not None and self.verdict.advisory


async def climbed(path: Path, target: str | None) -> list[Finding]:
    """The cells of the configuration in `path`, each climbed once. UsageError for a bad configuration or target."""
    cells = only(cells_of(path, find_vantage()), "target", [target] if target else [])
    runs: list[Run] = []

    def keep(_cell: Cell, new: tuple[Run, ...]) -> None:
        runs.extend(new)

    await climb_all(cells, done=keep)
    order = {cell.id: number for number, cell in enumerate(cells)}
    together = Together(runs)
    return [_of_run(run, together.explain(run)) for run in sorted(runs, key=lambda run: order[run.cell.id])]


def _of_run(run: Run, verdict: Verdict | None) -> Finding:
    return _finding(run.cell.id, run_as_dict(run, None), failed=not run.ok, since="", verdict=verdict)


def fetched(url: str, target: str | None) -> list[Finding]:
    """The cells of the prober that runs at `url`. UsageError where none answers, or it knows no such target."""
    cells = _ask(url)
    known = dict.fromkeys(str(cell["labels"]["target"]) for cell in cells)
    if target is not None and target not in known:
        raise UsageError(f"prober: no target {target!r} there{suggest(target, known)}")
    return [_of_cell(cell) for cell in cells if target in (None, cell["labels"]["target"])]


def _ask(url: str) -> Sequence[Mapping[str, Any]]:
    path = "/api/v1/cells"
    try:
        cells: Sequence[Mapping[str, Any]] = json.loads(ask(url, path, timeout=TIMEOUT))["cells"]
    except (NoAnswer, Refused, KeyError, TypeError, ValueError) as error:
        why = error.why if isinstance(error, NoAnswer) else error
        raise UsageError(
            f"prober: no prober answers at {address_of(url, path)}: {why}\n(-c FILE climbs the cells from here)"
        ) from None
    return cells


def _of_cell(cell: Mapping[str, Any]) -> Finding:
    run, verdict = cell.get("latest"), cell.get("verdict")
    if run is None:
        return Finding(cell["id"], known=False, failed=False)
    since = _since(cell.get("since"), cell.get("streak"))
    told = _verdict(verdict) if isinstance(verdict, Mapping) else None
    return _finding(cell["id"], run, failed=cell["state"] == "failed", since=since, verdict=told)


def _verdict(told: Mapping[str, Any]) -> Verdict:
    return Verdict(
        told["code"], Layer(told["layer"]), Reason(told["reason"]), told["says"], tuple(told["ruled_out"]),
        told["next_check"], advisory=bool(told.get("advisory")),
    )  # fmt: skip


def _finding(cell_id: str, run: Mapping[str, Any], *, failed: bool, since: str, verdict: Verdict | None) -> Finding:
    blame = run.get("blame") or {}
    layer = str(blame.get("layer", ""))
    outcome = next((each for each in run["layers"] if each["layer"] == layer), None)
    evidence = ""
    if outcome is not None:
        evidence = " · ".join([str(outcome["reason"] or ""), *_flat(outcome["evidence"])])[:_LONGEST_EVIDENCE]
    return Finding(cell_id, True, failed, since, layer, evidence, verdict, str(run["reproduce"]) if failed else "")


def _flat(evidence: Mapping[str, Any]) -> list[str]:
    """`key value` of each entry that a person can read at a glance: nothing nested, nothing empty."""
    shown = []
    for key, value in evidence.items():
        if isinstance(value, list) and not any(isinstance(each, dict | list) for each in value):
            value = ", ".join(map(str, value))
        if value in (None, "") or isinstance(value, dict | list) or key in _FOR_MACHINES:
            continue
        shown.append(f"{key} {value}")
    return shown


def _since(moment: object, streak: object) -> str:
    """`2026-11-22T10:00:00Z (12 min, 48 runs)`."""
    if not isinstance(moment, str):
        return ""
    began = datetime.fromisoformat(moment)
    span = human_span(max(0.0, (datetime.now(UTC) - began).total_seconds()))
    return f"{began:%Y-%m-%dT%H:%M:%SZ} ({span}, {streak} run{'s' if streak != 1 else ''})"
