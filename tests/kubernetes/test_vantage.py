"""The vantage from the Downward API, and outside a Pod from the machine."""

from __future__ import annotations

import logging
import os
import platform
import socket
from pathlib import Path

import pytest

from prober.kubernetes.vantage import (
    cluster_domain,
    find_vantage,
    machine_families,
    parse_labels,
    vantage_from_environment,
)
from prober.model import Vantage
from prober.reasons import Family

V4, V6 = Family.IPV4, Family.IPV6
NOWHERE = Path("/nonexistent/resolv.conf")


def test_a_pod_says_all_of_itself(tmp_path: Path) -> None:
    labels = tmp_path / "labels"
    labels.write_text('app="prober"\ntopology.kubernetes.io/zone="ignored"\n', encoding="utf-8")
    resolv_conf = tmp_path / "resolv.conf"
    resolv_conf.write_text(
        "search app.svc.cluster.local\nnameserver 2001:db8::a\nnameserver 10.96.0.10\n", encoding="utf-8"
    )
    env = {
        "PROBER_VANTAGE": "node-a",
        "PROBER_NODE": "node-a.internal",
        "PROBER_ZONE": "eu-1a",
        "PROBER_REGION": "eu-1",
        "PROBER_POD": "prober-x7k2p",
        "PROBER_NAMESPACE": "prober",
        "PROBER_POD_IPS": "2001:db8::7,10.42.0.7",
        "PROBER_LABELS_FILE": str(labels),
        "KUBERNETES_SERVICE_HOST": "10.96.0.1",
        "KUBERNETES_SERVICE_PORT": "443",
    }
    assert vantage_from_environment(env, resolv_conf) == Vantage(
        name="node-a",
        node="node-a.internal",
        zone="eu-1a",
        region="eu-1",
        pod="prober-x7k2p",
        namespace="prober",
        labels={"app": "prober", "topology.kubernetes.io/zone": "ignored"},
        families=(V6, V4),
        resolver_families=(V6, V4),
        api_server=("10.96.0.1", 443),
    )


def test_zone_and_region_come_from_the_pods_labels_where_the_variables_are_empty(tmp_path: Path) -> None:
    labels = tmp_path / "labels"
    labels.write_text('topology.kubernetes.io/region="eu-1"\ntopology.kubernetes.io/zone="eu-1b"\n', encoding="utf-8")
    env = {"PROBER_LABELS_FILE": str(labels), "PROBER_ZONE": "", "PROBER_REGION": ""}
    vantage = vantage_from_environment(env, NOWHERE)
    assert (vantage.zone, vantage.region) == ("eu-1b", "eu-1")


@pytest.mark.parametrize(
    ("env", "name"),
    [
        ({"PROBER_VANTAGE": "v", "PROBER_NODE": "n", "PROBER_POD": "p"}, "v"),
        ({"PROBER_VANTAGE": "", "PROBER_NODE": "n", "PROBER_POD": "p"}, "n"),
        ({"PROBER_POD": "p"}, "p"),
        ({}, platform.node() or "localhost"),
    ],
)
def test_the_name_is_the_best_that_is_known(env: dict[str, str], name: str) -> None:
    assert vantage_from_environment(env, NOWHERE).name == name


@pytest.mark.parametrize(
    ("addresses", "families"),
    [
        ("10.42.0.7", (V4,)),
        ("2001:db8::7", (V6,)),
        ("10.42.0.7,2001:db8::7", (V4, V6)),
        ("2001:db8::7, 10.42.0.7", (V6, V4)),
        ("10.42.0.7,10.42.0.8", (V4,)),
        ("nonsense,10.42.0.7", (V4,)),
    ],
)
def test_the_first_address_of_the_pod_has_the_preferred_family(addresses: str, families: tuple[Family, ...]) -> None:
    assert vantage_from_environment({"PROBER_POD_IPS": addresses}, NOWHERE).families == families


def test_outside_a_pod_the_machine_tells_its_families() -> None:
    vantage = find_vantage()
    assert vantage.families
    assert vantage_from_environment({}, NOWHERE).families == machine_families()
    assert vantage_from_environment({}, NOWHERE).api_server is None


def test_a_machine_without_any_route_has_the_families_of_its_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unrouted(socket.socket):
        def connect(self, address: object) -> None:
            raise OSError("no route")

        def bind(self, address: object) -> None:
            if self.family == socket.AF_INET6:
                raise OSError("no such address")

    monkeypatch.setattr("prober.kubernetes.vantage.socket.socket", Unrouted)
    assert machine_families() == (V4,)


def test_without_a_resolv_conf_the_name_server_is_on_this_machine() -> None:
    assert vantage_from_environment({}, NOWHERE).resolver_families == (V4,)


@pytest.mark.parametrize("port", ["", "https", "²"])
def test_an_api_server_without_a_port_is_none(port: str) -> None:
    env = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": port}
    assert vantage_from_environment(env, NOWHERE).api_server is None


def test_a_labels_file_that_is_not_there_is_said_and_survived(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        vantage = vantage_from_environment({"PROBER_LABELS_FILE": "/nonexistent/labels"}, NOWHERE)
    assert vantage.labels == {}
    assert "no labels from PROBER_LABELS_FILE" in caplog.text


def test_labels_are_read_from_the_downward_api_format() -> None:
    text = 'app.kubernetes.io/name="prober"\nempty=""\n\nodd\npod-template-hash="5d9"\n'
    assert parse_labels(text) == {"app.kubernetes.io/name": "prober", "empty": "", "pod-template-hash": "5d9"}


@pytest.mark.parametrize(
    ("search", "domain"),
    [
        ("search app.svc.cluster.local svc.cluster.local cluster.local", "cluster.local"),
        ("search app.svc.k8s.example.com svc.k8s.example.com k8s.example.com example.com", "k8s.example.com"),
        ("search svc.example.com", None),
        ("search example.com", None),
        ("", None),
    ],
)
def test_the_cluster_domain_is_what_the_kubelet_searches(search: str, domain: str | None) -> None:
    assert cluster_domain(f"nameserver 10.96.0.10\n{search}\noptions ndots:5\n") == domain


def test_another_cluster_domain_is_offered_to_the_configuration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    conf = tmp_path / "resolv.conf"
    conf.write_text("nameserver 10.96.0.10\nsearch app.svc.corp.internal svc.corp.internal corp.internal\n")
    monkeypatch.setattr("prober.kubernetes.vantage.SYSTEM", conf)
    monkeypatch.delenv("PROBER_CLUSTER_DOMAIN", raising=False)
    monkeypatch.setenv("PROBER_NODE", "node-a")
    find_vantage()
    assert os.environ["PROBER_CLUSTER_DOMAIN"] == "corp.internal"
    monkeypatch.setenv("PROBER_CLUSTER_DOMAIN", "set.by.the.manifests")
    find_vantage()
    assert os.environ["PROBER_CLUSTER_DOMAIN"] == "set.by.the.manifests"
