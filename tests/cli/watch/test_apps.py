"""Four probers as they are (tracker, banks, store, API, server), two of which become slower: followed over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from prober.baseline.values import BLOCK, BLOCKS, HOUR
from prober.cli.watch.following import Following, Plan
from prober.cli.watch.picture import headline
from prober.cli.watch.sides import Choice
from prober.cli.watch.vantages import Probers
from prober.kubernetes.nodesets import parse_selector
from prober.model import Vantage
from prober.web.app import build_app
from tests.baseline.made import latencies
from tests.support.served import served
from tests.support.tracking import WATCHED, Turned, baseline, feed, watched
from tests.web.conftest import FakeService

BEFORE, AFTER = 14 * BLOCKS, 12 * BLOCKS
SINCE = WATCHED + BEFORE * BLOCK


@asynccontextmanager
async def probing(number: int, factor: float) -> AsyncIterator[str]:
    """A prober that has a baseline and measured since: from some moment on all takes so many times as long."""
    name = f"node-{number}"
    turned, cell, service = Turned(now=WATCHED, here=Vantage(name, name)), watched(), FakeService()
    await turned.take(cell, accepted=baseline(cell))
    blocks = latencies(40 + number, BEFORE + AFTER)
    await feed(turned, blocks[:BEFORE])
    await feed(turned, blocks[BEFORE:], factor=factor, failed=1 if factor > 1 else 0)
    service.tracker = turned.tracker
    async with served(build_app(service)) as url:
        yield url
    await turned.tracker.close()


async def test_what_two_of_four_probers_measure_is_found_sized_and_counted() -> None:
    async with AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(probing(n, 1.12 if n < 2 else 1.0)) for n in range(4)]
        choice = Choice(parse_selector("node-0,node-1"), None)
        now = SINCE + AFTER * BLOCK
        plan = Plan("cni", choice, Probers(tuple(urls), (), 5.0), None, SINCE, 48 * HOUR, 0.0, lambda: now)
        picture = await Following(plan).begin()
    [tcp] = [one for one in picture.layers if one.view.layer == "tcp"]
    assert tcp.blocks == AFTER
    assert picture.regressed
    assert headline(picture).startswith("tcp ")
    assert tcp.difference is not None
    assert tcp.difference.lower < 1.12 < tcp.difference.upper
    assert [(share.failed, share.runs) for share in tcp.failed] == [(2 * AFTER, 2 * AFTER * 41), (0, 2 * AFTER * 40)]
    assert picture.notes == (
        "only 14 h were measured before the change: the intervals are narrower than they should be",
    )
