"""The entry: the table of commands, mistakes, interruptions, and that nothing is imported that is not needed."""

from __future__ import annotations

import argparse
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

from prober import __version__
from prober.cli import main as entry
from prober.cli.main import COMMANDS, main
from tests.support.unmeasured import python


def prober(*arguments: str, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "prober", *arguments], capture_output=True, text=True, timeout=30, **more
    )  # type: ignore[call-overload, no-any-return]  # what subprocess.run takes more


def test_the_version_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"prober {__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_module_and_stands_in_the_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert find_spec(COMMANDS[name].module) is not None
    assert main(["--help"]) == 0
    assert f"  {name} " in capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_tells_its_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: prober {name} ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "usage: prober COMMAND"),
        (["tyr"], "prober: unknown command 'tyr' (did you mean try?)"),
        (["frobnicate"], "prober: unknown command 'frobnicate'\n"),
        (["try"], "the following arguments are required: URL"),
        (["try", "--bogus", "http://x"], "unrecognized arguments: --bogus"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2_and_said_on_stderr(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert said.out == ""


def a_command(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """The command `check`, made to end in `error`."""

    def run(_args: argparse.Namespace) -> int:
        raise error

    module = SimpleNamespace(configure=lambda _parser: None, run=run)
    monkeypatch.setattr(entry, "import_module", lambda _name: module)


def test_ctrl_c_is_exit_code_130_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    a_command(monkeypatch, KeyboardInterrupt())
    assert main(["check"]) == 130


def test_a_reader_that_leaves_is_no_error() -> None:
    command = f"{sys.executable} -m prober demo --list-faults | head -1"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("dns-nxdomain")


def test_a_reader_that_leaves_early_is_never_told_as_success(monkeypatch: pytest.MonkeyPatch) -> None:
    a_command(monkeypatch, BrokenPipeError())
    monkeypatch.setattr(entry, "_drop_stdout", lambda: None)
    assert main(["check"]) == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this machine")
def test_a_full_disk_is_no_failed_probe_and_no_traceback() -> None:
    command = f"{sys.executable} -m prober schema > /dev/full"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (3, "prober: stdout can't be written: No space left on device\n")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_no_exit_code(closed: str) -> None:
    command = f"{sys.executable} -m prober try tcp://127.0.0.1:1 {closed}"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (1, "")


def imported(*arguments: str) -> set[str]:
    """Top-level packages that a command line has imported by its end."""
    code = (
        "import sys; from prober.cli.main import main; main(sys.argv[1:]);"
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    return set(python(code, *arguments).stderr.splitlines()[-1].split())


HEAVY = {"numpy", "sqlite3", "grpc", "apscheduler", "uvicorn", "starlette", "prometheus_client", "icmplib"}


def test_the_version_needs_no_library_at_all() -> None:
    assert not imported("--version") & (HEAVY | {"rich", "pydantic", "asyncio", "yaml", "httpx", "OpenSSL", "dns"})


def test_trying_a_tcp_url_imports_no_more_than_its_ladder() -> None:
    assert not imported("try", "tcp://127.0.0.1:1") & (HEAVY | {"OpenSSL", "httpx", "yaml"})


@pytest.mark.parametrize("command", ["check", "once"])
def test_numpy_is_for_those_who_judge_baselines_alone(command: str, tmp_path: Path) -> None:
    path = tmp_path / "probes.yaml"
    path.write_text(
        'targets: {db: {paths: {service: {url: "tcp://127.0.0.1:1"}}}}\n'
        "probes: [{name: x, kind: tcp, targets: [db], budget: {tcp: {p99: 5ms}}}]\n"
    )
    assert "numpy" not in imported(command, "-c", str(path))


def test_python_m_prober_is_the_same_command() -> None:
    assert prober("--version").stdout == f"prober {__version__}\n"
