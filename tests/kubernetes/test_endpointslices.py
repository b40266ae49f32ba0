"""EndpointSlices against a real API server on loopback: list, watch, and every way in which that goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from prober.kubernetes.api import ApiAccess
from prober.kubernetes.endpointslices import EndpointSlices, NotKnown
from prober.lab.certificates import CertificateFiles
from prober.lab.tls import make_context
from prober.model import ServiceRef
from prober.reasons import Family
from tests.support.api_server import ApiServer, endpoint_slice
from tests.support.cells import FAMILIES
from tests.support.http import Server

WEB, DB = ServiceRef("app", "web", "http"), ServiceRef("app", "db", "sql")
QUICK = (0.01, 0.05)


@asynccontextmanager
async def keeping(server: Server, *refs: ServiceRef, directory: Path | None = None) -> AsyncIterator[EndpointSlices]:
    nowhere = Path("/nonexistent")
    access = ApiAccess(server.address, server.port, (directory or nowhere) / "token", nowhere / "ca.crt", tls=False)
    slices = EndpointSlices(access, QUICK)
    try:
        await slices.start(refs)
        yield slices
    finally:
        await slices.close()


async def eventually(holds: Callable[[], bool]) -> None:
    """Look again until it holds; the test's own timeout ends what never does."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.002)


def hosts(slices: EndpointSlices, ref: ServiceRef = WEB, family: Family = Family.IPV4) -> list[str]:
    return [address for address, _ in slices.ready(ref, family)]


def unknown(slices: EndpointSlices, ref: ServiceRef = WEB) -> str:
    with pytest.raises(NotKnown) as caught:
        slices.ready(ref, Family.IPV4)
    return caught.value.detail


@pytest.mark.parametrize("family", FAMILIES)
async def test_what_is_listed_is_ready_in_each_family(family: Family) -> None:
    api = ApiServer(
        endpoint_slice("web-4", "web", "10.0.0.2", "10.0.0.1", http=8080),
        endpoint_slice("web-6", "web", "2001:db8::1", kind="IPv6", http=8080),
        endpoint_slice("db", "db", "10.0.0.9", sql=5432),
    )
    async with api.serving(family) as server, keeping(server, WEB, DB) as slices:
        assert slices.ready(WEB, Family.IPV4) == (("10.0.0.1", 8080), ("10.0.0.2", 8080))
        assert slices.ready(WEB, Family.IPV6) == (("2001:db8::1", 8080),)
        assert slices.ready(DB, Family.IPV4) == (("10.0.0.9", 5432),)
        assert slices.ready(DB, Family.IPV6) == ()


async def test_changes_are_followed_without_another_list() -> None:
    api = ApiServer(endpoint_slice("a", "web", "10.0.0.1", http=1))
    async with api.serving() as server, keeping(server, WEB) as slices:
        await api.set(endpoint_slice("b", "web", "10.0.0.2", http=1))
        await eventually(lambda: hosts(slices) == ["10.0.0.1", "10.0.0.2"])
        await api.set(endpoint_slice("b", "web", ("10.0.0.2", False), "10.0.0.3", http=1))
        await eventually(lambda: hosts(slices) == ["10.0.0.1", "10.0.0.3"])
        await api.delete("a")
        await eventually(lambda: hosts(slices) == ["10.0.0.3"])
        await api.delete("b")
        await eventually(lambda: hosts(slices) == [])
    assert api.lists == 1


async def test_the_node_of_an_address_follows_its_slice() -> None:
    def slice_on(node: str) -> dict[str, Any]:
        item = endpoint_slice("a", "web", "10.0.0.1", http=1)
        item["endpoints"][0]["nodeName"] = node
        return item

    api = ApiServer(slice_on("east"))
    async with api.serving() as server, keeping(server, WEB) as slices:
        assert slices.node_of(WEB, "10.0.0.1") == "east"
        assert (slices.node_of(WEB, "10.0.0.2"), slices.node_of(DB, "10.0.0.1")) == ("", "")
        await api.set(slice_on("west"))
        await eventually(lambda: slices.node_of(WEB, "10.0.0.1") == "west")


async def test_a_broken_watch_goes_on_from_the_last_version_it_saw() -> None:
    api = ApiServer(endpoint_slice("a", "web", "10.0.0.1", http=1))
    async with api.serving() as server, keeping(server, WEB) as slices:
        await eventually(lambda: api.watches == 1)
        await api.bookmark()
        version = api.revision
        await api.set(endpoint_slice("other", "db", "10.0.0.9", http=1))  # not ours: the bookmark stays the last
        await eventually(lambda: slices._services["app", "web"][0].version == str(version))
        api.cut()
        await eventually(lambda: api.watches == 1 and f"resourceVersion={version}&" in api.requests[-1])
        await api.set(endpoint_slice("a", "web", "10.0.0.7", http=1))
        await eventually(lambda: hosts(slices) == ["10.0.0.7"])
    assert api.lists == 1


@pytest.mark.parametrize("how", ["answer", "event"])
async def test_a_version_that_is_gone_lists_again(how: str) -> None:
    api = ApiServer(endpoint_slice("a", "web", "10.0.0.1", http=1))
    async with api.serving() as server, keeping(server, WEB) as slices:
        await eventually(lambda: api.watches == 1)
        api._record("DELETED", api.slices["a"])  # while nobody is told
        api._record("ADDED", endpoint_slice("b", "web", "10.0.0.2", http=1))
        api.history.clear()
        if how == "answer":
            api.oldest = api.revision
            api.cut()
        else:
            await api.fail(410)
        await eventually(lambda: hosts(slices) == ["10.0.0.2"])
    assert api.lists == 2


async def test_a_restarted_api_server_is_found_again_and_meanwhile_the_last_word_counts() -> None:
    api = ApiServer(endpoint_slice("a", "web", "10.0.0.1", http=1))
    async with api.serving() as server, keeping(server, WEB) as slices:
        await eventually(lambda: api.watches == 1)
        await server.__aexit__(None, None, None)
        service = slices._services["app", "web"][0]
        await eventually(lambda: service.failures >= 3)
        assert hosts(slices) == ["10.0.0.1"]
        async with api.serving(port=server.port):
            await api.set(endpoint_slice("a", "web", "10.0.0.5", http=1))
            await eventually(lambda: hosts(slices) == ["10.0.0.5"])
            await eventually(lambda: service.failures == 0)


@pytest.mark.parametrize("code", [401, 403, 404])
async def test_while_the_api_server_refuses_nothing_is_known(code: int, caplog: pytest.LogCaptureFixture) -> None:
    api = ApiServer(endpoint_slice("a", "web", "10.0.0.1", http=1))
    api.refuse = (code, "endpointslices is forbidden")
    async with api.serving() as server, keeping(server, WEB) as slices:
        assert unknown(slices) == f"EndpointSlices of app/web: {code}: endpointslices is forbidden"
        await eventually(lambda: len(api.requests) >= 4)
        api.refuse = None
        await eventually(lambda: api.watches == 1)
        assert hosts(slices) == ["10.0.0.1"]
        api.refuse = (code, "not any more")
        api.cut()
        await eventually(lambda: slices._services["app", "web"][0].refused)
        assert "not any more" in unknown(slices)
    assert sum("is forbidden" in record.message for record in caplog.records) == 1  # said once, not at every try


async def test_an_overloaded_api_server_leaves_the_last_word() -> None:
    api = ApiServer(endpoint_slice("a", "web", "10.0.0.1", http=1))
    async with api.serving() as server, keeping(server, WEB) as slices:
        await eventually(lambda: api.watches == 1)
        api.refuse = (429, "too many requests")
        api.cut()
        await eventually(lambda: slices._services["app", "web"][0].failures >= 2)
        assert hosts(slices) == ["10.0.0.1"]


async def test_nobody_there_is_not_known_and_says_why() -> None:
    async with ApiServer().serving() as server:
        pass
    async with keeping(server, WEB) as slices:
        assert "refused" in unknown(slices)
        assert "not watched" in unknown(slices, DB)


async def test_a_reload_starts_and_ends_watches_and_keeps_the_others() -> None:
    api = ApiServer(endpoint_slice("a", "web", "10.0.0.1", http=1), endpoint_slice("d", "db", "10.0.0.9", sql=2))
    async with api.serving() as server, keeping(server, WEB) as slices:
        await eventually(lambda: api.watches == 1)
        slices.set_refs([WEB, DB, ServiceRef("app", "db", 7)])
        await eventually(lambda: api.watches == 2)
        assert hosts(slices, DB) == ["10.0.0.9"]
        slices.set_refs([DB])
        await eventually(lambda: api.watches == 1)
        assert "not watched" in unknown(slices)
        assert api.lists == 2
    assert not slices._ending


async def test_an_unknown_port_name_is_not_the_same_as_no_endpoints() -> None:
    api = ApiServer(endpoint_slice("a", "web", "10.0.0.1", http=1))
    async with api.serving() as server, keeping(server, WEB) as slices:
        assert "no port named 'grpc', only: http" in unknown(slices, ServiceRef("app", "web", "grpc"))


async def test_the_token_is_read_anew_for_each_connection(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("first\n")
    api = ApiServer(endpoint_slice("a", "web", "10.0.0.1", http=1))
    async with api.serving() as server, keeping(server, WEB, directory=tmp_path):
        await eventually(lambda: api.watches == 1)
        (tmp_path / "token").write_text("second\n")
        api.cut()
        await eventually(lambda: len(api.tokens) == 3)
    assert api.tokens == ["Bearer first", "Bearer first", "Bearer second"]


@pytest.mark.parametrize(("defects", "says"), [
    ((), None), (("tls-unknown-ca",), "not trusted"), (("tls-expired",), "not trusted"),
    (("tls-wrong-name",), "another name"),
])  # fmt: skip
async def test_over_tls_the_token_goes_only_to_the_verified_server(
    tmp_path: Path, defects: tuple[str, ...], says: str | None
) -> None:
    files = CertificateFiles(tmp_path)
    (tmp_path / "token").write_text("secret")
    api = ApiServer(endpoint_slice("a", "web", "10.0.0.1", http=1))
    async with api.serving(tls=make_context(files, ["127.0.0.1"], frozenset(defects))) as server:
        slices = EndpointSlices(ApiAccess("127.0.0.1", server.port, tmp_path / "token", files.ca_file), QUICK)
        await slices.start([WEB])
        if says is None:
            assert hosts(slices) == ["10.0.0.1"]
        else:
            assert says in unknown(slices)
        await slices.close()
    assert set(api.tokens) == ({"Bearer secret"} if says is None else set())


async def test_an_api_server_known_by_name_is_verified_by_that_name(tmp_path: Path) -> None:
    files = CertificateFiles(tmp_path)
    api = ApiServer(endpoint_slice("a", "web", "10.0.0.1", http=1))
    async with api.serving(tls=make_context(files, ["localhost"])) as server:
        slices = EndpointSlices(ApiAccess("localhost", server.port, tmp_path / "none", files.ca_file), QUICK)
        await slices.start([WEB])
        assert hosts(slices) == ["10.0.0.1"]
        await slices.close()
    assert set(api.tokens) == {None}


def test_the_way_in_comes_from_the_environment() -> None:
    found = ApiAccess.in_cluster({"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"})
    assert found is not None
    assert found.authority == "[fd00::1]:443"
    assert ApiAccess.in_cluster({}) is None
