"""DNS over TLS and over HTTPS against real servers: what holds, and what a failure below the question becomes."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

import dns.message
import dns.rcode
import pytest

from prober.engine.climb import climb
from prober.export.reproduce import reproduce
from prober.lab.certificates import CertificateFiles
from prober.lab.tls import make_context
from prober.layers.base import Kit
from prober.model import Run
from prober.reasons import Family, Kind, Reason
from tests.support.cells import FAMILIES, make_cell
from tests.support.doh import Requests
from tests.support.nameserver import Answers, DnsServer, always, dns_server, reply_to, silent, zone
from tests.support.threaded import read_to_the_end, reset, serve

NAME = "dns.example.com"
WEB = zone({("web.c.", "A"): ["10.0.0.2", "10.0.0.1"], ("web.c.", "AAAA"): ["fd00::1"]})


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return CertificateFiles(tmp_path_factory.mktemp("certificates"))


async def ask(
    server: DnsServer | tuple[str, int], family: Family, ca_file: Path, *, transport: str = "tls", timeout: float = 3.0,
    tls: dict[str, Any] | None = None, resolver: dict[str, Any] | None = None, **dns: Any,
) -> Run:  # fmt: skip
    address, port = (server.address, server.port) if isinstance(server, DnsServer) else server
    options = {
        "dns": {"transport": transport, **dns},
        "tls": {"ca_file": str(ca_file), "server_name": NAME, **(tls or {})},
        "resolver": {"attempts": 1, **(resolver or {})},
    }
    cell = make_cell(Kind.DNS, "dns", address, port, family=family, timeout=timeout, options=options, resource="web.c.")
    kit = Kit()
    (run,) = await climb(cell, kit)
    await kit.close()
    json.dumps(run.outcomes[0].evidence)
    return run


def blamed(run: Run) -> tuple[Reason | None, Any]:
    """The reason of dns, and the cause below it."""
    return run.blame.reason if run.blame else None, run.outcomes[0].evidence.get("cause")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", [NAME, None])
async def test_over_tls_an_answer_comes_with_the_facts_of_the_certificate(
    files: CertificateFiles, family: Family, name: str | None
) -> None:
    """Without a name the server's address has to be on the certificate, as an IP address."""
    async with dns_server(family, WEB, make_context(files, [NAME, "127.0.0.1", "::1"], alpn=["dot"])) as server:
        run = await ask(server, family, files.ca_file, tls={"server_name": name})
    assert run.ok, run.outcomes
    evidence = run.outcomes[0].evidence
    assert (evidence["answers"], evidence["transport"]) == (["10.0.0.2", "10.0.0.1"], "tls")
    assert (evidence["tls"]["version"], evidence["tls"]["subject"]) == ("TLSv1.3", NAME)
    assert evidence["tls"]["days_left"] > 1
    assert "cause" not in evidence
    assert [(asked.name, asked.transport) for asked in server.asked] == [("web.c.", "tcp")]
    assert (run.address, run.port) == (server.address, server.port)
    seconds = run.outcomes[0].seconds
    assert seconds is not None
    assert 0 < seconds < run.seconds
    assert evidence["clock"] == "kernel"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("version", ["1.1", "2", "auto"])
async def test_over_https_an_answer_comes_by_both_methods_and_versions(
    files: CertificateFiles, family: Family, method: str, version: str
) -> None:
    requests = Requests()
    async with dns_server(family, WEB, make_context(files, [NAME]), requests.talk) as server:
        run = await ask(
            server, family, files.ca_file, transport="https", method=method, http_version=version, path="/q"
        )
    assert run.ok, run.outcomes
    evidence = run.outcomes[0].evidence
    assert (evidence["answers"], evidence["ttl"], evidence["clock"]) == (["10.0.0.2", "10.0.0.1"], 30, "kernel")
    assert (evidence["http"]["status"], evidence["http"]["http_version"]) == (200, "1.1" if version == "1.1" else "2")
    assert evidence["tls"]["subject"] == NAME
    ((seen, path, fields),) = requests.seen
    assert (seen, path) == (method, "/q")
    assert fields["accept"] == "application/dns-message"
    assert fields.get("content-type") == ("application/dns-message" if method == "POST" else None)
    assert server.asked[0].message.id == 0


DEFECTS = {
    "tls-expired": "expired", "tls-wrong-name": "name_mismatch", "tls-unknown-ca": "unknown_authority",
    "tls-self-signed": "self_signed", "tls-incomplete-chain": "incomplete_chain",
}  # fmt: skip


@pytest.mark.parametrize("transport", ["tls", "https"])
@pytest.mark.parametrize(("defect", "reason"), DEFECTS.items())
async def test_a_certificate_that_does_not_hold_is_the_cause(
    files: CertificateFiles, transport: str, defect: str, reason: str
) -> None:
    context = make_context(files, [NAME], frozenset({defect}))
    talk = Requests().talk if transport == "https" else None
    async with dns_server(Family.IPV4, WEB, context, talk) as server:
        run = await ask(server, Family.IPV4, files.ca_file, transport=transport)
    why, cause = blamed(run)
    assert (why, cause) == (Reason.UNREACHABLE, {"layer": "tls", "reason": reason})
    evidence = run.outcomes[0].evidence
    assert evidence["detail"] == f"tls {reason}"
    assert evidence["tls"]["not_after"]
    assert evidence["tls"]["errors"][0] == reason
    assert server.asked == []


@pytest.mark.parametrize("transport", ["tls", "https"])
@pytest.mark.parametrize(
    ("defect", "reason"), [("tls-old-version", "protocol_version"), ("tls-client-certificate", "client_certificate")]
)
async def test_an_alert_is_the_cause(files: CertificateFiles, transport: str, defect: str, reason: str) -> None:
    """Under TLS 1.3 the one about the client's certificate comes once the handshake has succeeded."""
    context = make_context(files, [NAME], frozenset({defect}))
    with serve(Family.IPV4, read_to_the_end, context) as port:
        run = await ask(("127.0.0.1", port), Family.IPV4, files.ca_file, transport=transport)
    why, cause = blamed(run)
    late = transport == "https" and reason == "client_certificate"
    assert (why, cause["layer"], cause["reason"]) == (Reason.UNREACHABLE, "http" if late else "tls", reason)


async def test_what_is_not_verified_is_evidence_alone(files: CertificateFiles) -> None:
    async with dns_server(Family.IPV4, WEB, make_context(files, [NAME], frozenset({"tls-expired"}))) as server:
        run = await ask(server, Family.IPV4, files.ca_file, tls={"verify": False})
    assert run.ok
    assert run.outcomes[0].evidence["tls"]["errors"] == ["expired"]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("transport", ["tls", "https"])
async def test_a_port_where_nobody_listens_is_the_cause(
    files: CertificateFiles, family: Family, transport: str
) -> None:
    async with dns_server(family, WEB) as server:
        pass
    run = await ask(server, family, files.ca_file, transport=transport)
    assert blamed(run) == (Reason.UNREACHABLE, {"layer": "tcp", "reason": "refused"})
    assert run.outcomes[0].evidence["detail"] == "tcp refused"


@pytest.mark.parametrize("transport", ["tls", "https"])
async def test_a_server_of_plain_dns_is_no_tls_server(files: CertificateFiles, transport: str) -> None:
    with serve(Family.IPV4, lambda sock: sock.sendall(b"\x00\x0cnot tls")) as port:
        run = await ask(("127.0.0.1", port), Family.IPV4, files.ca_file, transport=transport)
    assert blamed(run) == (Reason.UNREACHABLE, {"layer": "tls", "reason": "not_tls"})


@pytest.mark.parametrize("transport", ["tls", "https"])
@pytest.mark.parametrize("limit", ["of the climb", "of the resolver"])
async def test_a_silent_handshake_is_a_timeout_that_says_where(
    files: CertificateFiles, transport: str, limit: str
) -> None:
    resolver = {"timeout": 0.2} if limit == "of the resolver" else {}
    timeout = 0.2 if limit == "of the climb" else 3.0
    with serve(Family.IPV4, read_to_the_end) as port:
        run = await ask(("127.0.0.1", port), Family.IPV4, files.ca_file, transport=transport, timeout=timeout,
                        resolver=resolver)  # fmt: skip
    assert blamed(run) == (Reason.TIMEOUT, {"layer": "tls", "reason": "timeout"})
    assert run.seconds < 2


async def test_a_reset_in_the_handshake_is_the_cause(files: CertificateFiles) -> None:
    with serve(Family.IPV4, reset) as port:
        run = await ask(("127.0.0.1", port), Family.IPV4, files.ca_file)
    why, cause = blamed(run)
    assert why is Reason.UNREACHABLE
    assert (cause["layer"], cause["reason"]) in (("tls", "reset"), ("tls", "closed"), ("tcp", "reset"))


@pytest.mark.parametrize("version", ["1.1", "2"])
@pytest.mark.parametrize(
    ("wrong", "reason", "cause"),
    [
        ({"status": 503}, Reason.SERVER_FAILURE, {"layer": "http", "reason": "status", "detail": "HTTP 503"}),
        ({"status": 404}, Reason.SERVER_FAILURE, {"layer": "http", "reason": "status", "detail": "HTTP 404"}),
        ({"media_type": "text/html"}, Reason.MALFORMED,
         {"layer": "http", "reason": "header", "detail": "content-type is text/html"}),
        ({"body": b"<html>"}, Reason.MALFORMED, None),
        ({"body": bytes(16_000)}, Reason.MALFORMED, None),
    ],
)  # fmt: skip
async def test_what_http_gets_wrong_is_the_cause(
    files: CertificateFiles, version: str, wrong: dict[str, Any], reason: Reason, cause: dict[str, str] | None
) -> None:
    requests = Requests(**wrong)
    async with dns_server(Family.IPV4, WEB, make_context(files, [NAME]), requests.talk) as server:
        run = await ask(server, Family.IPV4, files.ca_file, transport="https", http_version=version)
    assert blamed(run) == (reason, cause)
    assert run.outcomes[0].evidence["http"]["status"] == requests.status


@pytest.mark.parametrize("version", ["1.1", "2"])
async def test_a_connection_closed_before_the_answer_is_the_servers_failure(
    files: CertificateFiles, version: str
) -> None:
    requests = Requests(close_before_answer=True)
    async with dns_server(Family.IPV4, WEB, make_context(files, [NAME]), requests.talk) as server:
        run = await ask(server, Family.IPV4, files.ca_file, transport="https", http_version=version)
    async with dns_server(Family.IPV4, silent, make_context(files, [NAME])) as server:
        over_tls = await ask(server, Family.IPV4, files.ca_file)
    why, cause = blamed(run)
    assert (why, cause["layer"]) == (Reason.SERVER_FAILURE, "http")
    assert blamed(over_tls) == (Reason.SERVER_FAILURE, None)


@pytest.mark.parametrize("transport", ["tls", "https"])
async def test_codes_mean_what_they_mean_over_any_transport(files: CertificateFiles, transport: str) -> None:
    talk = Requests().talk if transport == "https" else None
    async with dns_server(Family.IPV4, always(dns.rcode.NXDOMAIN), make_context(files, [NAME]), talk) as server:
        run = await ask(server, Family.IPV4, files.ca_file, transport=transport)
    assert blamed(run) == (Reason.NAME_NOT_FOUND, None)


@pytest.mark.skipif(shutil.which("dig") is None, reason="dig is not installed")
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("transport", "method"), [("tls", "POST"), ("https", "POST"), ("https", "GET")])
async def test_the_line_to_paste_hears_the_same(
    files: CertificateFiles, family: Family, transport: str, method: str
) -> None:
    talk = Requests().talk if transport == "https" else None
    alpn = ["h2"] if transport == "https" else ["dot"]
    async with dns_server(family, WEB, make_context(files, [NAME], alpn=alpn), talk) as server:
        run = await ask(server, family, files.ca_file, transport=transport, method=method)
        line = reproduce(run)
        dig = await asyncio.create_subprocess_shell(f"{line} +short", stdout=subprocess.PIPE)
        printed, _ = await dig.communicate()
    assert printed.decode().split() == run.outcomes[0].evidence["answers"], line


async def test_an_answer_to_another_question_is_malformed_over_https(files: CertificateFiles) -> None:
    def other(query: dns.message.Message, transport: str) -> Answers:
        return [reply_to(dns.message.make_query("evil.", "A", id=query.id), "evil. 5 IN A 10.6.6.6")]

    async with dns_server(Family.IPV4, other, make_context(files, [NAME]), Requests().talk) as server:
        run = await ask(server, Family.IPV4, files.ca_file, transport="https")
    assert blamed(run) == (Reason.MALFORMED, None)
    assert run.outcomes[0].evidence["detail"] == "answer to another question"


@pytest.mark.parametrize("transport", ["tls", "https"])
async def test_musl_walks_over_an_encrypted_transport_too(files: CertificateFiles, transport: str) -> None:
    talk = Requests().talk if transport == "https" else None
    async with dns_server(Family.IPV4, WEB, make_context(files, [NAME]), talk) as server:
        run = await ask(server, Family.IPV4, files.ca_file, transport=transport, resolver={"profile": "musl"})
    assert run.ok, run.outcomes
    assert run.outcomes[0].evidence["transport"] == transport


async def test_a_cancelled_climb_leaves_no_connection(files: CertificateFiles) -> None:
    ended = threading.Event()

    def wait_for_the_end(sock: socket.socket) -> None:
        read_to_the_end(sock)
        ended.set()

    with serve(Family.IPV4, wait_for_the_end) as port:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await ask(("127.0.0.1", port), Family.IPV4, files.ca_file, timeout=5.0)
        assert await asyncio.to_thread(ended.wait, 5)
