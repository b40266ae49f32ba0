"""The text of baselines and budgets: whole, as it is promised; rendered once for each block; gone with its cell."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.exposition import choose_encoder

from prober.baseline.budget import Standing as BudgetStanding
from prober.baseline.channels import COLUMNS
from prober.baseline.groups import Group
from prober.baseline.standings import GroupStanding, Standing
from prober.baseline.values import Channel, Direction, Level, Regression, SeriesKey, Size
from prober.export.baseline_families import FAMILIES, WATCHED, WAYS, baseline_samples, budget_samples
from prober.export.baselines import BaselineMetrics, Told
from prober.export.cells import CellMetrics
from prober.export.exposition import Exposition
from prober.export.selfmetrics import SelfMetrics
from prober.model import Cell, Vantage
from prober.reasons import Kind
from tests.support.runs import explain, named

GOLDEN = Path(__file__).parent / "golden"
VANTAGE = Vantage("node-a", "node-a", "eu-1a", "eu-1")
AT = 1_795_702_800.0
CELL = replace(
    named(Kind.TCP, "tcp", "web/web-api/ingress"), quantile_budget={"tcp": {"p50": 0.001, "p99": 0.005}}
)  # fmt: skip
OTHER = named(Kind.TCP, "tcp", "web/web-api/service")
GROUP = Group("ingress minus service", "tcp", (), (), "web/web-api/ipv4")


def key(cell: Cell, layer: str = "tcp", node: str = "") -> SeriesKey:
    return SeriesKey(cell.probe, cell.target, cell.path, cell.family.value, layer, node)


def standing(of: SeriesKey, shift: float = 0.17) -> Standing:
    evidence = {watched: 0.5 * number for number, watched in enumerate(WATCHED)}
    return Standing(of, "healthy v1", shift, shift - 0.06, evidence)


def regression(subject: SeriesKey | str, **more: object) -> Regression:
    one = Regression(
        subject, "tcp", Channel.LOCATION, Level.CONFIRMED, Direction.REGRESSED, AT, AT, 2.4, Size(1.2, 1.1, 1.3), ""
    )
    return replace(one, **more)  # type: ignore[arg-type]  # its own fields


def a_block(*series: Standing) -> Told:
    """Something of everything."""
    told = Told()
    for one in series:
        told.series(one)
    told.group(GroupStanding(GROUP, 1.03, 1.01, {Direction.REGRESSED: 2.1, Direction.IMPROVED: 0.0}))
    failing = {"channel": Channel.FAILURE, "reason": "timeout", "level": Level.SUSPECT}
    ones = [
        regression(key(CELL)),
        regression(key(CELL), **failing),
        regression(key(CELL), **failing | {"reason": "", "level": Level.CONFIRMED, "onset": AT - 600}),
        regression(str(GROUP)),
        regression("tcp gone"),
    ]
    told.regressions(ones, {str(GROUP): GROUP})
    told.layers({"dns": 2, "tcp": 200}, ones)
    told.skipped({"started": 1, "clock": 0, "missed": 0})
    told.itself(coverage=0.97, last_block=AT + 600, cpu_seconds=0.25, persistent=True, failures=0)
    told.baseline("cilium-1.17.3", 2, AT - 86400)
    told.budget(BudgetStanding(key(CELL), "p99", 0.005, 0.0071, 240, breached=True, since=int(AT)))
    return told


def made(*cells: Cell) -> tuple[BaselineMetrics, Exposition]:
    cell_metrics = CellMetrics(VANTAGE, explain)
    exposition = Exposition(cell_metrics, SelfMetrics(VANTAGE, process=False))
    metrics = BaselineMetrics(VANTAGE)
    exposition.add(metrics)
    metrics.set_cells(cells)
    return metrics, exposition


def show(metrics: BaselineMetrics, told: Told) -> None:
    for _ in metrics.show(told):
        pass


async def scrape(exposition: Exposition, accept: str = "", encoding: str = "") -> str:
    headers, body = await exposition.render(accept, encoding)
    text = b"".join([chunk async for chunk in body])
    return (gzip.decompress(text) if headers.get("Content-Encoding") == "gzip" else text).decode()


def of_baselines(text: str) -> str:
    return text[text.index("# HELP prober_baseline") :]


def names(text: str) -> list[str]:
    """The samples, without values."""
    return [line.rpartition(" ")[0] for line in text.splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize(
    ("name", "accept"),
    [("baselines.txt", ""), ("baselines.openmetrics.txt", "application/openmetrics-text;version=1.0.0")],
)
@pytest.mark.parametrize("encoding", ["", "gzip"])
async def test_the_text_of_all_that_there_is(name: str, accept: str, encoding: str) -> None:
    metrics, exposition = made(CELL, OTHER)
    show(metrics, a_block(standing(key(CELL)), standing(key(CELL, node="worker-3"), 0.7)))
    text = await scrape(exposition, accept, encoding)
    assert text.encode() == choose_encoder(accept)[0](exposition.registry)
    if os.environ.get("UPDATE_GOLDEN"):
        (GOLDEN / name).write_text(of_baselines(text))
    assert of_baselines(text) == (GOLDEN / name).read_text()


async def test_before_the_first_block_there_are_budgets_alone_and_they_are_kept() -> None:
    metrics, exposition = made(CELL)
    assert [line for line in (await scrape(exposition)).splitlines() if line.startswith("prober_b")][1:] == [
        f'prober_budget_breached{{family="ipv4",layer="tcp",path="ingress",percentile="{percentile}",probe="web",'
        f'region="eu-1",target="web-api",vantage="node-a",zone="eu-1a"}} 0.0'
        for percentile in ("p50", "p99")
    ]
    assert budget_samples([CELL, OTHER]) == 4
    show(metrics, a_block())
    text = await scrape(exposition)
    assert 'percentile="p99",probe="web",region="eu-1",target="web-api",vantage="node-a",zone="eu-1a"} 1.42' in text
    metrics.set_cells([CELL])
    assert await scrape(exposition) == text


async def test_what_a_block_does_not_tell_any_more_is_gone_and_so_is_what_a_cell_had_that_has_left() -> None:
    metrics, exposition = made(CELL, OTHER)
    show(metrics, a_block(standing(key(CELL)), standing(key(OTHER))))
    both = await scrape(exposition)
    metrics.set_cells([OTHER])
    left = names(await scrape(exposition))
    assert [name for name in left if 'path="ingress"' in name] == []
    assert len([name for name in left if 'path="service"' in name]) == 2 + len(WATCHED)
    assert left != names(both)
    show(metrics, Told())
    assert [name for name in names(await scrape(exposition)) if name.startswith(("prober_base", "prober_reg"))] == []


async def test_what_a_block_has_not_changed_is_not_rendered_again(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [replace(CELL, target=f"target-{number}") for number in range(150)]
    metrics, exposition = made(*cells)
    show(metrics, a_block(*(standing(key(cell)) for cell in cells)))
    await scrape(exposition)
    blocks = exposition._sources[1][1]
    rendered: list[str] = []
    refresh = blocks._refresh
    monkeypatch.setattr(
        blocks, "_refresh", lambda family, block: (rendered.append(family.name), refresh(family, block))
    )
    await scrape(exposition)
    assert rendered == []
    show(metrics, a_block(*(standing(key(cell), 0.2 if cell is cells[70] else 0.17) for cell in cells)))
    text = await scrape(exposition)
    assert rendered == ["prober_baseline_shift_ratio", "prober_baseline_shift_ratio_lower", "prober_baseline_evidence"]
    assert text.encode() == choose_encoder("")[0](exposition.registry)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_finds_nothing_to_complain_about() -> None:
    text = (GOLDEN / "baselines.txt").read_bytes()
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


def test_what_is_watched_is_what_the_detectors_have() -> None:
    assert set(WATCHED) == {(column.channel, column.direction) for column in COLUMNS}
    assert set(WAYS) == set(Direction)


def test_no_sample_is_there_twice_and_each_family_has_some() -> None:
    metrics, _ = made(CELL)
    show(metrics, a_block(standing(key(CELL))))
    for family, accounts in metrics.families():
        assert accounts, family.name
        assert len({account.labels for account in accounts}) == len(accounts)
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)


def test_a_plan_counts_what_there_will_be() -> None:
    cells = [CELL, OTHER]
    metrics, _ = made(*cells)
    told = Told()
    everything: Iterable[SeriesKey] = (key(cell, layer) for cell in cells for layer in cell.ladder)
    for one in everything:
        told.series(standing(one))
    for layer in CELL.ladder:
        told.group(GroupStanding(replace(GROUP, layer=layer.value), 1.0, 1.0, dict.fromkeys(Direction, 0.0)))
    show(metrics, told)
    counted = sum(
        len(account.values.get(family.name, ()))  # type: ignore[attr-defined]  # all of them are `Shown`
        for family, accounts in metrics.families()
        for account in accounts
        if not family.name.startswith("prober_budget")
    )
    steady, most = baseline_samples(cells)
    assert steady == counted < most
