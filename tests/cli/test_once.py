"""`prober once`: each cell once, in three forms of output, with exit codes for CI."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from prober.cli.main import main
from prober.reasons import Family
from tests.support.threaded import serve

CONFIG = """
targets:
  good: {{paths: {{service: {{url: "tcp://127.0.0.1:{open}"}}}}}}
  bad: {{paths: {{service: {{url: "tcp://127.0.0.1:{closed}"}}}}}}
probes:
  - {{name: works, kind: tcp, targets: [good], interval: 10s, timeout: 1s}}
  - {{name: broken, kind: tcp, targets: [bad], interval: 10s, timeout: 1s}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Iterator[str]:
    """A configuration with a cell that holds and one that is refused."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()[1]
    with serve(Family.IPV4, lambda _: None) as port:
        path = tmp_path / "probes.yaml"
        path.write_text(CONFIG.format(open=port, closed=closed))
        yield str(path)


def test_a_failure_is_told_with_verdict_next_check_and_reproducer(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["once", "-c", config]) == 1
    shown = capsys.readouterr()
    assert "✓ works/good/service/ipv4 " in shown.out
    assert "✗ broken/bad/service/ipv4 " in shown.out
    for words in ("tcp refused", "passed the connection on", "ruled out", "next", "by hand    nc -vz -w 1 127.0.0.1 "):
        assert words in shown.out
    assert "2 runs: 1 ok, 1 failed, in " in shown.out.splitlines()[-1]
    assert shown.err == ""


def test_only_the_probes_that_are_named_are_climbed(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["once", "-c", config, "--probe", "works"]) == 0
    assert "broken" not in capsys.readouterr().out


def test_ndjson_is_one_run_a_line(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["once", "-c", config, "-o", "ndjson"]) == 1
    runs = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {run["probe"]: run["ok"] for run in runs} == {"works": True, "broken": False}


def test_junit_is_one_document_with_a_suite_for_each_probe(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["once", "-c", config, "-o", "junit"]) == 1
    root = ElementTree.fromstring(capsys.readouterr().out)
    assert [suite.get("name") for suite in root] == ["works", "broken"]
    failure = root.find("./testsuite[@name='broken']/testcase/failure")
    assert failure is not None
    assert failure.get("type") == "tcp.refused"


@pytest.mark.parametrize(("text", "words"), [
    ("probes: [{name: x, kind: tpc}]", "probes.yaml:1:26: probes[0].kind: "),
    (None, "can't be read"),
])  # fmt: skip
def test_a_bad_configuration_is_exit_code_2(
    text: str | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "probes.yaml"
    if text is not None:
        path.write_text(text)
    assert main(["once", "-c", str(path)]) == 2
    assert words in capsys.readouterr().err


def test_an_unknown_probe_is_exit_code_2_with_a_suggestion(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["once", "-c", config, "--probe", "broke"]) == 2
    assert "prober: no probe 'broke' here (did you mean broken?)" in capsys.readouterr().err


def test_a_place_that_cannot_measure_is_exit_code_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A CA file that cannot be read is our fault, not the target's."""
    with serve(Family.IPV4, lambda _: None) as port:
        path = tmp_path / "probes.yaml"
        path.write_text(
            f'targets: {{web: {{paths: {{service: {{url: "tls://127.0.0.1:{port}"}}}}}}}}\n'
            f"probes: [{{name: x, kind: tls, targets: [web], tls: {{ca_file: {tmp_path}/gone.crt}}}}]\n"
        )
        assert main(["once", "-c", str(path)]) == 3
    assert "through this place rather than the target" in capsys.readouterr().out
