"""`prober once`: each cell once or several times, in three forms of output, with exit codes for CI."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from prober.cli.main import main
from prober.reasons import Family
from tests.support.nameserver import in_thread, zone
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


FLAKY = """
targets:
  moody: {{paths: {{service: {{url: "http://127.0.0.1:{moody}/"}}}}}}
  good: {{paths: {{service: {{url: "tcp://127.0.0.1:{open}"}}}}}}
  bad: {{paths: {{service: {{url: "tcp://127.0.0.1:{closed}"}}}}}}
probes:
  - {{name: partly, kind: http, targets: [moody], timeout: 2s}}
  - {{name: works, kind: tcp, targets: [good], timeout: 2s}}
  - {{name: broken, kind: tcp, targets: [bad], timeout: 2s}}
"""


@pytest.fixture
def flaky(tmp_path: Path) -> Iterator[str]:
    """A configuration with a cell that answers 503 to every fourth request, one that holds and one that is refused."""
    requests: list[int] = []

    def moody(sock: socket.socket) -> None:
        sock.recv(65536)
        requests.append(1)
        status = "503 Service Unavailable" if len(requests) % 4 == 0 else "200 OK"
        sock.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())

    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()[1]
    with serve(Family.IPV4, lambda _: None) as port, serve(Family.IPV4, moody) as moody_port:
        path = tmp_path / "probes.yaml"
        path.write_text(FLAKY.format(open=port, closed=closed, moody=moody_port))
        yield str(path)


def test_with_a_count_text_has_a_line_for_each_cell_and_says_what_failed_partly(
    flaky: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["once", "-c", flaky, "--count", "8"]) == 1
    shown = capsys.readouterr().out
    for line in (
        r"◐ partly/moody/service/ipv4 +6/8 ok  median \d.*, at most \d.*  partly: 2 × http status",
        r"✓ works/good/service/ipv4 +8/8 ok  median \d.*, at most \d.*  127\.0\.0\.1:\d+",
        r"✗ broken/bad/service/ipv4 +0/8 ok  median \d.*, at most \d.*  8 × tcp refused",
        r"◐ partly/moody/service/ipv4  2 of 8 runs",
        r"✗ broken/bad/service/ipv4  8 of 8 runs",
        r"24 runs: 14 ok, 10 failed, 1 of 3 cells at every run and 1 partly, in \d.*",
    ):
        assert re.search(f"^{line}$", shown, re.MULTILINE), line
    assert shown.count("by hand") == 2


def test_with_a_count_ndjson_has_every_run_in_its_cells_order(flaky: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["once", "-c", flaky, "--count", "8", "-o", "ndjson"]) == 1
    runs = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert Counter((run["probe"], run["ok"]) for run in runs) == {
        ("partly", True): 6, ("partly", False): 2, ("works", True): 8, ("broken", False): 8,
    }  # fmt: skip
    partly = [run for run in runs if run["probe"] == "partly"]
    assert [run["ok"] for run in partly] == [True, True, True, False] * 2
    assert [run["started_at"] for run in partly] == sorted(run["started_at"] for run in partly)


def test_with_a_count_junit_has_a_case_for_each_cell(flaky: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["once", "-c", flaky, "--count", "8", "-o", "junit"]) == 1
    root = ElementTree.fromstring(capsys.readouterr().out)
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("3", "2", "0")
    partly, broken = root.findall("./testsuite/testcase/failure")
    assert partly.get("type") == "http.status"
    assert (partly.get("message") or "").startswith("2 of 8 runs failed: ")
    assert (partly.text or "").startswith("2 of 8 runs: ")
    assert (broken.get("message") or "").startswith("8 of 8 runs failed: ")


def test_repeats_rotate_over_the_addresses_of_a_name_and_the_dead_one_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = {("web.example.", "A"): ["127.0.0.1", "127.0.0.2"]}
    path = tmp_path / "probes.yaml"
    with in_thread(Family.IPV4, zone(records)) as server, serve(Family.IPV4, lambda _: None) as port:
        path.write_text(
            f'targets: {{web: "tcp://web.example.:{port}"}}\n'
            f'defaults: {{families: [ipv4], resolver: {{servers: ["{server.where}"]}}}}\n'
            f"probes: [{{name: x, kind: tcp, targets: [web]}}]\n"
        )
        assert main(["once", "-c", str(path), "--count", "6"]) == 1
    shown = capsys.readouterr().out
    assert re.search(r"◐ x/web/\S+  .*3/6 ok .*partly: 3 × tcp refused", shown)
    assert f"climbed to 127.0.0.1:{port} 3/3 ok, 127.0.0.2:{port} 0/3 ok" in " ".join(shown.split())


def test_an_interval_lies_between_the_climbs_of_a_cell(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--probe", "works", "--count", "3", "--interval", "150ms", "-o", "ndjson"]
    assert main(["once", "-c", config, *arguments]) == 0
    began = [datetime.fromisoformat(json.loads(line)["started_at"]) for line in capsys.readouterr().out.splitlines()]
    gaps = [(after - before).total_seconds() for before, after in pairwise(began)]
    assert len(gaps) == 2
    assert min(gaps) >= 0.15


def test_interrupted_it_shows_what_was_seen_until_then(tmp_path: Path) -> None:
    """As ping does after Ctrl-C; the exit code is still that of an interruption."""
    path, climbs = tmp_path / "probes.yaml", threading.Semaphore(0)
    with serve(Family.IPV4, lambda _: climbs.release()) as port:
        path.write_text(CONFIG.format(open=port, closed=port))
        command = [sys.executable, "-m", "prober", "once", "-c", str(path), "--count", "1000000"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert all(climbs.acquire(timeout=30) for _ in range(10))
            process.send_signal(signal.SIGINT)
            shown, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert re.search(r"^✓ works/good/service/ipv4 +(\d+)/\1 ok ", shown, re.MULTILINE)
    assert " runs: " in shown.splitlines()[-1]


@pytest.mark.parametrize("arguments", [["--count", "0"], ["--count", "x"], ["--interval", "5"]])
def test_a_count_is_a_whole_number_and_an_interval_a_duration(
    arguments: list[str], config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["once", "-c", config, *arguments]) == 2
    assert f"argument {arguments[0]}: " in capsys.readouterr().err
