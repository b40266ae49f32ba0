"""Every fault of the catalogue, family by family: what each of the seven kinds sees, and whom it blames.

The shipped `prober once -o ndjson` runs inside the vantage Pod. Cells that the fault does not concern have to stay
green, or to blame what the fault really is.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from prober.reasons import Family
from tests.network import blame_table
from tests.network.campaign import Campaign, trial_of
from tests.network.conftest import require_lab
from tests.network.judge import complaints
from tests.network.lab.faults import FAULTS
from tests.network.lab.faults.fault import Fault
from tests.support.fronts import require_path

CASES = [(fault, family) for fault in FAULTS.values() for family in fault.families]
#: Seconds until a result has to be there. Labs work in the order of the tests, so each waits for few of them.
_PATIENCE = 100.0
_NAME = "test_the_right_layer_is_blamed"


@pytest.fixture(scope="module")
def campaign(request: pytest.FixtureRequest) -> Iterator[Campaign]:
    require_lab()
    mine = (item for item in request.session.items if item.name.startswith(_NAME))
    chosen = [item.callspec.params for item in mine if isinstance(item, pytest.Function)]
    trials = dict.fromkeys(trial_of(each["fault"], each["family"]) for each in chosen)
    with Campaign(trials) as running:
        yield running
    for name, families in running.tried_again:
        print(f"tried again: {name} {' '.join(families)}")


@pytest.mark.timeout(_PATIENCE + 20)
@pytest.mark.parametrize(("fault", "family"), CASES, ids=[f"{fault.name}-{family}" for fault, family in CASES])
def test_the_right_layer_is_blamed_for_the_right_reason(campaign: Campaign, fault: Fault, family: Family) -> None:
    require_path(fault.path)
    trial = trial_of(fault, family)
    runs = campaign.runs(trial, _PATIENCE)
    assert list(complaints(fault, runs, family, trial[1])) == []


def test_the_table_in_the_documentation_says_what_was_seen() -> None:
    assert blame_table.FILE.read_text(encoding="utf-8") == blame_table.render(), "python -m tests.network.blame_table"
