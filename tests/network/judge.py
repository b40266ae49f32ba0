"""Runs as the letters of a signature, held against what a fault has to show. Pure: dictionaries in, sentences out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from prober.reasons import Family, Kind, Layer, Reason
from tests.network.lab.faults.fault import KINDS, Fault
from tests.network.lab.probes import THROUGH

Run = Mapping[str, Any]
"""One line of `prober once -o ndjson`."""

_REFUSED = frozenset({(Layer.TCP, Reason.REFUSED), (Layer.TCP, Reason.REJECTED)})
_AT_CONNECT = frozenset({Reason.UNREACHABLE, Reason.PROHIBITED, Reason.NO_LOCAL_PORT, Reason.NOT_PERMITTED})
#: The rung that a kind is about. What breaks below it blocks it.
_OWN = {Kind.TLS: Layer.TLS, Kind.HTTP: Layer.HTTP, Kind.GRPC: Layer.GRPC}
#: Paths with a front end between the vantage and the application: what breaks behind it, it says in words of its own.
BEHIND_FRONTS = frozenset(THROUGH)
FRONTS_WORDS = frozenset({(Layer.HTTP, Reason.STATUS), (Layer.GRPC, Reason.UNAVAILABLE), (Layer.GRPC, Reason.STATUS),
                          (Layer.GRPC, Reason.TIMEOUT), (Layer.PROXY, Reason.PROXY_FAILED),
                          (Layer.PROXY, Reason.TIMEOUT), (Layer.HTTP, Reason.STREAM_RESET),
                          (Layer.GRPC, Reason.STREAM_RESET)})  # fmt: skip
#: Paths on which somebody else chooses the family of a part of the way.
EITHER_FAMILY = frozenset({"named", "proxied"})


def blame_of(run: Run) -> tuple[Layer, Reason] | None:
    """Whom the run blames."""
    blame = run["blame"]
    return None if blame is None else (Layer(blame["layer"]), Reason(blame["reason"]))


def letter(run: Run) -> str:
    """The letter of one run."""
    if run["ok"]:
        return "+"
    blame = blame_of(run)
    assert blame is not None, run
    layer, reason = blame
    if reason is Reason.OVER_BUDGET:
        return "S"
    if layer is not _OWN.get(Kind(run["kind"]), layer):
        return "b"
    if reason is Reason.TIMEOUT:
        return "T"
    if blame in _REFUSED:
        return "R"
    return "U" if reason in _AT_CONNECT else "X"


def combined(letters: Iterable[str]) -> str:
    """The letter of a kind from those of its runs; several that all fail, but not alike, stand side by side."""
    seen = sorted(set(letters))
    if len(seen) == 1:
        return seen[0]
    return "P" if "+" in seen else "".join(seen)


def family_of(run: Run) -> Family:
    """The family of a run's packets."""
    return Family(run["family"])


def on_path(runs: Sequence[Run], kind: Kind, path: str, family: Family) -> list[Run]:
    """The runs of `kind` by which a fault on `path` is judged: those on this path, or where it has none, to the Pod.

    There is one way to the name server and to the API server: the Service.
    """
    found = [run for run in runs if run["kind"] == kind and family_of(run) is family and run["path"] != "named"]
    if kind in (Kind.DNS, Kind.KUBERNETES):
        return found
    return [run for run in found if run["path"] == path] or [run for run in found if run["path"] == "pod"]


def signature(runs: Sequence[Run], path: str, family: Family) -> str:
    """What each kind saw."""
    letters = [combined(map(letter, on_path(runs, kind, path, family))) for kind in KINDS]
    return (" " if any(len(each) > 1 for each in letters) else "").join(letters)


def complaints(fault: Fault, runs: Sequence[Run], family: Family, switched: Sequence[Family]) -> Iterator[str]:
    """What is not as it has to be: a wrong signature, a wrong blame, an alarm where nothing is wrong."""
    if (seen := signature(runs, fault.path, family)) != fault.signature:
        yield f"signature {seen}, not {fault.signature}"
    expected = {(layer, reason) for layer, reasons in fault.blame.items() for reason in reasons}
    judged = [run for kind in KINDS for run in on_path(runs, kind, fault.path, family)]
    for run in judged:
        if not run["ok"] and blame_of(run) not in expected:
            yield f"{named(run)} blames {_said(run)}, not one of {_listed(expected)}"
    for run in runs:
        if run["ok"] or run in judged:
            continue
        if fault.per_family and family_of(run) not in switched and run["path"] not in EITHER_FAMILY:
            yield f"{named(run)} fails in the family without the fault: {_said(run)}"
        elif blame_of(run) not in expected | _elsewhere(fault, run["path"]):
            yield f"{named(run)} raises another alarm: {_said(run)}"


def _elsewhere(fault: Fault, path: str) -> frozenset[tuple[Layer, Reason]]:
    """What cells of `path` may blame beside what the fault is."""
    if path in BEHIND_FRONTS:
        return FRONTS_WORDS
    if path != "named":
        return frozenset()
    # a search list takes its time: what slows or loses single replies can be the end of a whole lookup
    slow = {(Layer.DNS, Reason.TIMEOUT)} if Layer.DNS in fault.blame else set()
    return frozenset(slow) | {(layer, reason) for layer, reasons in fault.by_name.items() for reason in reasons}


def named(run: Run) -> str:
    """The cell of a run."""
    return f"{run['probe']}/{run['target']}/{run['path']}/{run['family']}"


def _said(run: Run) -> str:
    blame = blame_of(run)
    if blame is None:
        return "nobody"
    evidence = next(each["evidence"] for each in run["layers"] if each["layer"] == blame[0])
    return f"{' '.join(blame)} {evidence}"


def _listed(expected: Iterable[tuple[Layer, Reason]]) -> str:
    return ", ".join(sorted(" ".join(each) for each in expected)) or "nothing"


def complaints_of_health(runs: Sequence[Run]) -> Iterator[str]:
    """Whoever fails though nothing is wrong."""
    for run in runs:
        if not run["ok"]:
            yield f"{named(run)} fails: {_said(run)}"
