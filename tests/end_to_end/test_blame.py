"""Every fault of the lab, one at a time: the cells that must show it blame the right layer for the right reason, and
are good again in the first run after it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from prober.config.load import load
from prober.config.matrix import expand
from prober.engine.climb import climb
from prober.engine.endpoints import Endpoints
from prober.engine.warm import fill
from prober.kubernetes.api import ApiAccess
from prober.lab.faults import FAULTS, Fault
from prober.lab.process import LabProcess
from prober.layers.base import Kit
from prober.model import Cell, Run, Vantage
from prober.reasons import Kind, Reason, Result
from prober.round_trips import of_run

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Demo:
    """The lab in its own process, and the cells of its configuration."""

    lab: LabProcess
    cells: tuple[Cell, ...]
    kit: Kit
    endpoints: Endpoints

    async def climb(self, cell: Cell, *, good: bool = True) -> Run:
        """One run of `cell`; of a path with EndpointSlices, once the watch has told what makes it `good` or not."""
        async with asyncio.timeout(5):
            while True:
                (run,) = await climb(cell, self.kit, found=self.endpoints.of(cell))
                if cell.endpoint.service is None or run.ok is good:
                    return run
                await asyncio.sleep(0.01)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def demo() -> AsyncIterator[Demo]:
    lab, kit = await LabProcess.start(), Kit()
    endpoints = Endpoints(ApiAccess.of(lab.kubernetes))
    cells = expand(load(lab.config_path), Vantage("here"))
    endpoints.set_cells(cells)
    try:
        fill(kit, cells)
        await endpoints.start()
        yield Demo(lab, cells, kit, endpoints)
    finally:
        await endpoints.close()
        await kit.close()
        await lab.stop()


async def test_without_a_fault_every_cell_is_good(demo: Demo) -> None:
    unfit = Reason.NOT_PERMITTED  # no right to ICMP on this machine: `prober doctor` says so
    for cell in demo.cells:
        run = await demo.climb(cell)
        assert run.ok or (cell.kind is Kind.ICMP and run.blame is not None and run.blame.reason is unfit), run


async def test_every_kind_is_climbed_and_layer_times_add_up(demo: Demo) -> None:
    """Layer times are disjoint: their sum never exceeds the run's, and what was climbed has a time."""
    assert {cell.kind for cell in demo.cells} == set(Kind)
    for cell in demo.cells:
        run = await demo.climb(cell)
        assert [outcome.layer for outcome in run.outcomes] == list(cell.ladder)
        assert sum(outcome.seconds or 0.0 for outcome in run.outcomes) <= run.seconds
        for outcome in run.outcomes:
            assert (outcome.seconds is None) == (outcome.result is Result.SKIPPED)
        assert [trips.layer for trips in of_run(run)] == [outcome.layer for outcome in run.outcomes if outcome.held]


async def test_the_wait_for_an_ingress_is_what_it_accounts_for_and_the_network(demo: Demo) -> None:
    ingresses = [cell for cell in demo.cells if cell.kind is Kind.HTTP and cell.path == "ingress"]
    assert ingresses
    for cell in ingresses:
        phases = (await demo.climb(cell)).phases
        waited = phases["request"] + phases["first_byte"]
        assert phases["upstream"] + phases["network"] == pytest.approx(max(waited, phases["upstream"]))


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.name)
async def test_a_fault_is_blamed_on_its_layer_and_recovers(demo: Demo, fault: Fault) -> None:
    if (why := demo.lab.unavailable.get(fault.name)) is not None:
        pytest.skip(why)
    shown_in = [cell for cell in demo.cells if fault.shows_in(cell.id)]
    assert shown_in
    await demo.lab.set_fault(fault.name, True)
    try:
        if fault.reason is Reason.TIMEOUT:  # each waits for its deadline: all at once
            runs = await asyncio.gather(*(demo.climb(cell, good=False) for cell in shown_in))
        else:
            runs = [await demo.climb(cell, good=False) for cell in shown_in]
    finally:
        await demo.lab.set_fault(fault.name, False)
    expected = {cell.id: (fault.layer, fault.reason) for cell in shown_in}
    assert {run.cell.id: run.blame and (run.blame.layer, run.blame.reason) for run in runs} == expected
    for cell in shown_in:
        run = await demo.climb(cell)
        assert run.ok, run
