"""A lab of its own for each test, and the families that this machine has."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import pytest

from prober.lab.lab import Lab
from prober.lab.sockets import LOOPBACK, loopback_families


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with Lab() as running:
        yield running


@pytest.fixture(params=[socket.AF_INET, socket.AF_INET6], ids=["ipv4", "ipv6"])
def loopback(request: pytest.FixtureRequest) -> str:
    """The loopback address of one family; the test runs in both."""
    if request.param not in loopback_families():
        pytest.skip("this machine has no IPv6 loopback address")
    return LOOPBACK[request.param]
