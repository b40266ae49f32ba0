"""The grpc rung on the wire: what it says, over which connections."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from pathlib import Path

import pytest

from prober.lab.certificates import CertificateFiles
from prober.lab.tls import make_context
from prober.layers.base import Kit
from prober.model import Endpoint
from prober.reasons import Family, Kind, Reason
from prober.wire.grpc import Bridges
from tests.support.cells import FAMILIES, LOOPBACK, make_cell
from tests.support.grpc import HEAD, SERVING, cell_for, reason_of, run_of
from tests.support.http import Handler, Http2Peer, Peer, serving, speaks_http2


def healthy(seen: list[dict[str, str]]) -> Handler:
    """Says SERVING once on each connection, and keeps what it was asked with in `seen`."""

    @speaks_http2
    async def handler(side: Http2Peer) -> None:
        seen.append(side.headers)
        side.connection.send_headers(1, HEAD)
        side.connection.send_data(1, b"\0\0\0\0\x02\x08\x01")
        side.connection.send_headers(1, [("grpc-status", "0")], end_stream=True)
        await side.flush()
        await side.peer.reader.read()

    return handler


async def test_one_climb_is_one_connection_and_begins_with_stream_1(kit: Kit) -> None:
    """Also the third climb over the same channel, whose header section nobody needs the first two for."""
    seen: list[dict[str, str]] = []

    async with serving(healthy(seen)) as server:
        for _ in range(3):
            assert (await run_of(cell_for(server.port), kit)).ok
        assert len(server.peers) == 3
    for headers in seen:
        assert headers.pop("grpc-timeout")
        assert headers.pop("user-agent").startswith("prober grpc-python-asyncio/")
        headers.pop("grpc-accept-encoding")
        assert headers == {
            ":method": "POST", ":scheme": "http", ":path": "/grpc.health.v1.Health/Check",
            ":authority": f"127.0.0.1:{server.port}", "content-type": "application/grpc", "te": "trailers",
        }  # fmt: skip


async def test_the_servers_deadline_is_what_is_left_of_the_climbs(kit: Kit) -> None:
    told: list[str] = []

    @speaks_http2
    async def handler(side: Http2Peer) -> None:
        told.append(side.headers["grpc-timeout"])
        await side.peer.reader.read()

    async with serving(handler) as server:
        run = await run_of(cell_for(server.port, timeout=0.4), kit)
    assert reason_of(run) is Reason.TIMEOUT
    (timeout,) = told
    assert timeout.endswith("m")
    assert 100 < int(timeout[:-1]) <= 400


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("version", ["1.2", "1.3"])
async def test_over_tls_the_tls_layers_own_connection_carries_the_call(
    family: Family, version: str, kit: Kit, tmp_path_factory: pytest.TempPathFactory
) -> None:
    files = CertificateFiles(tmp_path_factory.mktemp("certificates"))
    context = make_context(files, ["pay.example.com"])
    context.set_alpn_protocols(["h2"])
    seen: list[dict[str, str]] = []

    async with serving(healthy(seen), family, context) as server:
        options = {"tls": {"ca_file": str(files.ca_file), "max_version": version}}
        cell = make_cell(Kind.GRPC, "grpcs", "pay.example.com", server.port, family=family, options=options)
        run = await run_of(cell, kit)
        assert len(server.peers) == 1
    assert run.ok, run.outcomes
    assert (seen[0][":scheme"], seen[0][":authority"]) == ("https", f"pay.example.com:{server.port}")
    assert [outcome.evidence.get("clock") for outcome in run.outcomes[1:]] == ["kernel"] * 3


async def test_what_the_tls_layer_was_told_to_overlook_does_not_stop_the_call(
    kit: Kit, tmp_path_factory: pytest.TempPathFactory
) -> None:
    files = CertificateFiles(tmp_path_factory.mktemp("certificates"))
    context = make_context(files, ["other.example.com"])
    context.set_alpn_protocols(["h2"])
    async with serving(SERVING, tls=context) as server:
        options = {"tls": {"verify": False, "ca_file": str(files.ca_file)}}
        run = await run_of(make_cell(Kind.GRPC, "grpcs", "pay.example.com", server.port, options=options), kit)
    assert run.ok, run.outcomes


@pytest.mark.parametrize("family", FAMILIES)
async def test_the_call_goes_through_the_proxys_tunnel(family: Family, kit: Kit) -> None:
    connected: list[bytes] = []

    async with serving(SERVING, family) as server:

        async def proxy(peer: Peer) -> None:
            connected.append((await peer.read_head()).split(b"\r\n")[0])
            await peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
            reader, writer = await asyncio.open_connection(server.address, server.port)

            async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
                while data := await source.read(65536):
                    sink.write(data)

            try:
                await asyncio.gather(carry(peer.reader, writer), carry(reader, peer.writer))
            finally:
                writer.close()

        async with serving(proxy, family) as way:
            cell = make_cell(
                Kind.GRPC, "grpc", "pay.example.com", 50051, family=family,
                proxy=Endpoint("http", LOOPBACK[family], way.port),
            )  # fmt: skip
            run = await run_of(cell, kit)
        assert len(server.peers) == 1
    assert connected == [b"CONNECT pay.example.com:50051 HTTP/1.1"]
    assert run.ok, run.outcomes


async def test_authority_and_metadata_are_sent_and_trailers_are_kept(kit: Kit) -> None:
    @speaks_http2
    async def handler(side: Http2Peer) -> None:
        assert (side.headers[":authority"], side.headers["x-team"]) == ("pay.internal", "sre")
        details = (
            b"\x08\x08\x12\x04busy\x1a\x2a\x0a\x28type.googleapis.com/google.rpc.RetryInfo"
            b"\x1a\x2a\x0a\x28type.googleapis.com/google.rpc.QuotaFail"
        )
        side.connection.send_headers(
            1, [*HEAD, ("grpc-status", "8"), ("grpc-message", "busy%0A!"), ("x-node", "n1\x1b"),
                ("grpc-status-details-bin", b64encode(details).decode().rstrip("="))], end_stream=True,
        )  # fmt: skip
        await side.flush()
        await side.peer.reader.read()

    grpc = {"authority": "pay.internal", "metadata": {"x-team": "sre"}}
    async with serving(handler) as server:
        run = await run_of(cell_for(server.port, grpc=grpc), kit)
    assert reason_of(run) is Reason.STATUS
    evidence = run.outcomes[-1].evidence
    assert (evidence["grpc_status"], evidence["message"]) == ("RESOURCE_EXHAUSTED", "busy !")
    assert evidence["details"] == ["google.rpc.RetryInfo", "google.rpc.QuotaFail"]


async def test_climbs_at_the_same_time_do_not_share_a_channel(kit: Kit) -> None:
    together = asyncio.Barrier(5)

    @speaks_http2
    async def handler(side: Http2Peer) -> None:
        await together.wait()
        side.connection.send_headers(1, HEAD)
        side.connection.send_data(1, b"\0\0\0\0\x02\x08\x01")
        side.connection.send_headers(1, [("grpc-status", "0")], end_stream=True)
        await side.flush()
        await side.peer.reader.read()

    async with serving(handler) as server:
        runs = await asyncio.gather(*(run_of(cell_for(server.port), kit) for _ in range(5)))
        assert len(server.peers) == 5
    assert all(run.ok for run in runs)


async def test_channels_are_kept_up_to_a_limit(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prober.wire.grpc.bridge.MAX_IDLE", 2)
    bridges = kit.get(Bridges)
    async with serving(SERVING) as server:
        for name in ("a", "b", "a", "c", "d", "a"):
            assert (await run_of(cell_for(server.port, grpc={"authority": name}), kit)).ok
            assert len(bridges._order) <= 2
    assert [names.authority for names in bridges._idle] == ["d", "a"]


async def test_binary_metadata_is_sent_as_bytes_and_a_file_that_is_gone_is_our_own_fault(
    kit: Kit, tmp_path: Path
) -> None:
    seen: list[str] = []

    @speaks_http2
    async def handler(side: Http2Peer) -> None:
        seen.append(side.headers["x-trace-bin"])
        side.connection.send_headers(1, [*HEAD, ("grpc-status", "16")], end_stream=True)
        await side.flush()
        await side.peer.reader.read()

    async with serving(handler) as server:
        run = await run_of(cell_for(server.port, grpc={"metadata": {"x-trace-bin": "\u00e9"}}), kit)
        gone = {"metadata": {"authorization": {"file": str(tmp_path / "gone")}}}
        ours = await run_of(cell_for(server.port, grpc=gone), kit)
    assert reason_of(run) is Reason.UNAUTHENTICATED
    assert seen == [b64encode("\u00e9".encode()).decode().rstrip("=")]
    assert reason_of(ours) is Reason.INTERNAL
    assert "metadata authorization can't be read" in ours.outcomes[-1].evidence["detail"]


async def test_without_a_local_socket_the_fault_is_ours(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left() -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("prober.wire.grpc.bridge.listening", none_left)
    async with serving(SERVING) as server:
        run = await run_of(cell_for(server.port), kit)
    assert reason_of(run) is Reason.INTERNAL
    assert "no local socket for grpcio" in run.outcomes[-1].evidence["detail"]
