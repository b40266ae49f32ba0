"""Every overlay, with and without the components, is valid under the strict schemas of several Kubernetes versions."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import kubernetes_validate
import pytest

from tests.deploy.build import COMPONENTS, DEPLOY, OVERLAYS, Manifest, build, build_with

VERSIONS = ["1.31", "1.33", "1.35", "1.37"]

#: PodMonitor is a custom resource: the fields that ours may use, from the Prometheus Operator's API reference.
POD_MONITOR = {
    "spec": {"selector", "podMetricsEndpoints", "namespaceSelector", "jobLabel", "podTargetLabels"},
    "endpoint": {"port", "path", "interval", "scrapeTimeout", "scheme", "honorLabels", "relabelings"},
}


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("components", COMPONENTS, ids="+".join)
def test_manifests_are_valid_in_every_version(tmp_path: Path, overlay: str, components: tuple[str, ...]) -> None:
    manifests = build_with(tmp_path, overlay, components)
    roles = {m["metadata"]["name"] for m in manifests if m["kind"] == "ClusterRole"}
    assert roles == {f"prober-{component}" for component in components if component != "podmonitor"}
    check_all(manifests)


def test_the_role_for_daemonsets_is_valid_in_every_version() -> None:
    check_all(build(DEPLOY / "components" / "nodes" / "daemonsets"))


def check_all(manifests: Iterable[Manifest]) -> None:
    for manifest in manifests:
        if manifest["kind"] == "PodMonitor":
            check_pod_monitor(manifest)
        else:
            for version in VERSIONS:
                assert kubernetes_validate.validate(manifest, version, strict=True) == version


def check_pod_monitor(manifest: Manifest) -> None:
    assert manifest["apiVersion"] == "monitoring.coreos.com/v1"
    assert set(manifest["spec"]) <= POD_MONITOR["spec"]
    assert manifest["spec"]["selector"]["matchLabels"]
    for endpoint in manifest["spec"]["podMetricsEndpoints"]:
        assert set(endpoint) <= POD_MONITOR["endpoint"]


def test_the_strict_schema_refuses_an_unknown_key() -> None:
    """The check above checks something."""
    manifest = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "x"}, "nmae": "x"}
    with pytest.raises(kubernetes_validate.ValidationError, match="nmae"):
        kubernetes_validate.validate(manifest, VERSIONS[0], strict=True)
