"""Runs as JUnit XML, for the test reports of CI systems. Pure.

The runs of a cell (one by default) are a test case, a probe is a suite. A target's failure is a `failure`, ours an
`error`; a case fails with its first run. Advice is a `failure` too, unless the caller is lenient: then `skipped`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import groupby
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from prober.diagnosis.beside import Together
from prober.export.repeats import Repeats
from prober.export.reproduce import reproduce
from prober.model import Run, Vantage, Verdict
from prober.units import host_port

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0 section 2.2


def junit(cases: Sequence[Repeats], vantage: Vantage, *, lenient: bool = False) -> str:
    """One document for `cases`, in their order. `lenient`: a case with nothing but advice has not failed."""
    together = Together(run for case in cases for run in case.runs)
    told = [_Case(case, together, lenient) for case in cases]
    root = Element("testsuites", _counts(told) | {"name": "prober"})
    for probe, group in groupby(told, key=lambda each: each.runs.cell.probe):
        suite = list(group)
        node = SubElement(root, "testsuite", {"name": probe, "hostname": vantage.name} | _counts(suite))
        for case in suite:
            _write(node, case)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode")


class _Case:
    """The runs of one test case, its causes (the first run of each, how many had it, its verdict), and what it came to:
    `failure`, `error`, `skipped`, or "" if all is well."""

    def __init__(self, runs: Repeats, together: Together, lenient: bool) -> None:
        self.runs = runs
        self.causes = [
            (run, times, verdict) for run, times in runs.causes() if (verdict := together.explain(run)) is not None
        ]
        self.seconds = sum(run.seconds for run in runs.runs)
        self.came_to = "failure" if self.causes else ""
        if self.causes and all(run.ours for run in runs.failed):
            self.came_to = "error"
        elif self.causes and lenient and all(verdict.advisory for _, _, verdict in self.causes):
            self.came_to = "skipped"


def _counts(cases: Sequence[_Case]) -> dict[str, str]:
    came_to = [case.came_to for case in cases]
    counts = {"tests": len(cases), "failures": came_to.count("failure"), "errors": came_to.count("error")}
    if skipped := came_to.count("skipped"):
        counts["skipped"] = skipped
    seconds = sum(case.seconds for case in cases)
    return {name: str(count) for name, count in counts.items()} | {"time": f"{seconds:.6f}"}


def _write(suite: Element, case: _Case) -> None:
    runs = case.runs
    cell, first = runs.cell, runs.runs[0]
    where = f" {host_port(first.address, first.port)}" if first.address and first.port and not runs.places() else ""
    node = SubElement(suite, "testcase", {
        "classname": f"{cell.probe}.{cell.target}", "name": f"{cell.path} {cell.family}{where}",
        "time": f"{case.seconds:.6f}",
    })  # fmt: skip
    if not case.came_to:
        return
    verdict = case.causes[0][2]
    share = "" if len(runs.runs) == 1 else f"{len(runs.failed)} of {len(runs.runs)} runs failed: "
    result = SubElement(node, case.came_to, {
        "type": f"{verdict.layer}.{verdict.reason}", "message": _clean(f"{share}{verdict.says}"),
    })  # fmt: skip
    texts = [_told(run, verdict, "" if not share else f"{times} of {len(runs.runs)} runs: ")
             for run, times, verdict in case.causes]  # fmt: skip
    result.text = _clean("\n".join([*texts, *_places(runs)]))


def _told(run: Run, verdict: Verdict, share: str) -> str:
    """All that is known of one cause of a case's failure."""
    outcome = run.outcome(verdict.layer)
    evidence = json.dumps(outcome.evidence if outcome is not None else {}, ensure_ascii=False)
    ruled_out = "\n".join(f"ruled out: {proof}" for proof in verdict.ruled_out)
    return (
        f"{share}{verdict.says}\n{ruled_out}\nnext: {verdict.next_check}\n"
        f"by hand: {reproduce(run)}\nevidence: {evidence}\n"
    )


def _places(case: Repeats) -> list[str]:
    """The addresses that were climbed to, where there were several, as the last line of a failure."""
    places = case.places()
    return [f"climbed to: {', '.join(places)}\n"] if places else []


def _clean(text: str) -> str:
    """Without the characters that XML cannot carry."""
    return _NOT_XML.sub("\ufffd", text)
