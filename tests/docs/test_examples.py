"""What the documents say is so: their configurations load, their tables name every key, metric and reason."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from prober.config import schema
from prober.config.load import load_text
from prober.export.baseline_families import FAMILIES as BASELINE_FAMILIES
from prober.export.selfmetrics import SelfMetrics
from prober.export.series import FAMILIES
from prober.model import Vantage
from prober.options import BaselineSettings, KindOptions, Options, RecordOptions
from prober.reasons import COMMON_FAILURES, REASONS, SKIPS

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text()
METRICS = (ROOT / "docs" / "metrics.md").read_text()


def examples() -> list[object]:
    """Every fenced YAML block that says of itself, in its first line, that it is a probes.yaml."""
    return [
        pytest.param(block, id=f"{path.name}-{number}")
        for path in DOCUMENTS
        for number, block in enumerate(
            re.findall(r"^```yaml\n(# probes\.yaml\n.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)
        )
    ]


@pytest.mark.parametrize("text", examples())
def test_every_configuration_in_a_document_loads(text: str) -> None:
    load_text(text, "probes.yaml", env={})


def test_there_are_examples() -> None:
    assert len(examples()) >= 3


def test_every_key_is_in_the_reference() -> None:
    models: list[type[Options]] = [schema.ConfigFile, schema.TargetEntry, schema.PathEntry, schema.Endpoints]
    models += [schema.ProbeEntry, schema.Matrix, schema.Vantages, schema.Exclude, schema.Expect]
    models += [BaselineSettings, RecordOptions]
    models += [type(getattr(KindOptions(), block)) for block in KindOptions.model_fields]
    keys = {key for model in models for key in model.model_fields}
    assert [key for key in sorted(keys) if not re.search(rf"`(?:\w+\.)?{key}`|`?\b{key}:", CONFIGURATION)] == []


def test_every_metric_is_in_the_reference() -> None:
    told = set(re.findall(r"^\| `(prober_\w+)`", METRICS, re.MULTILINE))
    suffix = {"counter": "_total", "info": "_info"}
    exported = {family.name + suffix.get(family.type, "") for family in FAMILIES}
    registry = SelfMetrics(Vantage("here"), process=False).registry
    exported |= {family.name + suffix.get(family.type, "") for family in BASELINE_FAMILIES}
    exported |= {metric.name + suffix.get(metric.type, "") for metric in registry.collect()}
    assert told == exported


ALERTS_TEST = """
rule_files: [rules.yaml]
evaluation_interval: 10m
tests:
  - interval: 10m
    input_series:
      - {series: 'prober_group_regression{group="ingress minus service", layer="tcp", direction="regressed", level="confirmed", scope="a"}', values: "1x3"}
      - {series: 'prober_group_regression{group="all", layer="dns", direction="regressed", level="confirmed"}', values: "1x3"}
      - {series: 'prober_group_regression{group="ipv6 minus ipv4", layer="dns", direction="improved", level="confirmed"}', values: "1x3"}
      - {series: 'prober_regression{target="a", path="ingress", layer="tls", channel="rank", direction="regressed", level="confirmed"}', values: "1x3"}
      - {series: 'prober_regression{target="a", path="ingress", layer="tls", channel="tail", direction="regressed", level="confirmed"}', values: "1x3"}
      - {series: 'prober_regression{target="b", path="ingress", layer="tls", channel="rank", direction="regressed", level="confirmed"}', values: "1x3"}
      - {series: 'prober_regression{target="c", path="service", layer="tls", channel="rank", direction="regressed", level="suspect"}', values: "1x3"}
      - {series: 'prober_baseline_suspects{layer="tcp", vantage="x"}', values: "6x3"}
      - {series: 'prober_baseline_suspects_by_chance{layer="tcp", vantage="x"}', values: "5x3"}
      - {series: 'prober_baseline_suspects{layer="dns", vantage="x"}', values: "5x3"}
      - {series: 'prober_baseline_suspects_by_chance{layer="dns", vantage="x"}', values: "5x3"}
    alert_rule_test:
      - {eval_time: 20m, alertname: LatencyOfOneSide, exp_alerts: [{exp_labels: {group: "ingress minus service", layer: tcp},
         exp_annotations: {summary: "tcp is slower in ingress minus service: GET /api/v1/regressions"}}]}
      - {eval_time: 20m, alertname: LatencyRegression, exp_alerts: [{exp_labels: {path: ingress, layer: tls},
         exp_annotations: {summary: "tls over ingress: 2 series have confirmed regressions"}}]}
      - {eval_time: 20m, alertname: ManyLatencySuspects, exp_alerts: [{exp_labels: {layer: tcp, vantage: x},
         exp_annotations: {summary: "6 series of tcp are suspected at once at x"}}]}
      - {eval_time: 20m, alertname: LatencyBudgetBroken, exp_alerts: []}
"""  # noqa: E501 - a series is one word


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_the_alerts_of_the_reference_page_on_what_is_worth_it_and_on_nothing_else(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(groups:.*?)```", METRICS, re.DOTALL)
    (tmp_path / "rules.yaml").write_text(block)
    (tmp_path / "test.yaml").write_text(ALERTS_TEST)
    for command in ("check rules rules.yaml", "test rules test.yaml"):
        done = subprocess.run(
            ["promtool", *command.split()], cwd=tmp_path, capture_output=True, text=True, check=False
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_reason_is_in_the_reference() -> None:
    rows = dict(re.findall(r"^\| ([a-z]+) \| (.*) \|$", METRICS, re.MULTILINE))
    expected = {str(layer): list(map(str, reasons)) for layer, reasons in REASONS.items()}
    expected["any"] = [*map(str, COMMON_FAILURES), *map(str, SKIPS)]
    assert {layer: re.findall(r"`(\w+)`", rows[layer]) for layer in expected} == expected


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_the_documents_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text())
    assert [link for link in links if not (path.parent / link).exists()] == []
