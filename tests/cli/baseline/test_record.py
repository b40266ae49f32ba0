"""`prober baseline record`, `list` and `show`, and what every command refuses."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from prober.baseline.values import Recording
from prober.cli.asking import addresses_of
from prober.cli.main import main
from prober.reasons import Family
from tests.support.baselines import KEYS, LATER, WINDOW, Ask, Kept, measured, probing
from tests.support.threaded import serve


def test_a_baseline_is_recorded_at_every_vantage(ask: Ask) -> None:
    code, out, err = ask("record", "--label", "cilium-1.17.3", *WINDOW, "--about", "ticket=42", "why=upgrade")
    assert (code, err) == (0, "")
    assert out.startswith(
        "✓ cilium-1.17.3 v1 at node-a\n"
        "  window     5 Jan 00:00 – 7 Jan 00:00 2026 UTC (2 days)\n"
        "  series     8, active for all of them\n"
        "  about      cni cilium 1.17.3, kernel 6.12.8, ticket 42, why upgrade\n"
        "✓ cilium-1.17.3 v1 at node-b\n"
    )


def test_series_that_are_not_fit_are_left_out_by_name_and_reason(ask: Ask, probers: list[Kept]) -> None:
    poor = measured("node-a", "eu-1a")
    held = {key: hours[:30] if key == KEYS[0] else hours for key, hours in poor.series.items()}
    with probing(Recording("x", poor.origin, poor.since, poor.until, 0, 1, held)) as prober:
        code, out, _ = ask("record", "--label", "healthy", *WINDOW, only=[prober])
        assert code == 0
        assert "series     7, active for all of them" in out
        assert f"left out   {KEYS[0]}: 62 % of the window's blocks were measured" in out
        code, out, _ = ask("record", "--label", "healthy", *WINDOW, "-o", "json", only=[prober])
        (one,) = json.loads(out)["vantages"]
        assert one["baseline"]["version"] == 2
        assert one["refused"] == [{"series": str(KEYS[0]), "why": one["refused"][0]["why"]}]


def test_a_window_that_is_refused_is_exit_code_2_with_the_probers_words(ask: Ask) -> None:
    code, out, _ = ask("record", "--label", "short", "--from", "2026-01-06T14:00Z", "--to", "2026-01-07T00:00Z")
    assert code == 2
    assert out.count("nothing was recorded: the window is 10 h: a baseline needs 24 h at least") == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("record",), "the following arguments are required: --label"),
        (("record", "--label", "a/b"), "argument --label: a label has printable characters alone, and no slash"),
        (("record", "--label", "a@2"), "argument --label: a label does not end in @2: that asks for one of its"),
        (("record", "--label", ".."), 'argument --label: the label ".." is a place in a path'),
        (("record", "--label", "now"), 'the label "now" means what is measured now'),
        (("record", "--label", "x", "--from", "later"), "argument --from: 'later' is not a moment: write 2026-"),
        (("record", "--label", "x", "--from", "-2h", "--to", "-3h"), "--from is not before --to"),
        (("record", "--label", "x", "--about", "cni=\x1b[31m"), "'cni=\\x1b[31m' has control characters"),
        (("record", "--label", "x", "--about", "kernel"), "argument --about: 'kernel' is not key=value"),
        (("compare",), "compare what? A label, two of them, or --at T"),
        (("compare", "now"), "now comes second"),
        (("compare", "a", "--at", "-2h"), "--at compares what was measured: a is not asked for then"),
        (("compare", "--before", "-2h"), "--before alone: --before says when the change began, --after when it was"),
        (("compare", "--at", "-2h", "--before", "-1h"), "--at is both --before and --after"),
        (("compare", "--before", "-2h", "--after", "-3h"), "before it began"),
        (("compare", "a", "b", "--from", "-2h"), "--from and --to are the window of now"),
        (("compare", "a", "--from", "-2h", "--window", "1h"), "--window is how much of now"),
        (("compare", "a", "--past", "1d"), "--past goes with --at"),
        (("compare", "gone.baseline"), "gone.baseline can't be read: No such file or directory"),
        (("export", "a", "--from", "-2h"), "a has its window: --from and --to are for now"),
        (("frobnicate",), "invalid choice: 'frobnicate'"),
        (("list", "--url", "file:///etc"), "argument --url: file:///etc: an http:// or https:// URL is wanted"),
    ],
)  # fmt: skip
def test_a_command_that_cannot_be_is_exit_code_2_and_says_why(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["baseline", *words]) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.out == ""


def test_the_list_has_every_baseline_of_every_vantage(ask: Ask) -> None:
    ask("record", "--label", "cilium-1.17.3", *WINDOW)
    ask("record", "--label", "cilium-1.17.3", "--from", "2026-01-05T12:00Z", "--to", "2026-01-07T00:00Z")
    code, out, err = ask("list")
    assert (code, err) == (0, "")
    assert out.splitlines()[:6] == [
        "label          version  vantage  from – to                       length  series  active",
        "cilium-1.17.3        1  node-a   5 Jan 00:00 – 7 Jan 00:00 2026  2 days       8     all",
        "  cni cilium 1.17.3, kernel 6.12.8",
        "cilium-1.17.3        2  node-a   5 Jan 12:00 – 7 Jan 00:00 2026    36 h       8      no",
        "  cni cilium 1.17.3, kernel 6.12.8",
        "cilium-1.17.3        1  node-b   5 Jan 00:00 – 7 Jan 00:00 2026  2 days       8     all",
    ]
    listed = json.loads(ask("list", "-o", "json")[1])["baselines"]
    assert [(one["version"], one["vantage"], one["active"]) for one in listed] == [
        (1, "node-a", 8), (2, "node-a", 0), (1, "node-b", 8), (2, "node-b", 0),
    ]  # fmt: skip
    assert listed[0]["since"] == "2026-01-05T00:00:00.000000Z"


def test_a_prober_that_keeps_nothing_on_a_disk_says_so_in_the_list(ask: Ask) -> None:
    with probing(measured("node-a", "eu-1a"), persistent=False) as prober:
        code, out, _ = ask("list", only=[prober])
    assert code == 0
    assert out == (
        "no baseline was recorded yet: prober baseline record --label LABEL\n"
        f"{prober.url}: in memory: gone with the process\n"
    )


def test_nobody_there_is_exit_code_2_and_all_who_are_silent_are_named(look: Ask, known: list[Kept]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        dead = Kept(known[0].store, known[0].origin, {}, f"http://127.0.0.1:{listener.getsockname()[1]}")
    code, out, err = look("list", only=[known[0], dead])
    assert (code, out) == (2, "")
    assert f"prober: no prober answers at {dead.url}/api/v1/baselines: " in err


def test_before_any_was_recorded_that_is_said(ask: Ask) -> None:
    assert "none was recorded yet (prober baseline record)" in ask("show", "healthy")[2]


def test_figures_are_shown_by_layer_and_path_or_by_series(look: Ask, known: list[Kept]) -> None:
    code, out, err = look("show", "cilium-1.17.3", only=known[:1])
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[:4] == [
        "cilium-1.17.3 v1 at node-a  zone eu-1a, region eu-1",
        "  window     5 Jan 00:00 – 7 Jan 00:00 2026 UTC, 2 days",
        "  recorded   7 Jan 12:00, 8 series",
        "  about      cni cilium 1.17.3, kernel 6.12.8",
    ]
    assert [line.split()[:5] for line in lines[5:9]] == [
        [layer, path, "2", "23040", "48"] for layer in ("tcp", "tls") for path in ("ingress", "service")
    ]
    rows = json.loads(look("show", "cilium-1.17.3", "--series", "-o", "json", only=known[:1])[1])["recordings"][0]
    assert [row["name"] for row in rows["rows"]][:4] == sorted(key.cell for key in KEYS if key.layer == "tcp")
    assert rows["rows"][0]["p50"] == pytest.approx(0.0003, rel=0.05)
    assert 1.0 < rows["rows"][0]["swing"] < rows["rows"][0]["sees"] < 1.1


def test_now_can_be_shown_and_what_is_too_short_to_be_a_baseline_says_so(ask: Ask, probers: list[Kept]) -> None:
    code, out, _ = ask("show", "now", *LATER, only=probers[:1])
    assert code == 0
    assert "no baseline for 8 series: 10.0 h were measured, a baseline needs 24 h" in out


def answering(body: bytes, promised: int | None = None, status: str = "200 OK") -> Callable[[socket.socket], None]:
    """Whoever asks gets this, of which so many bytes were promised."""

    def talk(sock: socket.socket) -> None:
        sock.recv(65536)
        length = len(body) if promised is None else promised
        sock.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n".encode() + body)

    return talk


EVIL = {
    "label": "a\x1b[2J", "version": 1, "since": "2026-01-05T00:00:00Z", "until": "2026-01-07T00:00:00Z", "active": 0,
    "recorded_at": "2026-01-07T00:00:00Z", "series": 1, "origin": {"vantage": "node-a"},
}  # fmt: skip


@pytest.mark.parametrize(
    "talk",
    [
        answering(b"hello"),
        answering(b"[]"),
        answering(b'{"baselines": [{}]}'),
        answering(b'{"baselines": []}', 1000),
        answering(json.dumps({"baselines": [EVIL]}).encode()),
        lambda sock: sock.close(),
    ],
)
def test_what_is_no_answer_of_a_prober_is_not_taken_for_one(
    talk: Callable[[socket.socket], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with serve(Family.IPV4, talk) as port:
        assert main(["baseline", "list", "--url", f"http://127.0.0.1:{port}"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"prober: no prober answers at http://127.0.0.1:{port}/api/v1/baselines: ")
    assert "\x1b" not in said.err


def test_an_export_that_is_none_is_written_nowhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serve(Family.IPV4, answering(b"not a baseline")) as port:
        words = ["export", "now", "-f", str(tmp_path / "x.baseline"), "--url", f"http://127.0.0.1:{port}"]
        assert main(["baseline", *words]) == 2
    assert "what it exports is no baseline: line 1: " in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_prober_that_is_too_old_is_told_from_one_that_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in (("Not Found", "knows nothing of baselines: is it older"), ("not now", "says: not now")):
        with serve(Family.IPV4, answering(json.dumps({"error": words}).encode(), status="404 Not Found")) as port:
            assert main(["baseline", "list", "--url", f"http://127.0.0.1:{port}"]) == 2
        assert f"prober: http://127.0.0.1:{port} {said}" in capsys.readouterr().err


def test_now_is_the_probers_own_now(ask: Ask, probers: list[Kept]) -> None:
    """Their clock is months behind ours."""
    code, out, _ = ask("record", "--label", "x", "--from", "2026-01-06T00:00Z", "--to", "now", only=probers[:1])
    assert code == 0
    assert "window     6 Jan 00:00 – 7 Jan 12:00 2026 UTC" in out


def test_a_span_before_now_is_a_value_with_and_without_the_equals_sign(ask: Ask, probers: list[Kept]) -> None:
    for words in (("--from", "-30h", "--to", "-5h"), ("--from=-30h", "--to=-5h")):
        code, out, _ = ask("record", "--label", "x", *words, only=probers[:1])
        assert (code, "nothing was recorded: none of 0" in out or "nothing was measured" in out) == (2, True)


def test_a_name_stands_for_the_probers_at_all_its_addresses(
    known: list[Kept], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Pod with two addresses is asked once."""
    port = int(known[0].url.rpartition(":")[2])
    assert addresses_of("127.0.0.1", port) == [known[0].url]
    assert addresses_of("::1", 1) == ["http://[::1]:1"]
    told = [(socket.AF_INET6, 0, 0, "", ("::1", port, 0, 0)), (socket.AF_INET, 0, 0, "", ("127.0.0.1", port)),
            (socket.AF_INET, 0, 0, "", ("127.0.0.2", port))]  # fmt: skip
    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", lambda *_, **__: told)
        assert addresses_of("peers", port) == [known[0].url, f"http://127.0.0.2:{port}"]
    assert main(["baseline", "list", "-o", "json", "--service", f"127.0.0.1:{port}", "--url", f"{known[0].url}/"]) == 0
    assert len(json.loads(capsys.readouterr().out)["baselines"]) == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [("peers", "peers: write HOST:PORT"), ("peers:0", "write HOST:PORT"), ("a..b:1", "--service a..b:1: ")],
)
def test_a_name_that_is_none_or_has_no_address_is_refused(
    name: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["baseline", "list", "--service", name]) == 2
    assert said in capsys.readouterr().err
