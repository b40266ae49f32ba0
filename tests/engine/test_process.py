"""`prober run` as a process: scraped, reloaded in every way, its target broken, stopped with probes in flight."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.process import PATIENCE, Target, prober, target

WEB = "{{name: {name}, kind: http, targets: [web], interval: 200ms, timeout: 150ms}}"


def write(path: Path, port: int, *probes: str) -> None:
    """A configuration with one target and these probes, swapped in at once as an editor would."""
    lines = [f"targets: {{web: {{paths: {{direct: {{url: 'http://127.0.0.1:{port}/'}}}}}}}}", "probes:"]
    lines += [f"  - {probe}" for probe in probes]
    fresh = path.with_suffix(".new")
    fresh.write_text("\n".join(lines) + "\n")
    fresh.rename(path)


def web(name: str) -> str:
    return WEB.format(name=name)


def until(true: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < ends, "never came true"
        time.sleep(0.02)


@pytest.fixture
def server() -> Iterator[Target]:
    with target() as server:
        yield server


@pytest.fixture
def config(tmp_path: Path, server: Target) -> Path:
    path = tmp_path / "probes.yaml"
    write(path, server.port, web("web"))
    return path


def label(probe: str) -> str:
    return f'probe="{probe}"'


def test_a_broken_target_shows_in_metrics_api_and_events_and_comes_back(config: Path, server: Target) -> None:
    with prober(config) as p:
        assert p.event("started")["cells"] == 1
        assert p.get("/readyz")[0] == p.get("/healthz")[0] == 200
        up = lambda: [value for labels, value in p.samples("prober_up").items() if label("web") in labels]  # noqa: E731 - a name for one look
        until(lambda: up() == [1.0])
        server.status = 503
        failed = p.event("cell_failed")
        assert failed["run"]["blame"] == {"layer": "http", "reason": "status"}
        assert failed["since"] == failed["run"]["started_at"]
        until(lambda: up() == [0.0])
        assert '"status"' in p.get("/api/v1/cells")[1]
        server.status = 200
        recovered = p.event("cell_recovered")
        assert (recovered["run"]["ok"], recovered["failed_since"]) == (True, failed["since"])
        until(lambda: up() == [1.0])


def test_reloads_by_post_by_signal_and_by_poll(config: Path, server: Target) -> None:
    with prober(config) as p:

        def runs(probe: str) -> float:
            return sum(value for labels, value in p.samples("prober_runs_total").items() if label(probe) in labels)

        until(lambda: runs("web") >= 3)
        before = runs("web")
        write(config, server.port, web("web"), web("more"))
        assert p.get("/-/reload", "POST")[0] == 200
        assert runs("web") >= before, "an unchanged cell keeps its counters"
        until(lambda: runs("more") >= 1)

        write(config, server.port, web("web"), web("more"), "{name: bad, kind: htpt, targets: [web]}")
        status, says = p.get("/-/reload", "POST")
        assert status == 422
        assert f"{config}:5:" in says
        assert "htpt" in says
        assert p.samples("prober_config_last_reload_successful") == {"": 0.0}
        assert p.event("reload_failed")["errors"] == says.splitlines()
        before = runs("more")
        until(lambda: runs("more") > before)

        seen = len(p.stdout.seen)
        write(config, server.port, web("more"))
        p.signal(signal.SIGHUP)
        assert p.event("reloaded", seen)["removed"] == 1
        assert p.samples("prober_config_last_reload_successful") == {"": 1.0}
        assert label("web") not in p.get("/metrics")[1], "a removed cell loses its series"

        seen = len(p.stdout.seen)
        write(config, server.port, web("more"), web("polled"))
        assert p.event("reloaded", seen)["added"] == 1
        until(lambda: runs("polled") >= 1)


@contextlib.contextmanager
def silent() -> Iterator[socket.socket]:
    """Accepts in the kernel, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


SLOW = "{name: slow, kind: http, targets: [web], interval: 1m, timeout: 50s}"


def one_in_flight(path: Path, listener: socket.socket) -> None:
    """A configuration whose only probes hang: enough of them that one is due within the second."""
    write(path, listener.getsockname()[1], *(SLOW.replace("slow", f"slow-{n}") for n in range(200)))


def test_sigterm_with_probes_in_flight_drains_within_its_bound_and_exits_with_0(tmp_path: Path) -> None:
    with silent() as listener:
        one_in_flight(tmp_path / "probes.yaml", listener)
        with prober(tmp_path / "probes.yaml", "--drain", "1s") as p:
            connection, _ = listener.accept()
            with connection:
                began = time.monotonic()
                p.signal(signal.SIGTERM)
                until(lambda: p.get("/readyz")[0] == 503)
                assert p.wait() == 0
                assert 1.0 <= time.monotonic() - began < 8
            assert p.event("stopped")["cancelled"] >= 1


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    with silent() as listener:
        one_in_flight(tmp_path / "probes.yaml", listener)
        with prober(tmp_path / "probes.yaml", "--drain", "1m") as p:
            connection, _ = listener.accept()
            with connection:
                p.signal(signal.SIGINT)
                until(lambda: p.get("/readyz")[0] == 503)
                time.sleep(0.25)  # sooner it would be an echo of the first
                p.signal(signal.SIGINT)
                assert p.wait() == 128 + signal.SIGINT


def test_a_signal_that_comes_twice_at_once_is_one_signal(tmp_path: Path) -> None:
    with silent() as listener:
        one_in_flight(tmp_path / "probes.yaml", listener)
        with prober(tmp_path / "probes.yaml", "--drain", "500ms") as p:
            connection, _ = listener.accept()
            with connection:
                p.signal(signal.SIGTERM)
                p.signal(signal.SIGINT)
                assert p.wait() == 0


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "prober.cli.main", "run", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_a_bad_configuration_at_the_start_is_told_and_exits_with_2(tmp_path: Path) -> None:
    path = tmp_path / "probes.yaml"
    write(path, 1, "{name: bad, kind: htpt, targets: [web]}")
    done = run("-c", str(path), "--listen", "127.0.0.1:0")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"{path}:3:")
    assert "Traceback" not in done.stderr


def test_a_missing_configuration_exits_with_2(tmp_path: Path) -> None:
    done = run("-c", str(tmp_path / "none.yaml"), "--listen", "127.0.0.1:0")
    assert done.returncode == 2
    assert "No such file" in done.stderr


def test_a_port_in_use_is_told_and_exits_with_3(config: Path) -> None:
    with silent() as listener:
        done = run("-c", str(config), "--listen", f"127.0.0.1:{listener.getsockname()[1]}")
    assert done.returncode == 3
    assert "the port is in use" in done.stderr
