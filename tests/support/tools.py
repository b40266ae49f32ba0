"""Command-line tools that tests run beside the prober: there, or the test is skipped with the reason."""

from __future__ import annotations

import os
import shutil

import pytest

#: Tools that CI has installed, separated by spaces (`.ci/run` sets it): without one of them a test fails there.
PROMISED = "PROBER_CI_TOOLS"


def require_tool(name: str) -> str:
    """The path of the tool `name`; skips the test where it is missing, and fails it where CI has promised it."""
    if (path := shutil.which(name)) is not None:
        return path
    if name in os.environ.get(PROMISED, "").split():
        pytest.fail(f"{name} is missing, though {PROMISED} names it")
    pytest.skip(f"{name} is not installed")
