"""resolv.conf(5): every line of the table is a sentence of the man page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from prober.options import Profile, ResolverOptions
from prober.reasons import Family
from prober.wire.dns import resolvconf
from prober.wire.dns.resolvconf import ResolvConf, Server, parse, system

POD = """\
search app.svc.cluster.local svc.cluster.local cluster.local
nameserver 10.96.0.10
options ndots:5
"""


def test_a_pod_file_is_read_whole() -> None:
    assert parse(POD) == ResolvConf(
        servers=(Server("10.96.0.10"),),
        search=("app.svc.cluster.local", "svc.cluster.local", "cluster.local"),
        ndots=5,
    )


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("", "servers", (Server("127.0.0.1"),)),
        ("nameserver 10.0.0.1\nnameserver fd00::1\n", "servers", (Server("10.0.0.1"), Server("fd00::1"))),
        ("nameserver fe80::1%eth0", "servers", (Server("fe80::1%eth0"),)),
        ("".join(f"nameserver 10.0.0.{n}\n" for n in range(1, 5)), "servers",
         (Server("10.0.0.1"), Server("10.0.0.2"), Server("10.0.0.3"))),
        ("nameserver not-an-address\nnameserver 10.0.0.1", "servers", (Server("10.0.0.1"),)),
        ("nameserver 10.0.0.1 # the first\nnameserver 10.0.0.2;x", "servers", (Server("10.0.0.1"), Server("10.0.0.2"))),
        ("# nameserver 10.0.0.1\n;nameserver 10.0.0.2", "servers", (Server("127.0.0.1"),)),
        (" nameserver 10.0.0.1", "servers", (Server("127.0.0.1"),)),
        ("nameserver\t10.0.0.1", "servers", (Server("10.0.0.1"),)),
        ("search a b\nsearch c", "search", ("c",)),
        ("search a b\ndomain d", "search", ("d",)),
        ("domain d\nsearch a\tb", "search", ("a", "b")),
        ("search a\nsearch", "search", ("a",)),
        ("search .", "search", (".",)),
        ("options ndots:20", "ndots", 15),
        ("options ndots:0", "ndots", 0),
        ("options ndots:x", "ndots", 0),
        ("options ndots:2x", "ndots", 2),
        ("options ndots:-1", "ndots", 15),
        ("options ndots", "ndots", 1),
        ("options timeout:90", "timeout", 60),
        ("options timeout:0", "timeout", 0),
        ("options timeout:-3", "timeout", 0),
        ("options attempts:0", "attempts", 0),
        ("options attempts:19", "attempts", 10),
        ("options attempts:1\noptions ndots:2", "attempts", 1),
        ("options rotate", "rotate", True),
        ("options single-request", "single_request", True),
        ("options single-request-reopen", "single_request_reopen", True),
        ("options use-vc", "use_vc", True),
        ("options edns0", "edns0", True),
        ("options trust-ad", "trust_ad", True),
        ("options no-tld-query", "no_tld_query", True),
        ("options no-aaaa", "no_aaaa", True),
        ("options edns0:1", "edns0", False),
        ("nameserver 10.0.0.1\r\n", "servers", (Server("127.0.0.1"),)),
        ("options debug inet6 what-is-this:3", "ndots", 1),
        ("sortlist 10.0.0.0/8", "servers", (Server("127.0.0.1"),)),
    ],
)  # fmt: skip
def test_each_directive_does_what_the_man_page_says(text: str, field: str, value: Any) -> None:
    assert getattr(parse(text), field) == value


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("search a\ndomain b c", "search", ("b", "c")),
        ("search a\nsearch", "search", ()),
        ("nameserver 10.0.0.1\r\n", "servers", (Server("10.0.0.1"),)),
        ("search a\r\n", "search", ("a",)),
        ("options ndots:x", "ndots", 1),
        ("options ndots:2x", "ndots", 2),
        ("options ndots:-1", "ndots", 1),
        ("options attempts:0", "attempts", 0),
    ],
)
def test_musl_reads_some_lines_in_its_own_way(text: str, field: str, value: Any) -> None:
    assert getattr(parse(text, profile=Profile.MUSL), field) == value


@pytest.mark.parametrize(("hostname", "search"), [("web-0.example.com", ("example.com",)), ("web-0", ()), ("", ())])
def test_without_a_search_line_the_hostname_gives_the_domain(hostname: str, search: tuple[str, ...]) -> None:
    assert parse("nameserver 10.0.0.1", hostname=hostname).search == search
    assert parse("search a", hostname=hostname).search == ("a",)


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("10.0.0.1", Server("10.0.0.1", 53)),
        ("10.0.0.1:5353", Server("10.0.0.1", 5353)),
        ("fd00::1", Server("fd00::1", 53)),
        ("[fd00::1]", Server("fd00::1", 53)),
        ("[fd00::1]:5353", Server("fd00::1", 5353)),
    ],
)
def test_a_server_is_written_as_it_is_read(text: str, server: Server) -> None:
    assert Server.parse(text) == server
    assert Server.parse(str(server)) == server
    assert server.family is (Family.IPV6 if "fd00" in text else Family.IPV4)


@pytest.mark.parametrize("text", ["", "dns.example.com", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:99999", "[fd00::1]53",
                                  "10.0.0.1:dns", "10.0.0", "[::1"])  # fmt: skip
def test_what_is_no_server_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a DNS server is an address"):
        Server.parse(text)


def test_options_override_singly() -> None:
    conf = parse(POD)
    assert conf.override(ResolverOptions()) == conf
    changed = conf.override(ResolverOptions(servers=("127.0.0.1:5353",), search=(), ndots=1, transport="tcp"))
    assert changed == ResolvConf(servers=(Server("127.0.0.1", 5353),), ndots=1, transport="tcp")
    assert conf.override(ResolverOptions(timeout=0.25, attempts=1)).search == conf.search


def test_the_file_is_read_again_only_when_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text(POD)
    first = system(path)
    assert system(path) is first
    path.write_text(POD.replace("ndots:5", "ndots:2"))
    os.utime(path, ns=(1, 1))
    assert system(path).ndots == 2
    replacement = tmp_path / "new"
    replacement.write_text(POD.replace("ndots:5", "ndots:3"))
    os.utime(replacement, ns=(1, 1))
    replacement.rename(path)
    assert system(path).ndots == 3
    monkeypatch.setattr(resolvconf, "parse", None)
    assert system(path).ndots == 3


def test_a_missing_file_means_the_local_server(tmp_path: Path) -> None:
    assert system(tmp_path / "none").servers == (Server("127.0.0.1"),)
