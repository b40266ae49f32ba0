"""The lab for the tests of this folder: one for all of them, skipped with its reason where it can't be built."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.network.lab.isolation import why_not
from tests.network.lab.process import LabProcess
from tests.support.tools import PROMISED


def require_lab() -> None:
    """Skips the test where there can be no lab; fails it where CI has promised one."""
    if (reason := why_not()) is not None:
        if "lab" in os.environ.get(PROMISED, "").split():
            pytest.fail(f"no lab, though {PROMISED} names it: {reason}")
        pytest.skip(reason)


@pytest.fixture(scope="session")
def lab() -> Iterator[LabProcess]:
    """A running lab. Whoever switches a fault on switches it off again."""
    require_lab()
    with LabProcess() as running:
        yield running
