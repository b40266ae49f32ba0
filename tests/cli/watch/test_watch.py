"""`prober watch` as a command: what it says and how it ends, against probers that answer over HTTP."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest

from prober.baseline.values import BLOCKS
from prober.cli.main import main
from prober.cli.watch import options
from tests.support.shifting import Fleet, telling

GOLDEN = Path(__file__).parents[1] / "golden"
NAMES = [f"node-{number:02}" for number in range(16)]
CHANGED = tuple(NAMES[:3])
HISTORY, LIVE = 30 * BLOCKS, 18 * BLOCKS
SINCE = "2026-01-06T06:00:00Z"
Said = tuple[int, str, str]
Watch = Callable[..., Said]


@cache
def measured() -> Fleet:
    return Fleet.of(NAMES, HISTORY + LIVE)


@pytest.fixture
def fleet(request: pytest.FixtureRequest) -> Iterator[Fleet]:
    """Two days up to now, of three changed nodes and three others; of all where the test asks for them."""
    made = measured()
    names = getattr(request, "param", (*CHANGED, *NAMES[8:11]))
    with telling(replace(made, vantages={name: deepcopy(made.vantages[name]) for name in names})) as told:
        yield told


@pytest.fixture
def watch(fleet: Fleet, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Watch:
    monkeypatch.setattr(options, "time", SimpleNamespace(time=lambda: fleet.now))

    def run(*words: str, changed: str = "node-0[0-7]", since: str = SINCE) -> Said:
        urls = [part for url in fleet.urls for part in ("--url", url)]
        code = main(["watch", "--change", "cilium 1.17→1.18", "--changed", changed, "--since", since, *words, *urls])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.mark.parametrize("fleet", [NAMES], indirect=True, ids=["16 nodes"])
def test_three_percent_on_half_of_the_nodes_end_a_pipeline_with_1(fleet: Fleet, watch: Watch, tmp_path: Path) -> None:
    fleet.slow(NAMES[:8], fleet.now - 17.5 * 3600, 1.03)
    code, out, err = watch("--until", "confirmed", "--markdown", str(tmp_path / "ticket.md"))
    assert (code, err) == (1, "")
    assert "8 of 16 nodes changed" in out
    said = re.search(r"tcp (\S+) % slower on the changed nodes since .*? \((\S+)–(\S+) %\), confirmed; dns as before",
                     out.replace("\n", " "))  # fmt: skip
    assert said is not None
    size, low, high = map(float, said.groups())
    assert low < 3.0 < high
    assert 2.0 < size < 4.0
    assert re.search(r"^tcp .* confirmed slower ", out, re.MULTILINE)
    ticket = (tmp_path / "ticket.md").read_text()
    assert ticket.startswith("## cilium 1.17→1.18\n\nTcp ")
    assert "| confirmed slower |" in ticket


def test_an_upgrade_that_harms_nobody_ends_with_0_when_its_time_is_over(watch: Watch) -> None:
    code, out, err = watch("--until", "50ms", "--every", "10ms")
    assert (code, err) == (0, "")
    assert "no difference between changed nodes and control yet" in out


def test_something_faster_is_told_and_no_reason_to_fail(fleet: Fleet, watch: Watch) -> None:
    fleet.slow(list(CHANGED), fleet.now - 18 * 3600, 0.9, layer="dns")
    code, out, _ = watch("--once")
    assert code == 0
    assert re.search(r"dns \S+ % faster on the changed nodes since ", out)


def test_failures_are_told_with_both_sides(fleet: Fleet, watch: Watch) -> None:
    for name in CHANGED:
        fleet.vantages[name].failed[-LIVE:, 2] = 1
    _, out, _ = watch("--once")
    assert "tcp fails in 1.2 % of the runs on the changed nodes, in 0 % on the control" in out.replace("\n", " ")
    assert re.search(r"^tcp +1\.2 % \(1\.1 to 1\.4 %\) +0 % \(0 to 0\.01 %\) +more$", out, re.MULTILINE)


def test_what_shows_on_one_path_alone_is_told_of_that_path(fleet: Fleet, watch: Watch) -> None:
    fleet.slow(list(CHANGED), fleet.now - 18 * 3600, 1.1, path="pod")
    fleet.slow(list(CHANGED), fleet.now - 18 * 3600, 1 / 1.1, path="service")
    code, out, _ = watch("--once")
    assert code == 1
    assert "tcp of path pod" in out
    assert re.search(r"^  path pod .* confirmed slower", out, re.MULTILINE)


def test_events_are_json_by_the_line(fleet: Fleet, watch: Watch) -> None:
    fleet.slow(list(CHANGED), fleet.now - 17 * 3600, 1.1)
    code, out, err = watch("-o", "json", "--once")
    assert (code, err) == (1, "")
    events = [json.loads(line) for line in out.splitlines()]
    assert [one["event"] for one in events[:2]] == ["begin", "block"]
    assert {one["event"] for one in events[2:-1]} == {"verdict"}
    assert events[0]["changed"] == list(CHANGED)
    verdict = next(one for one in events if one["event"] == "verdict" and one["layer"] == "tcp" and not one["part"])
    assert (verdict["level"], verdict["direction"]) == ("confirmed", "regressed")
    assert verdict["difference"]["lower"] < 1.1 < verdict["difference"]["upper"]
    end = events[-1]
    assert (end["event"], end["exit"], end["regressed"]) == ("end", 1, True)
    assert end["says"].startswith("tcp ")


def test_a_change_that_begins_now_has_nothing_to_compare_yet(watch: Watch) -> None:
    code, out, _ = watch("--once", since="2026-01-07T00:00:00Z")
    assert code == 3
    assert "nothing to compare yet" in out


def test_too_little_before_and_nobody_there_are_exit_code_3(
    fleet: Fleet, watch: Watch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = watch("--once", "--history", "5h")
    assert (code, out) == (3, "")
    assert err.startswith("prober: 5 h of shifts before the change, 12 are needed: ")
    assert main(["watch", "--change", "x", "--changed", "a", "--once", "--service", "no-such-name.invalid:9790"]) == 3
    assert "no prober answers\n  no-such-name.invalid:9790: " in capsys.readouterr().err


def test_the_addresses_of_a_service_are_asked_and_what_is_no_prober_is_told(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    port = fleet.base.rpartition(":")[2]
    assert main(["watch", "--change", "x", "--changed", "a", "--once", "--service", f"127.0.0.1:{port}"]) == 3
    assert f"  http://127.0.0.1:{port}: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "the following arguments are required: --change, --changed"),
        (("--change", "x", "--changed", "others"), "--changed and --control can't both be the others"),
        (("--change", "x", "--changed", ""), "--changed: an empty node set; write comma-separated, each of"),
        (("--change", "x", "--changed", "kernal=6*"), "there is no 'kernal' of a node (did you mean kernel?)"),
        (("--change", "x", "--changed", "a", "--control", "zone:b"), "--control: 'zone:b': write zone=b"),
        (("--change", "x", "--changed", "a", "--until", "later"), "--until later: write confirmed, or a time as in 2h"),
        (("--change", "x", "--changed", "a", "--until", "2h", "--once"), "--once ends at once"),
        (("--change", "x", "--changed", "a", "--since", "soon"), "argument --since: 'soon' is not a moment"),
        (
            ("--change", "x", "--changed", "a", "--service", "peers"),
            "--service: peers: write HOST:PORT, as in prober-peers",
        ),
        (("--change", "x", "--changed", "a", "--url", "ftp://x"), "an http:// or https:// URL is wanted"),
        (("--change", "x", "--changed", "a", "--api", "localhost"), "--api: 'localhost' is no URL of an API server"),
        (("--change", "x", "--changed", "a", "--ca-file", "x"), "--token-file and --ca-file go with --api"),
    ],
)
def test_a_command_that_cannot_be_is_exit_code_2_and_says_why(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["watch", *words]) == 2
    shown = capsys.readouterr()
    assert (shown.out, said in shown.err) == ("", True)


def test_names_that_no_node_has_are_exit_code_2(watch: Watch) -> None:
    code, out, err = watch("--once", changed="node-99")
    assert (code, out) == (2, "")
    assert err.startswith("prober: no node meets 'node-99': did you mean ")


def test_in_a_pod_the_probers_of_the_manifests_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    import argparse

    parser = argparse.ArgumentParser()
    options.configure(parser)
    args = parser.parse_args(["--change", "x", "--changed", "a"])
    assert options.plan_of(args).probers.urls == ("http://127.0.0.1:9790",)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "192.0.2.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    plan = options.plan_of(args)
    assert (plan.probers.urls, plan.probers.services) == ((), (("prober-peers", 9790),))
    assert plan.access is not None


def test_on_a_terminal_the_table_is_drawn_in_place_and_ctrl_c_leaves_the_last_one(fleet: Fleet) -> None:
    words = ["--change", "cilium", "--changed", "node-0[0-2]", "--since", SINCE]
    urls = [part for url in fleet.urls for part in ("--url", url)]
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"}
    with subprocess.Popen(
        [sys.executable, "-m", "prober", "watch", *words, *urls], stdout=theirs, stderr=subprocess.PIPE, env=environment
    ) as watching:
        os.close(theirs)
        drawn = _until(ours, b"Ctrl-C ends")
        watching.send_signal(signal.SIGINT)
        last = _until(ours, b"")
        assert watching.stderr is not None
        assert (watching.wait(30), watching.stderr.read()) == (0, b"")
    os.close(ours)
    assert b"3 of 6 nodes changed" in drawn
    assert b"no difference between changed nodes and control yet" in last
    assert b"Ctrl-C" not in last.rpartition(b"cilium")[2]


def _until(terminal: int, mark: bytes) -> bytes:
    """What is written until there is the mark, or else to the end."""
    read = b""
    with suppress(OSError):  # how a terminal ends
        while not mark or mark not in read:
            read += os.read(terminal, 65536)
    return read
