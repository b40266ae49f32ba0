"""The lab's Services do what those of Kubernetes do, and the prober sees it: counted by the Pods at the far end.

One run of the prober is for many cells, as it takes longer to start than to climb.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from prober.reasons import Family
from prober.units import host_port
from tests.network.lab import plan
from tests.network.lab.names import HEADLESS, TYPES
from tests.network.lab.plan import Pod
from tests.network.lab.probes import CA_FILE
from tests.network.lab.process import LabProcess
from tests.support.fronts import require_path

#: Connections after which it is as good as certain that both of two endpoints had one: all but 2 in 2²⁴.
_MANY = 24
_NODE_PORT, _LOCAL_PORT = 30443, 30444
_SYN = "tcp flags & (syn | ack) == syn"
Run = Mapping[str, Any]


class Callers:
    """Who opens connections to a Pod's HTTPS port, by the address that the Pod sees."""

    def __init__(self, lab: LabProcess, pod: Pod, family: Family) -> None:
        self._lab, self._pod = lab, pod
        v4 = family is plan.V4
        self._ip, self._type = ("ip", "ipv4_addr") if v4 else ("ip6", "ipv6_addr")
        self._table = f"callers-{family}"

    def count(self) -> None:
        """Count from now on."""
        self._nft(f"table inet {self._table} {{ set seen {{ type {self._type}; size 64; flags dynamic; }}; "
                  f"chain f {{ type filter hook input priority 0; "
                  f"tcp dport {plan.HTTPS} {_SYN} update @seen {{ {self._ip} saddr counter }}; }}; }}")  # fmt: skip

    def stop(self) -> None:
        """Count no longer."""
        self._nft(f"delete table inet {self._table}")

    @property
    def seen(self) -> Counter[str]:
        """Address → connections."""
        told = json.loads(self._nft("-j", f"list set inet {self._table} seen"))
        (found,) = (each["set"] for each in told["nftables"] if "set" in each)
        elements = [each["elem"] for each in found.get("elem", [])]
        return Counter({each["val"]: each["counter"]["packets"] for each in elements})

    def _nft(self, *arguments: str) -> str:
        done = self._lab.run(self._pod.name, "nft", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def callers(lab: LabProcess, family: Family, *pods: Pod) -> Iterator[list[Callers]]:
    """Inside the block the Pods count."""
    counting = [Callers(lab, pod, family) for pod in pods]
    for each in counting:
        each.count()
    try:
        yield counting
    finally:
        for each in counting:
            each.stop()


def _once(lab: LabProcess, place: str, **paths: str) -> dict[str, Run]:
    """Path → its run, of `prober once` in `place`: a TLS handshake at each of these addresses."""
    ways = {name: {"url": f"tls://{where}"} for name, where in paths.items()}
    config = {"defaults": {"interval": "2s", "timeout": "1s", "tls": {"ca_file": str(CA_FILE), "verify": False}},
              "targets": {"web": {"paths": ways}},
              "probes": [{"name": "tls", "kind": "tls", "targets": ["web"]}]}  # fmt: skip
    file = lab.file(f"probes-{place}.json")
    file.write_text(json.dumps(config), encoding="utf-8")
    inside = f"/{file.relative_to(lab.root)}"
    done = lab.prober("once", "-c", inside, "-o", "ndjson", "--jobs", "16", place=place)
    assert done.stdout, done.stderr
    return {run["path"]: run for run in map(json.loads, done.stdout.splitlines())}


def _failed(run: Run) -> tuple[str, str, Mapping[str, Any]]:
    """The layer that is blamed, for what, and its evidence."""
    blame = run["blame"]
    (evidence,) = (each["evidence"] for each in run["layers"] if each["layer"] == blame["layer"])
    return blame["layer"], blame["reason"], evidence


def _connect_often(lab: LabProcess, service: str, family: Family) -> None:
    address = plan.SERVICES[service].address(family)
    program = f"for n in $(seq {_MANY}); do exec 3<>/dev/tcp/{address}/443 || exit 1; exec 3<&-; done"
    done = lab.run("client", "bash", "-c", program)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("family", Family)
def test_connections_spread_over_the_endpoints_and_keep_the_address_of_the_pod_that_calls(
    lab: LabProcess, family: Family
) -> None:
    with callers(lab, family, plan.WEB1, plan.WEB2) as both:
        _connect_often(lab, "web-both", family)
        seen = [each.seen for each in both]
    assert [{*each} for each in seen] == [{plan.CLIENT.address(family)}] * 2
    assert sum(each.total() for each in seen) == _MANY


@pytest.mark.parametrize("family", Family)
def test_a_client_stays_with_its_endpoint_where_the_service_has_affinity(lab: LabProcess, family: Family) -> None:
    with callers(lab, family, plan.WEB1, plan.WEB2) as both:
        _connect_often(lab, "web-sticky", family)
        assert sorted(each.seen.total() for each in both) == [0, _MANY]


@pytest.mark.parametrize("family", Family)
def test_a_pod_that_reaches_itself_through_a_service_is_masqueraded(lab: LabProcess, family: Family) -> None:
    with callers(lab, family, plan.CLIENT) as (client,):
        where = host_port(plan.SERVICES["self"].address(family), 443)
        assert _once(lab, "client", itself=where)["itself"]["ok"]
        assert client.seen == {plan.NODE1.bridge(family): 1}


@pytest.mark.parametrize("family", Family)
def test_node_ports_lead_from_outside_as_their_policy_says(lab: LabProcess, family: Family) -> None:
    """Cluster: from every node, and the Pod sees the node, by its bridge or its end of the overlay. Local: the Pod sees
    the client, and a node without an endpoint is silent."""
    node1, node2 = (node.address(family) for node in plan.NODES)
    ways = {"cluster1": host_port(node1, _NODE_PORT), "cluster2": host_port(node2, _NODE_PORT),
            "local1": host_port(node1, _LOCAL_PORT), "local2": host_port(node2, _LOCAL_PORT)}  # fmt: skip
    with callers(lab, family, plan.WEB2) as (web2,):
        runs = _once(lab, plan.OUTSIDE, **ways)
        seen = web2.seen
    assert {path for path, run in runs.items() if run["ok"]} == {*ways} - {"local1"}
    assert _failed(runs["local1"])[:2] == ("tcp", "timeout")
    assert seen == dict.fromkeys(
        [plan.NODE1.tunnel(family), plan.NODE2.bridge(family), plan.OUTSIDE_ADDRESSES[family]], 1
    )


def test_pods_are_led_to_every_endpoint_by_a_node_port_of_policy_local(lab: LabProcess) -> None:
    runs = _once(lab, "client", **{family: host_port(plan.NODE1.address(family), _LOCAL_PORT) for family in Family})
    assert all(run["ok"] for run in runs.values())


def test_the_silent_node_is_explained(lab: LabProcess) -> None:
    where = host_port(plan.NODE1.address(plan.V4), _LOCAL_PORT)
    done = lab.prober("try", f"tcp://{where}", "--timeout", "1s", place=plan.OUTSIDE)
    assert done.returncode == 1
    assert "externalTrafficPolicy: Local" in " ".join(done.stdout.split())


def test_without_endpoints_the_node_that_is_asked_rejects_by_icmp(lab: LabProcess) -> None:
    service = plan.SERVICES["web"]
    lab.ask(fault="svc-no-endpoints", on=True)
    try:
        inner = _once(lab, "client", **{family: host_port(service.address(family), 443) for family in Family})
        outer = _once(lab, plan.OUTSIDE, **{family: host_port(plan.NODE1.address(family), _NODE_PORT)
                                            for family in Family})  # fmt: skip
    finally:
        lab.ask(fault="svc-no-endpoints", on=False)
    for family, label in ((plan.V4, "3/3"), (plan.V6, "1/4")):  # port unreachable: RFC 792, RFC 4443
        senders = plan.NODE1.bridge(family), plan.NODE1.address(family)
        for runs, sender in zip((inner, outer), senders, strict=True):
            layer, reason, evidence = _failed(runs[family])
            assert (layer, reason, evidence["icmp"], evidence["from"]) == ("tcp", "rejected", label, sender)


@pytest.mark.parametrize("family", Family)
def test_the_load_balancer_s_address_leads_to_the_ingress(lab: LabProcess, family: Family) -> None:
    require_path("balancer")
    address = plan.SERVICES["nginx"].external_address(family)
    assert address is not None
    with callers(lab, family, plan.NGINX) as (nginx,):
        _once(lab, plan.OUTSIDE, balancer=host_port(address, 443))
        assert nginx.seen == {plan.NODE2.bridge(family): 1}


def test_the_name_of_a_headless_service_has_the_addresses_of_its_pods(lab: LabProcess) -> None:
    for family in Family:
        done = lab.prober("try", f"dns:///{HEADLESS}?type={TYPES[family]}", "-4", "-o", "ndjson")
        (run,) = map(json.loads, done.stdout.splitlines())
        (told,) = (each["evidence"]["answers"] for each in run["layers"] if each["layer"] == "dns")
        assert sorted(told) == [pod.address(family) for pod in (plan.WEB1, plan.WEB2)]
