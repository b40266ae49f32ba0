"""A cluster in the middle of an upgrade, for the tests of nodes and of their sets."""

from __future__ import annotations

from tests.support.api_server import ApiServer, daemonset, node, pod_of, revision_of
from tests.support.http import Server

NODES = "/api/v1/nodes"
PODS = "/api/v1/namespaces/kube-system/pods"
DAEMONSETS = "/apis/apps/v1/namespaces/kube-system/daemonsets"
REVISIONS = "/apis/apps/v1/namespaces/kube-system/controllerrevisions"
CILIUM = "kube-system/cilium"


def url_of(server: Server) -> str:
    return f"http://{server.address}:{server.port}"


def upgrading() -> ApiServer:
    """Three nodes, of which the first has the new Cilium; beside it another DaemonSet and a Pod of nobody."""
    api = ApiServer()
    api.objects = {
        NODES: [node(name, kernelVersion="6.8.0") for name in ("b", "a", "c")],
        DAEMONSETS: [daemonset("cilium", app="cilium"), daemonset("other", app="cilium")],
        REVISIONS: [
            revision_of("cilium", 1, "old1", app="cilium"),
            revision_of("cilium", 10, "new1", app="cilium"),
            revision_of("cilium", 9, "mid1", app="cilium"),
            revision_of("other", 99, "else", app="cilium"),
        ],
        PODS: [
            pod_of("cilium", "a", "new1", app="cilium"),
            pod_of("cilium", "b", "old1", app="cilium"),
            pod_of("other", "c", "else", app="cilium"),
            pod_of("cilium", "c", "mid1", app="unlike"),
        ],
    }
    return api
