"""From a file to a matrix, in this process and in one of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prober.config.errors import ConfigError
from prober.engine import loading
from prober.engine.loading import read_matrix
from prober.model import Vantage
from prober.options import BaselineSettings, RecordOptions

VANTAGE = Vantage("node-a")
ONE = """
targets:
  one: {paths: {direct: {url: "tcp://127.0.0.1:1"}}}
probes:
  - {name: a, kind: tcp, targets: [one]}
"""
TWO = (
    ONE
    + """
  - {name: b, kind: tcp, targets: [one], timeout: 1s}
"""
)


@pytest.fixture(params=["here", "in a process"])
def path(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file with ONE; each test runs with both ways of loading."""
    calls = []
    real = loading._far

    def counted(*args: Any) -> Any:
        calls.append(args)
        matrix = real(*args)
        assert matrix is not None
        return matrix

    monkeypatch.setattr(loading, "_far", counted)
    if request.param == "in a process":
        monkeypatch.setattr(loading, "LARGE", 0)
    path = tmp_path / "probes.yaml"
    path.write_text(ONE)
    yield path
    assert bool(calls) is (request.param == "in a process")


def test_equal_cells_stay_the_same_objects_and_new_ones_come_beside(path: Path) -> None:
    before = read_matrix(path, VANTAGE)
    path.write_text("# a comment more\n" + TWO)
    after = read_matrix(path, VANTAGE, before)
    assert after.hash != before.hash
    assert [(c.probe, c.family) for c in after.cells] == [(c.probe, c.family) for c in read_matrix(path, VANTAGE).cells]
    assert after.cells[0] is before.cells[0]
    assert {c.timeout for c in after.cells if c.probe == "b"} == {1.0}


def test_a_cell_that_changed_is_another_object(path: Path) -> None:
    path.write_text(TWO)
    before = read_matrix(path, VANTAGE)
    path.write_text(TWO.replace("timeout: 1s", "timeout: 2s"))
    after = read_matrix(path, VANTAGE, before)
    same = {c.probe: any(c is old for old in before.cells) for c in after.cells}
    assert same == {"a": True, "b": False}


def test_another_use_of_a_variable_elsewhere_does_not_change_a_cell(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_HOST", "192.0.2.77")
    before = read_matrix(path, VANTAGE)
    other = '\n  two: {paths: {direct: {url: "tcp://${DB_HOST}:2"}}}\nprobes:'
    path.write_text(ONE.replace("\nprobes:", other) + "\n  - {name: b, kind: tcp, targets: [two]}")
    after = read_matrix(path, VANTAGE, before)
    (new,) = [c for c in after.cells if c.probe == "b"]
    assert (new.endpoint.host, new.hidden["192.0.2.77"]) == ("192.0.2.77", "${DB_HOST}")
    assert after.cells[0] is before.cells[0]


def test_problems_keep_their_places(path: Path) -> None:
    before = read_matrix(path, VANTAGE)
    path.write_text(TWO.replace("name: b, kind: tcp", "name: b, kind: tpc"))
    with pytest.raises(ConfigError) as caught:
        read_matrix(path, VANTAGE, before)
    assert str(caught.value).startswith(f"{path}:7:")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [(Path.unlink, "can't be read: No such file"), (lambda path: path.write_bytes(b"a: \xff"), "not UTF-8: byte 0xff")],
)
def test_a_file_that_cannot_be_read_is_a_bad_configuration(tmp_path: Path, spoil: Any, says: str) -> None:
    path = tmp_path / "probes.yaml"
    path.write_text(ONE)
    before = read_matrix(path, VANTAGE)
    spoil(path)
    with pytest.raises(ConfigError, match=says):
        read_matrix(path, VANTAGE, before)


@pytest.mark.parametrize("trouble", [OSError("no memory"), subprocess.TimeoutExpired("python", 1)])
def test_where_no_process_can_be_had_it_is_loaded_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, trouble: Exception
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise trouble

    path = tmp_path / "probes.yaml"
    path.write_text(ONE)
    before = read_matrix(path, VANTAGE)
    monkeypatch.setattr(loading, "LARGE", 0)
    monkeypatch.setattr(subprocess, "run", refuse)
    path.write_text(TWO)
    assert read_matrix(path, VANTAGE, before).cells[0] is before.cells[0]
    assert "no process to load the configuration in" in caplog.text


def test_what_is_said_of_baselines_comes_along_and_changes_with_the_file(path: Path) -> None:
    before = read_matrix(path, VANTAGE)
    said = "baseline: {retention: 3d, metrics: all, record: {label: first}}"
    path.write_text(said + ONE.replace("kind: tcp", "kind: tcp, baseline: false"))
    after = read_matrix(path, VANTAGE, before)
    assert before.baseline == BaselineSettings()
    record = RecordOptions(after=48 * 3600.0, label="first")
    assert after.baseline == BaselineSettings(retention=3 * 86400.0, metrics="all", record=record)
    assert ({c.baseline for c in before.cells}, {c.baseline for c in after.cells}) == ({True}, {False})
