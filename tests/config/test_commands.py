"""`prober check`, `plan` and `schema`: exit codes, and what goes where."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from types import ModuleType

import pytest

from prober.cli import check, schema
from prober.cli import plan as plan_command
from prober.config.editor import json_schema
from tests.support.unmeasured import python

GOOD, BAD = Path(__file__).parent / "good", Path(__file__).parent / "bad"


def run(module: ModuleType, *arguments: str) -> int:
    parser = argparse.ArgumentParser()
    module.configure(parser)
    code: int = module.run(parser.parse_args(arguments))
    return code


def test_check_says_what_a_good_file_has(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(GOOD / "matrix.yaml")
    assert run(check, path) == 0
    assert capsys.readouterr() == (f"{path}: valid: 3 targets, 2 probes, at most 9 cells at one vantage\n", "")


def test_check_says_every_problem_on_stderr(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(BAD)
    assert run(check, "everything-at-once.yaml") == 2
    assert capsys.readouterr() == ("", Path("everything-at-once.txt").read_text(encoding="utf-8"))


def test_check_looks_at_every_file_and_at_probes_yaml_without_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert run(check, str(GOOD / "dns.yaml"), str(BAD / "yaml-empty.yaml"), str(GOOD / "design.yaml")) == 2
    said = capsys.readouterr()
    assert (said.out.count("valid:"), said.err.count("the file is empty")) == (2, 1)
    monkeypatch.chdir(tmp_path)
    assert run(check) == 2
    assert capsys.readouterr().err == "probes.yaml:1:1: can't be read: No such file or directory\n"


def test_plan_as_json_adds_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(plan_command, str(GOOD / "design.yaml"), "-o", "json", "--vantage", "far", "--zone", "z") == 0
    made = json.loads(capsys.readouterr().out)
    assert made["vantage"] == {"name": "far", "node": "", "zone": "z", "region": ""}
    for key in ("cells", "probes_per_second", "packets_per_second"):
        assert made["total"][key] == pytest.approx(sum(probe[key] for probe in made["probes"].values()))
    assert made["total"]["series"] > 0
    assert "no-egress-from-app" not in made["probes"]


def test_plan_takes_the_place_of_the_vantage_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    place = ["--label", "app=canary", "--family", "ipv4", "--family", "ipv6"]
    assert run(plan_command, "-c", str(GOOD / "design.yaml"), "--vantage", "n1", "--region", "r1", *place) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "at vantage n1 (r1), ipv4 and ipv6"
    rows = {line.split()[0]: line.split()[1:] for line in said[2:] if line}
    assert rows["probe"] == ["cells", "probes/s", "packets/s", "connections/s", "series"]
    assert (rows["web"][0], rows["names"][0], rows["no-egress-from-app"][0]) == ("5", "48", "2")
    assert any("as many addresses" in line for line in said)


def test_plan_of_a_bad_file_is_its_problems(capsys: pytest.CaptureFixture[str]) -> None:
    path = BAD / "keys-no-probes.yaml"
    assert run(plan_command, str(path)) == 2
    assert capsys.readouterr() == ("", f"{path}:1:1: probes: required key is missing\n")


def test_plan_says_what_a_run_waits_for_on_each_path(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "probes.yaml"
    path.write_text("""
targets:
  web:
    paths:
      ingress: {url: "https://api.example.com./", proxy: "http://192.0.2.9:3128"}
      edge: https://api.example.com/
      service: http://10.96.0.7/
      other: http://10.96.0.8/
probes: [{name: web, kind: http, targets: [web]}]
""")
    assert run(plan_command, str(path), "--family", "ipv4") == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if ": web/" in line]
    assert lines == [
        "- 4 (tcp 1, proxy 1, tls 1, http 1): web/web/ingress",
        "- 4 (dns 1, tcp 1, tls 1, http 1), up to 3 more for the search list: web/web/edge",
        "- 2 (tcp 1, http 1): web/web/service, web/web/other",
    ]
    assert run(plan_command, str(path), "--family", "ipv4", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out)["round_trips"][1] == {
        "probe": "web", "target": "web", "path": "edge", "count": 4, "more": 3,
        "layers": {"dns": 1, "tcp": 1, "tls": 1, "http": 1},
    }  # fmt: skip


_TAIL = 'The first one, "first", is recorded by itself after 24 h in health.'


@pytest.mark.parametrize(
    ("block", "says"),
    [
        (
            "",
            "Baselines: of 1 of 2 cells, hours kept for 14 days, metrics of what is not as it was (at most 40 series).",
        ),
        ("baseline: {enabled: false}", "No baselines: baseline.enabled is false."),
        (
            "baseline: {metrics: all, retention: 36h, record: {after: 24h, label: first}}",
            f"Baselines: of 1 of 2 cells, hours kept for 36 h, metrics of every layer (at most 40 series). {_TAIL}",
        ),
    ],
)
def test_plan_says_what_is_remembered(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, block: str, says: str
) -> None:
    path = tmp_path / "probes.yaml"
    path.write_text(f"""{block}
targets: {{a: "icmp://192.0.2.1"}}
probes: [{{name: x, kind: icmp, targets: [a]}}, {{name: y, kind: icmp, targets: [a], baseline: false}}]
""")
    assert run(plan_command, str(path), "--family", "ipv4") == 0
    assert capsys.readouterr().out.splitlines()[-1] == says


def test_plan_as_json_says_what_is_remembered(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(plan_command, str(GOOD / "budget.yaml"), "-o", "json", "--family", "ipv4") == 0
    assert json.loads(capsys.readouterr().out)["baseline"] == {
        "enabled": True, "retention": 2592000.0, "metrics": "all", "record": {"after": 604800.0, "label": "first"},
        "cells": 3, "most_series": 238,
    }  # fmt: skip


def test_plan_refuses_a_label_without_a_value(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(plan_command, "--label", "app")
    assert ended.value.code == 2
    assert "'app' is not key=value" in capsys.readouterr().err


def test_schema_prints_the_json_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(schema) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(json_schema()))


def test_check_imports_nothing_that_it_does_not_need() -> None:
    heavy = [
        "asyncio",
        "httpx",
        "grpc",
        "OpenSSL",
        "apscheduler",
        "prometheus_client",
        "rich",
        "dns",
        "uvicorn",
        "numpy",
        "sqlite3",
    ]
    program = (
        "import argparse, sys; from prober.cli import check; parser = argparse.ArgumentParser();"
        f"check.configure(parser); check.run(parser.parse_args([{str(GOOD / 'design.yaml')!r}]));"
        f"print(sorted(set({heavy}) & set(sys.modules)))"
    )
    assert python(program).stdout.splitlines()[-1] == "[]"
