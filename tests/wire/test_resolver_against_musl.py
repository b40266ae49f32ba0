"""A real musl is the judge: for the same names it asks the same questions in the same order, and returns the same.

Which musl: the one that musl-gcc links, 1.2.3 in Debian 12 (no TCP), or a newer one found before it in PATH.
"""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.support.netns import run_in_namespace, why_not
from tests.support.tools import musl_program, require_tool


def _version(compiler: str) -> str:
    """`modern` from 1.2.4 on, which brought TCP and took `open64` out of its headers; else `old`."""
    macros = subprocess.run([compiler, "-D_GNU_SOURCE", "-dM", "-E", "-"], input=b"#include <fcntl.h>\n",
                            capture_output=True, check=True)  # fmt: skip
    return "old" if b"open64" in macros.stdout else "modern"


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    program = musl_program(tmp_path_factory.mktemp("musl"))
    lines = run_in_namespace("against_musl.py", str(program), _version(require_tool("musl-gcc"))).splitlines()
    return [json.loads(line) for line in lines]


def test_every_case_asks_the_same_questions_in_the_same_order_and_returns_the_same(cases: list[dict[str, Any]]) -> None:
    assert len(cases) >= 52
    assert [(case["case"], case["prober"]) for case in cases] == [(case["case"], case["musl"]) for case in cases]


def test_the_cases_tell_apart_what_musl_can_return(cases: list[dict[str, Any]]) -> None:
    assert {"EAI_NONAME", "EAI_AGAIN", None} <= {case["musl"]["error"] for case in cases}
    assert sum(bool(case["musl"]["asked"]) for case in cases) >= len(cases) - 4
