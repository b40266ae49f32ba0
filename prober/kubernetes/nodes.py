"""The nodes of a cluster: what runs on each, and which revision of a DaemonSet. Asked once, kept by nobody.

A DaemonSet's Pod carries the hash of the ControllerRevision that it was made from; the newest of those is what the
DaemonSet is on its way to. So a rolling upgrade shows node by node, without knowing what it upgrades.
"""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

from prober.kubernetes.api import PAGE, ApiAccess, ApiClient, ApiError
from prober.kubernetes.vantage import REGION_LABEL, ZONE_LABEL

log = logging.getLogger(__name__)

_HASH: Final = "controller-revision-hash"
_NONE: Mapping[str, str] = MappingProxyType({})
#: Phases of a Pod that will run no more: evicted ones stay for a while beside their successor.
_ENDED: Final = frozenset({"Failed", "Succeeded"})

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """One node. What is not known is empty."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    kernel: str = ""
    """`6.12.5-200.fc41.x86_64`"""
    kubelet: str = ""
    """`v1.33.4`"""
    runtime: str = ""
    """`containerd://1.7.27`"""
    os: str = ""
    """`Ubuntu 24.04.1 LTS`"""
    revisions: Mapping[str, str] = field(default_factory=dict)
    """DaemonSet, as `namespace/name` → `controller-revision-hash` of its Pod here; of those that were asked for."""
    ready: bool = False
    created: float = 0.0
    """Unix seconds."""

    @classmethod
    def told(cls, name: str, zone: str, region: str, about: Mapping[str, str] = _NONE) -> NodeInfo:
        """From what a vantage says of its node: `about` as `about_here` gives it."""
        places = {ZONE_LABEL: zone, REGION_LABEL: region}
        kernel, kubelet, runtime, os = (about.get(key, "") for key in ("kernel", "kubelet", "runtime", "os"))
        return cls(name, {key: value for key, value in places.items() if value}, kernel, kubelet, runtime, os)

    @property
    def zone(self) -> str:
        """From the label that Kubernetes gives it."""
        return self.labels.get(ZONE_LABEL, "")

    @property
    def region(self) -> str:
        """From the label that Kubernetes gives it."""
        return self.labels.get(REGION_LABEL, "")


#: The attributes that every node has, those that an upgrade changes first.
ATTRIBUTES: Mapping[str, Callable[[NodeInfo], str]] = MappingProxyType(
    {
        "kernel": lambda node: node.kernel,
        "kubelet": lambda node: node.kubelet,
        "runtime": lambda node: node.runtime,
        "os": lambda node: node.os,
        "zone": lambda node: node.zone,
        "region": lambda node: node.region,
    }
)


@dataclass(frozen=True, slots=True)
class Cluster:
    """The nodes, in order of their names, and for each DaemonSet that was asked for its newest revision."""

    nodes: tuple[NodeInfo, ...] = ()
    newest: Mapping[str, str] = field(default_factory=dict)
    """`namespace/name` → `controller-revision-hash`."""


def parse_nodes(items: Iterable[Json]) -> tuple[NodeInfo, ...]:
    """From the items of a NodeList, in order of their names. ValueError for what is none."""
    return tuple(sorted(map(_parse_node, items), key=lambda node: node.name))


def parse_pods(items: Iterable[Json], uid: str) -> dict[str, str]:
    """Node → `controller-revision-hash`, from the Pods that the DaemonSet with this uid owns.

    While one Pod takes over from another, a node has both: one that is not about to go counts before one that is, a
    ready one before others, and then the younger one.
    """
    best: dict[str, tuple[tuple[bool, bool, float], str]] = {}
    for item in items:
        node = (item.get("spec") or {}).get("nodeName")
        meta, status = item.get("metadata") or {}, item.get("status") or {}
        if not node or not _owned(meta, uid) or status.get("phase") in _ENDED:
            continue
        rank = (not meta.get("deletionTimestamp"), _is_ready(status), _seconds(meta.get("creationTimestamp")))
        if node not in best or rank > best[node][0]:
            best[node] = rank, (meta.get("labels") or {}).get(_HASH, "")
    return {node: found for node, (_, found) in best.items() if found}


def parse_revisions(items: Iterable[Json], uid: str) -> str:
    """The hash of the newest ControllerRevision of the owner with this uid; empty where there is none."""
    newest = max(
        (item for item in items if _owned(item.get("metadata") or {}, uid)),
        key=lambda item: int(item.get("revision") or 0),
        default=None,
    )
    return "" if newest is None else str((newest["metadata"].get("labels") or {}).get(_HASH, ""))


async def ask(client: ApiClient, daemonsets: Iterable[str] = (), page: int = PAGE) -> Cluster:
    """All nodes as they are now, `page` of them at once, with their revisions of these DaemonSets (`namespace/name`).

    ApiError where the API server refuses, or does not know such a DaemonSet.
    """
    items = await client.get_items("/api/v1/nodes", page=page)
    try:
        nodes = parse_nodes(items)
        newest: dict[str, str] = {}
        pods: dict[str, dict[str, str]] = {}
        for daemonset in sorted(set(daemonsets)):
            newest[daemonset], pods[daemonset] = await _ask_daemonset(client, daemonset)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ApiError(f"an answer that is none: {type(error).__name__}: {error}") from error
    return Cluster(tuple(replace(node, revisions=_revisions_of(node.name, pods)) for node in nodes), newest)


async def about_here(node: str, access: ApiAccess | None) -> dict[str, str]:
    """`kernel` of this machine, and `kubelet`, `runtime` and `os` of the node, where the API server tells.

    Annotations: that nobody tells is no error, and leaves them out. `node` may be empty, outside a cluster.
    """
    about = {"kernel": platform.release()}
    if access is not None and node:
        client = ApiClient(access)
        try:
            info = _parse_node(await client.get(f"/api/v1/nodes/{quote(node, safe='')}"))
            about |= {"kubelet": info.kubelet, "runtime": info.runtime, "os": info.os}
        except (ApiError, ValueError, TypeError, AttributeError) as error:
            log.info("nothing is known of node %s but its kernel: %s", node, error)
        finally:
            await client.close()
    return {key: value for key, value in about.items() if value}


async def _ask_daemonset(client: ApiClient, daemonset: str) -> tuple[str, dict[str, str]]:
    """The newest revision of one DaemonSet, and that of each node."""
    namespace, _, name = daemonset.partition("/")
    apps = f"/apis/apps/v1/namespaces/{quote(namespace, safe='')}"
    try:
        found = await client.get(f"{apps}/daemonsets/{quote(name, safe='')}")
    except ApiError as error:
        if error.status == 404:
            raise ApiError(f"there is no DaemonSet {name} in namespace {namespace}", 404) from error
        raise
    uid, selector = found["metadata"]["uid"], _selector(found["spec"]["selector"])
    revisions = await client.get_items(f"{apps}/controllerrevisions", labelSelector=selector)
    pods = await client.get_items(f"/api/v1/namespaces/{quote(namespace, safe='')}/pods", labelSelector=selector)
    return parse_revisions(revisions, uid), parse_pods(pods, uid)


def _selector(selector: Json) -> str:
    """A metav1.LabelSelector as the query's labelSelector writes it."""
    parts = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for one in selector.get("matchExpressions") or ():
        key, operator, values = one["key"], one["operator"], ",".join(one.get("values") or ())
        written = {"Exists": key, "DoesNotExist": f"!{key}"}
        parts.append(written.get(operator) or f"{key} {operator.lower()} ({values})")
    return ",".join(parts)


def _parse_node(item: Json) -> NodeInfo:
    meta, status = item.get("metadata") or {}, item.get("status") or {}
    if not meta.get("name"):
        raise ValueError("a node without a name")
    system = status.get("nodeInfo") or {}
    return NodeInfo(
        name=meta["name"],
        labels=dict(meta.get("labels") or {}),
        kernel=system.get("kernelVersion", ""),
        kubelet=system.get("kubeletVersion", ""),
        runtime=system.get("containerRuntimeVersion", ""),
        os=system.get("osImage", ""),
        ready=_is_ready(status),
        created=_seconds(meta.get("creationTimestamp")),
    )


def _revisions_of(node: str, pods: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    return {daemonset: found[node] for daemonset, found in pods.items() if node in found}


def _owned(meta: Json, uid: str) -> bool:
    return any(owner.get("controller") and owner.get("uid") == uid for owner in meta.get("ownerReferences") or ())


def _is_ready(status: Json) -> bool:
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in status.get("conditions") or ())


def _seconds(stamp: str | None) -> float:
    """Unix seconds of an RFC 3339 time."""
    return datetime.fromisoformat(stamp).timestamp() if stamp else 0.0
