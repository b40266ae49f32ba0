"""What an answer tells beside its worth: caches, content networks, Envoy, identities."""

from __future__ import annotations

import pytest

from prober.diagnosis.run import explain
from prober.export.reproduce import reproduce
from prober.layers.http.cache import cache_state
from prober.layers.http.envoy import MEANINGS, flag_of
from prober.layers.http.front_end import front_end_of
from prober.wire.http import Fields, Record
from tests.layers.test_http import once, probe
from tests.support.http import Peer, response, says, serving
from tests.support.runs import http


def fields(*lines: str) -> Fields:
    pairs = (line.partition(": ") for line in lines)
    return [(name.lower().encode(), value.encode()) for name, _, value in pairs]


CACHES = [
    ((), None),
    (("Server: nginx",), None),
    # RFC 9211
    (("Cache-Status: Edge; hit",), "hit"),
    (("Cache-Status: Origin; fwd=miss; stored, Edge; hit; ttl=30",), "hit"),
    (("Cache-Status: Origin; hit, Edge; fwd=uri-miss",), "hit"),
    (("Cache-Status: Origin; fwd=uri-miss", "Cache-Status: Edge; fwd=stale; fwd-status=304"), "revalidated"),
    (("Cache-Status: Edge; fwd=stale; fwd-status=200",), "expired"),
    (("Cache-Status: Edge; fwd=bypass",), "bypass"),
    (("Cache-Status: Edge; fwd=method",), "bypass"),
    (('Cache-Status: Edge; detail="hit"',), None),
    # vendors
    (("CF-Cache-Status: HIT", "Age: 20"), "hit"),
    (("CF-Cache-Status: DYNAMIC",), "bypass"),
    (("CF-Cache-Status: EXPIRED",), "expired"),
    (("CF-Cache-Status: REVALIDATED",), "revalidated"),
    (("CF-Cache-Status: UPDATING",), "stale"),
    (("X-Cache: Hit from cloudfront",), "hit"),
    (("X-Cache: Miss from cloudfront",), "miss"),
    (("X-Cache: RefreshHit from cloudfront",), "revalidated"),
    (("X-Cache: Error from cloudfront",), None),
    (("X-Cache: MISS, HIT",), "hit"),
    (("X-Cache: TCP_MEM_HIT from a23",), "hit"),
    (("X-Cache: TCP_REFRESH_MISS",), "expired"),
    (("X-Cache: CONFIG_NOCACHE",), "bypass"),
    (("X-Cache-Status: BYPASS",), "bypass"),
    (("X-Proxy-Cache: STALE",), "stale"),
    (("X-Vercel-Cache: PRERENDER",), "hit"),
    # RFC 9111 section 5.1
    (("Age: 7",), "hit"),
    (("Age: 0",), None),
    (("Age: soon",), None),
    (("X-Cache: MISS", "Age: 7"), "miss"),
]


@pytest.mark.parametrize(("lines", "state"), CACHES)
def test_the_words_of_caches_become_one(lines: tuple[str, ...], state: str | None) -> None:
    assert cache_state(fields(*lines)) == state


def answer(status: int, body: bytes = b"", *lines: str) -> Record:
    return Record(status=status, version="1.1", fields=fields(*lines), body=bytearray(body), size=len(body))


FLAGS = [
    (answer(503, b"no healthy upstream", "server: envoy"), "UH"),
    (answer(503, b"upstream connect error or disconnect/reset before headers. reset reason: connection failure"), "UF"),
    (answer(503, b"upstream connect error or disconnect/reset before headers. reset reason: overflow"), "UO"),
    (answer(503, b"upstream connect error or disconnect/reset before headers. reset reason: connection termination"),
     "UC"),
    (answer(504, b"upstream request timeout"), "UT"),
    (answer(404, b"", "server: istio-envoy"), "NR"),
    (answer(404, b"", "server: envoy", "x-envoy-upstream-service-time: 3"), None),
    (answer(404, b"nothing here", "server: envoy"), None),
    (answer(403, b"RBAC: access denied"), "RBAC"),
    (answer(503, b"x", "x-envoy-response-flags: UF,URX"), "UF,URX"),
    (answer(503, b"x", "x-response-flags: <b>"), None),
    (answer(503, b"down for maintenance"), None),
]  # fmt: skip


@pytest.mark.parametrize(("record", "flag"), FLAGS)
def test_why_envoy_answered_by_itself_is_read_from_its_words(record: Record, flag: str | None) -> None:
    found = flag_of(record)
    assert (found and found[0]) == flag
    assert found is None or found[1] in MEANINGS.values()


def nginx(status: int, title: str, by: str = "nginx/1.22.1") -> Record:
    """The page that nginx has for this status, as it stands in its source."""
    page = f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
    return answer(status, f"{page}<hr><center>{by}</center>\r\n</body>\r\n</html>\r\n".encode(), f"server: {by}")


def haproxy(status: int, title: str, words: str) -> Record:
    """The page that HAProxy has for this status, as it stands in its source."""
    return answer(status, f"<html><body><h1>{status} {title}</h1>\n{words}\n</body></html>\n".encode())


PAGES = [
    (nginx(502, "502 Bad Gateway"), "nginx", "refused, broke off"),
    (nginx(504, "504 Gateway Time-out"), "nginx", "in time"),
    (nginx(503, "503 Service Temporarily Unavailable", "openresty"), "openresty", "nothing behind it"),
    (nginx(404, "404 Not Found", "nginx"), "nginx", None),
    (haproxy(502, "Bad Gateway", "The server returned an invalid or incomplete response."), "haproxy", "in HTTP"),
    (haproxy(503, "Service Unavailable", "No server is available to handle this request."), "haproxy", "no server"),
    (haproxy(504, "Gateway Time-out", "The server didn't respond in time."), "haproxy", "in time"),
    (answer(502, b"The server didn't respond in time."), None, None),
    (answer(503, b"no healthy upstream", "server: envoy"), "envoy", None),
    (answer(503, b"down for maintenance", "server: nginx"), None, None),
    (answer(502, b"", "server: nginx/1.22.1"), None, None),
]


@pytest.mark.parametrize(("record", "name", "says"), PAGES)
def test_front_ends_are_told_by_their_own_pages(record: Record, name: str | None, says: str | None) -> None:
    """The field Server does not do: nginx puts its own on what it passes on."""
    found = front_end_of(record)
    assert found.get("front_end") == name
    assert (says or "") in found.get("front_end_says", "" if says is None else "?")
    assert ("front_end_says" in found) == (says is not None)


async def test_the_verdict_says_who_answered_in_whose_place() -> None:
    page = bytes(nginx(504, "504 Gateway Time-out").body)
    verdict = explain(await once(says(response("504 Gateway Time-out", page, "Server: nginx"))))
    assert verdict is not None
    assert verdict.says.endswith(
        "answers 504 in the place of what is behind it (a page of nginx's own: what is behind it took no connection, "
        "or gave no answer, in time)."
    )


async def test_a_bad_status_that_envoy_passed_on_is_not_envoys() -> None:
    run = await once(says(response("503 Busy", b"busy", "Server: envoy", "X-Envoy-Upstream-Service-Time: 3")))
    verdict = explain(run)
    assert verdict is not None
    assert verdict.code == "server_error"
    assert "front_end" not in http(run).evidence


async def test_a_content_networks_fields_are_evidence() -> None:
    run = await once(says(response(
        "200 OK", b"ok", "Age: 37", "Via: 1.1 varnish", "X-Served-By: cache-ams-1", "CF-Ray: 8a-AMS",
        "X-Cache: HIT", "X-Cache: MISS", "X-Request-Id: theirs", "traceparent: 00-ab-cd-01",
    )))  # fmt: skip
    evidence = http(run).evidence
    assert run.ok
    wanted = {
        "age": 37, "via": "1.1 varnish", "x_served_by": "cache-ams-1", "cf_ray": "8a-AMS", "x_cache": "HIT",
        "cache": "hit", "traceparent": "00-ab-cd-01",
    }  # fmt: skip
    assert {key: evidence[key] for key in wanted} == wanted
    assert evidence["response_request_id"] == "theirs"


async def test_a_request_id_that_comes_back_is_told_once() -> None:
    run = await once(says(response("200 OK", b"", "X-Request-Id: mine")), headers={"X-Request-Id": "mine"})
    assert http(run).evidence["request_id"] == "mine"
    assert "response_request_id" not in http(run).evidence


async def test_envoys_fields_and_flag_are_evidence_of_a_bad_answer() -> None:
    run = await once(says(response(
        "503 Service Unavailable", b"no healthy upstream", "Server: envoy", "X-Envoy-Overloaded: true",
        "X-Envoy-Upstream-Service-Time: 12",
    )))  # fmt: skip
    evidence = http(run).evidence
    assert (evidence["envoy_flag"], evidence["envoy_says"]) == ("UH", "no healthy upstream")
    assert evidence["envoy"] == {"overloaded": "true", "upstream-service-time": "12"}
    assert run.phases["upstream"] == 0.012


@pytest.mark.parametrize("said", [0, 86_400_000])
async def test_what_the_front_end_does_not_account_for_is_the_networks_and_never_below_nothing(said: int) -> None:
    run = await once(says(response("200 OK", b"", "Server: envoy", f"X-Envoy-Upstream-Service-Time: {said}")))
    assert run.phases["network"] == (0.0 if said else run.phases["request"] + run.phases["first_byte"])


@pytest.mark.parametrize(("timing", "upstream"), [
    ("cdn-cache;desc=HIT, edge;dur=1, origin;dur=12.5", 0.0125),
    ("upstream;desc=\"app\";dur=3", 0.003),
    ("total;dur=9", None),
    ("cfOrigin;dur=7", 0.007),
    ("origin;dur=soon", None),
])  # fmt: skip
async def test_server_timing_tells_the_upstream_phase(timing: str, upstream: float | None) -> None:
    run = await once(says(response("200 OK", b"", f"Server-Timing: {timing}")))
    assert run.phases.get("upstream") == upstream
    assert ("network" in run.phases) is (upstream is not None)
    assert http(run).evidence["server_timing"] == timing


async def test_a_body_from_a_file_is_sent_as_it_is_and_never_shown(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("body") / "login.json"
    file.write_bytes(b'{"password": "p4ss-w0rd"}\n')

    async def echo(peer: Peer) -> None:
        head = await peer.read_head()
        length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
        await peer.send(response("500 Oops", await peer.reader.readexactly(length)))

    async with serving(echo) as server:
        run = await probe(server, method="POST", body={"file": str(file)})
    assert http(run).evidence["bytes"] == 26
    assert "p4ss" not in str(http(run).evidence)
    assert http(run).evidence["body"] == f"$(cat {file})"
    assert f"--data-binary @{file}" in reproduce(run)
    missing = await once(says(response()), method="POST", body={"file": str(file.with_name("no"))})
    assert missing.ours


async def test_the_verdict_says_what_envoy_says() -> None:
    run = await once(says(response("503 Service Unavailable", b"no healthy upstream", "Server: envoy")))
    verdict = explain(run)
    assert verdict is not None
    assert "Envoy says UH: no healthy upstream" in verdict.says
