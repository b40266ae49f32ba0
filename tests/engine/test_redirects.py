"""Redirects as climbs of their own: where they lead, what they take along, and what a chain of them is worth."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from prober.diagnosis.run import explain
from prober.engine.climb import climb
from prober.export.runs import run_as_dict
from prober.lab.certificates import CertificateFiles
from prober.lab.tls import make_context
from prober.layers.base import Kit
from prober.model import Run
from prober.options import Expect
from prober.reasons import Family, Kind, Layer, Reason
from tests.support.cells import FAMILIES, LOOPBACK, make_cell
from tests.support.http import Handler, Peer, Server, response, says, serving
from tests.support.runs import http


def moved(location: str, status: str = "302 Found") -> bytes:
    return response(status, b"", f"Location: {location}")


def host(family: Family) -> str:
    return f"[{LOOPBACK[family]}]" if family is Family.IPV6 else LOOPBACK[family]


def routes(answers: dict[str, bytes]) -> Handler:
    """Answer by path; the request's body, if one is announced, is read first."""

    async def handler(peer: Peer) -> None:
        head = await peer.read_head()
        length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if length:
            await peer.reader.readexactly(int(length))
        await peer.send(answers[head.split()[1].decode()])

    return handler


async def follow(
    server: Server, resource: str = "/", *, family: Family = Family.IPV4, timeout: float = 5.0,
    expect: dict[str, Any] | None = None, tls: dict[str, Any] | None = None, name: str | None = None,
    budget: dict[str, float] | None = None, **options: Any,
) -> Run:  # fmt: skip
    cell = make_cell(
        Kind.HTTP, "http", name or server.address, server.port, family=family, timeout=timeout, resource=resource,
        expect=Expect.model_validate(expect or {}), options={"http": {"follow": 5} | options, "tls": tls or {}},
        budget=budget, connect=(server.address, server.port) if name else None,
    )  # fmt: skip
    kit = Kit()
    try:
        (run,) = await climb(cell, kit)
    finally:
        await kit.close()
    return run


@pytest.mark.parametrize("family", FAMILIES)
async def test_each_redirect_is_a_climb_of_its_own_and_the_last_answer_is_judged(family: Family) -> None:
    async with serving(says(response("200 OK", b"here")), family) as last:
        answers = {"/": moved("/a?x=1"), "/a?x=1": moved(f"http://{host(family)}:{last.port}/b#part", "307 T")}
        async with serving(routes(answers), family) as first:
            run = await follow(first, family=family, expect={"status": [200], "body_contains": "here"})
            assert len(first.peers) == 2
    assert run.ok, run.outcomes
    assert [hop.port for hop in run.hops] == [first.port, last.port]
    assert [[o.layer for o in hop.outcomes] for hop in run.hops] == [[Layer.DNS, Layer.TCP, Layer.HTTP]] * 2
    evidence = http(run).evidence
    assert (evidence["status"], evidence["redirects"], evidence["final_status"]) == (302, 2, 200)
    assert evidence["final_url"] == f"http://{host(family)}:{last.port}/b"
    assert run.seconds >= sum(hop.seconds for hop in run.hops)
    assert (run.address, run.port) == (LOOPBACK[family], first.port)
    hops: Any = run_as_dict(run, None)["hops"]
    assert hops[1]["url"] == evidence["final_url"]
    assert [layer["layer"] for layer in hops[1]["layers"]] == ["dns", "tcp", "http"]
    assert "-L --max-redirs 5" in str(run_as_dict(run, None)["reproduce"])


async def test_without_follow_a_redirect_is_the_answer() -> None:
    async with serving(says(moved("/a"))) as server:
        run = await follow(server, follow=0)
        assert len(server.peers) == 1
    assert run.ok
    assert run.hops == ()
    assert "hops" not in run_as_dict(run, None)


async def test_an_answer_that_redirects_nowhere_is_judged_as_it_is_with_follow() -> None:
    async with serving(says(response("304 Not Modified", b""))) as server:
        run = await follow(server, expect={"status": [304]})
    assert run.ok, run.outcomes


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_hop_that_breaks_below_http_is_a_bad_redirect_that_names_hop_layer_and_reason(family: Family) -> None:
    async with serving(says(), family) as gone:
        port = gone.port
    async with serving(says(moved(f"http://{host(family)}:{port}/x")), family) as server:
        run = await follow(server, family=family)
    assert run.blame is not None
    assert (run.blame.layer, run.blame.reason) == (Layer.HTTP, Reason.REDIRECT)
    evidence = http(run).evidence
    assert (evidence["hop"], evidence["hop_layer"], evidence["hop_reason"]) == (1, "tcp", "refused")
    verdict = explain(run)
    assert verdict is not None
    assert (verdict.code, verdict.layer, verdict.reason) == ("port_closed", Layer.HTTP, Reason.REDIRECT)
    assert verdict.says.startswith(f"Redirect 1 leads to http://{host(family)}:{port}/x, where tcp fails. ")


@pytest.mark.parametrize(("last", "expect", "reason"), [
    (response("500 Oops", b""), {}, Reason.STATUS),
    (response("200 OK", b"no"), {"body_contains": "yes"}, Reason.BODY),
    (response("200 OK", b"no"), {"headers": {"x-a": "."}}, Reason.HEADER),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", {}, Reason.CLOSED),
])  # fmt: skip
async def test_a_last_answer_that_is_not_as_expected_fails_for_its_own_reason(
    last: bytes, expect: dict[str, Any], reason: Reason
) -> None:
    async with serving(routes({"/": moved("/a"), "/a": last})) as server:
        run = await follow(server, expect=expect)
    assert run.blame is not None
    assert (run.blame.layer, run.blame.reason) == (Layer.HTTP, reason)
    assert http(run).evidence["hop"] == 1
    assert "Redirect 1 leads to" in str(explain(run))


@pytest.mark.parametrize(("answers", "follow_", "detail"), [
    ({"/": moved("/a"), "/a": moved("/")}, 5, "a loop: back to http://"),
    ({"/": moved("/")}, 5, "a loop: back to http://"),
    ({"/": moved("/a"), "/a": moved("/b"), "/b": moved("/c")}, 2, "more than 2 redirects"),
    ({"/": response("302 Found", b"")}, 5, "a redirect without Location"),
    ({"/": moved("ftp://x/")}, 5, "to ftp://x/, which is no http(s) URL"),
    ({"/": moved("http://[bad")}, 5, "Location http://[bad is no URL"),
    ({"/": moved("http://u:p@h/")}, 5, "Location http://u:p@h/ is no URL"),
    ({"/": moved("http://[2001:db8::1]/")}, 5, "an address that ipv4 can't reach"),
])  # fmt: skip
async def test_a_redirect_that_leads_nowhere_is_a_failure_of_that_name(
    answers: dict[str, bytes], follow_: int, detail: str
) -> None:
    async with serving(routes(answers)) as server:
        run = await follow(server, follow=follow_)
    assert run.blame is not None
    assert (run.blame.layer, run.blame.reason) == (Layer.HTTP, Reason.REDIRECT)
    assert detail in http(run).evidence["detail"]
    verdict = explain(run)
    assert verdict is not None
    assert "the redirects lead to no answer: " in verdict.says


async def test_the_deadline_is_that_of_the_whole_chain() -> None:
    async def silent(peer: Peer) -> None:
        head = await peer.read_head()
        if b"/a" in head:
            await peer.reader.read()
        await peer.send(moved("/a"))

    async with serving(silent) as server:
        run = await follow(server, timeout=0.3)
    assert run.blame is not None
    assert (run.blame.layer, run.blame.reason) == (Layer.HTTP, Reason.TIMEOUT)
    assert run.seconds < 1


async def test_what_redirects_take_counts_towards_the_whole_budget() -> None:
    async with serving(routes({"/": moved("/a"), "/a": response()})) as server:
        run = await follow(server, budget={"total": 1e-6})
    assert run.blame is not None
    assert (run.blame.layer, run.blame.reason) == (Layer.HTTP, Reason.OVER_BUDGET)


async def test_a_failure_that_is_expected_may_be_a_redirects() -> None:
    async with serving(says(moved("/"))) as server:
        assert (await follow(server, expect={"failed": "http", "reason": ["redirect"]})).ok
    async with serving(routes({"/": moved("/a"), "/a": response()})) as server:
        run = await follow(server, expect={"failed": "http"})
    assert run.blame is not None
    assert run.blame.reason is Reason.UNEXPECTED_SUCCESS


async def test_tls_of_a_hop_has_its_own_name_and_trust(tmp_path_factory: pytest.TempPathFactory) -> None:
    files = CertificateFiles(tmp_path_factory.mktemp("certificates"))
    async with AsyncExitStack() as stack:
        context = make_context(files, ["localhost"])
        secure = await stack.enter_async_context(
            serving(routes({"/s": moved("/t"), "/t": response()}), Family.IPV4, context)
        )
        first = await stack.enter_async_context(serving(says(moved(f"https://localhost:{secure.port}/s"))))
        tls = {"ca_file": str(files.ca_file), "alpn": ["http/1.1"]}
        run = await follow(first, tls=tls)
        broken = await follow(first, tls={"alpn": ["http/1.1"]})
        back = await stack.enter_async_context(serving(says(response())))
        context = make_context(files, ["localhost"])
        down = await stack.enter_async_context(
            serving(says(moved(f"http://127.0.0.1:{back.port}/")), Family.IPV4, context)
        )
        first.handler = says(moved(f"https://localhost:{down.port}/"))
        downgraded = await follow(first, tls=tls)
    assert run.ok, run.outcomes
    hop_tls = run.hops[1].outcome(Layer.TLS)
    assert hop_tls is not None
    assert hop_tls.evidence["names"] == ["localhost"]
    assert (http(broken).evidence["hop_layer"], http(broken).reason) == ("tls", Reason.REDIRECT)
    assert downgraded.ok
    assert http(downgraded).evidence["downgraded"] == 2


async def test_credentials_stay_with_their_origin_on_the_wire(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("t0k-secret")
    async with (
        serving(says(response())) as other,
        serving(routes({"/": moved("/a"), "/a": moved(f"http://localhost:{other.port}/?k=t0k-secret")})) as own,
    ):
        run = await follow(
            own, bearer={"file": str(token)}, headers={"X-Plain": "1", "Cookie": "c", "X-Key": {"file": str(token)}}
        )
    assert run.ok, run.outcomes
    assert all(b"authorization: Bearer t0k-secret" in head for head in own.heads)
    (head,) = other.heads
    head = head.partition(b"\r\n")[2]
    assert b"t0k-secret" not in head
    assert b"cookie" not in head
    assert b"x-plain: 1" in head
    assert b"host: localhost:%d" % other.port in head
    assert "t0k-secret" not in str(run_as_dict(run, None))


async def test_a_post_becomes_a_get_but_for_307_and_308() -> None:
    for status, method in (
        ("301 M", b"GET"),
        ("302 F", b"GET"),
        ("303 S", b"GET"),
        ("307 T", b"POST"),
        ("308 P", b"POST"),
    ):
        async with serving(routes({"/": moved("/a", status), "/a": response()})) as server:
            run = await follow(server, method="POST", body="x", headers={"Content-Type": "text/plain"})
            assert run.ok, run.outcomes
        assert server.heads[1].startswith(method)
        assert (b"content-type" in server.heads[1]) is (method == b"POST")
