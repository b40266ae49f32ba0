"""The exposition text of single cells, whole, as it is promised. `UPDATE_GOLDEN=1` writes the files anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from prober.export.cells import CellMetrics
from prober.export.exposition import Exposition
from prober.export.selfmetrics import SelfMetrics
from prober.model import Cell, Run, Vantage
from prober.reasons import Family, Kind, Layer, Reason
from tests.support.runs import explain, failed_run, good_run, literal_run, named

GOLDEN = Path(__file__).parent / "golden"
VANTAGE = Vantage("node-a", "node-a", "eu-1a", "eu-1")
HTTPS = named(Kind.HTTP, "https", "web/web-api/ingress")
ICMP = named(Kind.ICMP, "icmp", "ping/web-api/pod", family=Family.IPV6)
DNS = named(Kind.DNS, "dns", "names/web-api.app/default")
HTTPS_RUNS = [
    good_run(
        HTTPS,
        seconds={Layer.DNS: 0.0004, Layer.TCP: 0.00025, Layer.TLS: 0.0061, Layer.HTTP: 0.031},
        evidence={
            Layer.DNS: {"queries": 8, "wasted_seconds": 0.0003},
            Layer.TLS: {"not_after_timestamp": 1795341600.0},
        },
        phases={"request": 0.0001, "first_byte": 0.03, "upstream": 0.028, "network": 0.0021, "transfer": 0.0009},
    ),
    failed_run(HTTPS, Layer.TLS, Reason.EXPIRED, seconds=0.005),
]
CASES: dict[str, tuple[Cell, list[Run], str]] = {
    "https.txt": (HTTPS, HTTPS_RUNS, ""),
    "icmp.txt": (ICMP, [literal_run(ICMP), failed_run(ICMP, Layer.ICMP, Reason.TIMEOUT, seconds=3.0)], ""),
    "new.txt": (ICMP, [], ""),
    "dns.openmetrics.txt": (
        DNS,
        [good_run(DNS, evidence={Layer.DNS: {"queries": 4}}), failed_run(DNS, Layer.DNS, Reason.INTERNAL)],
        "application/openmetrics-text;version=1.0.0",
    ),
}


@pytest.mark.parametrize("name", CASES)
async def test_the_text_of_a_cell(name: str) -> None:
    cell, runs, accept = CASES[name]
    metrics = CellMetrics(VANTAGE, explain)
    metrics.set_cells([cell])
    for run in runs:
        metrics.record(cell, (run,))
    _, body = await Exposition(metrics, SelfMetrics(VANTAGE, process=False)).render(accept, "")
    text = b"".join([chunk async for chunk in body]).decode()
    of_cells = text[text.index("# HELP prober_up") :]
    if os.environ.get("UPDATE_GOLDEN"):
        (GOLDEN / name).write_text(of_cells)
    assert of_cells == (GOLDEN / name).read_text()
