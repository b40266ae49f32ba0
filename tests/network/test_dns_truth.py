"""The DNS truth: a real getaddrinfo is the judge of the resolver machine. In each case both send the same queries in
the same order, from one port or several, as long after each other, and return the same: as captured on the wire.

Judges: this machine's glibc, the musl that musl-gcc links (1.2.3 in Debian 12), and the one that Zig brings (1.2.5).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.network.dns_truth.table import CASES
from tests.network.lab.isolation import unshare_command
from tests.support.libc import is_modern_musl, musl_program, why_no_glibc, zig_program
from tests.support.netns import ROOT, why_not


def _glibc(folder: Path) -> tuple[str, str]:
    if (reason := why_no_glibc()) is not None:
        pytest.skip(reason)
    return "glibc", "-"


def _musl(folder: Path) -> tuple[str, str]:
    return "modern musl" if is_modern_musl() else "old musl", str(musl_program(folder))


def _musl_of_zig(folder: Path) -> tuple[str, str]:
    return "modern musl", str(zig_program(folder))


@pytest.mark.timeout(240)  # Zig compiles its musl first, which takes half a minute
@pytest.mark.parametrize("judge", [_glibc, _musl, _musl_of_zig], ids=["glibc", "musl", "musl of Zig"])
def test_the_machine_asks_and_returns_what_the_c_library_does(
    judge: Callable[[Path], tuple[str, str]], tmp_path: Path
) -> None:
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    libc, program = judge(tmp_path)
    command = [*unshare_command(), sys.executable, "-m", "tests.network.dns_truth", libc, program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    found = {case.pop("case"): case for case in map(json.loads, done.stdout.splitlines())}
    assert set(found) == {name for name, case in CASES.items() if libc not in case.apart}
    assert not _differing(found)
    _tells_apart(libc, found)


def _differing(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The cases in which the two differ, in full."""
    return {name: case for name, case in found.items() if not case["alike"]}


def _tells_apart(libc: str, found: dict[str, dict[str, Any]]) -> None:
    """The cases are many, and not all the same: every result is among them, and both transports."""
    returned = {case["libc"]["error"] for case in found.values()}
    assert {None, "EAI_NONAME", "EAI_AGAIN"} | ({"EAI_NODATA"} if libc != "old musl" else set()) <= returned
    asked = [query for case in found.values() for query in case["libc"]["asked"]]
    assert len(found) >= 800
    assert len(asked) >= 4 * len(found)
    assert any(" tcp " in query for query in asked) is (libc != "old musl")


def test_what_is_left_out_is_little_and_says_why() -> None:
    for libc in ("glibc", "old musl", "modern musl"):
        reasons = [case.apart[libc] for case in CASES.values() if libc in case.apart]
        assert all(reasons)
        assert len(reasons) < len(CASES) / 20
