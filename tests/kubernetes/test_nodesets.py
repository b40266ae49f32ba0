"""Sets of nodes as they are written, and who can tell which they are."""

from __future__ import annotations

import pytest

from prober.kubernetes.api import ApiAccess
from prober.kubernetes.nodes import Cluster, NodeInfo
from prober.kubernetes.nodesets import NodesUnknown, SelectorError, look_up, parse_selector
from tests.kubernetes.samples import CILIUM, upgrading, url_of

ZONE, REGION = "topology.kubernetes.io/zone", "topology.kubernetes.io/region"


def info(name: str, zone: str, kernel: str, revision: str = "", **labels: str) -> NodeInfo:
    return NodeInfo(
        name,
        {ZONE: zone, REGION: "eu-1", **labels},
        kernel,
        "v1.33.4+k3s1" if revision == "new1" else "v1.32.9+k3s1",
        "containerd://1.7.27",
        "Ubuntu 24.04.1 LTS",
        {CILIUM: revision} if revision else {},
    )


CLUSTER = Cluster(
    (
        info("edge-1", "eu-1b", "6.1.21-v8+", pool="edge"),
        info("worker-1", "eu-1a", "6.12.5-generic", "new1", pool="web"),
        info("worker-2", "eu-1a", "6.8.0-45-generic", "old1", pool="web", gpu=""),
        info("worker-3", "eu-1b", "6.12.9-generic", "mid1"),
    ),
    {CILIUM: "new1"},
)
EDGE, W1, W2, W3 = (node.name for node in CLUSTER.nodes)


@pytest.mark.parametrize(("text", "picked"), [
    ("worker-1", {W1}),
    ("worker-1, edge-1", {W1, EDGE}),
    ("worker-*", {W1, W2, W3}),
    ("worker-[!13]", {W2}),
    ("node!=worker-*", {EDGE}),
    ("*", {EDGE, W1, W2, W3}),
    ("zone=eu-1a", {W1, W2}),
    ("zone!=eu-1a", {EDGE, W3}),
    ("region=eu-*", {EDGE, W1, W2, W3}),
    ("kernel=6.12*", {W1, W3}),
    ("kernel==6.12.5-generic", {W1}),
    ("kernel=6.1.21-v8+", {EDGE}),
    ("kernel!=6.12*", {EDGE, W2}),
    ("kubelet=v1.33.*", {W1}),
    ("kubelet=v1.33.4+k3s1", {W1}),
    ("kubelet=v1.33.4+k3s1+zone=eu-1b", set()),
    ("kubelet=v1.32.9+k3s1+zone=eu-1b+node=worker-*", {W3}),
    ("runtime=containerd://1.7*", {EDGE, W1, W2, W3}),
    ("os=Ubuntu 24.04*", {EDGE, W1, W2, W3}),
    ("label:pool=web", {W1, W2}),
    ("label:pool == w?b", {W1, W2}),
    ("label:pool", {EDGE, W1, W2}),
    ("label:pool!=web", {EDGE, W3}),
    ("label:gpu", {W2}),
    ("label:gpu=", {W2}),
    ("label:topology.kubernetes.io/zone=eu-1b", {EDGE, W3}),
    ("worker-*+kernel=6.12*", {W1, W3}),
    ("worker-* + label:pool + zone = eu-1a", {W1, W2}),
    ("worker-*+zone=eu-1b,label:pool=edge", {W3, EDGE}),
    ("daemonset=kube-system/cilium@new", {W1}),
    ("daemonset=kube-system/cilium@old", {W2, W3}),
    ("daemonset!=kube-system/cilium@new", {EDGE, W2, W3}),
    ("daemonset=kube-system/cilium@mid1", {W3}),
    ("daemonset=kube-system/cilium@*1", {W1, W2, W3}),
    ("worker-9", set()),
])  # fmt: skip
def test_a_set_has_these_nodes(text: str, picked: set[str]) -> None:
    assert parse_selector(text).pick(CLUSTER) == picked


@pytest.mark.parametrize(("text", "says"), [
    ("", "an empty node set; write comma-separated"),
    ("  ", "an empty node set"),
    ("a,,b", "'a,,b': there is nothing before or after a comma"),
    ("a,", "nothing before or after a comma"),
    ("kernl=6.12", "'kernl=6.12': there is no 'kernl' of a node (did you mean kernel?)"),
    ("pool=web", "there is no 'pool' of a node (a label is written label:pool=web)"),
    ("kernel:6.12", "'kernel:6.12': write kernel=6.12"),
    ("label=pool", "'label=pool': write label:pool"),
    ("label!=pool", "write label:pool"),
    ("kernel=", "'kernel=': nothing follows; write kernel=VALUE"),
    ("label:", "'label:': nothing follows; write label:KEY"),
    ("label:=web", "that is no label's key; write label:KEY=VALUE"),
    ("label:po ol=web", "that is no label's key"),
    ("label:!pool", "that is no label's key"),
    ("two words", "'two words' is no name of a node"),
    ("@nodes.txt", "'@nodes.txt' is no name of a node"),
    ("zone=eu-1a+worker-*", "a + narrows before KEY=; write zone=eu-1a+node=worker-*"),
    ("label:pool=web+worker-*", "a + narrows before KEY=; write label:pool=web+node=worker-*"),
    ("kernel=6.12*+zon=eu-1a", "'zon=eu-1a': there is no 'zon' of a node (did you mean zone?)"),
    ("daemonset=cilium@new", "as in daemonset=kube-system/cilium@new"),
    ("daemonset=kube-system/cilium", "as in daemonset=kube-system/cilium@new"),
    ("daemonset=kube-system/cilium@", "as in daemonset=kube-system/cilium@new"),
])  # fmt: skip
def test_what_is_wrong_is_said_with_what_would_be_right(text: str, says: str) -> None:
    with pytest.raises(SelectorError) as caught:
        parse_selector(text)
    assert says in str(caught.value)


@pytest.mark.parametrize(("text", "says"), [
    ("worker-1,worker-9", ["no node meets 'worker-9': did you mean worker-1 or worker-2 or worker-3?"]),
    ("db", ["no node meets 'db': there are edge-1, worker-1, worker-2, worker-3"]),
    ("kernel=6.8.0", ["6.12.9-generic (1); did you mean kernel=6.8.0*?"]),
    ("kernel=6.12", ["there is 6.1.21-v8+ (1), 6.12.5-generic (1), 6.8.0-45-generic (1), 6.12.9-generic (1)"]),
    ("label:pool=db", ["no node meets 'label:pool=db': there is web (2), edge (1)"]),
    ("label:tier", ["no node meets 'label:tier': none of 4 has any"]),
    ("daemonset=kube-system/cilium@ff", ["there is new1 (1), old1 (1), mid1 (1)"]),
    ("edge-*+zone=eu-1a", ["no node meets all of 'edge-*' and 'zone=eu-1a'"]),
    ("worker-*,kernel=6.12*", []),
])  # fmt: skip
def test_of_a_set_without_nodes_it_is_said_what_there_is(text: str, says: list[str]) -> None:
    missing = parse_selector(text).missing(CLUSTER)
    assert len(missing) == len(says)
    assert all(part in sentence for part, sentence in zip(says, missing, strict=True))


def test_without_any_node_it_is_said_so() -> None:
    assert parse_selector("kernel=6*").missing(Cluster()) == ("no node meets 'kernel=6*': there are none",)


TOLD = (
    NodeInfo.told("a", "eu-1a", "eu-1", {"kernel": "6.12.5"}),
    NodeInfo.told("b", "eu-1b", "eu-1", {"kernel": "6.8.0"}),
)


@pytest.mark.parametrize(("text", "picked"), [
    ("a", {"a"}), ("zone=eu-1b", {"b"}), ("kernel=6.12*", {"a"}), ("*+region=eu-1", {"a", "b"}),
])  # fmt: skip
async def test_what_the_vantages_say_of_themselves_needs_no_kubernetes(text: str, picked: set[str]) -> None:
    selector = parse_selector(text)
    assert selector.pick(await look_up([selector], TOLD, None)) == picked


@pytest.mark.parametrize("text", ["label:pool=web", "kubelet=v1.33*", "a,daemonset=kube-system/cilium@new"])
async def test_without_access_to_kubernetes_it_is_said_what_to_do(text: str) -> None:
    with pytest.raises(NodesUnknown) as caught:
        await look_up([parse_selector("a"), parse_selector(text)], TOLD, None)
    assert f"{text.removeprefix('a,')!r} can only be told by Kubernetes" in str(caught.value)
    assert "name the nodes instead (node-a,node-b), or run `kubectl proxy` and add --api http://127.0.0.1:8001" in str(
        caught.value
    )


async def test_the_api_server_tells_of_both_sides_of_an_upgrade_in_one_look() -> None:
    changed, control = (
        parse_selector("daemonset=kube-system/cilium@new"),
        parse_selector("daemonset=kube-system/cilium@old"),
    )
    api = upgrading()
    async with api.serving() as server:
        cluster = await look_up([changed, control], TOLD, ApiAccess.from_url(url_of(server)))
    assert (changed.pick(cluster), control.pick(cluster)) == ({"a"}, {"b"})
    assert len(api.requests) == 4


async def test_where_the_api_server_refuses_the_names_still_go() -> None:
    names, labels = parse_selector("a"), parse_selector("label:pool")
    api = upgrading()
    api.refuse = (403, "nodes is forbidden")
    async with api.serving() as server:
        access = ApiAccess.from_url(url_of(server))
        assert (await look_up([names], TOLD, access)).nodes == TOLD
        with pytest.raises(NodesUnknown, match=r"says nothing \(403: nodes is forbidden\): name the nodes"):
            await look_up([names, labels], TOLD, access)


async def test_a_daemonset_that_is_not_there_is_said_without_advice_on_access() -> None:
    async with upgrading().serving() as server:
        with pytest.raises(NodesUnknown) as caught:
            await look_up([parse_selector("daemonset=kube-system/calico@new")], (), ApiAccess.from_url(url_of(server)))
    assert str(caught.value).endswith("there is no DaemonSet calico in namespace kube-system")
