"""`prober explain`: from a climb of its own, and from a prober that runs."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prober.cli.main import main
from prober.diagnosis.run import explain
from prober.export.runs import run_as_dict, verdict_as_dict
from prober.model import Run
from prober.reasons import Family
from tests.cli.samples import expired, good
from tests.support.threaded import serve

FAMILY = Family.IPV4


def a_cell(run: Run | None, **more: Any) -> dict[str, Any]:
    """A cell as `/api/v1/cells` has it."""
    verdict = None if run is None else explain(run)
    return {
        "id": "web/web-api/ingress/ipv4",
        "labels": {"probe": "web", "target": "web-api", "path": "ingress", "family": "ipv4"},
        "state": "unknown" if run is None else "ok" if run.ok else "failed",
        "since": None if run is None else "2026-11-22T10:00:00.123456Z",
        "streak": 0 if run is None else 3,
        "latest": None if run is None else run_as_dict(run, None),
        "verdict": None if verdict is None else verdict_as_dict(verdict),
    } | more


NOTHING: dict[str, Any] = {"summary": [], "regressions": [], "budgets": []}


def api(
    *cells: dict[str, Any], status: str = "200 OK", changes: dict[str, Any] = NOTHING
) -> Callable[[socket.socket], None]:
    def talk(sock: socket.socket) -> None:
        asked = sock.recv(65536)
        body = json.dumps(changes if b"/regressions" in asked else {"cells": cells}).encode()
        sock.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)

    return talk


def ask(talk: Callable[[socket.socket], None], *arguments: str) -> int:
    with serve(FAMILY, talk) as port:
        return main(["explain", "--url", f"http://127.0.0.1:{port}", *arguments])


def test_a_failing_cell_is_told_with_all_that_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(api(a_cell(expired(FAMILY)), a_cell(good(FAMILY)), a_cell(None))) == 1
    shown = capsys.readouterr().out
    for words in (
        "✗ web/web-api/ingress/ipv4  since 2026-11-22T10:00:00Z (", " 3 runs)",
        "  verdict    certificate_expired: The certificate chain of api.example.com has expired",
        "  tls        expired · server_name api.example.com · version TLSv1.3",
        "  ruled out  DNS: api.example.com has the A record 203.0.113.10",
        "  next       kubectl get certificate",
        "  by hand    openssl s_client -connect 203.0.113.10:443",
        "✗ 1 of 3 cells fail, 1 not climbed yet.",
    ):  # fmt: skip
        assert words in shown


def test_where_nothing_fails_that_is_said_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(api(a_cell(good(FAMILY)))) == 0
    assert capsys.readouterr().out == "✓ nothing fails, 1 held.\n"


CHANGES: dict[str, Any] = {
    "summary": [
        {"says": "tcp 18 % slower since 14:20 over path ingress, confirmed", "pages": True, "level": "confirmed"},
        {"says": "dns 20 % faster since 14:20 everywhere, confirmed", "pages": False, "level": "confirmed"},
        {"says": "tls 5 % slower", "pages": False, "level": "suspect", "series": ["a", "b"]},
    ],
    "budgets": [{"says": "web/web-api/ingress/ipv4 is over its budget: tcp p99 7.1 ms of 5.0 ms since 14:20"}],
}


def test_what_is_not_as_usual_is_told_after_what_fails_and_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(api(a_cell(good(FAMILY)), changes=CHANGES)) == 0
    assert capsys.readouterr().out.splitlines() == [
        "◐ tcp 18 % slower since 14:20 over path ingress, confirmed",
        "◐ web/web-api/ingress/ipv4 is over its budget: tcp p99 7.1 ms of 5.0 ms since 14:20",
        "○ dns 20 % faster since 14:20 everywhere, confirmed",
        "  2 suspected of a change, no more than chance allows",
        "",
        "✓ nothing fails, 1 held, 2 not as usual.",
    ]
    assert ask(api(a_cell(expired(FAMILY)), changes=CHANGES)) == 1
    shown = capsys.readouterr().out
    assert shown.index("✗ web/web-api") < shown.index("◐ tcp 18 %")


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"cells": []}, "something else answers there (KeyError('summary'))"), ([], "something else answers there (")],
)
def test_a_prober_that_does_not_say_what_has_changed_is_told_of(
    capsys: pytest.CaptureFixture[str], changes: Any, says: str
) -> None:
    assert ask(api(a_cell(good(FAMILY)), changes=changes)) == 0
    assert f"/api/v1/regressions: {says}" in capsys.readouterr().err


def test_an_older_prober_has_no_say_in_what_has_changed(capsys: pytest.CaptureFixture[str]) -> None:
    def talk(sock: socket.socket) -> None:
        asked = sock.recv(65536)
        old = b"/regressions" in asked
        body = json.dumps({"error": "Not Found"} if old else {"cells": [a_cell(good(FAMILY))]}).encode()
        head = f"HTTP/1.1 {'404 Not Found' if old else '200 OK'}\r\nContent-Length: {len(body)}\r\n"
        sock.sendall(f"{head}Connection: close\r\n\r\n".encode() + body)

    assert ask(talk) == 0
    assert capsys.readouterr() == ("✓ nothing fails, 1 held.\n", "")


def test_one_target_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    other = a_cell(expired(FAMILY), labels={"probe": "pay", "target": "payments", "path": "p", "family": "ipv4"})
    assert ask(api(a_cell(good(FAMILY)), other), "web-api") == 0
    assert ask(api(a_cell(good(FAMILY)), other), "payment") == 2
    assert "no target 'payment' there (did you mean payments?)" in capsys.readouterr().err


def test_what_is_only_to_be_noted_is_told_last_and_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    advice = {
        "code": "icmp_filtered", "layer": "icmp", "reason": "timeout", "says": "ICMP is filtered, the service works.",
        "ruled_out": [], "next_check": "Nothing.", "advisory": True,
    }  # fmt: skip
    noted = a_cell(expired(FAMILY), id="ping/web-api/ingress/ipv4", verdict=advice)
    assert ask(api(noted, a_cell(good(FAMILY)))) == 0
    shown = capsys.readouterr().out
    assert "○ ping/web-api/ingress/ipv4  since" in shown
    assert shown.endswith("✓ nothing fails, 1 held, 1 only to be noted.\n")
    assert ask(api(noted, a_cell(expired(FAMILY)))) == 1
    shown = capsys.readouterr().out
    assert shown.index("✗ web/web-api") < shown.index("○ ping/web-api")
    assert shown.endswith("✗ 1 of 2 cells fail, 1 only to be noted.\n")


@pytest.mark.parametrize(
    "talk", [lambda sock: sock.sendall(b"hello\r\n"), api(status="404 Not Found"), lambda sock: None]
)
def test_whoever_answers_something_else_is_no_prober(
    talk: Callable[[socket.socket], None], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(talk) == 2
    assert "prober: no prober answers at http://127.0.0.1:" in capsys.readouterr().err


def test_where_nobody_listens_the_other_way_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert main(["explain", "--url", f"http://127.0.0.1:{port}"]) == 2
    assert "-c FILE climbs the cells from here" in capsys.readouterr().err


def test_only_http_urls_are_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--url", "file:///etc"]) == 2
    assert "an http:// or https:// URL is wanted" in capsys.readouterr().err


def test_with_a_configuration_the_cells_are_climbed_from_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    path = tmp_path / "probes.yaml"
    path.write_text(
        f'targets: {{db: {{paths: {{service: {{url: "tcp://127.0.0.1:{port}"}}}}}}}}\n'
        "probes: [{name: x, kind: tcp, targets: [db]}]\n"
    )
    assert main(["explain", "-c", str(path)]) == 1
    shown = capsys.readouterr().out
    assert "✗ x/db/service/ipv4\n  verdict    port_closed: The Service at 127.0.0.1" in shown
    assert main(["explain", "dbb", "-c", str(path)]) == 2
