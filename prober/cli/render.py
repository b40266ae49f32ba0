"""What `prober try` shows: the waterfalls of one URL, the joint verdict, and the lines that prove it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prober.cli.screen import DIM, SIGNS, Screen
from prober.cli.waterfall import FAMILY_NAMES, waterfall
from prober.diagnosis.run import explain
from prober.export.reproduce import reproduce
from prober.model import Blame, Run, Vantage, Verdict
from prober.reasons import Layer, Reason, Result
from prober.units import human_seconds

#: From this ratio on, and this many seconds, one family counts as slower than the other.
_SLOWER, _NOTICEABLE = 1.5, 0.001


def absent(runs: Sequence[Run]) -> list[Run]:
    """Runs of a family in which the name has no address, while another family holds: a fact rather than a failure."""
    if not any(run.ok for run in runs):
        return []
    return [run for run in runs if run.blame == Blame(Layer.DNS, Reason.NO_DATA)]


def show(screen: Screen, url: str, runs: Sequence[Run], vantage: Vantage, calm: Sequence[Run] = ()) -> None:
    """Print everything about the climbs of `url`; those in `calm` without alarm (see `absent`)."""
    kind = runs[0].cell.kind
    screen.line((url, "bold"), (f"  {kind} from {vantage.name}", DIM))
    screen.line()
    for text in waterfall(screen, runs, calm):
        screen.show(text)
    screen.line()
    _verdict(screen, [run for run in runs if run not in calm], calm)
    screen.line()
    for line in dict.fromkeys(reproduce(run) for run in runs if run not in calm):
        screen.line(("$ ", DIM), (line, "cyan"))


def _verdict(screen: Screen, runs: Sequence[Run], calm: Sequence[Run]) -> None:
    held = [run for run in runs if run.ok]
    failed = [run for run in runs if not run.ok]
    for verdict, same in _grouped(failed):
        fail = "fails" if len(same) == 1 else "fail"
        head = f"{_families(same)} {fail} at {verdict.layer} ({verdict.reason})."
        sign = SIGNS[Result.FAILED]
        screen.paragraph(sign, f"{head} {verdict.says}", indent=0, label_width=2, label_style="bold red", style="bold")
        tell(screen, verdict)
    notes = [_absence(run) for run in calm]
    if held:
        sentence = " ".join([_holds(held), *notes])
        style, sign = "" if failed else "bold", SIGNS[Result.OK]
        screen.paragraph(sign, sentence, indent=0, label_width=2, label_style="bold green", style=style)


def tell(screen: Screen, verdict: Verdict) -> None:
    """What a verdict rules out, and what it tells to check."""
    for number, proof in enumerate(verdict.ruled_out):
        screen.paragraph("ruled out" if number == 0 else "", proof)
    screen.paragraph("next", verdict.next_check)


def _grouped(failed: Sequence[Run]) -> Iterator[tuple[Verdict, list[Run]]]:
    """Failed runs with the verdict of the first of them; those that fail alike together."""
    groups: dict[str, tuple[Verdict, list[Run]]] = {}
    for run in failed:
        verdict = explain(run)
        if verdict is not None:
            groups.setdefault(f"{verdict.code}/{verdict.layer}", (verdict, []))[1].append(run)
    yield from groups.values()


def _families(runs: Sequence[Run]) -> str:
    names = list(dict.fromkeys(FAMILY_NAMES[run.cell.family] for run in runs))
    return "Both families" if len(names) == 2 else names[0]


def _holds(held: Sequence[Run]) -> str:
    times = ", ".join(f"{FAMILY_NAMES[run.cell.family]} in {human_seconds(run.seconds)}" for run in held)
    if len(held) == 1:
        return f"{FAMILY_NAMES[held[0].cell.family]} holds, in {human_seconds(held[0].seconds)}."
    return f"Both families hold: {times}.{_difference(held)}"


def _difference(held: Sequence[Run]) -> str:
    """In which layer the slower family loses most, if it is slower by much."""
    fast, slow = sorted(held, key=lambda run: run.seconds)[:2]
    if slow.seconds < fast.seconds * _SLOWER or slow.seconds - fast.seconds < _NOTICEABLE:
        return ""
    lost = {o.layer: (o.seconds or 0.0) - _seconds(fast, o.layer) for o in slow.outcomes}
    layer = max(lost, key=lambda each: lost[each])
    more = human_seconds(slow.seconds - fast.seconds)
    return f" {FAMILY_NAMES[slow.cell.family]} takes {more} longer, most of it in {layer}."


def _seconds(run: Run, layer: Layer) -> float:
    outcome = run.outcome(layer)
    return (outcome.seconds or 0.0) if outcome is not None else 0.0


def _absence(run: Run) -> str:
    host = run.cell.endpoint.first_hop[0]
    record = "AAAA" if FAMILY_NAMES[run.cell.family] == "IPv6" else "A"
    return f"{FAMILY_NAMES[run.cell.family]} is not offered: {host} has no {record} record."
