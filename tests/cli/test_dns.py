"""`prober dns`: the queries of a lookup, their cost, and the exit code."""

from __future__ import annotations

import argparse
import json
from typing import Any

import dns.rcode
import pytest

from prober.cli import dns as command
from prober.reasons import Family
from tests.support.nameserver import DnsServer, Script, always, in_thread, zone

WEB = zone({("web.c.", "A"): ["10.0.0.1", "10.0.0.2"], ("web.c.", "AAAA"): ["fd00::1"]})


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="prober dns")
    command.configure(parser)
    return parser.parse_args(words)


def run(server: DnsServer, *words: str) -> int:
    return command.run(parse(*words, "--server", server.where, "--ndots", "5", "--search", "a,b,c"))


def as_json(script: Script, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    with in_thread(Family.IPV4, script) as server:
        code = run(server, *words, "-o", "json")
    return code, json.loads(capsys.readouterr().out)


def test_every_query_is_told_with_what_it_cost(capsys: pytest.CaptureFixture[str]) -> None:
    code, report = as_json(WEB, capsys, "web")
    assert code == 0
    assert [(query["name"], query["type"], query["rcode"]) for query in report["queries"]] == [
        (name, kind, rcode)
        for name, rcode in (("web.a.", "NXDOMAIN"), ("web.b.", "NXDOMAIN"), ("web.c.", "NOERROR"))
        for kind in ("A", "AAAA")
    ]
    assert report["addresses"] == ["10.0.0.1", "10.0.0.2", "fd00::1"]
    assert (report["found"], report["suffix"], report["reason"]) == ("web.c.", "c", None)
    assert (report["sent"], report["needed"], report["amplification"]) == (6, 2, 3.0)
    assert 0 < report["wasted_seconds"] < report["seconds"]
    assert (report["ndots"], report["search"]) == (5, ["a", "b", "c"])


def test_a_trailing_dot_sends_what_is_needed_and_wastes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    code, report = as_json(WEB, capsys, "web.c.", "--type", "a")
    assert code == 0
    assert (report["sent"], report["needed"], report["amplification"], report["wasted_seconds"]) == (1, 1, 1.0, 0)


@pytest.mark.parametrize(("rcode", "reason"), [("NXDOMAIN", "name_not_found"), ("SERVFAIL", "server_failure")])
def test_what_is_not_found_exits_with_1(capsys: pytest.CaptureFixture[str], rcode: str, reason: str) -> None:
    code, report = as_json(always(dns.rcode.from_text(rcode)), capsys, "nope")
    assert code == 1
    assert (report["found"], report["reason"], report["addresses"]) == (None, reason, [])


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
    assert lines[-1].startswith("not found: name_not_found. 4 queries sent, 1 needed: amplification 4; ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a..b"], "argument NAME: not a domain name: 'a..b'"),
        (["web", "--type", "A,ZZ"], "argument --type: unknown record type: ZZ"),
        (["web", "--type", ","], "argument --type: no record type given"),
        (["web", "--server", "dns.example"], "argument --server: a DNS server is an address"),
        (["web", "--ndots", "16"], "argument --ndots: not a number from 0 to 15: '16'"),
        (["web", "--as", "bionic"], "argument --as: invalid choice: 'bionic'"),
        ([], "the following arguments are required: NAME"),
    ],
)
def test_wrong_usage_exits_with_2(capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    with pytest.raises(SystemExit) as stop:
        parse(*words)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
