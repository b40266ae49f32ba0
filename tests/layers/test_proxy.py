"""The proxy rung against real sockets that answer CONNECT well, badly, or not at all."""

from __future__ import annotations

import contextlib
import socket
import threading
from base64 import b64encode
from pathlib import Path

import pytest

from prober.diagnosis.run import explain
from prober.engine.climb import climb
from prober.export.runs import run_as_dict
from prober.lab.certificates import CertificateFiles
from prober.lab.tls import make_context
from prober.layers.base import Kit
from prober.model import Endpoint, Run
from prober.options import BasicAuth, SecretFile
from prober.reasons import Family, Kind, Layer, Reason
from tests.support.cells import FAMILIES, LOOPBACK, facts, make_cell
from tests.support.threaded import Talk, read_to_the_end, reset, serve

NAME = "api.example.com"


def head(sock: socket.socket) -> bytes:
    """One request head, up to its empty line."""
    received = b""
    while b"\r\n\r\n" not in received and (data := sock.recv(4096)):
        received += data
    return received


def answering(response: bytes) -> Talk:
    def talk(sock: socket.socket) -> None:
        head(sock)
        sock.sendall(response)
        read_to_the_end(sock)

    return talk


async def through(
    family: Family, port: int, target_port: int, *, timeout: float = 2.0, ca: str | None = None,
    basic: BasicAuth | None = None,
) -> Run:  # fmt: skip
    address = LOOPBACK[family]
    proxy = Endpoint("http", address, port, basic=basic)
    cell = make_cell(
        Kind.TLS, "tls", NAME, target_port, family=family, timeout=timeout, proxy=proxy,
        options={"tls": {"ca_file": ca}},
    )  # fmt: skip
    (run,) = await climb(cell, Kit(), found=[(address, port)])
    return run


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_tunnel_carries_tls_to_the_target(family: Family, tmp_path_factory: pytest.TempPathFactory) -> None:
    files = CertificateFiles(tmp_path_factory.mktemp("certificates"))
    asked: list[bytes] = []

    with serve(family, read_to_the_end, make_context(files, [NAME])) as target:

        def tunnel(sock: socket.socket) -> None:
            asked.append(head(sock))
            with socket.create_connection((LOOPBACK[family], target)) as far:
                sock.sendall(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 squid\r\n\r\n")
                back = threading.Thread(target=_pump, args=(far, sock), daemon=True)
                back.start()
                _pump(sock, far)

        with serve(family, tunnel) as port:
            run = await through(family, port, target, ca=str(files.ca_file))
    assert run.ok, run.outcomes
    assert [o.layer for o in run.outcomes] == [Layer.DNS, Layer.TCP, Layer.PROXY, Layer.TLS]
    proxy = run.outcome(Layer.PROXY)
    assert proxy is not None
    assert facts(proxy) == {"connect": f"{NAME}:{target}", "status": 200, "via": "1.1 squid"}
    assert asked[0].startswith(f"CONNECT {NAME}:{target} HTTP/1.1\r\nHost: {NAME}:{target}\r\n".encode())


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)


def hangs_up(sock: socket.socket) -> None:
    head(sock)


def resets(sock: socket.socket) -> None:
    head(sock)
    reset(sock)


def endless(sock: socket.socket) -> None:
    head(sock)
    sock.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(100_000):
        sock.sendall(b"X-%d: %s\r\n" % (number, b"x" * 100))


ANSWERS: dict[str, tuple[Talk, Reason]] = {
    "407": (
        answering(b"HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"),
        Reason.PROXY_AUTH,
    ),
    "403": (answering(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"), Reason.PROXY_REFUSED),
    "405": (answering(b"HTTP/1.1 405 Method Not Allowed\r\n\r\n"), Reason.PROXY_REFUSED),
    "503": (answering(b"HTTP/1.1 503 Service Unavailable\r\n\r\n"), Reason.PROXY_FAILED),
    "not http": (answering(b"220 mail.example.com ESMTP\r\n"), Reason.PROXY_FAILED),
    "endless header": (endless, Reason.PROXY_FAILED),
    "hangs up": (hangs_up, Reason.CLOSED),
    "resets": (resets, Reason.CLOSED),
    "silent": (read_to_the_end, Reason.TIMEOUT),
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("answer", ANSWERS)
async def test_what_the_proxy_answers_has_its_reason(family: Family, answer: str) -> None:
    talk, reason = ANSWERS[answer]
    with serve(family, talk) as port:
        run = await through(family, port, 443, timeout=0.5)
    assert run.blame is not None
    assert (run.blame.layer, run.blame.reason) == (Layer.PROXY, reason)
    assert run.outcomes[-1].reason is Reason.SKIPPED_BELOW


@pytest.mark.parametrize(("fields", "says"), [
    (b"X-Squid-Error: ERR_CONNECT_FAIL 111", "connect fail (Connection refused)"),
    (b"X-Squid-Error: ERR_DNS_FAIL 0", "dns fail"),
    (b'Proxy-Status: edge; received-status=503, squid; error=connection_timeout; details="x"', "connection timeout"),
    (b"Proxy-Status: edge", ""),
])  # fmt: skip
async def test_what_the_proxy_says_of_the_way_behind_it_is_in_the_verdict(fields: bytes, says: str) -> None:
    """squid's own field, and Proxy-Status (RFC 9209)."""
    with serve(Family.IPV4, answering(b"HTTP/1.1 503 Unavailable\r\n" + fields + b"\r\n\r\n")) as port:
        run = await through(Family.IPV4, port, 443)
    verdict = explain(run)
    assert verdict is not None
    assert verdict.says.endswith(f"it answered 503: {says}." if says else "it answered 503.")


async def test_bytes_that_come_with_the_answer_belong_to_the_tunnel() -> None:
    """A server that speaks first may have spoken before the proxy's answer was read."""
    with serve(Family.IPV4, answering(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 400 early\r\n")) as port:
        run = await through(Family.IPV4, port, 443)
    assert run.blame is not None
    assert (run.blame.layer, run.blame.reason) == (Layer.TLS, Reason.NOT_TLS)


def asks_for(credentials: bytes) -> Talk:
    """A proxy that opens the tunnel for these credentials alone, and tells what it was shown."""

    def talk(sock: socket.socket) -> None:
        shown = next((line for line in head(sock).split(b"\r\n") if line.lower().startswith(b"proxy-auth")), b"")
        status = b"200 OK" if shown == b"Proxy-Authorization: Basic " + credentials else b"407 Who are you"
        sock.sendall(b"HTTP/1.1 " + status + b"\r\nProxy-Authenticate: Basic realm=" + shown + b"\r\n\r\n")
        read_to_the_end(sock)

    return talk


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("password", "reason"), [("s3cret-pw", None), ("wrong-pw", Reason.PROXY_AUTH)])
async def test_credentials_are_shown_to_the_proxy_and_to_nobody_else(
    family: Family, password: str, reason: Reason | None, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text(f"{password}\n")
    with serve(family, asks_for(b64encode(b"me:s3cret-pw"))) as port:
        run = await through(
            family, port, 443, timeout=0.5, basic=BasicAuth(username="me", password=SecretFile(file=file))
        )
    proxy = run.outcome(Layer.PROXY)
    assert proxy is not None
    assert proxy.reason is reason
    assert proxy.evidence["credentials"] == "basic"
    told = str(run_as_dict(run, None)) + str(explain(run))
    assert password not in told
    assert b64encode(f"me:{password}".encode()).decode() not in told
    assert "proxy-authenticate" in proxy.evidence
    if reason is not None:
        assert f'--proxy-user "me:$(cat {file})"' in str(run_as_dict(run, None)["reproduce"])
        assert "does not take our credentials" in str(explain(run))


async def test_a_password_that_cannot_be_read_is_our_fault(tmp_path: Path) -> None:
    with serve(Family.IPV4, read_to_the_end) as port:
        basic = BasicAuth(username="me", password=SecretFile(file=tmp_path / "none"))
        assert (await through(Family.IPV4, port, 443, basic=basic)).ours
