"""Every reason of every layer is produced by a real climb, in IPv4 and in IPv6, and somebody can act on it."""

from __future__ import annotations

import pytest

from prober.diagnosis.run import explain
from prober.export.reproduce import reproduce
from prober.lab.certificates import CertificateFiles
from prober.model import Run
from prober.reasons import REASONS, Family, Layer, Reason
from tests.support.cells import FAMILIES
from tests.support.scenarios import SCENARIOS, Place, dns, grpc, http, proxy, reach, tls

#: The modules that fill SCENARIOS.
MODULES = (dns, reach, proxy, tls, http, grpc)
ROWS = [(layer, reason) for layer, reasons in REASONS.items() for reason in reasons]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return CertificateFiles(tmp_path_factory.mktemp("certificates"))


def test_every_row_of_the_table_has_its_scenario() -> None:
    assert set(ROWS) - set(SCENARIOS) == set()


def test_no_scenario_shows_a_reason_that_its_layer_has_not() -> None:
    assert set(SCENARIOS) - set(ROWS) == set()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("layer", "reason"), SCENARIOS, ids=[f"{layer}-{reason}" for layer, reason in SCENARIOS])
async def test_the_reason_is_given(layer: Layer, reason: Reason, family: Family, files: CertificateFiles) -> None:
    shown = await SCENARIOS[layer, reason](Place(family, files))
    blame = shown.blame if isinstance(shown, Run) else shown
    assert blame is not None
    assert (blame.layer, blame.reason) == (layer, reason), shown
    if isinstance(shown, Run):
        verdict = explain(shown)
        assert verdict is not None
        assert verdict.says
        assert verdict.next_check
        assert reproduce(shown)
