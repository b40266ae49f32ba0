"""One climb, over rungs made for the test: deadline, skips, addresses, times, and what our own bugs become."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

import prober.engine.climb as engine
from prober.engine.climb import climb, internal
from prober.layers.base import Ascent, Failed, Kit, Rung, Skipped
from prober.model import Blame, Cell, Run, ServiceRef
from prober.reasons import Kind, Layer, Reason, Result
from tests.support.cells import facts, make_cell

DNS, TCP, HTTP = Layer.DNS, Layer.TCP, Layer.HTTP


class Connection:
    """A stream that only knows whether it was closed."""

    def __init__(self) -> None:
        self.closed = False

    async def receive(self, _max_bytes: int = 65536) -> bytes:
        return b""

    async def send(self, _data: bytes) -> None: ...

    def close(self) -> None:
        self.closed = True


async def hold(_: Ascent) -> None: ...


def names(*addresses: str) -> Rung:
    async def resolve(ascent: Ascent) -> None:
        ascent.addresses = list(addresses)

    return resolve


def failing(error: Exception) -> Rung:
    async def fail(ascent: Ascent) -> None:
        ascent.evidence["seen"] = "this much"
        raise error

    return fail


async def literal(ascent: Ascent) -> None:
    ascent.address = "192.0.2.1"
    raise Skipped(Reason.LITERAL)


async def never(ascent: Ascent) -> None:
    ascent.evidence["seen"] = "this much"
    await asyncio.Event().wait()


@pytest.fixture
def rungs(monkeypatch: pytest.MonkeyPatch) -> dict[Layer, Rung]:
    """The rungs that climbs use, in place of the real ones."""
    table: dict[Layer, Rung] = {DNS: names("192.0.2.1"), TCP: hold, HTTP: hold}
    monkeypatch.setattr(engine, "rung_of", lambda _kind, layer: table[layer])
    monkeypatch.setattr(engine, "_logged", set())
    return table


def cell(**more: Any) -> Cell:
    return make_cell(Kind.HTTP, "http", "web.app", **more)


async def one(cell: Cell, **more: Any) -> Run:
    (run,) = await climb(cell, Kit(), **more)
    return run


def results(run: Run) -> Mapping[Layer, tuple[Result, Reason | None]]:
    return {o.layer: (o.result, o.reason) for o in run.outcomes}


async def test_a_climb_that_holds_has_every_rung_in_the_ladders_order(rungs: dict[Layer, Rung]) -> None:
    run = await one(cell())
    assert [o.layer for o in run.outcomes] == [DNS, TCP, HTTP]
    assert all(o.result is Result.OK for o in run.outcomes)
    assert (run.ok, run.blame, run.address, run.port) == (True, None, "192.0.2.1", 80)


async def test_rungs_above_a_failed_one_are_skipped_and_the_failed_one_keeps_time_and_evidence(
    rungs: dict[Layer, Rung],
) -> None:
    rungs[TCP] = failing(Failed(Reason.REFUSED, "by whom"))
    run = await one(cell())
    assert results(run) == {
        DNS: (Result.OK, None),
        TCP: (Result.FAILED, Reason.REFUSED),
        HTTP: (Result.SKIPPED, Reason.SKIPPED_BELOW),
    }
    tcp, http = run.outcomes[1:]
    assert facts(tcp) == {"seen": "this much", "detail": "by whom"}
    assert tcp.seconds is not None
    assert http.seconds is None
    assert run.blame == Blame(TCP, Reason.REFUSED)


@pytest.mark.parametrize("slow", [DNS, TCP, HTTP])
async def test_the_deadline_holds_for_the_whole_climb(rungs: dict[Layer, Rung], slow: Layer) -> None:
    rungs[slow] = never
    run = await asyncio.wait_for(one(cell(timeout=0.1)), 5)
    assert run.blame == Blame(slow, Reason.TIMEOUT)
    outcome = run.outcome(slow)
    assert outcome is not None
    assert outcome.evidence["seen"] == "this much"
    assert outcome.seconds is not None
    assert 0.05 < outcome.seconds < run.seconds
    assert run.seconds >= 0.1


async def test_time_that_one_rung_used_is_missing_to_the_next(rungs: dict[Layer, Rung]) -> None:
    async def half(_: Ascent) -> None:
        await asyncio.sleep(0.1)

    rungs[TCP], rungs[HTTP] = half, never
    run = await one(cell(timeout=0.2))
    assert run.blame == Blame(HTTP, Reason.TIMEOUT)
    assert run.seconds < 1


async def test_a_literal_address_skips_dns_and_climbs_on(rungs: dict[Layer, Rung]) -> None:
    rungs[DNS] = literal
    run = await one(cell())
    assert results(run)[DNS] == (Result.SKIPPED, Reason.LITERAL)
    assert (run.ok, run.address, run.outcomes[0].seconds) == (True, "192.0.2.1", None)


async def test_addresses_all_makes_a_run_for_each(rungs: dict[Layer, Rung]) -> None:
    rungs[DNS] = names("192.0.2.1", "192.0.2.2", "192.0.2.3")
    runs = await climb(cell(addresses="all"), Kit())
    assert [run.address for run in runs] == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    assert all(run.outcomes[0] == runs[0].outcomes[0] for run in runs), "they share one lookup"


async def test_addresses_one_rotates_with_the_turn(rungs: dict[Layer, Rung]) -> None:
    rungs[DNS] = names("192.0.2.1", "192.0.2.2")
    seen = [(await one(cell(), turn=turn)).address for turn in range(4)]
    assert seen == ["192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.2"]


async def test_endpoints_found_elsewhere_take_the_place_of_dns(rungs: dict[Layer, Rung]) -> None:
    rungs[DNS] = failing(AssertionError("not asked"))
    ref = ServiceRef("app", "web", 80)
    runs = await climb(cell(service=ref), Kit(), found=[("192.0.2.8", 8080), ("192.0.2.9", 8081)])
    assert [(run.address, run.port) for run in runs] == [("192.0.2.8", 8080), ("192.0.2.9", 8081)]
    assert results(runs[0])[DNS] == (Result.SKIPPED, Reason.LITERAL)
    run = await one(cell(service=ref), found=[])
    assert run.blame == Blame(DNS, Reason.NO_DATA)


async def test_a_rung_that_raises_becomes_internal_and_is_nobodys_fault(
    rungs: dict[Layer, Rung], caplog: pytest.LogCaptureFixture
) -> None:
    rungs[TCP] = failing(ZeroDivisionError("a bug of ours"))
    run = await one(cell())
    assert run.blame == Blame(TCP, Reason.INTERNAL)
    assert run.ours
    assert run.outcomes[1].evidence["detail"] == "ZeroDivisionError: a bug of ours"
    assert "internal error in layer tcp" in caplog.text


async def test_cancellation_goes_through_and_closes_the_connection(rungs: dict[Layer, Rung]) -> None:
    connection, reached = Connection(), asyncio.Event()

    async def connect(ascent: Ascent) -> None:
        ascent.stream = connection
        reached.set()

    rungs[TCP], rungs[HTTP] = connect, never
    task = asyncio.create_task(climb(cell(), Kit()))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert connection.closed


async def test_layer_times_add_up_to_the_runs_total(rungs: dict[Layer, Rung]) -> None:
    async def nap(_: Ascent) -> None:
        await asyncio.sleep(0.02)

    rungs[TCP] = rungs[HTTP] = nap
    for _ in range(3):  # a busy machine may put a pause between two rungs: one quiet climb is enough
        run = await one(cell())
        layers = sum(o.seconds or 0.0 for o in run.outcomes)
        assert layers <= run.seconds
        if run.seconds - layers < 0.005:
            return
    pytest.fail(f"{run.seconds - layers} s lie between the layers")


async def test_a_rung_that_knows_its_time_better_is_believed(rungs: dict[Layer, Rung]) -> None:
    async def connect(ascent: Ascent) -> None:
        ascent.took(1e-9, kernel=True)

    rungs[TCP] = connect
    outcome = (await one(cell())).outcomes[1]
    assert (outcome.seconds, outcome.evidence["clock"]) == (1e-9, "kernel")
    assert 0 <= outcome.evidence["local_seconds"] < 1


async def test_a_rung_takes_no_longer_than_the_stopwatch_around_it(rungs: dict[Layer, Rung]) -> None:
    async def connect(ascent: Ascent) -> None:
        ascent.took(60.0, kernel=True)

    rungs[TCP] = connect
    run = await one(cell())
    assert (run.outcomes[1].seconds or 60) <= run.seconds
    assert run.outcomes[1].evidence["local_seconds"] == 0


async def test_hidden_values_do_not_reach_the_evidence(rungs: dict[Layer, Rung]) -> None:
    async def leak(ascent: Ascent) -> None:
        ascent.hide("hunter2hunter2", "${PASSWORD}")
        ascent.evidence["sent"] = "password=hunter2hunter2"

    rungs[HTTP] = leak
    assert facts((await one(cell())).outcomes[2]) == {"sent": "password=${PASSWORD}"}


def test_a_climb_that_could_not_begin_is_internal_at_the_first_layer() -> None:
    run = internal(cell(), "why")
    assert run.blame == Blame(DNS, Reason.INTERNAL)
    assert run.ours
    assert [o.result for o in run.outcomes] == [Result.FAILED, Result.SKIPPED, Result.SKIPPED]
    assert run.outcomes[0].evidence == {"detail": "why"}
