"""The API server look-alike: who may ask, health, and EndpointSlices listed and watched."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator

import httpx
import pytest

from prober.lab.lab import Lab
from prober.lab.sockets import loopback_families

SLICES = "/apis/discovery.k8s.io/v1/namespaces/app/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dweb-api"
ADDRESSES = {"IPv4": "127.0.0.1"} | ({"IPv6": "::1"} if socket.AF_INET6 in loopback_families() else {})


@pytest.fixture(params=[True, False], ids=["h2", "http1"])
async def client(lab: Lab, request: pytest.FixtureRequest) -> AsyncIterator[httpx.AsyncClient]:
    context = ssl.create_default_context(cafile=str(lab.ca_file))
    base = f"https://127.0.0.1:{lab.ports.api}"
    headers = {"authorization": f"Bearer {lab.token_file.read_text().strip()}"}
    async with httpx.AsyncClient(
        base_url=base, verify=context, http2=request.param, trust_env=False, headers=headers, timeout=2.0
    ) as asker:
        yield asker


@pytest.mark.parametrize(("header", "code", "reason"), [("", 403, "Forbidden"), ("Bearer wrong", 401, "Unauthorized")])
async def test_strangers_get_a_status_body(client: httpx.AsyncClient, header: str, code: int, reason: str) -> None:
    client.headers.pop("authorization")
    if header:
        client.headers["authorization"] = header
    answer = await client.get("/readyz")
    assert answer.status_code == code
    body = answer.json()
    assert (body["kind"], body["status"], body["reason"], body["code"]) == ("Status", "Failure", reason, code)


async def test_the_token_opens_health_and_version(client: httpx.AsyncClient) -> None:
    for path in ("/livez", "/readyz"):
        assert ((await client.get(path)).status_code, (await client.get(path)).text) == (200, "ok")
    assert (await client.get("/readyz?verbose")).text.endswith("[+]poststarthook/start-apiextensions-controllers ok\n"
                                                               "readyz check passed\n")  # fmt: skip
    assert (await client.get("/version")).json()["major"] == "1"
    assert (await client.get("/nothing")).json()["reason"] == "NotFound"


async def test_a_401_fault_refuses_the_token_and_undoes_itself(lab: Lab, client: httpx.AsyncClient) -> None:
    await lab.set_fault("api-401", True)
    assert (await client.get("/readyz")).status_code == 401
    await lab.set_fault("api-401", False)
    assert (await client.get("/readyz")).status_code == 200


async def test_without_etcd_the_api_server_lives_but_is_not_ready(lab: Lab, client: httpx.AsyncClient) -> None:
    await lab.set_fault("api-500", True)
    answer = await client.get("/readyz")
    assert answer.status_code == 500
    assert "[-]etcd failed: reason withheld\n" in answer.text
    assert (await client.get("/livez")).status_code == 200
    assert (await client.get("/version")).json()["reason"] == "InternalError"
    await lab.set_fault("api-500", False)
    assert (await client.get("/readyz")).text == "ok"


async def test_a_hanging_api_server_hangs_until_the_fault_is_off(lab: Lab, client: httpx.AsyncClient) -> None:
    await lab.set_fault("api-hang", True)
    with pytest.raises(httpx.ReadTimeout):
        await client.get("/readyz", timeout=0.2)
    await lab.set_fault("api-hang", False)
    assert (await client.get("/readyz")).status_code == 200


async def test_endpoint_slices_are_listed_by_service_in_both_families(lab: Lab, client: httpx.AsyncClient) -> None:
    body = (await client.get(SLICES)).json()
    assert body["kind"] == "EndpointSliceList"
    assert {s["addressType"]: s["endpoints"][0]["addresses"][0] for s in body["items"]} == ADDRESSES
    for slice_ in body["items"]:
        assert slice_["metadata"]["labels"] == {"kubernetes.io/service-name": "web-api"}
        assert slice_["ports"] == [{"name": "http", "protocol": "TCP", "port": lab.ports.web}]
        assert slice_["endpoints"][0]["conditions"]["ready"] is True
    everything = (await client.get("/apis/discovery.k8s.io/v1/endpointslices")).json()
    assert len(everything["items"]) == 2 * len(ADDRESSES)
    assert (await client.get(f"{SLICES},other")).json()["items"] == []
    refused = await client.get("/apis/discovery.k8s.io/v1/endpointslices?labelSelector=app")
    assert (refused.status_code, refused.json()["reason"]) == (400, "BadRequest")


async def test_a_watch_gives_what_is_and_then_what_changes(lab: Lab, client: httpx.AsyncClient) -> None:
    async with client.stream("GET", f"{SLICES}&watch=1") as answer:
        events = (json.loads(line) async for line in answer.aiter_lines())
        for _ in ADDRESSES:
            assert (await anext(events))["type"] == "ADDED"
        await lab.slices.set_ready("web-api", False)
        for _ in ADDRESSES:
            event = await anext(events)
            assert event["type"] == "MODIFIED"
            assert event["object"]["endpoints"][0]["conditions"]["ready"] is False


async def test_a_watch_from_a_revision_gives_only_what_is_newer_and_ends_in_time(
    lab: Lab, client: httpx.AsyncClient
) -> None:
    revision = (await client.get(SLICES)).json()["metadata"]["resourceVersion"]
    await lab.slices.set_ready("payments", False)  # not the Service that is watched
    await lab.slices.set_ready("web-api", False)
    answer = await client.get(f"{SLICES}&watch=true&resourceVersion={revision}&timeoutSeconds=0.1")
    assert [json.loads(line)["type"] for line in answer.text.splitlines()] == ["MODIFIED"] * len(ADDRESSES)


async def test_a_watch_that_waits_does_not_hold_up_the_end_of_the_lab(lab: Lab, client: httpx.AsyncClient) -> None:
    """The fixtures end with the watch open: the lab has to cut it."""
    request = client.build_request("GET", f"{SLICES}&watch=1")
    answer = await client.send(request, stream=True)
    assert answer.status_code == 200
    waiting = asyncio.create_task(answer.aread())
    waiting.add_done_callback(lambda task: task.exception())
    await lab.__aexit__(None, None, None)
    with pytest.raises(httpx.RemoteProtocolError):
        await waiting
