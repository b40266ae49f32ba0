"""Runs as JUnit XML, for the test reports of CI systems. Pure.

The runs of a cell (one by default) are a test case, a probe is a suite. A target's failure is a `failure`, ours an
`error`; a case fails with its first run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import groupby
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from prober.diagnosis.run import explain
from prober.export.repeats import Repeats
from prober.export.reproduce import reproduce
from prober.model import Run, Vantage, Verdict
from prober.units import host_port

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0 section 2.2


def junit(cases: Sequence[Repeats], vantage: Vantage) -> str:
    """One document for `cases`, in their order."""
    root = Element("testsuites", _counts(cases) | {"name": "prober"})
    for probe, group in groupby(cases, key=lambda each: each.cell.probe):
        suite = list(group)
        node = SubElement(root, "testsuite", {"name": probe, "hostname": vantage.name} | _counts(suite))
        for case in suite:
            _case(node, case)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode")


def _counts(cases: Sequence[Repeats]) -> dict[str, str]:
    errors = sum(_is_error(case) for case in cases)
    failures = sum(bool(case.failed) for case in cases) - errors
    seconds = sum(_seconds(case) for case in cases)
    return {"tests": str(len(cases)), "failures": str(failures), "errors": str(errors), "time": f"{seconds:.6f}"}


def _is_error(case: Repeats) -> bool:
    """It failed, and through nothing but the prober itself."""
    return bool(case.failed) and all(run.ours for run in case.failed)


def _seconds(case: Repeats) -> float:
    return sum(run.seconds for run in case.runs)


def _case(suite: Element, case: Repeats) -> None:
    cell, first = case.cell, case.runs[0]
    where = f" {host_port(first.address, first.port)}" if first.address and first.port and not case.places() else ""
    node = SubElement(suite, "testcase", {
        "classname": f"{cell.probe}.{cell.target}", "name": f"{cell.path} {cell.family}{where}",
        "time": f"{_seconds(case):.6f}",
    })  # fmt: skip
    causes = [(run, times, verdict) for run, times in case.causes() if (verdict := explain(run)) is not None]
    if not causes:
        return
    verdict = causes[0][2]
    share = "" if len(case.runs) == 1 else f"{len(case.failed)} of {len(case.runs)} runs failed: "
    failure = SubElement(node, "error" if _is_error(case) else "failure", {
        "type": f"{verdict.layer}.{verdict.reason}", "message": _clean(f"{share}{verdict.says}"),
    })  # fmt: skip
    texts = [_told(run, verdict, "" if not share else f"{times} of {len(case.runs)} runs: ")
             for run, times, verdict in causes]  # fmt: skip
    failure.text = _clean("\n".join([*texts, *_places(case)]))


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
