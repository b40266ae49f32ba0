"""One run: climb the ladder of one cell. The only place with deadlines, and the place where nothing raises."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import perf_counter

from prober.engine.deadline import Deadline
from prober.engine.judge import judge
from prober.engine.redirects import Chain
from prober.layers.base import Ascent, Failed, Kit, Skipped
from prober.layers.rungs import rung_of
from prober.model import Blame, Cell, Outcome, Run
from prober.reasons import Layer, Reason, Result
from prober.redact import redact
from prober.wire.losses import NOTICEABLE

log = logging.getLogger(__name__)
#: Our own bugs that were logged: (layer, exception type, line).
_logged: set[tuple[Layer, type, int]] = set()


@dataclass(slots=True)
class _Climb:
    """A climb under way: what it has, when it began (monotonic and wall), until when it may go on (the loop's clock),
    what each layer did so far."""

    ascent: Ascent
    began: float
    started_at: datetime
    until: float
    outcomes: list[Outcome]

    @classmethod
    def begin(cls, cell: Cell, kit: Kit) -> _Climb:
        until = asyncio.get_running_loop().time() + cell.timeout
        return cls(Ascent(cell, kit, until), perf_counter(), datetime.now(UTC), until, [])

    def fork(self, address: str, port: int) -> _Climb:
        """The same climb so far, going on to one of several addresses."""
        ascent = Ascent(self.ascent.cell, self.ascent.kit, self.until)
        fork = _Climb(ascent, self.began, self.started_at, self.until, list(self.outcomes))
        fork.ascent.hidden = dict(self.ascent.hidden)
        fork.ascent.address, fork.ascent.port = address, port
        return fork


async def climb(
    cell: Cell, kit: Kit, *, turn: int = 0, found: Sequence[tuple[str, int]] | None = None
) -> tuple[Run, ...]:
    """Climb `cell` once: one run, or one per address where the path says `addresses: all`.

    `turn` rotates over the addresses of a name from run to run. `found` gives (address, port) pairs from
    elsewhere (EndpointSlices) and takes the place of the dns rung. Never raises, cancellation aside.
    """
    state = _Climb.begin(cell, kit)
    rungs = cell.ladder
    with Deadline(state.until) as deadline:
        if rungs[0] is Layer.DNS and len(rungs) > 1:
            rungs = rungs[1:]
            if found is None:
                await _step(state, Layer.DNS, deadline)
            else:
                state.outcomes.append(_from_endpoints(len(found)))
            if state.outcomes[-1].result is Result.FAILED:
                return (_finish(state, rungs),)
        targets = _targets(state, turn, found)
        if len(targets) < 2:
            if targets:
                state.ascent.address, state.ascent.port = targets[0]
            return (await _climb_on(state, rungs, deadline),)
    return tuple(await asyncio.gather(*(_climb_fork(state.fork(*target), rungs) for target in targets)))


def _targets(state: _Climb, turn: int, found: Sequence[tuple[str, int]] | None) -> Sequence[tuple[str, int]]:
    """Where to climb on: every address, or of those of a name the one whose turn it is."""
    if found is not None:
        return found
    addresses, port = state.ascent.addresses, state.ascent.port
    if len(addresses) > 1 and state.ascent.cell.endpoint.addresses == "one":
        addresses = [addresses[turn % len(addresses)]]
    return [(address, port) for address in addresses]


def _from_endpoints(ready: int) -> Outcome:
    """The dns rung of a path that takes its addresses from EndpointSlices."""
    if ready:
        return Outcome(Layer.DNS, Result.SKIPPED, None, Reason.LITERAL, {"endpoints": ready})
    return Outcome(Layer.DNS, Result.FAILED, 0.0, Reason.NO_DATA, {"endpoints": 0})


async def _climb_fork(state: _Climb, rungs: Sequence[Layer]) -> Run:
    """Climb on to one of several addresses, in a task of its own."""
    with Deadline(state.until) as deadline:
        return await _climb_on(state, rungs, deadline)


async def _climb_on(state: _Climb, rungs: Sequence[Layer], deadline: Deadline) -> Run:
    """Climb `rungs`, and then wherever the answer sends us, each time from the bottom and all under one deadline."""
    run = await _ladder(state, rungs, deadline)
    if state.ascent.onward is None:
        return run
    chain, latest = Chain(state.ascent.cell), state
    while (onward := latest.ascent.onward) is not None:
        ascent = latest.ascent
        cell = chain.next(onward, (ascent.address or "", ascent.port), ascent.hidden)
        if cell is None:
            break
        latest = _Climb(Ascent(cell, ascent.kit, state.until), perf_counter(), datetime.now(UTC), state.until, [])
        latest.ascent.hidden = dict(ascent.hidden)
        chain.hops.append(await _hop(latest, deadline))
    state.outcomes[-1] = chain.judged(state.outcomes[-1])
    return replace(_finish(state, (), sum(hop.seconds for hop in chain.hops)), hops=tuple(chain.hops))


async def _hop(state: _Climb, deadline: Deadline) -> Run:
    """Climb the whole ladder of a redirect's URL, at the first of its addresses."""
    dns, *rungs = state.ascent.cell.ladder
    await _step(state, dns, deadline)
    if state.outcomes[-1].result is Result.FAILED:
        return _finish(state, rungs)
    state.ascent.address = next(iter(state.ascent.addresses), None)
    return await _ladder(state, rungs, deadline)


async def _ladder(state: _Climb, rungs: Sequence[Layer], deadline: Deadline) -> Run:
    """Climb `rungs` in order until one does not hold, then close what was opened."""
    try:
        for position, layer in enumerate(rungs, 1):
            await _step(state, layer, deadline)
            if state.outcomes[-1].result is Result.FAILED:
                return _finish(state, rungs[position:])
        return _finish(state, ())
    finally:
        state.ascent.close()


async def _step(state: _Climb, layer: Layer, deadline: Deadline) -> None:
    """Run one rung under the climb's deadline and append its outcome."""
    ascent = state.ascent
    ascent.begin_rung()
    result, reason = Result.OK, None
    began = perf_counter()
    try:
        if deadline.passed:
            raise TimeoutError
        await rung_of(ascent.cell.kind, layer)(ascent)
    except (TimeoutError, asyncio.CancelledError) as error:
        if isinstance(error, asyncio.CancelledError) and not deadline.caused():
            raise
        result, reason = Result.FAILED, Reason.TIMEOUT
        ascent.forget_time()
    except Failed as failure:
        result, reason = Result.FAILED, failure.reason
        if failure.detail:
            ascent.evidence["detail"] = failure.detail
    except Skipped as skip:
        result, reason = Result.SKIPPED, skip.reason
    except Exception as error:  # noqa: BLE001 - our own bug: it becomes an outcome, the schedule goes on
        _log_once(layer, ascent.cell, error)
        result, reason = Result.FAILED, Reason.INTERNAL
        ascent.evidence["detail"] = f"{type(error).__name__}: {error}"
    took = None if result is Result.SKIPPED else _timed(ascent, perf_counter() - began)
    if took is not None and took > NOTICEABLE and ascent.lost is not None:
        ascent.evidence |= ascent.lost.since(waiting=reason is Reason.TIMEOUT)
    state.outcomes.append(Outcome(layer, result, took, reason, redact(ascent.evidence, ascent.hidden)))


def _timed(ascent: Ascent, whole: float) -> float:
    """The rung's seconds, at most the `whole` that it took here. The evidence tells the clock, and what was local where
    that can be told apart."""
    ascent.evidence["clock"] = ascent.clock
    if ascent.seconds is None or ascent.waited is None:
        return whole
    ascent.evidence["local_seconds"] = round(max(0.0, whole - ascent.waited), 6)
    return min(ascent.seconds, whole)


def _log_once(layer: Layer, cell: Cell, error: Exception) -> None:
    """The traceback of our own bug, the first time it shows at this place in the code: not at every run."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = (layer, type(error), trace.tb_lineno if trace is not None else 0)
    if place not in _logged:
        _logged.add(place)
        log.error("internal error in layer %s of %s (logged once)", layer, cell.id, exc_info=error)


def _finish(state: _Climb, above: Sequence[Layer], later: float = 0.0) -> Run:
    """The run, with the rungs `above` the last one climbed marked as skipped; its redirects took `later` seconds."""
    cell, ascent = state.ascent.cell, state.ascent
    skipped = (Outcome(layer, Result.SKIPPED, None, Reason.SKIPPED_BELOW) for layer in above)
    outcomes, ok, blame = judge(cell, (*state.outcomes, *skipped), later)
    reached = ascent.port if ascent.address is not None else None
    return Run(cell, state.started_at, perf_counter() - state.began, outcomes, ok, blame, ascent.address, reached,
               ascent.phases)  # fmt: skip


def internal(cell: Cell, detail: str) -> Run:
    """The run of a climb that could not even begin through a fault of our own."""
    first, *above = cell.ladder
    outcomes = (
        Outcome(first, Result.FAILED, 0.0, Reason.INTERNAL, {"detail": detail}),
        *(Outcome(layer, Result.SKIPPED, None, Reason.SKIPPED_BELOW) for layer in above),
    )
    return Run(cell, datetime.now(UTC), 0.0, outcomes, False, Blame(first, Reason.INTERNAL))
