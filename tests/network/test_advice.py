"""Echo that is filtered raises no alarm: neither in the service nor for whoever climbs once."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import pytest

from prober.reasons import Family
from tests.network import peer
from tests.network.lab import plan
from tests.network.lab.probes import CONFIG_FILE
from tests.network.lab.process import LabProcess
from tests.network.watched import PodProber, helper, prober_in_pod
from tests.support.process import PATIENCE

INTERVAL = 0.3


@pytest.fixture
def config(lab: LabProcess, tmp_path: Path) -> Iterator[Path]:
    """An echo and a request to one Pod, by each family."""
    hosts = {family.value: plan.WEB2.address(family) for family in Family}
    paths = {
        name: {"url": f"http://{f'[{host}]' if ':' in host else host}:{peer.MOODY}/"} for name, host in hosts.items()
    }
    path = tmp_path / "probes.yaml"
    path.write_text(json.dumps({
        "defaults": {"interval": f"{INTERVAL:g}s", "timeout": "200ms"}, "targets": {"web": {"paths": paths}},
        "probes": [{"name": kind, "kind": kind, "targets": ["web"]} for kind in ("icmp", "http")],
    }), encoding="utf-8")  # fmt: skip
    with helper(lab, "web2", "tests.network.peer") as web2:
        web2.said.wait_for(lambda line: line == "ready")
        yield path


@contextmanager
def _fault(lab: LabProcess, name: str) -> Iterator[None]:
    lab.ask(fault=name, on=True)
    try:
        yield
    finally:
        lab.ask(fault=name, on=False)


def test_once_says_that_the_service_works_and_lets_the_user_decide_what_that_is_worth(
    lab: LabProcess, config: Path
) -> None:
    command = ("once", "-c", str(config))
    with _fault(lab, "l3-icmp-filtered"):
        strict, lenient = lab.prober(*command), lab.prober(*command, "--lenient")
        lines = lab.prober(*command, "--lenient", "-o", "ndjson")
        report = ElementTree.fromstring(lab.prober(*command, "--lenient", "-o", "junit").stdout)
    assert (strict.returncode, lenient.returncode, lines.returncode) == (1, 0, 0)
    for family in Family:
        assert f"○ icmp/web/{family}/{family}\n" in strict.stdout
    assert strict.stdout.count("ICMP is filtered, the service works:") == len(Family)
    assert "4 runs: 2 ok, 2 failed, 2 of them only to be noted, in " in strict.stdout.splitlines()[-1]
    assert (report.get("failures"), report.get("skipped")) == ("0", "2")
    with _fault(lab, "l3-drop"):
        assert lab.prober(*command, "--lenient").returncode == 1


def test_what_holds_may_belong_to_another_target(lab: LabProcess) -> None:
    # one after the other: what holds has to have begun after the echo that fails
    command = ("once", "-c", str(CONFIG_FILE), "--probe", "icmp", "--probe", "http", "--lenient", "--jobs", "1")
    with _fault(lab, "l3-icmp-filtered"):
        done = lab.prober(*command)
    assert done.returncode == 0, done.stdout
    for family in Family:
        assert f"○ icmp/echo-{family}/pod/{family}\n" in done.stdout


def test_the_service_advises_once_others_have_shown_that_they_work(lab: LabProcess, config: Path) -> None:
    """And raises the alarm where nothing comes through: no advice is ever given on it."""
    with prober_in_pod(lab, config) as prober:
        with _fault(lab, "l3-icmp-filtered"):
            for family in Family:
                _until_failed(prober, f"icmp/web/{family}/{family}")
            _until_said(prober, {"icmp_filtered"})
            verdicts = [cell["verdict"] for cell in prober.cells().values()]
            assert [verdict["advisory"] for verdict in verdicts if verdict is not None] == [True, True]
            explained = lab.prober("explain", "--url", prober.url)
            assert explained.returncode == 0
            assert "nothing fails, 2 held, 2 only to be noted." in explained.stdout
        _until_said(prober, set())
        with _fault(lab, "l3-drop"):
            said = _until_said(prober, {"ping_silent", "path_silent"})
            assert "icmp_filtered" not in said
        _until_said(prober, set())


def _until_failed(prober: PodProber, cell: str) -> None:
    words = '"event":"cell_failed"', f'"probe":"{cell.split("/")[0]}"', f'"family":"{cell.split("/")[-1]}"'
    prober.stdout.wait_for(lambda line: all(word in line for word in words))


def _until_said(prober: PodProber, verdicts: set[str]) -> set[str]:
    """Until exactly these verdicts are given; all that was said meanwhile."""
    meanwhile: set[str] = set()
    ends = time.monotonic() + PATIENCE
    while (said := {_verdict(labels) for labels in prober.samples("prober_verdict")}) != verdicts:
        meanwhile |= said
        assert time.monotonic() < ends, f"{verdicts} were never said, but {meanwhile}"
        time.sleep(0.02)
    return meanwhile | said


def _verdict(labels: str) -> str:
    return labels.partition('verdict="')[2].partition('"')[0]
