"""`prober try` against real servers on loopback: what it says, and its exit codes."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from prober.cli.main import main
from prober.lab.certificates import CertificateFiles
from prober.lab.tls import make_context
from prober.reasons import Family
from tests.support.cells import FAMILIES, LOOPBACK, has_ipv6
from tests.support.dns import name_server
from tests.support.netns import run_in_namespace, why_not
from tests.support.threaded import read_to_the_end, serve

both_families = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 loopback on this machine")


@pytest.fixture(autouse=True)
def both(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vantage with both families, whatever this machine can route."""
    monkeypatch.setenv("PROBER_POD_IPS", "127.0.0.1,::1")
    monkeypatch.setenv("PROBER_VANTAGE", "here")


def answer(sock: socket.socket) -> None:
    sock.recv(65536)
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@pytest.mark.parametrize("family", FAMILIES)
def test_a_url_with_an_address_is_tried_in_its_own_family(family: Family, capsys: pytest.CaptureFixture[str]) -> None:
    host = {Family.IPV4: "127.0.0.1", Family.IPV6: "[::1]"}[family]
    with serve(family, answer) as port:
        assert main(["try", f"http://{host}:{port}/health"]) == 0
    shown = capsys.readouterr().out
    name = {Family.IPV4: "IPv4", Family.IPV6: "IPv6"}[family]
    assert f"http://{host}:{port}/health  http from here" in shown
    assert f"✓ {name} holds, in " in shown
    assert "200 · HTTP/1.1 · 2 B" in shown
    assert shown.splitlines()[-1].startswith("$ curl ")


@both_families
def test_a_name_is_tried_in_both_families_and_the_one_that_fails_decides(capsys: pytest.CaptureFixture[str]) -> None:
    with serve(Family.IPV4, answer) as port:
        assert main(["try", f"http://localhost:{port}/"]) == 1
    shown = capsys.readouterr().out
    assert "✗ IPv6 fails at tcp (refused)." in shown
    assert "✓ IPv4 holds" in shown


def test_localhost_is_tried_in_the_families_that_it_has() -> None:
    if (missing := why_not()) is not None:
        pytest.skip(missing)
    *runs, _ = run_in_namespace("without_ipv6.py", "try", "-o", "ndjson", "tcp://LOCALHOST.:1").splitlines()
    assert [json.loads(run)["family"] for run in runs] == ["ipv4"]


def test_one_family_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with serve(Family.IPV4, answer) as port:
        assert main(["try", "-4", f"http://localhost:{port}/"]) == 0
    assert "IPv6" not in capsys.readouterr().out


@pytest.mark.parametrize(("arguments", "code", "words"), [
    ([], 0, "✓ IPv4 holds, in"),
    (["-6"], 1, "✗ IPv6 fails at dns (no_data)."),
])  # fmt: skip
def test_a_family_without_a_record_fails_only_if_it_was_asked_for(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve(Family.IPV4, answer) as port, name_server({"web.example.": "127.0.0.1"}) as server:
        url = f"http://web.example:{port}/"
        assert main(["try", url, "--server", f"127.0.0.1:{server}", *arguments]) == code
    shown = capsys.readouterr().out
    assert words in shown
    if not arguments:
        assert "IPv6 is not offered: web.example has no AAAA record." in shown


def test_a_pinned_address_keeps_host_and_name(capsys: pytest.CaptureFixture[str]) -> None:
    heads: list[bytes] = []

    def keep(sock: socket.socket) -> None:
        heads.append(sock.recv(65536))
        sock.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")

    with serve(Family.IPV4, keep) as port:
        arguments = ["try", "http://api.example.com/x", "--connect", f"127.0.0.1:{port}", "-H", "X-A: b"]
        assert main(arguments) == 0
    assert b"host: api.example.com\r\n" in heads[0].lower()
    assert b"x-a: b\r\n" in heads[0].lower()
    assert "IPv6" not in capsys.readouterr().out


def test_less_can_be_climbed_than_the_url_offers(capsys: pytest.CaptureFixture[str]) -> None:
    with serve(Family.IPV4, lambda _: None) as port:
        assert main(["try", "--kind", "tcp", f"https://127.0.0.1:{port}/"]) == 0
    assert "tls" not in capsys.readouterr().out


def test_the_deadline_is_the_one_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with serve(Family.IPV4, read_to_the_end) as port:
        assert main(["try", "--timeout", "200ms", f"http://127.0.0.1:{port}/"]) == 1
    assert "✗ IPv4 fails at http (timeout)." in capsys.readouterr().out


def test_machine_output_is_one_run_a_line_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["try", "-o", "ndjson", f"tcp://127.0.0.1:{closed_port()}"]) == 1
    [line] = capsys.readouterr().out.splitlines()
    run = json.loads(line)
    assert run["blame"] == {"layer": "tcp", "reason": "refused"}
    assert run["vantage"]["name"] == "here"
    assert run["address"] == LOOPBACK[Family.IPV4]


@pytest.mark.parametrize(("arguments", "words"), [
    (["example.com"], "prober try: example.com: not a URL"),
    (["-4", "http://[::1]/"], "::1 is an ipv6 address: ipv4 can't reach it"),
    (["--kind", "grpc", "http://x/"], "kind grpc can't climb to http://"),
    (["--timeout", "soon", "http://x/"], "not a duration: 'soon'"),
    (["--connect", "x", "http://x/"], "a port is needed: host:port"),
    (["--server", "ns.example", "http://x/"], "a DNS server is an address"),
    (["-H", "oops", "http://x/"], "not a header: 'oops'"),
])  # fmt: skip
def test_what_cannot_be_tried_is_exit_code_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["try", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_a_password_in_a_url_is_refused_and_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["try", "http://me:s3cret@127.0.0.1:1/"]) == 2
    said = capsys.readouterr().err
    assert "http://***@127.0.0.1:1/: user names and passwords don't belong in a URL" in said
    assert "s3cret" not in said


def test_starttls_is_tried_in_the_words_of_the_protocol(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = CertificateFiles(tmp_path)
    context = make_context(files, ["127.0.0.1"])

    def postgres(sock: socket.socket) -> None:
        sock.recv(8)
        sock.sendall(b"S")
        with context.wrap_socket(sock, server_side=True) as tls:
            read_to_the_end(tls)

    with serve(Family.IPV4, postgres) as port:
        arguments = ["--starttls", "postgres", "--ca", str(files.ca_file)]
        assert main(["try", f"tls://127.0.0.1:{port}", *arguments]) == 0
        assert main(["try", f"https://127.0.0.1:{port}/", *arguments]) == 2
    said = capsys.readouterr()
    assert "✓ IPv4 holds" in said.out
    assert "--starttls is for tls:// URLs, this is kind http" in said.err
