"""Local time is UTC."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.zones import local_time


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield from local_time(monkeypatch, "UTC0")
