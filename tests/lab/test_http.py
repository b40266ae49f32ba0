"""web-api, the ingress and the proxy, seen by the standard library's http.client, httpx and curl."""

from __future__ import annotations

import asyncio
import http.client
import shutil
import socket
import ssl

import httpx
import pytest

from prober.lab.lab import Lab
from prober.lab.web import SLOW

HOST = "api.example.com"


def get(lab: Lab, address: str = "127.0.0.1", path: str = "/health", timeout: float = 2.0) -> str:
    """Status, content type and body of web-api over HTTP/1.1, or the error."""
    client = http.client.HTTPConnection(address, lab.ports.web, timeout=timeout)
    try:
        client.request("GET", path)
        response = client.getresponse()
        return f"{response.status} {response.headers['content-type']} {response.read().decode().strip()}"
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    finally:
        client.close()


async def through_ingress(
    lab: Lab, address: str = "127.0.0.1", host: str = HOST, http2: bool = True, timeout: float = 2.0
) -> str:
    """Version, status and body of the ingress' answer, or the error."""
    context = ssl.create_default_context(cafile=str(lab.ca_file))
    where = f"[{address}]" if ":" in address else address
    request = httpx.Request(
        "GET", f"https://{where}:{lab.ports.ingress}/health", headers={"host": host}, extensions={"sni_hostname": HOST}
    )
    async with httpx.AsyncClient(http2=http2, verify=context, trust_env=False, timeout=timeout) as client:
        request.extensions["timeout"] = httpx.Timeout(timeout).as_dict()
        try:
            response = await client.send(request)
        except httpx.HTTPError as error:
            return f"{type(error).__name__} {error}"
        return f"{response.http_version} {response.status_code} {response.text.strip()}"


GOOD = "200 text/plain; charset=utf-8 ok"
SEEN = [
    ("http-503", "503 text/plain; charset=utf-8 overloaded", "HTTP/2 503 overloaded"),
    ("http-hang", "TimeoutError", "ReadTimeout"),
    ("http-drip", "200 dripping", "ReadTimeout"),
    ("http-garbage", "BadStatusLine", "HTTP/2 502"),
    ("http-closed", "RemoteDisconnected", "HTTP/2 502"),
    ("http-reset", "ConnectionResetError", "HTTP/2 502"),
    ("http-wrong-body", "200 text/plain; charset=utf-8 nothing to see here", "HTTP/2 200 nothing to see here"),
    ("http-wrong-header", "200 text/html ok", "HTTP/2 200 ok"),
    ("http-goaway", GOOD, "ConnectionTerminated error_code:0, last_stream_id:0"),
    ("http-stream-reset", GOOD, "StreamReset"),
    ("ingress-no-route", GOOD, "HTTP/2 404"),
    ("tcp-refused", "ConnectionRefusedError", "HTTP/2 502"),
]


@pytest.mark.parametrize(("fault", "direct", "by_ingress"), SEEN, ids=[row[0] for row in SEEN])
async def test_a_fault_shows_on_its_paths_and_undoes_itself(lab: Lab, fault: str, direct: str, by_ingress: str) -> None:
    timeout = 0.2 if fault in ("http-hang", "http-drip") else 2.0
    await lab.set_fault(fault, True)
    if fault != "http-drip":  # http.client waits for the end of the body: see below
        assert await asyncio.to_thread(get, lab, timeout=timeout) == direct
    assert by_ingress in await through_ingress(lab, timeout=timeout)
    await lab.set_fault(fault, False)
    assert await asyncio.to_thread(get, lab) == GOOD
    assert await through_ingress(lab) == "HTTP/2 200 ok"


async def test_a_dripping_body_has_no_end(lab: Lab) -> None:
    await lab.set_fault("http-drip", True)
    reader, writer = await asyncio.open_connection("127.0.0.1", lab.ports.web)
    writer.write(b"GET /health HTTP/1.1\r\nhost: web-api\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head.lower()
    assert [await reader.readexactly(6) for _ in range(3)] == [b"1\r\n.\r\n"] * 3
    writer.close()
    await writer.wait_closed()


async def test_a_slow_answer_is_good_but_late(lab: Lab) -> None:
    await lab.set_fault("http-slow", True)
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await asyncio.to_thread(get, lab) == GOOD
    assert loop.time() - began >= SLOW


async def test_pages_of_web_api(lab: Lab, loopback: str) -> None:
    assert await asyncio.to_thread(get, lab, loopback) == GOOD
    assert await asyncio.to_thread(get, lab, loopback, "/readyz") == GOOD
    assert (await asyncio.to_thread(get, lab, loopback, "/nothing")).startswith("404 ")


async def test_one_connection_carries_several_requests(lab: Lab) -> None:
    def two() -> list[int]:
        client = http.client.HTTPConnection("127.0.0.1", lab.ports.web, timeout=2.0)
        statuses = []
        for method in ("GET", "HEAD"):
            client.request(method, "/health")
            response = client.getresponse()
            response.read()
            statuses.append(response.status)
        client.close()
        return statuses

    assert await asyncio.to_thread(two) == [200, 200]


async def test_the_ingress_routes_by_host_and_speaks_both_versions(lab: Lab, loopback: str) -> None:
    assert await through_ingress(lab, loopback) == "HTTP/2 200 ok"
    assert await through_ingress(lab, loopback, http2=False) == "HTTP/1.1 200 ok"
    assert await through_ingress(lab, loopback, host="other.example.com") == "HTTP/2 404 default backend - 404"


async def test_the_ingress_answers_504_while_the_application_drops_connections(lab: Lab) -> None:
    if "tcp-timeout" in lab.unavailable:
        pytest.skip(lab.unavailable["tcp-timeout"])
    await lab.set_fault("tcp-timeout", True)
    assert await through_ingress(lab) == "HTTP/2 504 upstream request timeout"


def tunnel(lab: Lab, address: str, timeout: float = 2.0, authority: str = "api.example.com:443") -> str:
    """The proxy's answer to CONNECT; where that is 200 the TLS version that is spoken through it."""
    try:
        with socket.create_connection((address, lab.ports.proxy), timeout=timeout) as sock:
            sock.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
            head = sock.recv(4096).decode()
            if not head.startswith("HTTP/1.1 200 "):
                return head.splitlines()[0] if head else "closed"
            context = ssl.create_default_context(cafile=str(lab.ca_file))
            with context.wrap_socket(sock, server_hostname=HOST) as tls:
                return f"tunnel {tls.version()}"
    except TimeoutError:
        return "timeout"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("proxy-auth", "HTTP/1.1 407 Proxy Authentication Required"),
        ("proxy-refused", "HTTP/1.1 403 Forbidden"),
        ("proxy-failed", "HTTP/1.1 502 Bad Gateway"),
        ("proxy-hang", "timeout"),
        ("proxy-closed", "closed"),
    ],
)
async def test_the_proxy_tunnels_and_its_faults_undo_themselves(
    lab: Lab, loopback: str, fault: str, expected: str
) -> None:
    assert await asyncio.to_thread(tunnel, lab, loopback) == "tunnel TLSv1.3"
    await lab.set_fault(fault, True)
    assert await asyncio.to_thread(tunnel, lab, loopback, 0.2) == expected
    await lab.set_fault(fault, False)
    assert await asyncio.to_thread(tunnel, lab, loopback) == "tunnel TLSv1.3"


async def test_the_proxy_leads_nowhere_else(lab: Lab) -> None:
    assert await asyncio.to_thread(tunnel, lab, "127.0.0.1", authority="example.org:443") == "HTTP/1.1 403 Forbidden"


@pytest.mark.parametrize("option", ["--http1.1", "--http2-prior-knowledge"])
async def test_curl_agrees(lab: Lab, option: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    url = f"http://127.0.0.1:{lab.ports.web}/health"
    process = await asyncio.create_subprocess_exec(
        "curl",
        "-s",
        "--noproxy",
        "*",
        option,
        "-w",
        "%{http_version} %{http_code}",
        url,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert output.decode() == f"ok\n{'2' if '2' in option else '1.1'} 200"
