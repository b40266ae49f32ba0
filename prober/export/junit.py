"""Runs as JUnit XML, for the test reports of CI systems. Pure.

A run is a test case, a probe a suite. A target's failure is a `failure`, ours an `error`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from prober.diagnosis.run import explain
from prober.export.reproduce import reproduce
from prober.model import Run, Vantage
from prober.units import host_port

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0 section 2.2


def junit(runs: Sequence[Run], vantage: Vantage) -> str:
    """One document for `runs`, in their order."""
    root = Element("testsuites", _counts(runs) | {"name": "prober"})
    for probe, group in groupby(runs, key=lambda run: run.cell.probe):
        suite = list(group)
        node = SubElement(root, "testsuite", {"name": probe, "hostname": vantage.name} | _counts(suite))
        for run in suite:
            _case(node, run)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode")


def _counts(runs: Iterable[Run]) -> dict[str, str]:
    every = list(runs)
    errors = sum(run.ours for run in every)
    failures = sum(not run.ok for run in every) - errors
    seconds = sum(run.seconds for run in every)
    return {"tests": str(len(every)), "failures": str(failures), "errors": str(errors), "time": f"{seconds:.6f}"}


def _case(suite: Element, run: Run) -> None:
    cell = run.cell
    where = f" {host_port(run.address, run.port)}" if run.address and run.port else ""
    case = SubElement(suite, "testcase", {
        "classname": f"{cell.probe}.{cell.target}", "name": f"{cell.path} {cell.family}{where}",
        "time": f"{run.seconds:.6f}",
    })  # fmt: skip
    verdict = explain(run)
    if verdict is None:
        return
    kind = "error" if run.ours else "failure"
    node = SubElement(case, kind, {"type": f"{verdict.layer}.{verdict.reason}", "message": _clean(verdict.says)})
    outcome = run.outcome(verdict.layer)
    evidence = json.dumps(outcome.evidence if outcome is not None else {}, ensure_ascii=False)
    ruled_out = "\n".join(f"ruled out: {proof}" for proof in verdict.ruled_out)
    text = f"{verdict.says}\n{ruled_out}\nnext: {verdict.next_check}\nby hand: {reproduce(run)}\nevidence: {evidence}\n"
    node.text = _clean(text)


def _clean(text: str) -> str:
    """Without the characters that XML cannot carry."""
    return _NOT_XML.sub("\ufffd", text)
