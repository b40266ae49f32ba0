"""Runs for the views: made by hand, so that every time and address in the golden texts is known."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from prober.cli.screen import Screen
from prober.engine.judge import judge
from prober.model import Cell, Evidence, Outcome, Run, Vantage
from prober.reasons import SKIPS, Family, Kind, Reason, Result
from tests.support.cells import make_cell

URL = "https://api.example.com/health"
V4, V6 = "203.0.113.10", "2001:db8:aaaa:bbbb::10"
VANTAGE = Vantage("node-a", node="node-a", zone="eu-1a", region="eu-1")
Did = tuple[Reason | None, float | None, Evidence]
BELOW: Did = (Reason.SKIPPED_BELOW, None, {})

TLS: Evidence = {
    "server_name": "api.example.com", "version": "TLSv1.3", "alpn": "h2", "subject": "api.example.com",
    "issuer": "Example CA", "days_left": 63.2,
}  # fmt: skip
EXPIRED: Evidence = TLS | {"days_left": -21.0, "not_after": "2026-11-01T00:00:00+00:00"}
HTTP: Evidence = {"status": 200, "http_version": "2", "bytes": 1234, "server": "envoy"}


def a_run(cell: Cell, address: str | None, phases: dict[str, float] | None = None, **layers: Did) -> Run:
    """A run from what each layer did; what is not named was not reached."""
    outcomes = []
    for layer in cell.ladder:
        reason, seconds, evidence = layers.get(layer.value, BELOW)
        result = Result.OK if reason is None else Result.SKIPPED if reason in SKIPS else Result.FAILED
        outcomes.append(Outcome(layer, result, seconds, reason, evidence))
    judged, ok, blame = judge(cell, outcomes)
    total = sum(outcome.seconds or 0.0 for outcome in judged) + 0.0004
    port = cell.endpoint.port if address else None
    started = datetime(2026, 11, 22, 10, 0, 0, 123456, tzinfo=UTC)
    return Run(cell, started, total, judged, ok, blame, address, port, phases or {})


def web(family: Family = Family.IPV4, **more: Any) -> Cell:
    cell = make_cell(Kind.HTTP, "https", "api.example.com", family=family, resource="/health", **more)
    return replace(cell, probe="web", target="web-api", path="ingress")


def good(family: Family, times: float = 1.0) -> Run:
    """A run that held; `times` stretches it."""
    address = V4 if family is Family.IPV4 else V6
    return a_run(
        web(family), address, {"first_byte": 0.015},
        dns=(None, 0.0011 * times, {"queries": 2, "server": "10.96.0.10", "answers": [address]}),
        tcp=(None, 0.0003 * times, {"mss": 1460, "retransmits": 0}),
        tls=(None, 0.0122 * times, TLS),
        http=(None, 0.0173 * times, HTTP),
    )  # fmt: skip


def expired(family: Family) -> Run:
    """A run that failed at tls."""
    address = V4 if family is Family.IPV4 else V6
    return a_run(
        web(family), address,
        dns=(None, 0.0011, {"queries": 8, "server": "10.96.0.10", "answers": [address, "203.0.113.11"]}),
        tcp=(None, 0.0003, {"mss": 1440, "retransmits": 0}),
        tls=(Reason.EXPIRED, 0.014, EXPIRED),
    )  # fmt: skip


def no_record(family: Family) -> Run:
    """A run whose name has no address of the family."""
    return a_run(web(family), None, dns=(Reason.NO_DATA, 0.0012, {"queries": 1, "server": "10.96.0.10"}))


def silent(family: Family) -> Run:
    """A run that waited for its SYN's answer in vain."""
    address = V4 if family is Family.IPV4 else V6
    dns = (None, 0.0011, {"queries": 2, "server": "10.96.0.10", "answers": [address]})
    return a_run(web(family), address, dns=dns, tcp=(Reason.TIMEOUT, 1.9989, {}))


def slow(family: Family) -> Run:
    """A run that held, over its budget."""
    run = good(family)
    outcomes, ok, blame = judge(web(family, budget={"http": 0.01}), run.outcomes)
    return replace(run, cell=web(family, budget={"http": 0.01}), outcomes=outcomes, ok=ok, blame=blame)


def screen(width: int = 100, *, encoding: str = "utf-8", terminal: bool = False) -> tuple[Screen, io.TextIOWrapper]:
    """A screen that writes into memory, and the file behind it."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=file, width=width, highlight=False, markup=False, force_terminal=terminal or None)
    return Screen(console=console), file


def written(file: io.TextIOWrapper) -> str:
    """What was written into `file` so far."""
    file.flush()
    assert isinstance(file.buffer, io.BytesIO)
    return file.buffer.getvalue().decode(file.encoding)
