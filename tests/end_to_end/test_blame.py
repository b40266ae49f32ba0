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
from prober.lab.faults import FAULTS, Fault
from prober.lab.process import LabProcess
from prober.layers.base import Kit
from prober.model import Cell, Run, Vantage
from prober.reasons import Kind, Reason, Result

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Demo:
    """The lab in its own process, and the cells of its configuration."""

    lab: LabProcess
    cells: tuple[Cell, ...]
    kit: Kit

    async def climb(self, cell: Cell) -> Run:
        (run,) = await climb(cell, self.kit)
        return run


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def demo() -> AsyncIterator[Demo]:
    lab, kit = await LabProcess.start(), Kit()
    try:
        yield Demo(lab, expand(load(lab.config_path), Vantage("here")), kit)
    finally:
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


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.name)
async def test_a_fault_is_blamed_on_its_layer_and_recovers(demo: Demo, fault: Fault) -> None:
    if (why := demo.lab.unavailable.get(fault.name)) is not None:
        pytest.skip(why)
    shown_in = [cell for cell in demo.cells if fault.shows_in(cell.id)]
    assert shown_in
    await demo.lab.set_fault(fault.name, True)
    try:
        if fault.reason is Reason.TIMEOUT:  # each waits for its deadline: all at once
            blames = [run.blame for run in await asyncio.gather(*map(demo.climb, shown_in))]
        else:
            blames = [(await demo.climb(cell)).blame for cell in shown_in]
    finally:
        await demo.lab.set_fault(fault.name, False)
    expected = {cell.id: (fault.layer, fault.reason) for cell in shown_in}
    seen = {cell.id: blame and (blame.layer, blame.reason) for cell, blame in zip(shown_in, blames, strict=True)}
    assert seen == expected
    for cell in shown_in:
        run = await demo.climb(cell)
        assert run.ok, run
