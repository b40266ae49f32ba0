"""`prober dns`: the queries of a lookup, their cost, and the exit code."""

from __future__ import annotations

import argparse
import json
import re
import socket
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest

from prober.cli import dns as command
from prober.lab.certificates import CertificateFiles
from prober.lab.tls import make_context
from prober.reasons import Family
from prober.wire.dns import libc, resolvconf
from prober.wire.dns.resolvconf import ResolvConf, Server
from tests.support.doh import Requests
from tests.support.nameserver import Answers, DnsServer, Script, always, in_thread, reply_to, zone

WEB = zone({("web.c.", "A"): ["10.0.0.1", "10.0.0.2"], ("web.c.", "AAAA"): ["fd00::1"]})


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="prober dns")
    command.configure(parser)
    return parser.parse_args(words)


def run(server: DnsServer, *words: str) -> int:
    return command.run(parse("--server", server.where, "--ndots", "5", "--search", "a,b,c", *words))


def as_json(script: Script, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    with in_thread(Family.IPV4, script) as server:
        code = run(server, *words, "-o", "json")
    return code, json.loads(capsys.readouterr().out)


def test_every_query_is_told_with_what_it_cost(capsys: pytest.CaptureFixture[str]) -> None:
    code, report = as_json(WEB, capsys, "web")
    assert code == 0
    (walk,) = report["walks"]
    assert [(query["name"], query["type"], query["rcode"]) for query in walk["queries"]] == [
        (name, kind, rcode)
        for name, rcode in (("web.a.", "NXDOMAIN"), ("web.b.", "NXDOMAIN"), ("web.c.", "NOERROR"))
        for kind in ("A", "AAAA")
    ]
    assert walk["addresses"] == ["10.0.0.1", "10.0.0.2", "fd00::1"]
    assert sorted(walk["connects"]) == walk["addresses"]  # in which order depends on this machine's own addresses
    assert (walk["found"], walk["suffix"], walk["reason"], walk["error"]) == ("web.c.", "c", None, None)
    assert (walk["sent"], walk["needed"], walk["amplification"]) == (6, 2, 3.0)
    assert 0 < walk["wasted_seconds"] < walk["seconds"]
    assert (report["ndots"], report["search"], report["types"]) == (5, ["a", "b", "c"], ["A", "AAAA"])
    assert (walk["profile"], report["differ"], report["here"]) == ("glibc", None, None)


def test_a_trailing_dot_sends_what_is_needed_and_wastes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    code, report = as_json(WEB, capsys, "web.c.", "--type", "a")
    assert code == 0
    (walk,) = report["walks"]
    assert (walk["sent"], walk["needed"], walk["amplification"], walk["wasted_seconds"]) == (1, 1, 1.0, 0)


@pytest.mark.parametrize(("rcode", "reason"), [("NXDOMAIN", "name_not_found"), ("SERVFAIL", "server_failure")])
def test_what_is_not_found_exits_with_1(capsys: pytest.CaptureFixture[str], rcode: str, reason: str) -> None:
    code, report = as_json(always(dns.rcode.from_text(rcode)), capsys, "nope")
    assert code == 1
    (walk,) = report["walks"]
    assert (walk["found"], walk["reason"], walk["addresses"]) == (None, reason, [])
    assert walk["error"] == {"NXDOMAIN": "EAI_NONAME", "SERVFAIL": "EAI_AGAIN"}[rcode]


def test_two_libraries_stand_side_by_side_and_differ_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    taken = zone({("web.a.", "TXT"): ["x"], ("web.c.", "A"): ["10.0.0.1"]})  # web.a exists, without addresses
    code, report = as_json(taken, capsys, "web", "--as", "glibc,musl")
    assert code == 1
    glibc, musl = report["walks"]
    assert (glibc["profile"], glibc["addresses"], glibc["error"], glibc["sent"]) == ("glibc", ["10.0.0.1"], None, 6)
    assert (musl["profile"], musl["addresses"], musl["error"], musl["sent"]) == ("musl", [], "EAI_NODATA", 2)
    differ = re.sub(r"and [0-9.]+ ?[µm]?s", "and T", report["differ"])
    assert differ == (
        "They differ: glibc returns 10.0.0.1 of web.c. after 6 queries and T; "
        "musl fails with EAI_NODATA (web.a. A: no_data) after 2 queries and T."
    )


def test_two_libraries_that_agree_are_told_with_their_costs(capsys: pytest.CaptureFixture[str]) -> None:
    code, report = as_json(WEB, capsys, "web.c", "--as", "musl,glibc", "--type", "A", "--ndots", "1")
    assert code == 0
    assert [walk["profile"] for walk in report["walks"]] == ["musl", "glibc"]
    assert report["differ"].startswith("They agree: each returns 10.0.0.1, 10.0.0.2 of web.c.; musl after ")


def test_a_library_that_would_wait_for_ever_does_not_return(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        conf = ResolvConf(servers=(Server(*mute.getsockname()),), use_vc=True, timeout=0.2, attempts=1)
        monkeypatch.setattr(resolvconf, "system", lambda **_: conf)
        monkeypatch.setattr(command, "_PATIENCE", 0.2)
        assert command.run(parse("web.c.", "--as", "glibc,musl", "--no-getaddrinfo", "-o", "json")) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["walks"][0]["error"] == "no return"
    assert "glibc does not return (web.c. A: timeout) after 2 queries" in report["differ"]


def test_getaddrinfo_of_this_machine_stands_beside_them(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with in_thread(Family.IPV4, WEB) as server:
        conf = ResolvConf(servers=(Server(server.address, server.port),))
        monkeypatch.setattr(resolvconf, "system", lambda **_: conf)
        found = {"libc": "glibc 2.36", "error": "EAI_AGAIN", "addresses": [], "seconds": 5.0}
        monkeypatch.setattr(libc, "ask", lambda name, types: found)
        assert command.run(parse("web.c.", "-o", "json")) == 0
        report = json.loads(capsys.readouterr().out)
        assert command.run(parse("web.c.")) == 0
        assert command.run(parse("web.c.", "--type", "MX", "-o", "json")) == 1
    assert report["here"] == {**found, "ndots": 1, "search": []}
    *told, last = capsys.readouterr().out.splitlines()
    assert told[-1] == "getaddrinfo here (glibc 2.36; ndots 1, search none) fails with EAI_AGAIN after 5.00 s"
    assert json.loads(last)["here"] is None


def test_this_c_library_is_asked_for_what_the_hosts_file_has() -> None:
    found = libc.ask("127.0.0.1", ("A", "AAAA"))
    assert (found["error"], found["addresses"]) == (None, ["127.0.0.1"])
    assert 0 < found["seconds"] < 5
    assert libc.ask("::1", ("A",))["error"] is not None
    assert libc.ask("x" * 64, ("A",))["error"] is not None


def test_people_read_a_table_and_one_line_of_cost(capsys: pytest.CaptureFixture[str]) -> None:
    with in_thread(Family.IPV4, WEB) as server:
        assert run(server, "web", "--type", "A,TXT") == 0
        assert run(server, "none", "--type", "A") == 1
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "web as glibc: ndots 5, search a, b, c"
    assert lines[2].startswith(f"1 web.a. A {server.where} NXDOMAIN ")
    assert lines[6].endswith(" 10.0.0.1, 10.0.0.2")
    assert " NOERROR (no_data) " in lines[7]
    assert lines[8].startswith("found as web.c. through search c. 6 queries sent, 2 needed: amplification 3; ")
    assert lines[-1].startswith("not found: name_not_found (EAI_NONAME). 4 queries sent, 1 needed: amplification 4; ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a..b"], "argument NAME: not a domain name: 'a..b'"),
        (["web", "--type", "A,ZZ"], "argument --type: unknown record type: ZZ"),
        (["web", "--type", ","], "argument --type: no record type given"),
        (["web", "--server", "dns.example"], "argument --server: a DNS server is an address"),
        (["web", "--ndots", "16"], "argument --ndots: not a number from 0 to 15: '16'"),
        (["web", "--edns", "100"], "argument --edns: not a number from 512 to 65535: '100'"),
        (["web", "--transport", "quic"], "argument --transport: invalid choice: 'quic'"),
        (["web", "--as", ","], "argument --as: no profile given"),
        (["web", "--as", "bionic"], "argument --as: no such profile: bionic (known: glibc, musl)"),
        ([], "the following arguments are required: NAME"),
    ],
)
def test_wrong_usage_exits_with_2(capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    with pytest.raises(SystemExit) as stop:
        parse(*words)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("transport", ["tls", "https"])
def test_an_encrypted_lookup_shows_its_certificate_and_its_cause(
    capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory, transport: str
) -> None:
    files, others = (CertificateFiles(tmp_path_factory.mktemp("ca")) for _ in range(2))
    context = make_context(files, ["dns.example"], alpn=["http/1.1"])
    talk = Requests().talk if transport == "https" else None
    with in_thread(Family.IPV4, WEB, context, talk) as server:
        trusted = ["--ca-file", str(files.ca_file), "--server-name", "dns.example"]
        words = ["web.c", "--transport", transport, "-o", "json"]
        assert run(server, *words, *trusted, "--as", "glibc,musl") == 0
        assert run(server, *words, "--ca-file", str(others.ca_file)) == 1
        assert run(server, *words[:3], *trusted, "--type", "A") == 0
    good, bad, *table = capsys.readouterr().out.splitlines()
    for walk in json.loads(good)["walks"]:
        assert {query["transport"] for query in walk["queries"]} == {transport}
        assert (walk["tls"]["subject"], "cause" in walk) == ("dns.example", False)
    (walk,) = json.loads(bad)["walks"]
    assert (walk["reason"], walk["cause"]["layer"]) == ("unreachable", "tls")
    assert f"{server.where}/{transport}" in table[-2]


def test_what_the_server_says_beside_its_answer_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    def prohibited(query: dns.message.Message, transport: str) -> Answers:
        reply = reply_to(query, rcode=dns.rcode.REFUSED)
        reply.use_edns(0, options=[dns.edns.EDEOption(18, "not \x1b[31myou"), dns.edns.NSIDOption(b"node-7")])
        return [reply]

    with in_thread(Family.IPV4, prohibited) as server:
        assert run(server, "web.c.", "--type", "A", "--edns", "1400", "--nsid", "--dnssec") == 1
    asked = server.asked[0].message
    assert (asked.payload, len(asked.options), bool(asked.ednsflags & dns.flags.DO)) == (1400, 1, True)
    assert "Prohibited (18): not ?[31myou; from node-7" in capsys.readouterr().out


def test_getaddrinfo_is_asked_where_it_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    with in_thread(Family.IPV4, zone({("localhost.", "A"): ["127.0.0.1"]})) as server:
        run(server, "localhost", "--type", "A", "--search", "", "--getaddrinfo", "-o", "json")
        run(server, "localhost", "--type", "A", "--no-getaddrinfo", "-o", "json")
    asked, not_asked = map(json.loads, capsys.readouterr().out.splitlines())
    assert asked["here"]["addresses"] == ["127.0.0.1"]
    assert not_asked["here"] is None
