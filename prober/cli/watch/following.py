"""Following an upgrade: asking the probers, looking at the nodes, judging block after block."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import isfinite, log
from typing import Final

from prober.baseline.groups import LEAST_HOURS
from prober.baseline.rolling import Member, NotKnown, Reading, Rolling
from prober.baseline.values import BLOCK, BLOCKS, HOUR
from prober.cli.baseline.moments import told
from prober.cli.configured import UsageError
from prober.cli.watch.picture import Picture
from prober.cli.watch.sides import Choice, Moved, Pins, Side, Sides
from prober.cli.watch.vantages import Answer, Probers, Silent
from prober.kubernetes.api import ApiAccess
from prober.kubernetes.nodes import Cluster, NodeInfo
from prober.kubernetes.nodesets import NodesUnknown
from prober.kubernetes.traits import describe

#: Blocks of an hour without which it has no shift of its own.
_FEW: Final = BLOCKS // 2
#: Names that a note lists.
_LISTED: Final = 4
#: Hours before the change from which the intervals hold what they promise.
_GOOD: Final = 24
#: The ratio from which a difference may be larger than it is told: of one block twice as slow is the most.
_LARGE: Final = 1.9


class CannotFollow(Exception):
    """Nobody to ask, or too little was measured; the text says what to do, for people."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is followed, and how. Times are Unix seconds, spans seconds."""

    change: str
    choice: Choice
    probers: Probers
    access: ApiAccess | None
    since: float
    history: float
    """How much before it is learned from."""
    grace: float
    """How long after its end a block waits for probers that are late with it."""
    clock: Callable[[], float]


class Following:
    """What is known so far. `begin`, then `poll` as often as is wished."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._sides, self._pins = Sides(), Pins()
        self._cluster = Cluster()
        self._waiting: dict[int, dict[Member, Reading]] = defaultdict(dict)
        self._begun: dict[str, Answer] = {}
        self._last: dict[str, int] = {}
        self._block: int | None = None
        self._rolling: Rolling | None = None
        self._notes: list[str] = []

    async def begin(self) -> Picture:
        """Learn from what was before the change, and judge what came since. CannotFollow. UsageError."""
        plan = self._plan
        answers, silent = await plan.probers.ask(plan.since - plan.history, plan.clock())
        if not answers:
            told_why = "".join(f"\n  {one.url}: {one.why}" for one in silent)
            raise CannotFollow(f"no prober answers{told_why}" if silent else "there is no prober to ask")
        _refuse_namesakes(answers)
        self._begun = {one.origin.vantage: replace(one, blocks={}) for one in answers}
        moved = await self._look(answers, first=True)
        self._learn(answers)
        return self._went_on(answers, silent, moved)

    async def poll(self) -> Picture:
        """Ask and look again, and judge what is new."""
        since = self._plan.since if self._block is None else self._block + BLOCK
        answers, silent = await self._plan.probers.ask(since, self._plan.clock())
        moved = await self._look(answers)
        return self._went_on(answers, silent, moved)

    async def _look(self, answers: Sequence[Answer], *, first: bool = False) -> list[Moved]:
        """At the nodes. Where Kubernetes says nothing they are taken to be as they were, but for the first time."""
        self._notes = []
        try:
            found = await self._plan.choice.look(self._known(answers), self._plan.access)
        except NodesUnknown as error:
            if first:
                raise CannotFollow(str(error)) from error
            self._notes.append(f"the nodes are taken to be as they were: {error}")
            return self._sides.see(self._plan.clock(), self._plan.choice.sides(self._cluster))
        if first and (slips := self._plan.choice.mistaken(found)):
            raise UsageError("\n".join(f"prober: {says}" for says in slips))
        self._cluster = self._pins.hold(found)
        return self._sides.see(self._plan.clock(), self._plan.choice.sides(self._cluster))

    def _known(self, answers: Iterable[Answer]) -> list[NodeInfo]:
        """What probers say of their nodes; where nobody else tells, a node whose prober is silent is as it was."""
        before = self._cluster.nodes if self._plan.access is None else ()
        known = {node.name: node for node in before}
        for answer in answers:
            for member in answer.members:
                known.setdefault(member.node, NodeInfo(member.node))
        for answer in answers:
            where = answer.origin
            known[answer.node] = NodeInfo.told(answer.node, where.zone, where.region, where.about)
        return list(known.values())

    def _learn(self, answers: Sequence[Answer]) -> None:
        try:
            self._rolling = Rolling(_hourly(answers, self._plan.since))
        except NotKnown as error:
            raise CannotFollow(self._too_little(str(error), answers)) from error

    def _too_little(self, says: str, answers: Sequence[Answer]) -> str:
        since = self._plan.since
        if not any(answer.baselines for answer in answers):
            return (
                f"{says}: no prober that answers has a baseline. Record one (prober baseline record --label …), wait "
                f"for {LEAST_HOURS} h, then begin the change"
            )
        return (
            f"{says}: how restless the difference of the two sides is cannot be told. The changes began at "
            f"{told(since)}: let the probers measure for {LEAST_HOURS} h before, or if it is done already, compare "
            f"what was before with what came after (prober baseline compare --at …)"
        )

    def _went_on(self, answers: Sequence[Answer], silent: Sequence[Silent], moved: Sequence[Moved]) -> Picture:
        for answer in self._unchanged(answers):
            self._last[answer.origin.vantage] = max(answer.blocks, default=0)
            for start in answer.blocks:
                if start >= self._plan.since and (self._block is None or start > self._block):
                    self._waiting[start] |= answer.readings(start)
        rolling = self._rolling
        if rolling is None:
            raise RuntimeError("`begin` comes first")
        for start in self._ready():
            changed, control = self._sides.during(start, start + BLOCK)
            rolling.end_block(start, self._waiting.pop(start), changed, control)
            self._block = start
        return self._picture(rolling, silent, moved)

    def _unchanged(self, answers: Iterable[Answer]) -> Iterator[Answer]:
        """Those that are where they were, held against the same baselines as at the beginning: all else is a step."""
        for answer in answers:
            vantage = answer.origin.vantage
            before = self._begun.get(vantage)
            if before is None:
                self._notes.append(f"{vantage} answers only now, and is left out: begin anew to take it in")
            elif answer.node != before.node:
                self._notes.append(f"{vantage} runs on {answer.node} since, and is left out: begin anew to take it in")
            elif before.baselines and set(answer.baselines) - set(before.baselines):
                self._notes.append(f"{vantage} has another baseline since, and is left out: begin anew to take it in")
            else:
                yield answer

    def _ready(self) -> list[int]:
        """Blocks that are over, in the order of time: all probers told theirs, or had the time to."""
        now, heard = self._plan.clock(), min(self._last.values(), default=0)
        ready = []
        for start in sorted(self._waiting):
            if start > heard and now < start + BLOCK + self._plan.grace:
                break
            ready.append(start)
        return ready

    def _picture(self, rolling: Rolling, silent: Sequence[Silent], moved: Sequence[Moved]) -> Picture:
        changed, control = self._sides.now(Side.CHANGED), self._sides.now(Side.CONTROL)
        infos = {node.name: node for node in self._cluster.nodes}
        notes = (*self._notes, *self._about_nodes(rolling), *_about_figures(rolling), *_silent(silent))
        return Picture(
            self._plan.change, self._plan.since, self._plan.clock(), self._block, changed, control,
            describe([infos[one] for one in changed if one in infos], [infos[one] for one in control if one in infos]),
            rolling.standings(), tuple(moved), notes,
        )  # fmt: skip

    def _about_nodes(self, rolling: Rolling) -> Iterator[str]:
        changed, control = self._sides.now(Side.CHANGED), self._sides.now(Side.CONTROL)
        if self._pins.waiting and not changed:
            yield "the roll-out has not begun: every node has the newest revision of the DaemonSet"
        elif not changed:
            yield "no node is changed yet"
        if not control:
            yield "no node is left as control: the difference is that from before the last one changed"
        if both := self._sides.now(Side.BOTH):
            yield f"on both sides, and so counted on neither: {_listed(both)}"
        if neither := self._sides.now(Side.NEITHER):
            yield f"on neither side: {_listed(neither)}"
        measured = {member.node for member in rolling.members}
        if mute := (changed | control) - measured:
            yield f"not measured, for no prober is there: {_listed(mute)}"
        if late := rolling.left_out:
            series = f"{len(late)} series" if len(late) > 1 else "a series"
            yield f"left out for less than {LEAST_HOURS} h of shifts before the change: {series}"


def _about_figures(rolling: Rolling) -> Iterator[str]:
    if rolling.hours < _GOOD:
        yield f"only {rolling.hours} h were measured before the change: the intervals are narrower than they should be"
    sizes = [
        one.difference.change for one in rolling.standings() if one.found is not None and one.difference is not None
    ]
    if any(abs(log(size)) > log(_LARGE) for size in sizes):
        yield "twice as slow is the most that is told here, it may be more: prober baseline compare tells it"


def _refuse_namesakes(answers: Sequence[Answer]) -> None:
    nodes: dict[str, str] = {}
    for answer in answers:
        other = nodes.setdefault(answer.origin.vantage, answer.node)
        if other != answer.node:
            raise UsageError(
                f"prober: two probers call themselves {answer.origin.vantage!r}, on {other} and on {answer.node}: give "
                "each a name of its own (PROBER_VANTAGE)"
            )


def _hourly(answers: Iterable[Answer], until: float) -> dict[Member, dict[int, float]]:
    """The mean shift of each hour before `until` of each series, where half of its blocks or more are there."""
    found = {}
    for answer in answers:
        told: list[dict[int, list[float]]] = [{} for _ in answer.members]
        for start, block in answer.blocks.items():
            if start + BLOCK <= until:
                hour = start // HOUR * HOUR
                for place, one in zip(*block, strict=True):
                    if isfinite(one.shift):
                        told[place].setdefault(hour, []).append(one.shift)
        for member, hours in zip(answer.members, told, strict=True):
            found[member] = {at: sum(few) / len(few) for at, few in hours.items() if len(few) >= _FEW}
    return found


def _silent(silent: Sequence[Silent]) -> Iterator[str]:
    for one in silent[:_LISTED]:
        yield f"no answer from {one.url}: {one.why}"
    if len(silent) > _LISTED:
        yield f"no answer from {len(silent) - _LISTED} more"


def _listed(names: Iterable[str]) -> str:
    several = sorted(names)
    more = f" and {len(several) - _LISTED} more" if len(several) > _LISTED else ""
    return f"{', '.join(several[:_LISTED])}{more}"
