"""The C library of this machine is the judge: for the same names the same questions and the same error."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.libc import why_no_glibc
from tests.support.netns import run_in_namespace


@pytest.fixture(scope="module")
def cases() -> list[dict[str, Any]]:
    if (reason := why_no_glibc()) is not None:
        pytest.skip(reason)
    return [json.loads(line) for line in run_in_namespace("against_glibc.py").splitlines()]


def test_every_case_asks_the_same_questions_in_the_same_order_and_returns_the_same(cases: list[dict[str, Any]]) -> None:
    assert len(cases) == 32
    assert all(case["libc"]["asked"] for case in cases)
    assert [(case["case"], case["prober"]) for case in cases] == [(case["case"], case["libc"]) for case in cases]
