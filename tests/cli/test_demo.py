"""`prober demo` as a process: the lab, the service, its faults, and a clean end."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from urllib.request import Request, urlopen

import pytest

from prober.cli.main import main
from prober.lab.faults import FAULTS
from tests.support.tools import require_tool

COMMAND = [sys.executable, "-m", "prober", "demo", "--listen", "127.0.0.1:0"]


def test_the_list_names_every_fault_with_its_blame(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--list-faults"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines] == [[f.name, f.layer.value, f.reason.value] for f in FAULTS.values()]


def test_an_unknown_fault_is_exit_code_2_with_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--fault", "tls-expird"]) == 2
    assert "unknown fault 'tls-expird' (did you mean tls-expired?)" in capsys.readouterr().err


def test_what_is_no_address_is_exit_code_2_and_one_that_is_taken_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--listen", "nonsense"]) == 2
    assert "cannot listen on 'nonsense'" in capsys.readouterr().err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["demo", "--listen", f"127.0.0.1:{taken.getsockname()[1]}"]) == 3
    assert "the port is in use" in capsys.readouterr().err


def test_a_terminal_that_is_closed_ends_it() -> None:
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as demo:
        _wait_for(demo, r" ok, 0 failed")
        demo.send_signal(signal.SIGHUP)
        assert demo.wait(20) == 0


def test_it_ends_by_itself_after_the_time_that_was_given() -> None:
    done = subprocess.run([*COMMAND, "--once-seconds", "0.5"], capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stderr) == (0, "")
    assert "/metrics" in done.stdout


def test_a_fault_shows_with_layer_and_reason_comes_back_and_ctrl_c_ends_it_all() -> None:
    with subprocess.Popen([*COMMAND, "--fault", "tls-expired"], stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        url = re.search(r"http://\S+?(?=/\n)", demo.stdout.readline())
        assert url is not None
        _wait_for(demo, r" 8 failed · faults on: tls-expired")
        _wait_for(demo, r"✗ edge-tls/web-api/ingress/ipv4  tls expired")
        cells = json.load(urlopen(f"{url[0]}/api/v1/cells?state=failed"))["cells"]
        assert {cell["latest"]["blame"]["reason"] for cell in cells} == {"expired"}
        with urlopen(Request(f"{url[0]}/api/v1/lab/faults/tls-expired", method="DELETE")) as answer:
            assert json.load(answer)["on"] is False
        _wait_for(demo, r"✓ edge-tls/web-api/ingress/ipv4  ok")
        [lab] = _children(demo.pid)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(20) == 0
    assert not _runs(lab)


def _wait_for(demo: subprocess.Popen[str], pattern: str) -> None:
    """Read on until a line matches; the test's own timeout is the limit."""
    assert demo.stdout is not None
    for line in demo.stdout:
        if re.search(pattern, line):
            return
    pytest.fail(f"the demo ended before it said {pattern}")


def _children(pid: int) -> list[int]:
    listed = subprocess.run([require_tool("ps"), "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(line) for line in listed.stdout.split()]


def _runs(pid: int) -> bool:
    return subprocess.run([require_tool("ps"), "-p", str(pid)], capture_output=True).returncode == 0
