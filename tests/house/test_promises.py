"""Promises about the source itself that no linter knows: sizes, reasons beside exceptions, locks, documents."""

from __future__ import annotations

import ast
import re
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for top in ("prober", "tests", "benchmarks") for path in (ROOT / top).rglob("*.py"))
LOCKS = ["requirements.txt", "requirements-dev.txt"]

# The rule's code first, then why, in words.
_EXCEPTION = re.compile(r"#\s*(?:noqa|type: ignore)\b")
_REASONED = re.compile(r"#\s*(?:noqa: [A-Z0-9, ]+ - \S+|type: ignore\[[a-z, -]+\]\s+#\s*\S+)")


def read_toml(name: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / name).read_text())


def pins(name: str) -> dict[str, str]:
    """Package → version, of one requirements file."""
    found = re.findall(r"^([a-z0-9._-]+)==([^ \\]+)", (ROOT / name).read_text(), re.MULTILINE)
    return dict(found)


def direct() -> dict[str, list[Requirement]]:
    """The requirements that pyproject.toml names, by the file that locks them."""
    project = read_toml("pyproject.toml")
    run = [Requirement(text) for text in project["project"]["dependencies"]]
    dev = [Requirement(text) for text in project["dependency-groups"]["dev"]]
    return {"requirements.txt": run, "requirements-dev.txt": [*run, *dev]}


def test_no_file_is_longer_than_300_lines() -> None:
    assert [f"{p.relative_to(ROOT)}: {n}" for p in SOURCES if (n := len(p.read_text().splitlines())) > 300] == []


def test_every_exception_to_a_rule_says_why_on_its_line() -> None:
    bare = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in SOURCES
        if path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if _EXCEPTION.search(line) and not _REASONED.search(line)
    ]
    assert bare == []


@pytest.mark.parametrize("name", LOCKS)
def test_the_requirements_are_those_of_the_lock(name: str) -> None:
    locked = {package["name"]: package.get("version") for package in read_toml("uv.lock")["package"]}
    assert pins(name).items() <= locked.items()


@pytest.mark.parametrize("name", LOCKS)
def test_the_lock_meets_what_pyproject_asks_for(name: str) -> None:
    locked = pins(name)
    unmet = [str(r) for r in direct()[name] if locked.get(canonicalize_name(r.name), "0") not in r.specifier]
    assert unmet == []


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_file_has_its_hash(name: str) -> None:
    entries = re.split(r"^(?=[a-z0-9])", (ROOT / name).read_text(), flags=re.MULTILINE)[1:]
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_every_direct_dependency_has_its_reason() -> None:
    """docs/dependencies.md names each of them as the head of a table row."""
    told = set(re.findall(r"^\| `([a-z0-9-]+)`", (ROOT / "docs" / "dependencies.md").read_text(), re.MULTILINE))
    assert told == {r.name for r in direct()["requirements-dev.txt"]}


@cache
def imports() -> dict[str, set[str]]:
    """Our files, as paths below prober/, and the top-level modules that each imports, wherever in it."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "prober").rglob("*.py"):
        tops = found.setdefault(path.relative_to(ROOT / "prober").as_posix(), set())
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                tops.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                tops.add((node.module or "").partition(".")[0])
    return found


def importers(package: str) -> list[str]:
    """Our files that import something of the distribution `package`."""
    modules = {top for top, names in packages_distributions().items() if package in map(canonicalize_name, names)}
    return sorted(file for file, tops in imports().items() if tops & modules)


@pytest.mark.parametrize("package", [canonicalize_name(r.name) for r in direct()["requirements.txt"]])
def test_a_dependency_is_imported_where_its_row_says_and_nowhere_else(package: str) -> None:
    row = re.search(rf"^\| `{package}` \|.*\|$", (ROOT / "docs" / "dependencies.md").read_text(), re.MULTILINE)
    assert row is not None
    places = re.findall(r"`([a-z0-9_/.]+)`", row[0].split(" | ")[3])
    found = importers(package)
    assert [file for file in found if not file.startswith(tuple(places))] == []
    assert [place for place in places if not any(file.startswith(place) for file in found)] == []


def test_every_folder_is_on_the_map_of_the_house() -> None:
    told = (ROOT / "docs" / "architecture.md").read_text()
    folders = [path.parent.name for path in (ROOT / "prober").glob("*/__init__.py")]
    assert [folder for folder in folders if f"`{folder}/`" not in told] == []
