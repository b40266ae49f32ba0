"""`prober baseline` against the real app over a real tracker, on a clock that the test turns."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from prober.baseline.values import BLOCKS
from prober.cli.main import main
from prober.web.app import build_app
from tests.baseline.made import MONDAY, latencies
from tests.support.served import served
from tests.support.tracking import Turned, feed, watched
from tests.web.conftest import FakeService

SLOW, STEADY = watched("slow"), watched("steady")
#: When one of the two becomes slower, and how long that is watched.
DAY, LATER = 24, 4


@pytest.fixture
async def url() -> AsyncIterator[str]:
    service, turned = FakeService(), Turned(now=MONDAY)
    service.tracker = turned.tracker
    await turned.take(SLOW, STEADY)
    await feed(turned, latencies(1, DAY * BLOCKS), latencies(2, DAY * BLOCKS))
    slower = [1.2 * seconds for seconds in latencies(3, LATER * BLOCKS)]
    await feed(turned, slower, latencies(4, LATER * BLOCKS))
    async with served(build_app(service)) as url:
        yield url
    await turned.tracker.close()


async def test_every_command_is_understood_by_a_prober(
    url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    async def ask(*words: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, ["baseline", *words, "--url", url])
        said = capsys.readouterr()
        return code, said.out, said.err

    changed = "2026-01-06T00:00Z"
    code, out, err = await ask(
        "record", "--label", "a b", "--from", "2026-01-05T00:00Z", "--to", changed, "--about", "x=1"
    )
    assert (code, err) == (0, "")
    assert "✓ a b v1 at node-a\n  window     5 Jan 00:00 – 6 Jan 00:00 2026 UTC (24 h)\n" in out
    assert "  about      kernel 6.12.8, x 1\n" in out
    code, out, _ = await ask("record", "--label", "short", "--from", changed, "--to", "now")
    assert (code, "nothing was recorded: the window is 4 h: a baseline needs 24 h at least" in out) == (2, True)
    assert "there is no baseline 'c'; there are: a b" in (await ask("show", "c"))[2]
    code, out, _ = await ask("list", "-o", "json")
    (kept,) = json.loads(out)["baselines"]
    assert (code, kept["label"], kept["active"]) == (0, "a b", kept["series"])
    code, out, _ = await ask("show", "a b")
    assert (code, " tcp " in out or "\ntcp " in out) == (0, True)
    code, out, _ = await ask("compare", "a b", "--from", changed, "--to", "now", "--by", "target")
    assert code == 1
    assert re.search(r"^✗ tcp (19|2\d) % slower to slow", out, re.MULTILINE)
    path = tmp_path / "ab.baseline"
    assert (await ask("export", "a b@1", "-f", str(path)))[0] == 0
    assert (await ask("delete", "a b", "--yes"))[0] == 2
    assert (await ask("delete", "a b", "--yes", "--force"))[0] == 0
    code, out, err = await ask("import", str(path))
    assert (code, out) == (0, "✓ a b v1 of node-a\nnot active by that: prober baseline accept 'a b'\n")
    code, out, _ = await ask("accept", "a b", "--yes")
    assert (code, out) == (0, "✓ a b v1 is active at node-a\n")
