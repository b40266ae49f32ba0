"""The http rung over HTTP/1.1: real connections to servers that answer what each test says."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from prober import __version__
from prober.engine.climb import climb
from prober.layers.base import Kit
from prober.model import Run
from prober.options import Expect
from prober.reasons import Family, Kind, Layer, Reason, Result
from tests.support.cells import FAMILIES, facts, make_cell
from tests.support.http import Handler, Peer, Server, climb_to, response, says, serving
from tests.support.runs import http


async def probe(server: Server, *, expect: dict[str, Any] | None = None, timeout: float = 5.0, hidden: Any = None,
                resource: str = "/", family: Family = Family.IPV4, **http: Any) -> Run:  # fmt: skip
    cell = make_cell(Kind.HTTP, "http", server.address, server.port, family=family, timeout=timeout, resource=resource,
                     expect=Expect.model_validate(expect or {}), options={"http": http})  # fmt: skip
    if hidden:
        object.__setattr__(cell, "hidden", hidden)
    return await climb_to(server, cell)


async def once(handler: Handler, **how: Any) -> Run:
    async with serving(handler, how.get("family", Family.IPV4)) as server:
        return await probe(server, **how)


@pytest.mark.parametrize("family", FAMILIES)
async def test_an_answer_holds_and_leaves_its_evidence(family: Family) -> None:
    run = await once(says(response("200 OK", b"ok", "Server: lab", "Via: 1.1 edge")), family=family)
    assert run.ok
    evidence = facts(http(run))
    assert evidence | {"request_id": "?"} == {
        "request_id": "?", "status": 200, "http_version": "1.1", "bytes": 2, "server": "lab", "via": "1.1 edge",
        "content_length": "2",
    }  # fmt: skip


async def test_the_phases_are_disjoint_and_make_up_the_layers_time() -> None:
    async def handler(peer: Peer) -> None:
        await peer.read_head()
        await peer.send(b"HTTP/1.1 200 OK\r\nX-Envoy-Upstream-Service-Time: 37\r\nContent-Length: 4\r\n\r\nab")
        await asyncio.sleep(0.05)  # the time that transfer has to show
        await peer.send(b"cd")

    run = await once(handler)
    phases = dict(run.phases)
    assert phases.pop("upstream") == 0.037
    assert phases.pop("network") == max(0.0, phases["request"] + phases["first_byte"] - 0.037)
    assert list(phases) == ["request", "first_byte", "transfer"]
    assert sum(phases.values()) == pytest.approx(http(run).seconds, abs=1e-4)
    assert phases["transfer"] >= 0.045


async def test_the_request_has_exactly_our_fields_and_the_users() -> None:
    async with serving(says(response())) as server:
        await probe(
            server, resource="/a%20b?q=1", method="POST", body="hello", headers={"X-A": "1", "Accept": "text/plain"}
        )
        run = await probe(server)
    head = server.heads[0].decode()
    identity = head.partition("x-request-id: ")[2].partition("\r\n")[0]
    assert head.split("\r\n") == [
        "POST /a%20b?q=1 HTTP/1.1", f"host: 127.0.0.1:{server.port}", f"user-agent: prober/{__version__}",
        "accept: text/plain", "accept-encoding: identity", "connection: close", f"x-request-id: {identity}", "x-a: 1",
        "content-length: 5", "", "",
    ]  # fmt: skip
    assert len(identity) == 36
    assert http(run).evidence["request_id"] in server.heads[1].decode()


@pytest.mark.parametrize(("handler", "how", "reason"), [
    (says(response("503 Service Unavailable")), {}, Reason.STATUS),
    (says(response("301 Moved", b"", "Location: https://other/")), {"expect": {"status": [200]}}, Reason.REDIRECT),
    (says(response()), {"expect": {"http_version": "2"}}, Reason.VERSION),
    (says(response()), {"expect": {"headers": {"x-a": "."}}}, Reason.HEADER),
    (says(response()), {"expect": {"body_contains": "x"}}, Reason.BODY),
    (says(response("200 OK", b"x" * 101)), {"max_body": 100}, Reason.BODY),
    (says(), {}, Reason.CLOSED),
    (says(b"HTTP/1.1 200 OK\r\nConte"), {}, Reason.CLOSED),
    (says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"), {}, Reason.CLOSED),
    (says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"), {}, Reason.CLOSED),
    (says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), {}, Reason.PROTOCOL),
    (says(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"), {}, Reason.PROTOCOL),
    (says(b"SSH-2.0-OpenSSH_9.2\r\n"), {}, Reason.PROTOCOL),
    (says(b"HTTP/1.1 what\r\n\r\n"), {}, Reason.PROTOCOL),
])  # fmt: skip
@pytest.mark.parametrize("family", FAMILIES)
async def test_every_reason_of_a_bad_answer(
    handler: Handler, how: dict[str, Any], reason: Reason, family: Family
) -> None:
    run = await once(handler, family=family, **how)
    assert run.blame is not None
    assert (run.blame.layer, run.blame.reason) == (Layer.HTTP, reason)
    assert http(run).seconds is not None


@pytest.mark.parametrize("beginning", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsho"])
async def test_a_reset_before_and_inside_the_response_is_reset(beginning: bytes) -> None:
    async def handler(peer: Peer) -> None:
        await peer.read_head()
        if beginning:
            await peer.send(beginning)
        peer.reset()

    run = await once(handler)
    assert run.blame is not None
    assert run.blame.reason is Reason.RESET
    assert http(run).evidence.get("status") in ((200, None) if beginning else (None,))  # a RST may discard the unread


async def test_a_silent_server_ends_at_the_deadline_and_keeps_the_request_phase() -> None:
    async def handler(peer: Peer) -> None:
        await peer.reader.read()

    run = await once(handler, timeout=0.2)
    assert run.blame is not None
    assert run.blame.reason is Reason.TIMEOUT
    assert list(run.phases) == ["request"]
    assert 0.15 < (http(run).seconds or 0) < 0.3


async def test_redirects_are_good_by_default_evidence_and_not_followed() -> None:
    async with serving(says(response("302 Found", b"", "Location: http://[bad"))) as server:
        run = await probe(server)
    assert run.ok
    assert http(run).evidence["location"] == "http://[bad"
    assert len(server.heads) == 1


async def test_an_answer_before_the_whole_request_was_taken_is_still_read() -> None:
    async def handler(peer: Peer) -> None:
        await peer.send(response("413 Content Too Large", b""))
        peer.writer.write_eof()
        await peer.reader.read(1000)

    run = await once(handler, method="POST", body="x" * 8_000_000, expect={"status": [413]})
    assert run.ok, http(run)
    assert "request" not in run.phases


async def test_head_and_204_have_no_body() -> None:
    assert (await once(says(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"), method="HEAD")).ok
    assert (await once(says(b"HTTP/1.1 204 No Content\r\n\r\n"))).ok


async def test_http_1_0_without_a_length_ends_with_the_connection() -> None:
    run = await once(
        says(b"HTTP/1.0 200 OK\r\n\r\n", b"abc", b"def"), expect={"body_contains": "cd", "http_version": "1.0"}
    )
    assert run.ok, http(run)


async def test_a_host_of_the_users_own_takes_the_place_of_ours() -> None:
    async with serving(says(response())) as server:
        run = await probe(server, headers={"Host": "other.example"})
    assert run.ok
    assert server.heads[0].startswith(b"GET / HTTP/1.1\r\nhost: other.example\r\n")
    assert server.heads[0].lower().count(b"host:") == 1


@pytest.mark.parametrize(("host", "sent"), [
    ("bücher.example", "xn--bcher-kva.example"), ("fe80::1%eth0", "[fe80::1]"), ("A.example.", "A.example."),
])  # fmt: skip
async def test_the_host_is_sent_in_ascii_and_without_its_zone(host: str, sent: str) -> None:
    async with serving(says(response())) as server:
        cell = make_cell(Kind.HTTP, "http", host, server.port)
        (run,) = await climb(cell, Kit(), found=[(server.address, server.port)])
    assert run.ok, http(run)
    assert f"\r\nhost: {sent}:{server.port}\r\n".encode() in server.heads[0]


async def test_secrets_are_sent_but_never_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token, password = tmp_path / "token", tmp_path / "password"
    token.write_text("tok-secret-123\n")
    password.write_text("pass-secret-456")

    async def echo(peer: Peer) -> None:
        head = await peer.read_head()
        await peer.send(response("500 Oops", head, *["Location: /?t=tok-secret-123"] * (b"tok-secret" in head)))

    async with serving(echo) as server:
        runs = [
            await probe(server, bearer={"file": str(token)}),
            await probe(server, basic={"username": "me", "password": {"file": str(password)}}),
            await probe(server, headers={"X-Key": {"file": str(token)}}, resource="/?k=from-env-value",
                        hidden={"from-env-value": "${KEY}"}),
            await probe(server, bearer="literal-secret"),
        ]  # fmt: skip
    assert b"authorization: Bearer tok-secret-123\r\n" in server.heads[0]
    assert b"authorization: Basic bWU6cGFzcy1zZWNyZXQtNDU2\r\n" in server.heads[1]
    assert b"x-key: tok-secret-123\r\n" in server.heads[2]
    told = " ".join(str(http(run).evidence) for run in runs) + caplog.text
    for secret in ("tok-secret", "pass-secret", "bWU6cGFzcy1z", "from-env", "literal-secret"):
        assert secret not in told
    assert f"$(cat {token})" in told
    assert "${KEY}" in told


@pytest.mark.parametrize("content", [None, b"two\nlines", b"\xff\xfe"])
async def test_an_unusable_secret_is_our_fault(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    run = await once(says(response()), headers={"X-Key": {"file": str(file)}})
    assert run.ours
    assert "secret" in str(http(run).evidence["detail"]) or "X-Key" in str(http(run).evidence["detail"])
    assert "lines" not in str(http(run).evidence)


async def test_the_excerpt_of_a_bad_body_is_short_and_printable() -> None:
    run = await once(says(response("500 Oops", b"<h1>\x1b[31m" + "é".encode() + b"\r\n\xff" + b"x" * 5000)))
    body = http(run).evidence["body"]
    assert len(body) == 200
    assert body.isprintable()
    assert body.startswith("<h1> [31mé")
    assert "body" not in http(await once(says(response()))).evidence


async def test_a_skipped_layer_below_leaves_http_unasked() -> None:
    async with serving(says(response())) as server:
        pass
    run = await probe(server)
    assert (http(run).result, http(run).reason) == (Result.SKIPPED, Reason.SKIPPED_BELOW)
