"""The kubernetes rung: dns → tcp → tls → http against servers that answer as API servers do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from prober.diagnosis.run import explain
from prober.engine.climb import climb
from prober.export.reproduce import reproduce
from prober.lab.certificates import CertificateFiles
from prober.lab.tls import make_context
from prober.layers.base import Kit
from prober.model import Run
from prober.options import Expect
from prober.reasons import Family, Kind, Layer, Reason
from tests.support.cells import FAMILIES, make_cell
from tests.support.http import Http2Peer, Peer, Server, response, says, serving, speaks_http2
from tests.support.runs import http

NAME = "kubernetes.default.svc"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return CertificateFiles(tmp_path_factory.mktemp("certificates"))


async def probe(
    server: Server, files: CertificateFiles, token: Path, *, family: Family = Family.IPV4, host: str = NAME,
    tls: dict[str, str] | None = None, resource: str = "", **expect: Any,
) -> Run:  # fmt: skip
    cell = make_cell(
        Kind.KUBERNETES, "https", host, server.port, family=family, expect=Expect.model_validate(expect),
        options={"kubernetes": {"token_file": str(token), "ca_file": str(files.ca_file)}, "tls": tls or {}},
        resource=resource,
    )  # fmt: skip
    kit = Kit()
    (run,) = await climb(cell, kit, found=[(server.address, server.port)])
    await kit.close()
    return run


@pytest.mark.parametrize(("status", "token", "reason"), [
    (200, False, None), (401, False, None), (403, False, None), (404, False, Reason.STATUS),
    (302, False, Reason.STATUS), (429, False, Reason.STATUS), (500, False, Reason.STATUS),
    (200, True, None), (403, True, Reason.STATUS), (401, True, Reason.STATUS), (404, True, Reason.STATUS),
])  # fmt: skip
async def test_what_proves_the_path_depends_on_the_token(
    files: CertificateFiles, tmp_path: Path, status: int, token: bool, reason: Reason | None
) -> None:
    if token:
        (tmp_path / "token").write_text("secret-token\n")
    async with serving(says(response(f"{status} X")), tls=make_context(files, [NAME], alpn=["http/1.1"])) as server:
        run = await probe(server, files, tmp_path / "token")
    assert (run.blame and run.blame.reason) == reason, http(run)
    assert http(run).evidence["token"] is token
    assert (b"authorization: Bearer secret-token\r\n" in server.heads[0]) is token
    assert server.heads[0].startswith(b"GET /readyz?verbose HTTP/1.1\r\nhost: kubernetes.default.svc:")
    assert "secret-token" not in str(run)


@pytest.mark.parametrize("family", FAMILIES)
async def test_http2_is_spoken_where_the_api_server_chooses_it(
    files: CertificateFiles, tmp_path: Path, family: Family
) -> None:
    seen: list[dict[str, str]] = []

    async def handler(side: Http2Peer) -> None:
        seen.append(side.headers)
        await side.respond(200, b"ok")

    (tmp_path / "token").write_text("secret-token")
    async with serving(speaks_http2(handler), family, make_context(files, [NAME])) as server:
        run = await probe(server, files, tmp_path / "token", family=family)
    assert run.ok, run.outcomes
    assert http(run).evidence["http_version"] == "2"
    assert (seen[0][":scheme"], seen[0]["authorization"]) == ("https", "Bearer secret-token")


async def test_a_right_that_is_missing_is_a_fault_of_the_rights(files: CertificateFiles, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    async with serving(says(response("403 Forbidden")), tls=make_context(files, [NAME], alpn=[])) as server:
        run = await probe(server, files, tmp_path / "token")
    assert (run.blame and run.blame.reason) is Reason.STATUS
    assert http(run).evidence["note"] == "alive, but this token may not get /readyz?verbose"
    verdict = explain(run)
    assert verdict is not None
    assert verdict.says == "The API server knows this Pod's token and does not let it have GET /readyz?verbose: 403."
    assert "`403` in expect.status" in verdict.next_check


VERBOSE = b"[+]ping ok\n[+]etcd ok\n[+]informer-sync excluded: ok\nreadyz check passed\n"
FAILING = (
    b"[+]ping ok\n[-]etcd failed: reason withheld\n[-]informer-sync failed: reason withheld\nreadyz check failed\n"
)


async def test_a_verbose_answer_holds_as_a_short_one_does(files: CertificateFiles, tmp_path: Path) -> None:
    async with serving(says(response("200 OK", VERBOSE)), tls=make_context(files, [NAME], alpn=[])) as server:
        run = await probe(server, files, tmp_path / "token")
    assert run.ok
    assert http(run).evidence["checks"] == 3
    assert "failing" not in http(run).evidence


async def test_the_failing_checks_of_readyz_are_named_in_evidence_and_verdict(
    files: CertificateFiles, tmp_path: Path
) -> None:
    async with serving(says(response("500 X", FAILING)), tls=make_context(files, [NAME], alpn=[])) as server:
        run = await probe(server, files, tmp_path / "token")
    assert run.blame is not None
    assert run.blame.reason is Reason.STATUS
    assert (http(run).evidence["checks"], http(run).evidence["failing"]) == (1, ["etcd", "informer-sync"])
    verdict = explain(run)
    assert verdict is not None
    assert verdict.says == (
        "The API server answers 500 to GET /readyz?verbose: it is up, but says that it is not ready "
        "(failing: etcd, informer-sync)."
    )


async def test_failing_checks_are_named_up_to_a_limit(files: CertificateFiles, tmp_path: Path) -> None:
    body = b"".join(b"[-]check-%d failed: reason withheld\n" % number for number in range(5000))
    async with serving(says(response("500 X", body)), tls=make_context(files, [NAME], alpn=[])) as server:
        run = await probe(server, files, tmp_path / "token")
    assert http(run).evidence["failing"] == [f"check-{number}" for number in range(20)]
    verdict = explain(run)
    assert verdict is not None
    assert "(failing: check-0, check-1, check-2 and 17 more)" in verdict.says


def status_body(code: int, reason: str, message: str) -> bytes:
    return json.dumps(
        {"kind": "Status", "apiVersion": "v1", "reason": reason, "message": message, "code": code}
    ).encode()


@pytest.mark.parametrize(("code", "reason", "message"), [
    (401, "Unauthorized", "Unauthorized"),
    (403, "Forbidden", 'forbidden: User "system:anonymous" cannot get path "/readyz"'),
    (429, "TooManyRequests", "too many requests, please try again later"),
])  # fmt: skip
async def test_what_a_status_says_is_kept(
    files: CertificateFiles, tmp_path: Path, code: int, reason: str, message: str
) -> None:
    body = status_body(code, reason, message)
    async with serving(says(response(f"{code} X", body)), tls=make_context(files, [NAME], alpn=[])) as server:
        run = await probe(server, files, tmp_path / "token")
    assert (http(run).evidence["status_reason"], http(run).evidence["message"]) == (reason, message)
    assert run.ok is (code != 429)


async def test_a_refused_token_is_told_with_the_api_servers_own_words(files: CertificateFiles, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret-token")
    body = status_body(401, "Unauthorized", "the token secret-token has expired")
    async with serving(says(response("401 X", body)), tls=make_context(files, [NAME], alpn=[])) as server:
        run = await probe(server, files, tmp_path / "token")
    verdict = explain(run)
    assert verdict is not None
    assert verdict.says == (
        f"The API server refuses this Pod's token: 401: the token $(cat {tmp_path}/token) has expired."
    )


@pytest.mark.parametrize("body", [b"{", b"{}", b"[1]", b'{"reason": 7, "message": null}', b"{" * 9000, b"\xff{",
                                  b'{"message": "' + b"x" * 20000 + b'"}'])  # fmt: skip
async def test_a_status_that_is_none_leaves_no_trace(files: CertificateFiles, tmp_path: Path, body: bytes) -> None:
    async with serving(says(response("403 X", body)), tls=make_context(files, [NAME], alpn=[])) as server:
        run = await probe(server, files, tmp_path / "token")
    assert run.ok
    assert not {"status_reason", "message"} & set(http(run).evidence)


@pytest.mark.parametrize(("resource", "asked"), [
    ("", "/readyz?verbose"), ("/", "/readyz?verbose"), ("/livez", "/livez"), ("/version", "/version"),
])  # fmt: skip
async def test_the_urls_own_path_is_what_is_asked_for(
    files: CertificateFiles, tmp_path: Path, resource: str, asked: str
) -> None:
    async with serving(says(response("500 X")), tls=make_context(files, [NAME], alpn=[])) as server:
        run = await probe(server, files, tmp_path / "token", resource=resource)
    assert server.heads[0].startswith(f"GET {asked} HTTP/1.1".encode())
    assert f"{NAME}:{server.port}{asked}" in reproduce(run)
    verdict = explain(run)
    assert verdict is not None
    assert f"GET {asked}" in verdict.says


async def test_expect_status_overrides_the_defaults(files: CertificateFiles, tmp_path: Path) -> None:
    async with serving(says(response("403 Forbidden")), tls=make_context(files, [NAME], alpn=[])) as server:
        refused = await probe(server, files, tmp_path / "token", status=[200])
        allowed = await probe(server, files, tmp_path / "token", status=["4xx"])
    assert refused.blame is not None
    assert refused.blame.reason is Reason.STATUS
    assert allowed.ok


async def test_the_token_is_read_anew_at_each_run(files: CertificateFiles, tmp_path: Path) -> None:
    token = tmp_path / "token"
    async with serving(says(response()), tls=make_context(files, [NAME], alpn=[])) as server:
        for text in ("one", "two"):
            token.write_text(text)
            assert (await probe(server, files, token)).ok
        token.write_text("")
        assert http(await probe(server, files, token)).evidence["token"] is False
    assert [b"Bearer one" in server.heads[0], b"Bearer two" in server.heads[1]] == [True, True]


async def test_a_token_that_cannot_be_read_is_our_fault(files: CertificateFiles, tmp_path: Path) -> None:
    async with serving(says(response()), tls=make_context(files, [NAME], alpn=[])) as server:
        run = await probe(server, files, tmp_path)  # a directory
    assert run.ours
    assert str(tmp_path) in str(http(run).evidence["detail"])


async def test_an_api_server_that_hangs_up_is_closed(files: CertificateFiles, tmp_path: Path) -> None:
    async def handler(peer: Peer) -> None:
        await peer.read_head()

    async with serving(handler, tls=make_context(files, [NAME], alpn=[])) as server:
        run = await probe(server, files, tmp_path / "token")
    assert run.blame is not None
    assert (run.blame.layer, run.blame.reason) == (Layer.HTTP, Reason.CLOSED)
