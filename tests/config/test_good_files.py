"""Every file under `good/` loads, expands the same each time, and is what `prober schema` describes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from prober.config.editor import json_schema
from prober.config.load import load, load_text
from prober.config.matrix import expand
from prober.model import Cell, Vantage
from prober.options import Budget
from prober.reasons import Family, Layer

HERE = Path(__file__).parent / "good"
FILES = sorted(HERE.glob("*.yaml"))
ENV = {"HOST": "web.app.svc", "TOKEN": "t0ps3cr3t", "ZONE": "z"}
#: Everywhere at once: both families, an API server, everything that the files' selectors ask for.
VANTAGE = Vantage(
    "n1", "n1", "z", "r", labels={"app": "canary"}, resolver_families=(Family.IPV4, Family.IPV6),
    api_server=("10.96.0.1", 443),
)  # fmt: skip


def ids(name: str, vantage: Vantage = VANTAGE) -> list[str]:
    return [cell.id for cell in expand(load(HERE / f"{name}.yaml", ENV), vantage)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_good_file_expands_the_same_each_time_into_cells_with_ids_of_their_own(path: Path) -> None:
    first, second = (expand(load(path, ENV), VANTAGE) for _ in range(2))
    assert first == second
    assert len({cell.id for cell in first}) == len(first) > 0


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_good_file_fits_the_schema_for_editors(path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    data: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(json_schema())
    errors = list(jsonschema.Draft202012Validator(json_schema()).iter_errors(data))
    assert [f"{list(error.path)}: {error.message}" for error in errors] == []


@pytest.mark.parametrize(
    "data",
    [
        {"probes": []},
        {"probes": [{"name": "x"}]},
        {"probes": [{"name": "x", "kind": "ping"}]},
        {"probes": [{"name": "x", "kind": "http", "intervall": "5s"}]},
        {"probes": [{"name": "x", "kind": "http", "interval": 5}]},
        {"probes": [{"name": "${X}", "kind": "http"}]},
        {"probes": [{"name": "x", "kind": "http", "budget": {"tcp": {"p98": "5ms"}}}]},
        {"probes": [{"name": "x", "kind": "http", "budget": {"tcp": {}}}]},
        {"probes": [{"name": "x", "kind": "http"}], "baseline": {"record": {"after": "48h"}}},
        {"probes": [{"name": "x", "kind": "http"}], "targets": {"a b": "https://x"}},
        {"probes": [{"name": "x", "kind": "http"}], "targets": {"a": {"paths": {"p": {"families": ["ipv4"]}}}}},
    ],
)
def test_the_schema_for_editors_refuses_what_the_loader_refuses(data: Any) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    assert not jsonschema.Draft202012Validator(json_schema()).is_valid(data)


def test_the_schema_for_editors_describes_the_keys() -> None:
    definitions = json_schema()["$defs"]
    assert definitions["ProbeEntry"]["properties"]["kind"]["description"].startswith("Which ladder is climbed")
    assert definitions["Include"]["properties"]["server"]
    assert definitions["IcmpOptions"]["properties"]["gap"]["description"] == "Time between two requests of a train."
    assert definitions["Defaults"]["properties"]["interval"]["default"] == "15s"
    assert definitions["BaselineSettings"]["properties"]["retention"]["default"] == "14d"


def test_the_hash_is_that_of_the_bytes() -> None:
    path = HERE / "design.yaml"
    assert load(path, ENV).source_hash == hashlib.sha256(path.read_bytes()).hexdigest()
    assert load_text(path.read_text(encoding="utf-8"), "x", ENV).source_hash == load(path, ENV).source_hash


def test_every_layer_can_have_a_budget() -> None:
    assert set(Budget.model_fields) == {*Layer, "total"}


def test_the_matrix_of_the_file_with_excludes_and_includes() -> None:
    assert ids("matrix") == [
        "web/a/service/ipv4",
        "web/a/service/ipv6",
        "web/a/ingress/ipv4",
        "web/b/service/ipv4",
        "web/b/service/ipv6",
        "web/a/pod/ipv4",
        "unnamed-axes/c/pod/ipv4",
        "unnamed-axes/c/service/ipv4",
        "unnamed-axes/c/service/ipv6",
    ]


def test_include_entries_change_what_they_fit_and_nothing_else() -> None:
    cells = {cell.id: cell for cell in expand(load(HERE / "matrix.yaml", ENV), VANTAGE)}
    ingress, service, alone = (cells[f"web/a/{name}/ipv4"] for name in ("ingress", "service", "pod"))
    assert (ingress.interval, ingress.timeout, dict(ingress.budget)) == (60.0, 1.0, {"tls": 0.05, "http": 0.2})
    assert (service.interval, service.timeout, dict(service.budget)) == (15.0, 1.0, {"http": 0.2})
    assert service.expect.status == ingress.expect.status == (200,)
    assert (alone.interval, alone.timeout, alone.expect.status) == (15.0, 3.0, ())


def test_anchors_and_merges_are_understood() -> None:
    cells = {cell.id: cell for cell in expand(load(HERE / "anchors.yaml", ENV), VANTAGE)}
    second, third = cells["second/b/ingress/ipv6"], cells["third/a/service/ipv4"]
    assert (second.interval, second.timeout, second.expect.status) == (10.0, 2.0, (200, "2xx"))
    assert second.expect.body_contains == "ok"
    assert (third.interval, third.timeout) == (60.0, 5.0)


def test_labels_of_targets_are_kept() -> None:
    assert load(HERE / "shorthand.yaml", ENV).targets["no-label-trap"].labels == {"country": "no", "version": "1.10"}


def test_blocks_of_the_defaults_lie_under_those_of_the_probe_key_by_key() -> None:
    cells: dict[str, Cell] = {cell.id: cell for cell in expand(load(HERE / "everything.yaml", ENV), VANTAGE)}
    web, ping = cells["web/web/service/ipv4"], cells["ping/web/service/ipv4"]
    assert (str(web.options.tls.ca_file), web.options.tls.verify) == ("/etc/ca.pem", False)
    assert (web.options.http.version, web.options.http.max_body) == ("2", 65536)
    assert (ping.options.icmp.count, ping.options.icmp.size, ping.options.icmp.gap) == (3, 1400, 0.1)
    assert dict(ping.budget) == {"icmp": 0.01, "dns": 0.02, "total": 2.0}
    assert ping.options.tls.ca_file is None, "the defaults of a block that the kind has no use for"
    assert (web.endpoint.addresses, cells["pay/pay/default/ipv4"].endpoint.addresses) == ("one", "all")


def test_a_literal_makes_cells_of_its_own_family_alone() -> None:
    assert [i for i in ids("everything") if "pinned" in i] == [
        f"{p}/web/pinned/ipv6" for p in ("web", "ping", "closed")
    ]
