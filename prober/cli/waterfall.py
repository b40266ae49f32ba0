"""The waterfall of a run: a bar for each layer where its time lay, all runs on one scale."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.text import Text

from prober.cli.highlights import highlights
from prober.cli.screen import DIM, LAYER_STYLES, RESULT_STYLES, SIGNS, Part, Screen
from prober.model import Outcome, Run
from prober.reasons import Family, Reason, Result
from prober.units import host_port, human_seconds

FAMILY_NAMES = {Family.IPV4: "IPv4", Family.IPV6: "IPv6"}
_LEFT = 11  # "  ✓ proxy  "
_TIME = 8


@dataclass(frozen=True, slots=True)
class _Scale:
    """`seconds` fill `columns`; a line has `width` columns in all."""

    seconds: float
    columns: int
    width: int

    def bar(self, begin: float, seconds: float) -> str:
        """`columns` characters, filled from `begin` on for `seconds`, in halves; at least half a column is."""
        if self.seconds <= 0:
            return " " * self.columns
        halves = self.columns * 2
        first = min(round(begin / self.seconds * halves), halves - 1)
        last = min(halves, max(first + 1, round((begin + seconds) / self.seconds * halves)))
        filled = [first <= half < last for half in range(halves)]
        shapes = {(True, True): "█", (True, False): "▌", (False, True): "▐", (False, False): " "}
        return "".join(shapes[filled[i], filled[i + 1]] for i in range(0, halves, 2))


def waterfall(screen: Screen, runs: Sequence[Run], calm: Sequence[Run] = ()) -> Iterator[Text]:
    """The lines of all `runs`, one block for each, on the scale of the longest; the failures of `calm` are no alarm."""
    columns = min(60, max(20, round(screen.width * 0.34)))
    scale = _Scale(max((_busy(each) for run in runs for each in (run, *run.hops)), default=0.0), columns, screen.width)
    for number, run in enumerate(runs):
        if number:
            yield Text()
        quiet = any(run is one for one in calm)
        yield from _block(screen, run, scale, quiet=quiet)
        for hop in run.hops:
            yield screen.text(("  ↪ ", DIM), (hop.cell.endpoint.shown, DIM), room=screen.width)
            yield from _block(screen, hop, scale, quiet=quiet)


def _block(screen: Screen, run: Run, scale: _Scale, *, quiet: bool) -> Iterator[Text]:
    """The lines of one climb."""
    yield screen.text(*_head(run, scale, quiet=quiet))
    begin = 0.0
    for outcome in run.outcomes:
        if not (quiet and outcome.result is Result.SKIPPED):
            yield screen.text(*_row(run, outcome, begin, scale, quiet=quiet), room=screen.width)
        begin += outcome.seconds or 0.0


def _busy(run: Run) -> float:
    return sum(outcome.seconds or 0.0 for outcome in run.outcomes)


def _head(run: Run, scale: _Scale, *, quiet: bool) -> list[Part]:
    """Family and address, and the whole run's time above the times of the layers."""
    where = "" if run.address is None else host_port(run.address, run.port) if run.port else run.address
    result = Result.OK if run.ok else Result.SKIPPED if quiet else Result.FAILED
    name, total = f"{FAMILY_NAMES[run.cell.family]}  ", human_seconds(run.seconds)
    room = _LEFT + scale.columns + 1 + _TIME - 2 - len(name) - len(total)
    shown = f"{where[: room - 1]:<{room}}"
    return [(f"{SIGNS[result]} ", RESULT_STYLES[result]), (name, "bold"), (shown, ""), (total, "bold")]


def _row(run: Run, outcome: Outcome, begin: float, scale: _Scale, *, quiet: bool) -> list[Part]:
    """Sign, layer, bar, time, reason and facts of one layer."""
    failed, skipped = outcome.result is Result.FAILED, outcome.result is Result.SKIPPED
    seen = Result.SKIPPED if quiet and failed else outcome.result
    style = "bold yellow" if outcome.reason is Reason.OVER_BUDGET else RESULT_STYLES[seen]
    dim = DIM if skipped else ""
    bar = " " * scale.columns if skipped else scale.bar(begin, outcome.seconds or 0.0)
    took = "" if outcome.seconds is None else human_seconds(outcome.seconds)
    row = [
        (f"  {SIGNS[seen]} ", style),
        (f"{outcome.layer:<7}", dim),
        (bar, style if failed else LAYER_STYLES[outcome.layer]),
        (f" {took:>{_TIME}}  ", ""),
    ]
    facts = [(fact, dim) for fact in highlights(run, outcome)]
    if failed and outcome.reason is not None:
        facts.insert(0, (outcome.reason.value, style))
    return row + _fitting(facts, scale.width - sum(len(text) for text, _ in row))


def _fitting(facts: Sequence[Part], room: int) -> list[Part]:
    """As many whole facts as fit into `room` columns, and always the first."""
    fitting: list[Part] = []
    for fact in facts:
        room -= len(fact[0]) + (3 if fitting else 0)
        if fitting and room < 0:
            break
        fitting += [(" · ", DIM), fact] if fitting else [fact]
    return fitting
