"""The C library of this machine is the judge: for the same names the same questions and the same error."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import pytest

from prober.wire.resolvconf import system
from tests.support.netns import run_in_namespace, why_not


def _why_not() -> str | None:
    if platform.libc_ver()[0] != "glibc":
        return "the C library here is not glibc"
    nsswitch = Path("/etc/nsswitch.conf")
    hosts = (
        [line for line in nsswitch.read_text().splitlines() if line.startswith("hosts:")] if nsswitch.exists() else []
    )
    if "resolve" in "".join(hosts) or Path("/run/nscd/socket").exists():
        return "getaddrinfo here asks more than DNS"
    return f"{system().servers[0]} cannot be taken over" if "%" in system().servers[0].address else why_not()


@pytest.fixture(scope="module")
def cases() -> list[dict[str, Any]]:
    if (reason := _why_not()) is not None:
        pytest.skip(reason)
    return [json.loads(line) for line in run_in_namespace("against_glibc.py").splitlines()]


def test_every_case_asks_the_same_questions_in_the_same_order_and_returns_the_same(cases: list[dict[str, Any]]) -> None:
    assert len(cases) == 32
    assert all(case["libc"]["asked"] for case in cases)
    assert [(case["case"], case["prober"]) for case in cases] == [(case["case"], case["libc"]) for case in cases]
