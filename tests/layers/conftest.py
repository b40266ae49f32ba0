"""What tests of layers share."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator

import pytest

from prober.layers.base import Kit
from prober.wire.stamps import StampKeeper


@pytest.fixture(scope="session", autouse=True)
def keeper() -> Iterator[None]:
    """Stamps are on: the kernel takes its time over the first socket that asks for them."""
    keeper = StampKeeper()
    time.sleep(0.05)
    yield
    keeper.close()


@pytest.fixture
async def kit() -> AsyncIterator[Kit]:
    """A kit of the test's own."""
    kit = Kit()
    yield kit
    await kit.close()
