"""One run as JSON: exactly the keys of the contract, in their order."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

from prober.diagnosis.run import explain
from prober.export.runs import run_as_dict, verdict_as_dict
from prober.model import Blame, Outcome, Run, Vantage
from prober.reasons import Kind, Layer, Reason, Result
from tests.support.cells import make_cell
from tests.support.runs import failed_run

CELL = make_cell(Kind.HTTP, "http", "web-api.app.svc.cluster.local", 8080, resource="/health")
VANTAGE = Vantage("node-a", node="node-a", zone="eu-1a", region="eu-1")
RUN = Run(
    replace(CELL, probe="web", target="web-api", path="service"),
    datetime(2026, 11, 22, 10, 0, 0, 123456, tzinfo=UTC),
    0.03120049,
    (
        Outcome(Layer.DNS, Result.OK, 0.0011000004, None, {"queries": 2, "answers": ["10.96.12.7"]}),
        Outcome(Layer.TCP, Result.FAILED, 0.0003, Reason.REJECTED, {"icmp": "3/3", "from": "10.42.1.1"}),
        Outcome(Layer.HTTP, Result.SKIPPED, None, Reason.SKIPPED_BELOW),
    ),
    False,
    Blame(Layer.TCP, Reason.REJECTED),
    "10.96.12.7",
    8080,
)
EXPECTED = (
    '{"probe":"web","kind":"http","target":"web-api","path":"service","family":"ipv4",'
    '"vantage":{"name":"node-a","node":"node-a","zone":"eu-1a","region":"eu-1"},'
    '"started_at":"2026-11-22T10:00:00.123456Z","ok":false,"seconds":0.0312,"address":"10.96.12.7","port":8080,'
    '"blame":{"layer":"tcp","reason":"rejected"},'
    '"layers":[{"layer":"dns","result":"ok","seconds":0.0011,"reason":null,'
    '"evidence":{"queries":2,"answers":["10.96.12.7"]}},'
    '{"layer":"tcp","result":"failed","seconds":0.0003,"reason":"rejected",'
    '"evidence":{"icmp":"3/3","from":"10.42.1.1"}},'
    '{"layer":"http","result":"skipped","seconds":null,"reason":"skipped_below","evidence":{}}],'
    '"reproduce":"nc -vz -w 2 10.96.12.7 8080"}'
)


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def test_a_run_has_exactly_the_form_of_the_contract() -> None:
    assert compact(run_as_dict(RUN, VANTAGE)) == EXPECTED


def test_an_unknown_vantage_is_null() -> None:
    assert run_as_dict(RUN, None)["vantage"] is None


def test_phases_stand_before_the_reproducer_where_there_are_any() -> None:
    shown = run_as_dict(replace(RUN, phases={"first_byte": 0.0123456789}), None)
    assert shown["phases"] == {"first_byte": 0.012346}
    assert list(shown)[-3:] == ["layers", "phases", "reproduce"]


def test_times_are_utc_whatever_zone_the_run_was_made_in() -> None:
    there = timezone(timedelta(hours=2))
    run = replace(RUN, started_at=datetime(2026, 11, 22, 12, 0, tzinfo=there))
    assert run_as_dict(run, None)["started_at"] == "2026-11-22T10:00:00.000000Z"


def test_a_verdict_is_one_flat_object() -> None:
    verdict = explain(RUN)
    assert verdict is not None
    shown = verdict_as_dict(verdict)
    assert list(shown) == ["code", "layer", "reason", "says", "ruled_out", "next_check", "advisory"]
    assert json.loads(compact(shown))["code"] == "service_without_endpoints"


def test_a_layer_that_held_says_how_many_round_trips_it_takes_at_least() -> None:
    cell = make_cell(Kind.HTTP, "https", "web.app")
    run = failed_run(cell, Layer.TLS, Reason.RESET)
    layers = run_as_dict(run, None)["layers"]
    assert isinstance(layers, list)
    assert [layer.get("round_trips") for layer in layers] == [None, 1, None, None]
