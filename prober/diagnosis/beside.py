"""What a failed run says beside the runs of its neighbours: is the target down, or is echo alone not answered? Pure.

Filtered echo is the one failure that harms nobody: many policies and clouds drop ICMP. So where echo fails and all
else at the same address holds, whichever target it belongs to, the verdict is advice and no alarm.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace

from prober.diagnosis.codes import Code
from prober.diagnosis.facts import Facts
from prober.diagnosis.row import Row
from prober.diagnosis.run import explain, hidden
from prober.model import Cell, Run, Verdict
from prober.reasons import Kind, Layer, Reason
from prober.units import host_port, human_seconds

#: Most neighbours that a verdict names.
_NAMED = 3

_NEXT = (
    "Nothing, if echo is meant to be dropped: leave this probe out, or climb tcp instead. Else look for the rule: a "
    "NetworkPolicy or host firewall that allows ports alone, a security group of the cloud, a limit on ICMP. Does it "
    "come and go (`prober once --count 20`), echoes are lost or limited rather than filtered."
)
_REJECTED = Row(
    Layer.ICMP, Reason.UNREACHABLE, Code.ICMP_FILTERED,
    "ICMP is filtered, the service works: {sender} rejects echo to {address}{icmp}, while all else there holds.", _NEXT,
)  # fmt: skip
#: By what the run says alone. What is not here says more than that echo is filtered: loss, a size, a missing right.
ADVICE = {
    Code.PING_SILENT: Row(
        Layer.ICMP, Reason.TIMEOUT, Code.ICMP_FILTERED,
        "ICMP is filtered, the service works: no echo reply from {address} within {took}, while all else there holds.",
        _NEXT,
    ),
    Code.PATH_PROHIBITED: Row(
        Layer.ICMP, Reason.PROHIBITED, Code.ICMP_FILTERED,
        "ICMP is filtered, the service works: {sender} prohibits echo to {address}{icmp}, while all else there holds.",
        _NEXT,
    ),
    Code.NO_ROUTE: _REJECTED,
    Code.PORT_REJECTED: _REJECTED,
    Code.NEIGHBOUR_MISSING: _REJECTED,
}  # fmt: skip


def explain_beside(run: Run, beside: Iterable[Run]) -> Verdict | None:
    """What `run` says, given other runs to its address and of its target; None if it is ok.

    Those `beside` it must not be older than the failure: they have to show what works in spite of it. They are looked
    at only where they may matter.
    """
    alone = explain(run)
    if alone is None or alone.layer is not Layer.ICMP or run.ours:
        return alone
    row = ADVICE.get(Code(alone.code))
    held = _what_holds(run, beside) if row is not None else ()
    if row is None or not held:
        return alone
    facts = Facts(run, Layer.ICMP)
    advice = replace(
        alone, code=row.code, says=row.says.format_map(facts), next_check=row.next_check, advisory=True,
        ruled_out=(*alone.ruled_out, *map(_proof, held[:_NAMED])),
    )  # fmt: skip
    return hidden(advice, run.cell)


def _what_holds(run: Run, beside: Iterable[Run]) -> Sequence[Run]:
    """The runs that were answered from the address that does not answer echo; none where something there is amiss."""
    held = []
    for other in beside:
        ours, there = _belongs_together(run.cell, other.cell), other.address == run.address
        if other is run or not (there or (ours and other.cell.path == run.cell.path)):
            continue
        if other.cell.kind is Kind.ICMP:
            if other.ok and there:
                return ()  # some echoes are answered: it is loss, or a size
        elif _lost_something(other) or not (other.ok or (not ours and _was_answered(other))):
            return ()
        elif there and _was_answered(other):
            held.append(other)
    return held


def _belongs_together(cell: Cell, other: Cell) -> bool:
    return cell.target == other.target and cell.family is other.family


def _was_answered(run: Run) -> bool:
    """Packets went to its address and came back, by another protocol than ICMP."""
    outcome = run.outcome(Layer.DNS if run.cell.kind is Kind.DNS else Layer.TCP)
    return outcome is not None and outcome.held


def _lost_something(run: Run) -> bool:
    """It holds, but only because TCP has sent something again: the path loses packets of every sort."""
    return any(outcome.evidence.get("retransmits") for outcome in run.outcomes)


def _proof(run: Run) -> str:
    """`HTTP to 10.0.0.1:80 (1.1 ms) holds.`"""
    where = host_port(run.address or "", run.port) if run.port else run.address
    layer = run.outcomes[-1].layer if run.ok else Layer.DNS if run.cell.kind is Kind.DNS else Layer.TCP
    return f"{layer.upper()} to {where} ({human_seconds(run.seconds)}) holds."


class Together:
    """Runs that were climbed at the same time: each is explained beside the others."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self._beside: dict[Hashable, list[Run]] = defaultdict(list)
        for run in runs:
            for key in _keys(run):
                self._beside[key].append(run)

    def explain(self, run: Run) -> Verdict | None:
        """What `run` says; None if it is ok."""
        return explain_beside(run, (other for key in _keys(run) for other in self._beside[key]))

    def advisory(self, run: Run) -> bool:
        """Whether `run` failed in a way that harms nobody."""
        verdict = self.explain(run)
        return verdict is not None and verdict.advisory


def _keys(run: Run) -> tuple[Hashable, ...]:
    """Two runs that share one may have something to say of each other."""
    target = (run.cell.target, run.cell.family)
    return (target,) if run.address is None else (target, run.address)
