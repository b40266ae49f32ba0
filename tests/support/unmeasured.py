"""Python programs that tell what they have imported: started without coverage, which imports things of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def python(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `program`; what it printed, whatever its exit code."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, env={**env, "PYTHONPATH": str(ROOT)})
