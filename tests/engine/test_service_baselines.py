"""Baselines in the running service: real connects over a real socket, on a clock that the test turns."""

from __future__ import annotations

import json
import platform
import re
import signal
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from prober.baseline import file
from prober.baseline.store import Store
from prober.baseline.values import BLOCK, Channel, Direction, Level, SeriesKey
from prober.cli.main import main
from prober.engine.service import Service
from prober.export.events import Choice, EventLog
from prober.export.lines import LineWriter
from prober.kubernetes.api import ApiAccess
from prober.web.app import build_app
from tests.baseline.test_sentences import ONE, told
from tests.kubernetes.samples import NODES, url_of
from tests.support.api_server import ApiServer, node
from tests.support.process import prober
from tests.support.tracking import HEALTHY, HERE, WATCHED, baseline, tcp, watched
from tests.support.unmeasured import python


def configure(path: Path, port: int, more: str = "", probe: str = "") -> Path:
    path.write_text(
        f"targets: {{web: {{paths: {{direct: {{url: 'tcp://127.0.0.1:{port}'}}}}}}}}\n"
        f"probes:\n  - {{name: p, kind: tcp, targets: [web], families: [ipv4], interval: 30s{probe}}}\n{more}\n"
    )
    return path


async def told_outside(service: Service) -> None:
    """Over HTTP: the metrics, the API and the page."""
    transport = httpx.ASGITransport(build_app(service))
    async with httpx.AsyncClient(transport=transport, base_url="http://prober", trust_env=False) as client:
        metrics = (await client.get("/metrics")).text
        assert re.search(r'prober_regression{channel="rank",direction="improved",.*level="confirmed",.*} 1', metrics)
        assert re.search(r"prober_baseline_coverage_ratio{.*} 1", metrics)
        assert [one["label"] for one in (await client.get("/api/v1/baselines")).json()["baselines"]] == ["healthy"]
        (change,) = (await client.get("/api/v1/regressions")).json()["summary"]
        assert (change["direction"], change["pages"]) == ("improved", False)
        assert f"<li>{change['says']}</li>" in (await client.get("/")).text


async def test_connects_that_are_not_as_they_were_are_told(tmp_path: Path, port: int) -> None:
    """A loopback connect takes some 0.1 ms where the baseline has 1 ms: it has become faster."""
    config, events = configure(tmp_path / "p.yaml", port), tmp_path / "events"
    with events.open("wb") as out:
        log = EventLog(LineWriter(out.fileno()), HERE, Choice.CHANGES)
        key = SeriesKey("p", "web", "direct", "ipv4", "tcp")
        known = replace(baseline(watched()), series={key: HEALTHY}, settings={})
        service = Service(config, HERE, events=log, data=tmp_path / "data", baseline=known)
        await service.start()
        tracker = service.tracker
        assert tracker is not None
        assert tracker.baselines is not None
        (cell,) = (entry.cell for entry in service.board.entries())
        now = [float(WATCHED)]
        tracker._clock = tracker._monotonic = lambda: now[0]
        for turn in range(24):
            for _ in range(20):
                await service._fire(cell, turn)
            now[0] += BLOCK
            tracker.tick()
            await tracker.idle()
        assert tracker.baselines.judged == 1
        assert tracker.baselines.coverage() == 1.0
        (found,) = (r for r in tracker.baselines.regressions() if r.channel is Channel.RANK)
        assert (found.subject, found.level, found.direction) == (key, Level.CONFIRMED, Direction.IMPROVED)
        assert "kept in" in tracker.baselines.says
        await told_outside(service)
        await service.stop(1)
    said = [json.loads(line) for line in events.read_text().splitlines()]
    told = [one for one in said if one["event"] == "regression" and one["channel"] == "rank"]
    assert [one["level"] for one in told] == ["suspect", "confirmed"]
    assert "faster" in told[1]["says"]
    assert (tmp_path / "data" / "baseline.db").exists()


@pytest.mark.parametrize(("more", "probe"), [("baseline: {enabled: false}", ""), ("", ", baseline: false")])
async def test_without_baselines_nothing_is_opened(tmp_path: Path, port: int, more: str, probe: str) -> None:
    config = configure(tmp_path / "p.yaml", port, more, probe)
    service = Service(config, HERE, data=tmp_path / "data")
    await service.start()
    assert service.tracker is None
    configure(config, port)
    assert (await service.reload()).ok
    assert service.tracker is not None
    assert service.tracker.baselines is not None
    configure(config, port, "baseline: {enabled: false}")
    assert (await service.reload()).ok
    assert service.tracker.baselines is None
    await service.stop(1)


async def test_what_the_service_may_ask_of_kubernetes_tells_where_it_runs_and_what_nodes_there_are(
    tmp_path: Path, port: int
) -> None:
    api = ApiServer()
    api.objects[NODES] = [node("node-a", kubeletVersion="v1.33.4"), node("node-b", kubeletVersion="v1.32.9")]
    async with api.serving() as server:
        service = Service(configure(tmp_path / "p.yaml", port), HERE, api=ApiAccess.from_url(url_of(server)))
        await service.start()
        assert service.tracker is not None
        assert service.tracker.baselines is not None
        origin = await service.tracker.baselines.origin()
        assert dict(origin.about) == {"kernel": platform.release(), "kubelet": "v1.33.4"}
        known = await service.tracker.surroundings.of([told(replace(ONE, node="node-b"))])
        assert known is not None
        assert [one.kubelet for one in known.nodes] == ["v1.33.4", "v1.32.9"]
        await service.stop(1)


NUMPY = "import sys; print(sorted({'numpy', 'sqlite3'} & set(sys.modules)))"


def test_a_service_without_baselines_imports_neither_numpy_nor_sqlite(tmp_path: Path) -> None:
    config = configure(tmp_path / "p.yaml", 1, "baseline: {enabled: false}")
    program = (
        "import asyncio; from pathlib import Path; from prober.engine.service import Service;"
        "from prober.model import Vantage\n"
        f"async def main():\n service = Service(Path({str(config)!r}), Vantage('here'))\n"
        f" await service.start(); await service.stop(1)\nasyncio.run(main()); {NUMPY}"
    )
    assert python(program).stdout.splitlines()[-1] == "[]"


def test_without_a_directory_it_says_so_once(tmp_path: Path) -> None:
    with prober(configure(tmp_path / "p.yaml", 1)) as running:
        running.signal(signal.SIGTERM)
        running.wait()
        (said,) = (line for line in running.stderr.seen if "baselines are" in line)
        assert "memory alone" in said


def test_a_baseline_from_a_file_is_the_active_one_in_the_directory_that_was_given(tmp_path: Path) -> None:
    config = configure(tmp_path / "p.yaml", 1)
    (tmp_path / "b.gz").write_bytes(file.write(baseline(watched())))
    options = ("--data", str(tmp_path / "data"), "--baseline", str(tmp_path / "b.gz"))
    with prober(config, *options) as running:
        running.signal(signal.SIGTERM)
        assert running.wait() == 0
        assert f"  baselines are kept in {tmp_path / 'data' / 'baseline.db'}" in running.stderr.seen
        assert f"  --baseline {tmp_path / 'b.gz'} was recorded at vantage node-a" in running.stderr.seen
    store = Store.open(tmp_path / "data" / "baseline.db")
    assert {key: one.label for key, one in store.active().result().items()} == {tcp(watched()): "healthy"}
    store.close()


TWO = [replace(baseline(watched()), origin=replace(baseline().origin, vantage=name)) for name in ("x", "y")]


@pytest.mark.parametrize(("data", "words"), [
    (None, "No such file"),
    (b"not gzip", "line 1: not gzip"),
    (file.write_all(TWO), "it has 2 recordings (of x, y), and not one of vantage"),
    (file.write(replace(TWO[0], label="now")), 'the label "now" means what is measured now'),
])  # fmt: skip
def test_a_file_that_is_no_baseline_ends_with_2(
    tmp_path: Path, data: bytes | None, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "b.gz"
    if data is not None:
        path.write_bytes(data)
    assert main(["run", "-c", str(configure(tmp_path / "p.yaml", 1)), "--baseline", str(path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"prober: {path}: ")
    assert words in said
