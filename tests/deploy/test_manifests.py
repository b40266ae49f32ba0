"""What the manifests promise: restricted Pods that know where they are, over zones, with their configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.deploy.build import DEPLOY, OVERLAYS, ROOT, Manifest, build, build_with, one, workloads


def built(overlay: str) -> tuple[Manifest, ...]:
    return build(DEPLOY / "overlays" / overlay)


def pods(overlay: str) -> list[dict[str, Any]]:
    """The Pod specs of an overlay's workloads."""
    return [workload["spec"]["template"]["spec"] for workload in workloads(built(overlay))]


@pytest.mark.parametrize("overlay", OVERLAYS)
class TestEveryOverlay:
    def test_pods_meet_the_restricted_profile(self, overlay: str) -> None:
        """Pod Security Standards, profile `restricted`, control by control."""
        for pod in pods(overlay):
            context, (container,) = pod["securityContext"], pod["containers"]
            assert context["runAsNonRoot"] is True
            assert context["runAsUser"] > 0
            assert context["seccompProfile"] == {"type": "RuntimeDefault"}
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            }
            assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
            assert all("hostPort" not in port for port in container["ports"])
            assert all(set(volume) - {"name"} <= {"configMap", "downwardAPI", "emptyDir"} for volume in pod["volumes"])

    def test_the_only_sysctl_is_the_safe_one_for_echo_requests(self, overlay: str) -> None:
        for pod in pods(overlay):
            assert pod["securityContext"]["sysctls"] == [{"name": "net.ipv4.ping_group_range", "value": "0 2147483647"}]

    def test_the_namespace_enforces_the_restricted_profile(self, overlay: str) -> None:
        namespace = one(built(overlay), "Namespace")["metadata"]
        assert namespace["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
        names = {m["metadata"].get("namespace") for m in built(overlay) if m["kind"] != "Namespace"}
        assert names == {namespace["name"]}

    def test_the_configuration_is_mounted_as_a_directory_where_the_arguments_look(self, overlay: str) -> None:
        (file,) = one(built(overlay), "ConfigMap")["data"]
        name = one(built(overlay), "ConfigMap")["metadata"]["name"]
        for pod in pods(overlay):
            (container,) = pod["containers"]
            (volume,) = [v["name"] for v in pod["volumes"] if v.get("configMap") == {"name": name}]
            (mount,) = [m for m in container["volumeMounts"] if m["name"] == volume]
            assert all("subPath" not in m for m in container["volumeMounts"])
            assert container["args"] == ["run", "-c", f"{mount['mountPath']}/{file}"]

    def test_the_labels_file_is_where_the_environment_says(self, overlay: str) -> None:
        for pod in pods(overlay):
            (container,) = pod["containers"]
            (volume,) = [v for v in pod["volumes"] if "downwardAPI" in v]
            (mount,) = [m for m in container["volumeMounts"] if m["name"] == volume["name"]]
            (item,) = volume["downwardAPI"]["items"]
            assert item["fieldRef"]["fieldPath"] == "metadata.labels"
            assert environment(pod)["PROBER_LABELS_FILE"] == f"{mount['mountPath']}/{item['path']}"

    def test_what_is_remembered_has_the_only_place_that_can_be_written(self, overlay: str) -> None:
        for pod in pods(overlay):
            (container,) = pod["containers"]
            (mount,) = [m for m in container["volumeMounts"] if not m.get("readOnly")]
            assert environment(pod)["PROBER_DATA"] == mount["mountPath"]
            (volume,) = [v for v in pod["volumes"] if v["name"] == mount["name"]]
            assert volume["emptyDir"] == {"sizeLimit": "1Gi"}

    def test_every_name_that_the_vantage_reads_comes_from_the_downward_api(self, overlay: str) -> None:
        source = (ROOT / "prober" / "kubernetes" / "vantage.py").read_text()
        for pod in pods(overlay):
            names = environment(pod)
            assert [name for name in names if f'"{name}"' not in source] == ["PROBER_DATA"]
            assert names["PROBER_POD_IPS"] == "status.podIPs"
            assert names["PROBER_NODE"] == names["PROBER_VANTAGE"] == "spec.nodeName"

    def test_the_peers_service_finds_every_vantage_in_every_family(self, overlay: str) -> None:
        service = one(built(overlay), "Service")
        assert service["metadata"]["name"] == "prober-peers"
        assert service["spec"]["clusterIP"] == "None"
        assert service["spec"]["ipFamilyPolicy"] == "PreferDualStack"
        selector = service["spec"]["selector"].items()
        for workload in workloads(built(overlay)):
            template = workload["spec"]["template"]
            assert selector <= template["metadata"]["labels"].items()
            (port,) = template["spec"]["containers"][0]["ports"]
            assert port == {"name": service["spec"]["ports"][0]["targetPort"], "containerPort": 9790}

    def test_scrape_annotations_name_the_port(self, overlay: str) -> None:
        for workload in workloads(built(overlay)):
            annotations = workload["spec"]["template"]["metadata"]["annotations"]
            assert annotations == {
                "prometheus.io/scrape": "true",
                "prometheus.io/port": "9790",
                "prometheus.io/path": "/metrics",
            }


def environment(pod: dict[str, Any]) -> dict[str, str]:
    """Name → literal value, or the field of the Downward API that it takes."""
    (container,) = pod["containers"]
    return {e["name"]: e.get("value") or e["valueFrom"]["fieldRef"]["fieldPath"] for e in container["env"]}


def test_the_root_file_and_the_deployed_one_are_the_same() -> None:
    assert (ROOT / "probes.yaml").resolve() == DEPLOY / "base" / "probes.yaml"
    assert one(built("default"), "ConfigMap")["data"] == {"probes.yaml": (ROOT / "probes.yaml").read_text()}


def test_the_default_spreads_its_vantages_over_zones_and_nodes() -> None:
    (workload,) = workloads(built("default"))
    assert workload["kind"] == "Deployment"
    assert workload["spec"]["replicas"] > 1
    constraints = workload["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert [c["topologyKey"] for c in constraints] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    assert one(built("default"), "PodDisruptionBudget")["spec"]["selector"] == workload["spec"]["selector"]


def test_the_daemonset_replaces_the_deployment_and_reaches_every_node() -> None:
    (workload,) = workloads(built("daemonset"))
    assert workload["kind"] == "DaemonSet"
    assert workload["spec"]["template"]["spec"]["tolerations"] == [{"operator": "Exists"}]


def test_each_zone_has_its_own_deployment_with_its_labels() -> None:
    """What the labels file will say is where the Pods can only run; no two Deployments select the same Pods."""
    zones = set()
    for workload in workloads(built("zones-literal")):
        template = workload["spec"]["template"]
        zone = template["metadata"]["labels"]["topology.kubernetes.io/zone"]
        assert template["spec"]["nodeSelector"] == {"topology.kubernetes.io/zone": zone}
        assert workload["spec"]["selector"]["matchLabels"]["topology.kubernetes.io/zone"] == zone
        zones.add(zone)
    assert len(zones) == len(workloads(built("zones-literal"))) > 1


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_pod_monitor_takes_the_place_of_the_scrape_annotations(tmp_path: Path, overlay: str) -> None:
    manifests = build_with(tmp_path, overlay, ("podmonitor",))
    monitor = one(manifests, "PodMonitor")["spec"]
    for workload in workloads(manifests):
        template = workload["spec"]["template"]
        assert "annotations" not in template["metadata"]
        assert monitor["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
        assert monitor["podMetricsEndpoints"][0]["port"] == template["spec"]["containers"][0]["ports"][0]["name"]


@pytest.mark.parametrize(("component", "rule"), [
    ("endpointslices",
     {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["get", "list", "watch"]}),
    ("nodes", {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list"]}),
])  # fmt: skip
def test_a_role_reads_what_it_is_for_and_nothing_else(tmp_path: Path, component: str, rule: dict[str, Any]) -> None:
    manifests = build_with(tmp_path, "default", (component,), namespace="probing")
    assert one(manifests, "ClusterRole")["rules"] == [rule]
    binding = one(manifests, "ClusterRoleBinding")
    assert binding["roleRef"]["name"] == one(manifests, "ClusterRole")["metadata"]["name"]
    (subject,) = binding["subjects"]
    account = one(manifests, "ServiceAccount")["metadata"]
    assert (subject["name"], subject["namespace"]) == (account["name"], account["namespace"]) == ("prober", "probing")


def test_revisions_of_daemonsets_are_read_in_one_namespace_by_the_account_of_the_prober() -> None:
    """Whoever lists Pods sees their whole specification: a Role, and where the DaemonSets are."""
    manifests = build(DEPLOY / "components" / "nodes" / "daemonsets")
    assert {m["kind"] for m in manifests} == {"Role", "RoleBinding"}
    assert {m["metadata"]["namespace"] for m in manifests} == {"kube-system"}
    allowed = {(rule["apiGroups"][0], *rule["resources"], *rule["verbs"]) for rule in one(manifests, "Role")["rules"]}
    assert allowed == {("apps", "daemonsets", "get"), ("apps", "controllerrevisions", "list"), ("", "pods", "list")}
    (subject,) = one(manifests, "RoleBinding")["subjects"]
    account = one(built("default"), "ServiceAccount")["metadata"]
    assert (subject["name"], subject["namespace"]) == (account["name"], account["namespace"])


def test_another_namespace_is_one_line() -> None:
    """Only the Namespace object names the namespace; everything else follows the kustomization."""
    assert all("namespace" not in m["metadata"] for m in build(DEPLOY / "vantage"))
