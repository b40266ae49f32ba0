"""What a fault does to the lab is undone at its end: tables, links, addresses, routes, neighbours, settings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.network.campaign import climb_all
from tests.network.conftest import require_lab
from tests.network.judge import complaints_of_health
from tests.network.lab import plan
from tests.network.lab.faults import FAULTS
from tests.network.lab.probes import PATIENT_FILE, THROUGH
from tests.network.lab.process import LabProcess

#: What a namespace is made of, and what in it moves by itself.
_STATE = """
nft -s list ruleset
ip -o link; bridge -d link
ip -o addr
ip route; ip -6 route
ip neigh show nud permanent; ip -6 neigh show nud permanent
bridge fdb show
sysctl -a 2>/dev/null | grep -v conntrack_count | grep -E 'port_range|ratelimit|forward|disable|filter|ping|bridge'
"""
_MOVES = (r"expires \S+", r"packets \d+ bytes \d+", r"# handle \d+", r"(hello|tcn|topology_change|gc)_timer +\S+",
          r"elements = \{[^}]*expires[^}]*\}", r"lifetime \S+|\bvalid_lft \S+ preferred_lft \S+")  # fmt: skip


@pytest.fixture(scope="module")
def own() -> Iterator[LabProcess]:
    """A lab that nobody else changes meanwhile."""
    require_lab()
    with LabProcess() as running:
        yield running


def _state(lab: LabProcess) -> dict[str, str]:
    """Every place → what it is made of."""
    states = {place: lab.run(place, "sh", "-c", _STATE).stdout for place in plan.PLACES}
    return {place: re.sub("|".join(_MOVES), "…", said) for place, said in states.items()}


@pytest.mark.timeout(180)
def test_after_every_fault_the_lab_is_as_it_was(own: LabProcess) -> None:
    """One after the other; then every cell of every path is climbed once more."""
    before = _state(own)
    missing = own.ask()["missing"]
    for fault in FAULTS.values():
        if THROUGH.get(fault.path) in missing:
            continue
        own.ask(fault=fault.name, on=True, families=list(fault.families))
        own.ask(fault=fault.name, on=False)
    after = _state(own)
    for place in plan.PLACES:
        now, then = Counter(after[place].splitlines()), Counter(before[place].splitlines())
        assert (place, list(now - then), list(then - now)) == (place, [], [])
    assert list(complaints_of_health(climb_all(own, config=PATIENT_FILE))) == []


def test_a_family_that_there_is_not_is_refused_and_nothing_is_on(own: LabProcess) -> None:
    with pytest.raises(RuntimeError, match="ipv5"):
        own.ask(fault="l3-drop", on=True, families=["ipv4", "ipv5"])
    assert own.ask()["on"] == []
