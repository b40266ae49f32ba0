"""The cluster's DNS against BIND 9 with the same records: the same code, answers and authority for every question."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from prober.lab.switches import Switches
from prober.reasons import Family
from tests.network.lab import names, plan
from tests.network.lab.dns import MORE, ClusterDns
from tests.support.tools import require_tool

ZONE = names.cluster_zone()
_LOOPBACK = "127.0.0.1"
_TTL_OF_ALL = f"$TTL {names.TTL}"
_STARTED_WITHIN = 20.0  # seconds
_CONFIG = """\
options {{
  directory "{folder}"; pid-file none; session-keyfile none; listen-on port {port} {{ {address}; }};
  listen-on-v6 {{ none; }};
  recursion yes; empty-zones-enable no; dnssec-validation no; notify no; minimal-responses yes; querylog no;
  max-udp-size 1232; zero-no-soa-ttl no;
}};
controls {{ }};
"""
_KINDS = ("A", "AAAA", "SRV", "PTR", "TXT", "CNAME", "MX", "HTTPS", "SOA")


def _zone_file(zone: dns.name.Name, records: Iterable[dns.rrset.RRset]) -> str:
    """The records of one zone; a zone needs a name server, which nobody is asked for here."""
    closest = {each.name: max((z for z in names.ZONES if each.name.is_subdomain(z)), key=len) for each in records}
    lines = [each.to_text() for each in records if closest[each.name] == zone]
    glue = ["ns.invalid. IN A 192.0.2.53"] if zone == dns.name.root else []
    return "\n".join([_TTL_OF_ALL, *lines, f"{zone} IN NS ns.invalid.", *glue, ""])


def _free_port() -> int:
    """A port that is free for both UDP and TCP, as far as one can tell."""
    with socket.socket(type=socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
        udp.bind((_LOOPBACK, 0))
        port: int = udp.getsockname()[1]
        tcp.bind((_LOOPBACK, port))
        return port


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Until it answers."""
    until = time.monotonic() + _STARTED_WITHIN
    query = dns.message.make_query("cluster.local.", "SOA")
    while time.monotonic() < until and process.poll() is None:
        try:
            if dns.query.udp(query, _LOOPBACK, 0.2, port).answer:
                return
        except (dns.exception.Timeout, OSError):
            continue
    pytest.fail(f"named does not answer:\n{log.read_text()}")


@pytest.fixture(scope="module")
def bind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a BIND that has the cluster's zones."""
    named = require_tool("named")
    folder, port, records = tmp_path_factory.mktemp("bind"), _free_port(), list(ZONE)
    config = _CONFIG.format(folder=folder, port=port, address=_LOOPBACK)
    for number, zone in enumerate(names.ZONES):
        (folder / f"zone-{number}").write_text(_zone_file(zone, records))
        config += f'zone "{zone}" {{ type primary; file "zone-{number}"; check-names ignore; }};\n'
    (folder / "named.conf").write_text(config)
    log = folder / "log"
    with log.open("wb") as said:
        process = subprocess.Popen([named, "-g", "-c", str(folder / "named.conf")], stdout=said, stderr=said)
        try:
            _wait_for(process, port, log)
            yield port
        finally:
            process.terminate()
            process.wait()


def _questions() -> Iterator[tuple[str, str]]:
    """Every name of the zones with every type, and names that are not there, or have nothing."""
    there = {each.name.to_text() for each in ZONE}
    missing = {
        "nothing.app.svc.cluster.local.", "web.app.svc.cluster.local.app.svc.cluster.local.", "svc.cluster.local.",
        "app.svc.cluster.local.", "_tcp.web.app.svc.cluster.local.", "x.web.app.svc.cluster.local.",
        "WEB.App.svc.cluster.LOCAL.", "elsewhere.test.", "nothing.example.com.", "pod.cluster.local.",
        "9.9.9.10.in-addr.arpa.", "10.in-addr.arpa.", "1.0.0.0.ip6.arpa.", "x.moved.example.net.",
    }  # fmt: skip
    for name in sorted(there | missing):
        yield from ((name, kind) for kind in _KINDS)


def _said(reply: dns.message.Message) -> tuple[object, ...]:
    """What counts of a reply: code, flags, and the records of answer and authority in whatever order."""

    def records(section: Iterable[dns.rrset.RRset]) -> set[str]:
        lines = (line for each in section for line in each.to_text().splitlines())
        return {line.lower() for line in lines}

    truncated = bool(reply.flags & dns.flags.TC)
    authority = [each for each in reply.authority if each.rdtype == dns.rdatatype.SOA]
    return (
        dns.rcode.to_text(reply.rcode()), bool(reply.flags & dns.flags.RA), truncated, reply.edns >= 0,
        set() if truncated else records(reply.answer), set() if truncated else records(authority),
    )  # fmt: skip


_SERVER = ClusterDns(Switches(MORE), ZONE)


async def _ours(query: dns.message.Message, limit: int | None = None) -> dns.message.Message:
    wire = await _SERVER.answer(query.to_wire(), limit)
    assert wire is not None
    return dns.message.from_wire(wire)


@pytest.mark.parametrize("edns", [False, True], ids=["512 bytes", "edns"])
async def test_over_udp_every_question_is_answered_as_bind_answers_it(bind: int, edns: bool) -> None:
    different = {}
    for name, kind in _questions():
        query = dns.message.make_query(name, kind, use_edns=0 if edns else False, payload=1232)
        ours, theirs = _said(await _ours(query)), _said(dns.query.udp(query, _LOOPBACK, 5, bind))
        if ours != theirs:
            different[name, kind] = (ours, theirs)
    assert different == {}


async def test_over_tcp_the_whole_answer_comes_as_from_bind(bind: int) -> None:
    for kind in ("A", "AAAA"):
        query = dns.message.make_query(names.MANY, kind)
        ours, theirs = await _ours(query, 65535), dns.query.tcp(query, _LOOPBACK, 5, bind)
        assert _said(ours) == _said(theirs)
        assert len(ours.answer[0]) > 50


async def test_the_cluster_is_its_own_authority_and_recursion_is_available_everywhere() -> None:
    """CoreDNS says RA although it forwards; a truncated reply without it counts as lame with glibc."""
    for name in ("web.app.svc.cluster.local.", names.WWW, "elsewhere.test."):
        reply = await _ours(dns.message.make_query(name, "A"))
        assert reply.flags & dns.flags.RA
        assert bool(reply.flags & dns.flags.AA) is name.endswith("cluster.local.")


async def test_every_service_has_its_addresses_ports_and_way_back() -> None:
    for service in plan.SERVICES.values():
        for family in Family:
            reply = await _ours(dns.message.make_query(service.dns_name, names.TYPES[family]))
            assert [str(data) for data in reply.answer[0]] == [service.address(family)]
        for port in service.ports:
            srv = await _ours(dns.message.make_query(f"_{port.name}._{port.protocol}.{service.dns_name}", "SRV"))
            assert [str(data) for data in srv.answer[0]] == [f"0 100 {port.number} {service.dns_name}"]
