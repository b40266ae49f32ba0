"""Every file under `bad/` is refused with exactly the problems that stand beside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from prober.config.errors import ConfigError, Problem
from prober.config.load import load, load_text

HERE = Path(__file__).parent / "bad"
FILES = sorted(HERE.glob("*.yaml"))
#: What the variables of the bad files hold: it must never be seen.
SECRET = "s3cr3t-value"
ENV = {"HOST": SECRET, "PASSWORD": SECRET}


def problems_of(path: Path) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        load(path, ENV)
    return caught.value.problems


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_bad_file_is_refused_with_all_its_problems(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if path.stem.startswith("yaml-") and not yaml.__with_libyaml__:
        pytest.skip("the words for broken YAML are libyaml's")
    monkeypatch.chdir(HERE)
    with pytest.raises(ConfigError) as caught:
        load(Path(path.name), ENV)
    assert path.with_suffix(".txt").read_text(encoding="utf-8") == f"{caught.value}\n"


def test_there_are_at_least_forty_of_them_and_no_text_without_its_file() -> None:
    assert len(FILES) >= 40
    assert {path.stem for path in HERE.glob("*.txt")} == {path.stem for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_problems_are_in_the_order_of_the_file_and_show_no_value_of_a_variable(path: Path) -> None:
    problems = problems_of(path)
    assert [(p.line, p.column) for p in problems] == sorted((p.line, p.column) for p in problems)
    assert SECRET not in str(ConfigError(problems))
    assert all(p.line >= 1 and p.column >= 1 for p in problems)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_place_is_inside_its_file(path: Path) -> None:
    lines = path.read_bytes().decode(errors="replace").split("\n")
    for problem in problems_of(path):
        assert problem.line <= max(len(lines), 1)
        assert problem.column <= len(lines[problem.line - 1]) + 1


def test_a_file_that_is_not_there_is_a_problem_like_any_other(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "no.yaml", {})
    assert str(caught.value) == f"{tmp_path / 'no.yaml'}:1:1: can't be read: No such file or directory"


def test_a_directory_is_a_problem_like_any_other(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read: Is a directory"):
        load(tmp_path, {})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_a_problem_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "probes.yaml"
    path.write_text("probes: []", encoding="utf-8")
    path.chmod(0)
    with pytest.raises(ConfigError, match="can't be read: Permission denied"):
        load(path, {})


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 100_000, "".join(" " * n + "a:\n" for n in range(2000))])
def test_nesting_without_end_is_refused_and_does_not_end_the_process(text: str) -> None:
    with pytest.raises(ConfigError, match="nested too deeply"):
        load_text(text, "deep.yaml", {})


def test_aliases_of_aliases_do_not_multiply() -> None:
    """The billion laughs: nine levels of ten aliases each are read in no time."""
    levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 10))
    with pytest.raises(ConfigError, match="unknown key"):
        load_text(f"l0: &l0 x\n{levels}\nprobes: []\n", "laughs.yaml", {})
