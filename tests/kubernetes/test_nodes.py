"""Nodes, and their revisions of a DaemonSet, asked of a real HTTP server on loopback."""

from __future__ import annotations

import platform
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from prober.kubernetes.api import ApiAccess, ApiClient, ApiError
from prober.kubernetes.nodes import NodeInfo, about_here, ask, parse_nodes, parse_pods, parse_revisions
from prober.lab.certificates import CertificateFiles
from prober.lab.tls import make_context
from tests.deploy.build import DEPLOY, read_all
from tests.kubernetes.samples import CILIUM, NODES, upgrading, url_of
from tests.support.api_server import ApiServer, node, pod_of, revision_of


@asynccontextmanager
async def asking(api: ApiServer) -> AsyncIterator[ApiClient]:
    """As beside `kubectl proxy`."""
    async with api.serving() as server:
        client = ApiClient(ApiAccess.from_url(url_of(server)))
        try:
            yield client
        finally:
            await client.close()


async def test_a_node_says_what_runs_on_it() -> None:
    api = ApiServer()
    told = {"kernelVersion": "6.12.5", "kubeletVersion": "v1.33.4", "containerRuntimeVersion": "containerd://1.7.27"}
    labels = {"topology.kubernetes.io/zone": "eu-1a", "topology.kubernetes.io/region": "eu-1", "pool": "web"}
    api.objects[NODES] = [node("a", ready=False, labels=labels, osImage="Ubuntu 24.04.1 LTS", **told)]
    async with asking(api) as client:
        (found,) = (await ask(client)).nodes
    created = datetime(2026, 11, 20, 8, tzinfo=UTC).timestamp()
    system = ("6.12.5", "v1.33.4", "containerd://1.7.27", "Ubuntu 24.04.1 LTS")
    assert found == NodeInfo("a", labels, *system, ready=False, created=created)
    assert (found.zone, found.region) == ("eu-1a", "eu-1")


async def test_all_pages_of_a_list_are_read_in_order_of_the_names() -> None:
    api = ApiServer()
    api.objects[NODES] = [node(f"node-{number}") for number in (3, 1, 4, 2, 5)]
    api.page = 2
    async with asking(api) as client:
        assert [one.name for one in (await ask(client)).nodes] == [f"node-{number}" for number in range(1, 6)]
    assert [request.split()[1].partition("?")[2] for request in api.requests] == [
        "limit=500", "limit=500&continue=2", "limit=500&continue=4",
    ]  # fmt: skip


async def test_a_list_whose_place_is_gone_is_begun_anew_and_given_up_at_last() -> None:
    api = ApiServer()
    api.objects[NODES] = [node(f"node-{number}") for number in range(5)]
    api.page = 2
    async with asking(api) as client:
        api.forget = 2
        assert len((await ask(client)).nodes) == 5
        api.forget = 99
        with pytest.raises(ApiError, match="3 times before it was complete"):
            await ask(client)


async def test_each_node_has_the_revision_of_the_pod_that_the_daemonset_owns() -> None:
    async with asking(upgrading()) as client:
        cluster = await ask(client, [CILIUM])
    assert [(one.name, one.revisions) for one in cluster.nodes] == [
        ("a", {CILIUM: "new1"}),
        ("b", {CILIUM: "old1"}),
        ("c", {}),
    ]
    assert cluster.newest == {CILIUM: "new1"}


async def test_what_is_asked_for_is_what_the_manifests_allow() -> None:
    """Every request as RBAC sees it (group, resource, verb), against the rules of deploy/components/nodes."""
    api = upgrading()
    async with api.serving() as server:
        access = ApiAccess.from_url(url_of(server))
        client = ApiClient(access)
        await ask(client, [CILIUM])
        await client.close()
        await about_here("a", access)
    files = [DEPLOY / "components" / "nodes" / folder / "rbac.yaml" for folder in (".", "daemonsets")]
    rules = [rule for file in files for rule in read_all(file)[0]["rules"]]
    allowed = {(rule["apiGroups"][0], *rule["resources"], verb) for rule in rules for verb in rule["verbs"]}
    assert {as_rbac(request.split()[1]) for request in api.requests} == allowed


def as_rbac(target: str) -> tuple[str, str, str]:
    parts = target.partition("?")[0].strip("/").split("/")
    group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
    resource, *name = rest[2:] if rest[0] == "namespaces" else rest
    return group, resource, "get" if name else "list"


async def test_a_daemonset_that_is_not_there_is_named() -> None:
    async with asking(upgrading()) as client:
        with pytest.raises(ApiError, match="there is no DaemonSet calico in namespace kube-system"):
            await ask(client, ["kube-system/calico"])


async def test_a_refusal_says_what_was_refused() -> None:
    api = upgrading()
    api.refuse = (403, "nodes is forbidden")
    async with asking(api) as client:
        with pytest.raises(ApiError, match="403: nodes is forbidden"):
            await ask(client)


@pytest.mark.parametrize("item", [{}, {"metadata": {"name": "a", "creationTimestamp": "yesterday"}}, {"metadata": [1]}])
async def test_an_answer_that_is_none_is_an_error_of_the_api(item: dict[str, Any]) -> None:
    async def say(_: str, **__: str) -> list[Any]:
        return [item]

    client = ApiClient(ApiAccess("127.0.0.1", 1))
    client.get_items = say  # type: ignore[method-assign]  # what a server would send that is none
    with pytest.raises(ApiError, match="an answer that is none"):
        await ask(client)


class TestPods:
    """Which Pod counts while one takes over from another."""

    @staticmethod
    def of(*pods: dict[str, Any]) -> dict[str, str]:
        found = parse_pods(pods, "uid-cilium")
        assert found == parse_pods(reversed(pods), "uid-cilium")
        return found

    def test_one_that_stays_counts_before_one_that_goes(self) -> None:
        going = pod_of("cilium", "a", "old1")
        going["metadata"]["deletionTimestamp"] = "2026-11-26T14:21:00Z"
        assert self.of(going) == {"a": "old1"}
        assert self.of(going, pod_of("cilium", "a", "new1", ready=False)) == {"a": "new1"}

    def test_a_ready_one_counts_before_one_that_is_not(self) -> None:
        assert self.of(pod_of("cilium", "a", "old1"), pod_of("cilium", "a", "new1", ready=False)) == {"a": "old1"}

    def test_of_two_ready_ones_the_younger_counts(self) -> None:
        younger = pod_of("cilium", "a", "new1")
        younger["metadata"]["creationTimestamp"] = "2026-11-26T14:20:01Z"
        assert self.of(pod_of("cilium", "a", "old1"), younger) == {"a": "new1"}

    def test_pods_that_ended_wait_for_a_node_or_belong_to_others_do_not_count(self) -> None:
        evicted, waiting = pod_of("cilium", "a", "old1"), pod_of("cilium", "a", "old1")
        evicted["status"]["phase"] = "Failed"
        del waiting["spec"]["nodeName"]
        named = pod_of("cilium", "a", "old1")
        named["metadata"]["ownerReferences"][0]["controller"] = False
        assert self.of(evicted, waiting, named, pod_of("other", "a", "old1"), {"metadata": {}}) == {}


def test_the_newest_revision_is_that_of_the_highest_number_and_a_rollback_makes_an_old_one_the_newest() -> None:
    revisions = [revision_of("cilium", 2, "b"), revision_of("cilium", 10, "a"), revision_of("other", 11, "c")]
    assert parse_revisions(revisions, "uid-cilium") == "a"
    assert parse_revisions([*revisions, revision_of("cilium", 11, "b")], "uid-cilium") == "b"
    assert parse_revisions(revisions, "uid-none") == ""


def test_a_node_without_anything_but_a_name_is_one() -> None:
    assert parse_nodes([{"metadata": {"name": "b"}}, {"metadata": {"name": "a"}}]) == (NodeInfo("a"), NodeInfo("b"))


class TestAboutHere:
    """Annotations of a recording: never an error."""

    async def test_outside_a_cluster_it_is_the_kernel_alone(self) -> None:
        assert await about_here("", None) == {"kernel": platform.release()}
        assert await about_here("a", None) == {"kernel": platform.release()}

    async def test_the_api_server_adds_what_runs_on_the_node(self) -> None:
        api = ApiServer()
        api.objects[NODES] = [node("a", kubeletVersion="v1.33.4", osImage="Talos (v1.9.0)", kernelVersion="6.12.5")]
        async with api.serving() as server:
            about = await about_here("a", ApiAccess.from_url(url_of(server)))
        assert about == {"kernel": platform.release(), "kubelet": "v1.33.4", "os": "Talos (v1.9.0)"}
        assert NodeInfo.told("a", "eu-1a", "", about) == NodeInfo(
            "a", {"topology.kubernetes.io/zone": "eu-1a"}, platform.release(), "v1.33.4", "", "Talos (v1.9.0)"
        )

    @pytest.mark.parametrize("status", [403, 404, 500])
    async def test_a_refusal_leaves_the_kernel(self, status: int) -> None:
        api = ApiServer()
        api.refuse = (status, "no")
        async with api.serving() as server:
            assert await about_here("a", ApiAccess.from_url(url_of(server))) == {"kernel": platform.release()}


class TestUrl:
    """`--api URL`."""

    @pytest.mark.parametrize(("url", "host", "port", "tls", "base"), [
        ("http://127.0.0.1:8001", "127.0.0.1", 8001, False, ""),
        ("http://[::1]:8001/", "::1", 8001, False, ""),
        ("http://localhost", "localhost", 80, False, ""),
        ("https://api.example.com", "api.example.com", 443, True, ""),
        ("https://rancher.example.com/k8s/clusters/c-1/", "rancher.example.com", 443, True, "/k8s/clusters/c-1"),
    ])  # fmt: skip
    def test_a_url_tells_the_way(self, url: str, host: str, port: int, tls: bool, base: str) -> None:
        assert ApiAccess.from_url(url) == ApiAccess(host, port, None, None, tls, base)

    @pytest.mark.parametrize(("url", "says"), [
        ("127.0.0.1:8001", "write http://127.0.0.1:8001"), ("", "write http"), ("ftp://a", "write http"),
        ("http://a:port", "is no URL"), ("http://[::1", "is no URL"), ("https://me:pw@a", "a user"),
        ("https://a?b=c", "a query"),
    ])  # fmt: skip
    def test_what_is_no_such_url_is_said(self, url: str, says: str) -> None:
        with pytest.raises(ValueError, match=says) as caught:
            ApiAccess.from_url(url)
        assert "pw" not in str(caught.value)

    def test_a_token_never_goes_over_http_and_a_file_has_to_be_there(self, tmp_path: Path) -> None:
        (tmp_path / "token").write_text("secret")
        with pytest.raises(ValueError, match="for https:// alone"):
            ApiAccess.from_url("http://127.0.0.1:8001", tmp_path / "token")
        with pytest.raises(ValueError, match="there is no such file"):
            ApiAccess.from_url("https://a", tmp_path / "token", tmp_path / "ca")

    async def test_over_https_token_and_path_go_to_the_verified_server(self, tmp_path: Path) -> None:
        files = CertificateFiles(tmp_path)
        (tmp_path / "token").write_text("secret")
        api = ApiServer()
        api.objects["/k8s/clusters/c-1/api/v1/nodes"] = [node("a")]
        async with api.serving(tls=make_context(files, ["127.0.0.1"])) as server:
            url = f"https://127.0.0.1:{server.port}/k8s/clusters/c-1"
            client = ApiClient(ApiAccess.from_url(url, tmp_path / "token", files.ca_file))
            assert [one.name for one in (await ask(client)).nodes] == ["a"]
            await client.close()
            client = ApiClient(ApiAccess.from_url(url, tmp_path / "token"))  # the system's bundle does not know the CA
            with pytest.raises(ApiError, match="not trusted"):
                await ask(client)
            await client.close()
        assert api.tokens == ["Bearer secret"]
