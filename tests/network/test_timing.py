"""The reported times are true: they are what the delay tool did to the packets, from 1 to 100 ms each way.

All are climbed one after the other by the command line as it is shipped, in the vantage.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from statistics import median

import pytest

from prober.reasons import Family
from tests.network.lab.delayed import DelayTool
from tests.network.lab.process import LabProcess
from tests.network.timed import CASES, PLACE, ROUNDING, Timed, climb, climb_held_up

#: Seconds, each way.
DELAYS = (0.001, 0.005, 0.02, 0.1)
#: Seconds that a time may have beside what the tool did: the vantage's own link, and what a busy machine makes of it.
SLACK = 0.005
#: The same for half of all times. It is 0.00005 s where nobody disturbs.
USUALLY = 0.0005


def assert_true(layers: Sequence[Timed]) -> None:
    for each in layers:
        assert -ROUNDING <= each.beside < SLACK, each
    assert median(each.beside for each in layers) < USUALLY


@pytest.fixture(scope="module", params=DELAYS, ids=lambda delay: f"{delay * 1e3:g}ms")
def held(lab: LabProcess, request: pytest.FixtureRequest) -> tuple[float, list[Timed]]:
    """The delay, and the layers."""
    return request.param, climb_held_up(lab, request.param)


def test_every_layer_of_every_kind_has_its_time_from_the_kernels_clock(held: tuple[float, list[Timed]]) -> None:
    _, layers = held
    expected = {(name, family, layer) for name, case in CASES.items() for family in Family for layer in case.layers}
    assert {(each.case, each.family, each.layer) for each in layers} == expected
    assert {each.clock for each in layers} == {"kernel"}


def test_a_layers_time_is_what_the_tool_did_to_its_packets(held: tuple[float, list[Timed]]) -> None:
    _, layers = held
    assert_true(layers)


def test_a_layers_time_has_the_way_there_and_back_for_each_of_its_exchanges(held: tuple[float, list[Timed]]) -> None:
    delay, layers = held
    for each in layers:
        assert 2 * delay * len(each.exchanges) <= each.seconds, each


def test_a_busy_neighbour_on_the_core_is_in_no_layers_time(lab: LabProcess) -> None:
    core = min(os.sched_getaffinity(0))
    pinned = ("taskset", "-c", str(core))
    with subprocess.Popen([*pinned, sys.executable, "-c", "while True: pass"]) as neighbour:
        try:
            assert_true(climb_held_up(lab, 0.005, *pinned))
        finally:
            neighbour.kill()


@pytest.mark.parametrize("family", Family)
def test_an_answer_takes_until_its_missing_segment_has_come(lab: LabProcess, family: Family) -> None:
    """The long first segment of the server's flight is held, the short one behind it passes and has the older stamp."""
    with DelayTool(lab.command(PLACE), match=["-m", "length", "--length", "1000:"]) as tool:
        tool.hold(0.05)
        (run,) = climb(lab, ["tls"], "--probe", f"tls-{family}", timeout=4.0)
        first, *_ = tool.record().passages  # the server sends it again meanwhile, and that is held too
    tls = run["layers"][-1]
    assert run["ok"]
    assert first.actual <= tls["seconds"] <= run["seconds"]
    assert tls["evidence"]["local_seconds"] < 0.05
    assert tls["evidence"]["out_of_order"] == 1
    assert tls["evidence"]["clock"] == "user"
