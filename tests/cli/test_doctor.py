"""`prober doctor`: what it looks at, and what makes a place unfit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from prober.cli import fitness, steadiness
from prober.cli.fitness import Check, State, families, files, hosts, icmp, resolver
from prober.cli.main import main
from prober.cli.steadiness import clock, cpu, descriptors, local_ports, loop
from prober.model import Vantage
from prober.options import HttpOptions, SecretFile
from prober.reasons import Family, Kind
from prober.wire.dns.resolvconf import parse
from prober.wire.icmp import NotPermittedError
from tests.support.cells import make_cell

V4, V6 = Family.IPV4, Family.IPV6
HERE = Vantage("here", families=(V4,), resolver_families=(V4,))
TCP = make_cell(Kind.TCP, "tcp", "192.0.2.1", 1)


def states(checks: list[Check]) -> list[State]:
    return [check.state for check in checks]


def test_the_whole_list_ends_with_a_judgement(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) in (0, 3)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith(("✓ Fit to measure (", "✗ Unfit: "))
    told = "\n".join(lines)
    assert all(f" {name} " in told for name in ("families", "resolver", "descriptors", "loop lag", "time sync"))


def test_a_bad_configuration_is_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "-c", str(tmp_path / "gone.yaml")]) == 2
    assert "gone.yaml:1:1: can't be read" in capsys.readouterr().err


@pytest.mark.parametrize(("vantage", "cells", "state"), [
    (HERE, None, State.FIT),
    (replace(HERE, families=()), None, State.UNFIT),
    (HERE, [TCP], State.FIT),
    (HERE, [replace(TCP, family=V6)], State.NOTE),
])  # fmt: skip
def test_families_are_held_against_those_that_are_probed(vantage, cells, state) -> None:
    assert families(vantage, cells).state is state


async def test_icmp_is_looked_at_only_where_it_is_needed() -> None:
    [check] = await icmp(HERE, [TCP])
    assert (check.state, check.says) == (State.FIT, "not needed: no icmp probe here")


async def test_a_place_without_the_right_to_send_echo_is_unfit(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoRights:
        def socket(self, family: Family) -> None:
            raise NotPermittedError

        def close(self) -> None: ...

    monkeypatch.setattr(fitness, "Pinger", NoRights)
    [check] = await icmp(HERE, None)
    assert check.state is State.UNFIT
    assert "net.ipv4.ping_group_range" in check.says


@pytest.mark.parametrize(("text", "expected"), [
    ("nameserver 10.96.0.10\noptions ndots:1", [State.FIT, State.FIT]),
    ("nameserver 10.96.0.10\nsearch a b c\noptions ndots:5", [State.FIT, State.NOTE]),
    ("nameserver 2001:db8::53", [State.UNFIT, State.FIT]),
    ("nameserver 10.96.0.10\nnameserver 2001:db8::53", [State.NOTE, State.FIT]),
    ("nameserver 127.0.0.53", [State.FIT, State.FIT]),
])  # fmt: skip
def test_the_resolver_is_judged_by_its_servers_and_its_search_list(
    text: str, expected: list[State], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text(text, encoding="ascii")
    monkeypatch.setattr(fitness, "SYSTEM", file)
    monkeypatch.setattr(fitness, "system", lambda: parse(text))
    assert states(list(resolver(HERE))) == expected


@pytest.mark.parametrize("text", [None, "", "# nothing\nsearch a\n"])
def test_a_resolv_conf_that_names_no_server_is_noted(
    text: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "resolv.conf"
    if text is not None:
        file.write_text(text, encoding="ascii")
    monkeypatch.setattr(fitness, "SYSTEM", file)
    monkeypatch.setattr(fitness, "system", lambda: parse(text or ""))
    first = next(resolver(HERE))
    assert first.state is State.NOTE
    assert first.says == f"{file} names no server: names go to 127.0.0.1"


def test_a_name_that_programs_here_take_from_hosts_is_noted(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text("127.0.0.1 localhost\n\n# 192.0.2.1 api\n192.0.2.7 Web.Example api # an alias\n", encoding="ascii")
    cells = [make_cell(Kind.HTTP, "http", host) for host in ("web.example.", "other.example", "localhost")]
    [check] = hosts(cells, file)
    assert check.state is State.NOTE
    assert check.says.startswith(f"{file} gives web.example as 192.0.2.7:")
    assert list(hosts(None, file)) == list(hosts(cells, tmp_path / "gone")) == []


def test_every_file_that_the_configuration_names_has_to_be_readable(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("x")
    http = HttpOptions(bearer=SecretFile(file=token), headers={"x": SecretFile(file=tmp_path / "gone")})
    cell = make_cell(Kind.HTTP, "http", "web")
    cell = replace(cell, options=cell.options.model_copy(update={"http": http}))
    outside, gone, there = files([cell], {})
    assert states([outside, gone, there]) == [State.NOTE, State.UNFIT, State.FIT]
    assert gone.says == f"{tmp_path}/gone: No such file or directory"


def test_in_a_cluster_a_missing_token_is_a_note() -> None:
    token, authority = files(None, {"KUBERNETES_SERVICE_HOST": "10.96.0.1"})
    assert (token.name, authority.name) == ("token", "cluster CA")
    assert token.state in (State.NOTE, State.FIT)


@pytest.mark.parametrize(("stat", "state"), [
    ("usage_usec 1\nnr_periods 1000\nnr_throttled 200", State.NOTE),
    ("usage_usec 1\nnr_periods 1000\nnr_throttled 0", State.FIT),
    ("usage_usec 1", State.FIT),
    (None, State.NOTE),
])  # fmt: skip
def test_a_throttled_cpu_is_told(
    stat: str | None, state: State, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "cpu.stat"
    if stat is not None:
        path.write_text(stat)
    monkeypatch.setattr(steadiness, "_CPU_STAT", path)
    assert cpu().state is state


@pytest.mark.parametrize(("text", "state"), [("32768 60999", State.FIT), ("50000 50100", State.NOTE), ("", State.NOTE)])
def test_few_local_ports_are_told(text: str, state: State, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "range"
    path.write_text(text)
    monkeypatch.setattr(steadiness, "_PORT_RANGE", path)
    assert local_ports().state is state


async def test_loop_clock_and_limits_are_measured_for_real() -> None:
    lag = (await loop())[0]
    assert re_match(lag.says)
    assert [check.name for check in clock()] == ["time sync"]
    assert "files may be open" in descriptors(None).says


def re_match(says: str) -> bool:
    return says.startswith("timers are ") and " late, " in says
