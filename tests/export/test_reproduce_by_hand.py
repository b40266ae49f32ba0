"""The reproducer lines, pasted into a shell against real servers on loopback."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from prober.export.reproduce import reproduce
from prober.model import Blame, Cell, Endpoint, Run
from prober.options import HttpOptions, SecretFile
from prober.reasons import Family, Kind, Layer, Reason
from tests.support import payments
from tests.support.cells import FAMILIES, LOOPBACK, make_cell
from tests.support.dns import ANY, name_server
from tests.support.threaded import serve
from tests.support.tools import require_tool


def paste(run: Run, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the line of `run` in a shell, as a person would."""
    require_tool(reproduce(run).split()[0])
    return subprocess.run(
        ["/bin/sh", "-c", reproduce(run)], capture_output=True, text=True, timeout=20, env=os.environ | environment
    )


def a_run(cell: Cell, port: int | None = None, *, failed: Layer | None = None) -> Run:
    blame = None if failed is None else Blame(failed, Reason.TIMEOUT)
    address = LOOPBACK[cell.family]
    return Run(cell, datetime.now(UTC), 0.01, (), failed is None, blame, address, port or cell.endpoint.port)


class HttpSeen:
    """Answers one request per connection with 200 and keeps its head."""

    def __init__(self) -> None:
        self.head = ""
        self.body = b""

    def talk(self, sock: socket.socket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            data += sock.recv(65536)
        head, _, self.body = data.partition(b"\r\n\r\n")
        self.head = head.decode()
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")


@pytest.mark.parametrize("family", FAMILIES)
def test_curl_sends_the_request_of_the_probe_to_the_address_of_the_run(family: Family) -> None:
    seen = HttpSeen()
    options: dict[str, Any] = {"http": {"headers": {"X-A": "it's"}, "method": "POST", "body": "some & text"}}
    with serve(family, seen.talk) as port:
        cell = make_cell(Kind.HTTP, "http", "web.example", 8080, family=family, resource="/a?b=c&d", options=options)
        done = paste(a_run(cell, port))
    assert done.stdout == "hello"
    assert seen.head.splitlines()[0] == "POST /a?b=c&d HTTP/1.1"
    assert "Host: web.example:8080" in seen.head
    assert "X-A: it's" in seen.head
    assert "Content-Type" not in seen.head
    assert seen.body == b"some & text"


def test_the_shell_puts_secrets_in_from_files_and_variables(tmp_path: Path) -> None:
    secret = tmp_path / "my token"
    secret.write_text("hunter2-from-file\n")
    seen = HttpSeen()
    cell = make_cell(Kind.HTTP, "http", "web.example", 80, resource="/?key=hunter2-from-env!")
    http = HttpOptions(bearer=SecretFile(file=secret))
    cell = replace(
        cell, options=cell.options.model_copy(update={"http": http}), hidden={"hunter2-from-env": "${API_KEY}"}
    )
    with serve(Family.IPV4, seen.talk) as port:
        run = a_run(cell, port)
        paste(run, API_KEY="hunter2-from-env")
    assert "hunter2" not in reproduce(run)
    assert "GET /?key=hunter2-from-env! HTTP/1.1" in seen.head
    assert "Authorization: Bearer hunter2-from-file\r\n" in seen.head + "\r\n"


@pytest.mark.parametrize("family", FAMILIES)
def test_curl_follows_redirects_as_the_run_did(family: Family) -> None:
    """The first URL's host stays pinned to the address of the run; the next one is found by its own."""
    with serve(family, HttpSeen().talk) as last:
        host = f"[{LOOPBACK[family]}]" if family is Family.IPV6 else LOOPBACK[family]

        def moved(sock: socket.socket) -> None:
            sock.recv(65536)
            sock.sendall(
                f"HTTP/1.1 302 Found\r\nLocation: http://{host}:{last}/b\r\nContent-Length: 0\r\n\r\n".encode()
            )

        with serve(family, moved) as port:
            cell = make_cell(Kind.HTTP, "http", "web.example", family=family, options={"http": {"follow": 2}})
            assert paste(a_run(cell, port)).stdout == "hello"


def test_curl_shakes_hands_for_a_websocket() -> None:
    seen = HttpSeen()
    with serve(Family.IPV4, seen.talk) as port:
        paste(a_run(make_cell(Kind.HTTP, "http", "web.example", options={"http": {"websocket": {}}}), port))
    assert "Upgrade: websocket" in seen.head
    assert "Sec-WebSocket-Version: 13" in seen.head


@pytest.mark.parametrize("family", FAMILIES)
def test_nc_proves_an_open_port_and_a_closed_one(family: Family) -> None:
    with serve(family, lambda _: None) as port:
        run = a_run(make_cell(Kind.TCP, "tcp", "db.example", port, family=family))
        assert paste(run).returncode == 0
    assert paste(run).returncode != 0


@pytest.mark.parametrize("family", FAMILIES)
def test_openssl_shows_the_chain_that_the_server_sends_for_the_name(family: Family, tmp_path: Path) -> None:
    openssl = require_tool("openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
         "-keyout", key, "-out", certificate, "-subj", "/CN=api.example.com", "-addext",
         "subjectAltName=DNS:api.example.com"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    asked: list[str | None] = []
    context.sni_callback = lambda _sock, name, _context: asked.append(name)
    options = {"tls": {"ca_file": str(certificate), "alpn": ["h2"]}}
    with serve(family, lambda sock: None, context) as port:
        cell = make_cell(Kind.TLS, "tls", "api.example.com", family=family, options=options)
        done = paste(a_run(cell, port, failed=Layer.TLS))
    assert "Verify return code: 0 (ok)" in done.stdout
    assert asked == ["api.example.com"]


def test_curl_proves_what_a_proxy_says_to_connect() -> None:
    seen: list[bytes] = []

    def refuse(sock: socket.socket) -> None:
        seen.append(sock.recv(65536))
        sock.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

    with serve(Family.IPV4, refuse) as port:
        proxy = Endpoint("http", "proxy.example", 3128)
        for kind, scheme in ((Kind.HTTP, "http"), (Kind.TLS, "tls"), (Kind.GRPC, "grpc")):
            done = paste(a_run(make_cell(kind, scheme, "api.example.com", proxy=proxy), port, failed=Layer.PROXY))
            assert "407" in done.stderr
    assert [line.split(b"\r\n")[0] for line in seen] == [
        b"CONNECT api.example.com:80 HTTP/1.1", b"CONNECT api.example.com:443 HTTP/1.1",
        b"CONNECT api.example.com:80 HTTP/1.1",
    ]  # fmt: skip


def test_dig_asks_the_question_of_the_probe() -> None:
    asked: list[str] = []
    with name_server({ANY: "192.0.2.7"}, asked) as port:
        cell = make_cell(Kind.DNS, "dns", "127.0.0.1", port, resource="web.example.")
        done = paste(a_run(cell, failed=Layer.DNS))
    assert "192.0.2.7" in done.stdout
    assert asked == ["web.example. IN A"]


@pytest.mark.parametrize("family", FAMILIES)
def test_ping_takes_the_marks_of_the_probe(family: Family) -> None:
    marked = {"count": 2, "gap": "10ms", "size": 100, "dont_fragment": True, "ttl": 9, "dscp": "EF"}
    cell = make_cell(Kind.ICMP, "icmp", "echo.example", 0, family=family, options={"icmp": marked})
    assert "2 received" in paste(a_run(cell, failed=Layer.ICMP)).stdout


@pytest.mark.parametrize("family", FAMILIES)
def test_nc_holds_the_dialogue_of_the_probe(family: Family) -> None:
    require_tool("nc")
    heard: list[bytes] = []

    def answer(sock: socket.socket) -> None:
        heard.append(sock.recv(64))
        sock.sendall(b"+PONG\r\n")

    tcp = {"send": "PING \x01\\\r\n", "expect": "PONG", "source": LOOPBACK[family], "dscp": "AF41"}
    with serve(family, answer) as port:
        run = a_run(make_cell(Kind.TCP, "tcp", "cache.example", port, family=family, options={"tcp": tcp}), port)
        done = paste(run)
    assert "+PONG" in done.stdout, done.stderr
    assert heard == [b"PING \x01\\\r\n"]


@pytest.mark.parametrize("family", FAMILIES)
def test_ping_gets_its_echo_back(family: Family) -> None:
    run = a_run(make_cell(Kind.ICMP, "icmp", "echo.example", 0, family=family), failed=Layer.ICMP)
    assert "1 received" in paste(run).stdout


@pytest.mark.parametrize("family", FAMILIES)
async def test_grpcurl_makes_the_call_of_the_probe(family: Family) -> None:
    request = {"paymentId": "p 7", "since": "2026-05-01T10:00:00Z"}
    options = {"grpc": {"call": f"{payments.SERVICE}/Get", "request": request}}
    async with payments.serving(payments.Payments(described=payments.all_files()), family) as server:
        cell = make_cell(Kind.GRPC, "grpc", LOOPBACK[family], server.port, family=family, options=options)
        done = await asyncio.to_thread(paste, a_run(cell))
    assert done.returncode == 0, done.stderr
    assert ('"p 7"' in done.stdout, '"2026-05-01T10:00:00Z"' in done.stdout) == (True, True)
