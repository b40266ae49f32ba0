"""The http rung over HTTP/2: in the clear by prior knowledge, and over TLS by ALPN."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from h2.errors import ErrorCodes

from prober.engine.climb import climb
from prober.lab.certificates import CertificateFiles
from prober.lab.tls import make_context
from prober.layers.base import Kit
from prober.model import Run
from prober.options import Expect
from prober.reasons import Family, Kind, Layer, Reason
from tests.support.cells import FAMILIES, make_cell
from tests.support.http import Handler, Http2Peer, Peer, frame, response, says, serving, speaks_http2
from tests.support.runs import http

NAME = "api.example.com"
GOAWAY, HEADERS = 7, 1


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return CertificateFiles(tmp_path_factory.mktemp("certificates"))


async def probe(
    address: str, port: int, *, scheme: str = "http", family: Family = Family.IPV4,
    expect: dict[str, Any] | None = None, tls: dict[str, Any] | None = None, **http: Any,
) -> Run:  # fmt: skip
    cell = make_cell(Kind.HTTP, scheme, NAME, port, family=family, resource="/health?x=1", timeout=5.0,
                     expect=Expect.model_validate(expect or {}), options={"http": http, "tls": tls or {}})  # fmt: skip
    kit = Kit()
    (run,) = await climb(cell, kit, found=[(address, port)])
    await kit.close()
    return run


async def once(handler: Callable[[Http2Peer], Awaitable[None]], **how: Any) -> Run:
    async with serving(speaks_http2(handler), how.get("family", Family.IPV4)) as server:
        return await probe(server.address, server.port, version="2", **how)


@pytest.mark.parametrize("family", FAMILIES)
async def test_prior_knowledge_speaks_http2_in_the_clear(family: Family) -> None:
    seen: list[dict[str, str]] = []

    async def handler(side: Http2Peer) -> None:
        seen.append(side.headers)
        await side.respond(200, b"hello", server="lab")

    run = await once(
        handler, family=family, expect={"http_version": "2", "body_contains": "hello"}, headers={"X-A": "1"}
    )
    assert run.ok, http(run)
    assert http(run).evidence["server"] == "lab"
    assert http(run).evidence["bytes"] == 5
    assert list(run.phases) == ["request", "first_byte", "transfer"]
    (headers,) = seen
    assert list(headers)[:4] == [":method", ":scheme", ":authority", ":path"]
    assert (headers[":scheme"], headers[":path"], headers["x-a"]) == ("http", "/health?x=1", "1")
    assert headers[":authority"].startswith(f"{NAME}:")
    assert not {"host", "connection"} & set(headers)


async def test_a_body_larger_than_the_windows_is_sent_and_one_is_received() -> None:
    async def handler(side: Http2Peer) -> None:
        await side.respond(200, b"y" * 3_000_000, x_got=str(len(side.body)))

    run = await once(
        handler, method="POST", body="x" * 300_000, max_body=4_000_000, expect={"headers": {"x-got": "^300000$"}}
    )
    assert run.ok, http(run)
    assert http(run).evidence["bytes"] == 3_000_000


@pytest.mark.parametrize("body", [None, "x"])
async def test_a_host_of_the_users_own_is_the_authority(body: str | None) -> None:
    seen: list[dict[str, str]] = []

    async def handler(side: Http2Peer) -> None:
        seen.append(side.headers)
        await side.respond(200)

    assert (await once(handler, headers={"Host": "other.example"}, body=body)).ok
    assert seen[0][":authority"] == "other.example"
    assert "host" not in seen[0]


@pytest.mark.parametrize("size", [200_000, 3_000_000])
async def test_a_body_that_outgrows_the_plain_exchange_is_read_whole(size: int) -> None:
    async def handler(side: Http2Peer) -> None:
        await side.respond(200, b"y" * size)

    run = await once(handler, max_body=4_000_000)
    assert run.ok, http(run)
    assert http(run).evidence["bytes"] == size


async def test_an_answer_before_the_body_was_taken_ends_the_sending() -> None:
    async def serve(peer: Peer) -> None:
        side = Http2Peer(peer)
        await side.start()
        await anext(side.events())
        side.connection.clear_outbound_data_buffer()
        await peer.send(frame(HEADERS, b"\x08\x03413", flags=0x5, stream=1))
        await peer.reader.read()

    async with serving(serve) as server:
        run = await probe(
            server.address, server.port, version="2", method="POST", body="x" * 300_000, expect={"status": [413]}
        )
    assert run.ok, http(run)


@pytest.mark.parametrize("version", ["2", "auto"])
async def test_expecting_http2_in_the_clear_is_prior_knowledge(version: str) -> None:
    """Nothing else could meet it: without TLS there is no ALPN."""

    async def handler(side: Http2Peer) -> None:
        await side.respond(200, b"hello")

    async with serving(speaks_http2(handler), Family.IPV4) as server:
        run = await probe(server.address, server.port, version=version, expect={"http_version": "2"})
    assert run.ok, http(run)
    assert http(run).evidence["http_version"] == "2"


async def test_informational_responses_are_counted_not_judged() -> None:
    async def handler(side: Http2Peer) -> None:
        side.connection.send_headers(1, [(":status", "103"), ("link", "x")])
        await side.respond(200)

    run = await once(handler)
    assert run.ok, http(run)
    assert http(run).evidence["informational"] == 1


async def test_a_goaway_that_refuses_our_stream_fails_with_its_code() -> None:
    async def handler(side: Http2Peer) -> None:
        await side.peer.send(frame(GOAWAY, bytes(4) + int(ErrorCodes.ENHANCE_YOUR_CALM).to_bytes(4) + b"too_many"))
        await side.peer.reader.read()

    run = await once(handler)
    assert http(run).reason is Reason.GOAWAY
    evidence = http(run).evidence
    assert (evidence["error_code"], evidence["last_stream_id"], evidence["debug_data"]) == (
        "ENHANCE_YOUR_CALM",
        0,
        "too_many",
    )


@pytest.mark.parametrize("last", [1, 2**31 - 1])
async def test_a_graceful_goaway_lets_our_stream_finish(last: int) -> None:
    async def handler(side: Http2Peer) -> None:
        await side.peer.send(frame(GOAWAY, last.to_bytes(4) + bytes(4)) + frame(GOAWAY, (1).to_bytes(4) + bytes(4)))
        await side.respond(200)

    assert (await once(handler)).ok


async def test_a_goaway_and_then_the_end_is_goaway_not_closed() -> None:
    async def handler(side: Http2Peer) -> None:
        await side.peer.send(frame(GOAWAY, (1).to_bytes(4) + int(ErrorCodes.INTERNAL_ERROR).to_bytes(4)))

    run = await once(handler)
    assert (http(run).reason, http(run).evidence["error_code"]) == (Reason.GOAWAY, "INTERNAL_ERROR")


@pytest.mark.parametrize("after_head", [False, True])
async def test_a_reset_stream_fails_with_its_code(after_head: bool) -> None:
    async def handler(side: Http2Peer) -> None:
        if after_head:
            side.connection.send_headers(1, [(":status", "200")])
        side.connection.reset_stream(1, ErrorCodes.REFUSED_STREAM)
        await side.flush()
        await side.peer.reader.read()

    run = await once(handler)
    assert (http(run).reason, http(run).evidence["error_code"]) == (Reason.STREAM_RESET, "REFUSED_STREAM")


@pytest.mark.parametrize("after_head", [False, True])
async def test_an_end_before_the_response_is_complete_is_closed(after_head: bool) -> None:
    async def handler(side: Http2Peer) -> None:
        if after_head:
            side.connection.send_headers(1, [(":status", "200")])
            await side.flush()

    assert http(await once(handler)).reason is Reason.CLOSED


async def test_a_body_that_breaks_its_content_length_is_a_violation() -> None:
    async def handler(side: Http2Peer) -> None:
        await side.respond(200, b"short", content_length="99")
        await side.peer.reader.read()

    assert http(await once(handler)).reason is Reason.PROTOCOL


async def test_a_tls_server_that_hangs_up_on_http2_in_the_clear_is_named() -> None:
    """Its alert is shorter than the head of a frame."""
    async with serving(says(b"\x15\x03\x03\0\x02\x02\x32")) as server:
        outcome = http(await probe(server.address, server.port, version="2"))
    assert (outcome.reason, outcome.evidence["peer_speaks"]) == (Reason.PROTOCOL, "TLS")


@pytest.mark.parametrize(("handler", "version", "speaks"), [
    (says(response()), "2", "HTTP/1.x"),
    (speaks_http2(Http2Peer.flush), "1.1", "HTTP/2"),
])  # fmt: skip
async def test_the_wrong_version_in_the_clear_is_named(handler: Handler, version: str, speaks: str) -> None:
    async def either(peer: Peer) -> None:
        await (handler(peer) if version == "2" else Http2Peer(peer).start())

    async with serving(either) as server:
        run = await probe(server.address, server.port, version=version)
    assert (http(run).reason, http(run).evidence["peer_speaks"]) == (Reason.VERSION, speaks)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("alpn", "handler", "version"), [
    (("h2", "http/1.1"), speaks_http2(Http2Peer.respond), "2"),
    (("http/1.1",), says(response()), "1.1"),
    ((), says(response()), "1.1"),
])  # fmt: skip
async def test_over_tls_the_version_is_what_alpn_chose(
    files: CertificateFiles, family: Family, alpn: tuple[str, ...], handler: Handler, version: str
) -> None:
    context = (
        make_context(files, [NAME], alpn=alpn) if alpn else make_context(files, [NAME], frozenset({"tls-no-alpn"}))
    )
    async with serving(handler, family, context) as server:
        run = await probe(
            server.address, server.port, scheme="https", family=family, tls={"ca_file": str(files.ca_file)}
        )
    assert run.ok, run.outcomes
    assert http(run).evidence["http_version"] == version


def demand_certificate(listening: socket.socket, context: ssl.SSLContext) -> None:
    """One handshake with the standard library's blocking TLS (asyncio's drops the alert), which has to fail."""
    accepted, _ = listening.accept()
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"), accepted:
        context.wrap_socket(accepted, server_side=True)


@pytest.mark.parametrize("alpn", [["h2"], ["http/1.1"]])
async def test_a_client_certificate_that_is_missed_after_the_handshake_is_named(
    files: CertificateFiles, alpn: list[str]
) -> None:
    context = make_context(files, [NAME], frozenset({"tls-client-certificate"}))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        demanding = asyncio.create_task(asyncio.to_thread(demand_certificate, listening, context))
        port = listening.getsockname()[1]
        run = await probe("127.0.0.1", port, scheme="https", tls={"ca_file": str(files.ca_file), "alpn": alpn})
        await demanding
    assert run.blame is not None
    assert (run.blame.layer, run.blame.reason) == (Layer.HTTP, Reason.CLIENT_CERTIFICATE)
    assert "certificate required" in str(http(run).evidence["alert"])
