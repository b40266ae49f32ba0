"""Local time as it is somewhere else."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest


def local_time(monkeypatch: pytest.MonkeyPatch, zone: str) -> Iterator[None]:
    """For as long as a fixture goes on, in the zone of this TZ (POSIX, without the system's table of zones)."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()
