"""The DNS server, asked by dnspython's own client over UDP and TCP, good and with each fault."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from prober.lab.dns import SLOW
from prober.lab.lab import Lab

WEB = "web-api.app.svc.cluster.local."
HEADLESS = "web-api-headless.app.svc.cluster.local."
TRANSPORTS: dict[str, Callable[..., dns.message.Message]] = {"udp": dns.query.udp, "tcp": dns.query.tcp}


async def ask(
    lab: Lab, name: str, kind: str = "A", transport: str = "udp", server: str = "127.0.0.1", timeout: float = 2.0
) -> dns.message.Message:
    query = dns.message.make_query(name, kind)
    return await asyncio.to_thread(TRANSPORTS[transport], query, server, port=lab.ports.dns, timeout=timeout)


def said(reply: dns.message.Message) -> tuple[str, list[str]]:
    """The rcode and the answer's data."""
    return dns.rcode.to_text(reply.rcode()), [str(data) for records in reply.answer for data in records]


RECORDS = [
    (WEB, "A", "NOERROR", ["127.0.0.1"]),
    (WEB.upper(), "AAAA", "NOERROR", ["::1"]),
    ("web-api-0.web-api-headless.app.svc.cluster.local.", "A", "NOERROR", ["127.0.0.1"]),
    ("legacy-api.app.svc.cluster.local.", "AAAA", "NOERROR", ["api.example.com.", "::1"]),
    ("legacy-api.app.svc.cluster.local.", "CNAME", "NOERROR", ["api.example.com."]),
    ("1.0.0.127.in-addr.arpa.", "PTR", "NOERROR", ["web-api-0.web-api-headless.app.svc.cluster.local."]),
    ("dns-version.cluster.local.", "TXT", "NOERROR", ['"1.1.0"']),
    (WEB, "MX", "NOERROR", []),
    ("app.svc.cluster.local.", "A", "NOERROR", []),  # between a name and its zone: exists, has no records
    ("web-api.app.svc.cluster.local.app.svc.cluster.local.", "A", "NXDOMAIN", []),
    ("nothing.example.com.", "A", "NXDOMAIN", []),
    ("elsewhere.test.", "A", "NXDOMAIN", []),
]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_names_have_the_records_that_a_cluster_would_give(lab: Lab, loopback: str, transport: str) -> None:
    for name, kind, rcode, answers in RECORDS:
        reply = await ask(lab, name, kind, transport, loopback)
        assert (name, *said(reply)) == (name, rcode, answers)
        assert reply.flags & dns.flags.RA
        assert bool(reply.flags & dns.flags.AA) == ("cluster.local." in name.lower())
        if not answers:
            assert [records.rdtype for records in reply.authority] == [dns.rdatatype.SOA]


async def test_srv_records_carry_the_port_that_the_service_listens_on(lab: Lab) -> None:
    reply = await ask(lab, f"_http._tcp.{WEB}", "SRV")
    assert said(reply) == ("NOERROR", [f"0 100 {lab.ports.web} {WEB}"])


async def test_several_queries_share_one_tcp_connection(lab: Lab) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", lab.ports.dns)
    for name in (WEB, HEADLESS):
        wire = dns.message.make_query(name, "A").to_wire()
        writer.write(len(wire).to_bytes(2, "big") + wire)
    for name in (WEB, HEADLESS):
        size = int.from_bytes(await reader.readexactly(2), "big")
        reply = dns.message.from_wire(await reader.readexactly(size))
        assert reply.question[0].name == dns.name.from_text(name)
    writer.close()
    await writer.wait_closed()


RCODES = [
    ("dns-nxdomain", WEB, "A", ("NXDOMAIN", [])),
    ("dns-no-aaaa", WEB, "AAAA", ("NOERROR", [])),
    ("dns-no-aaaa", WEB, "A", ("NOERROR", ["127.0.0.1"])),
    ("dns-servfail", "api.example.com.", "A", ("SERVFAIL", [])),
    ("dns-servfail", WEB, "A", ("NOERROR", ["127.0.0.1"])),
    ("dns-refused", WEB, "A", ("REFUSED", [])),
    ("dns-wrong-answer", "api.example.com.", "A", ("NOERROR", ["203.0.113.99"])),
    ("dns-wrong-answer", "api.example.com.", "AAAA", ("NOERROR", ["2001:db8::99"])),
]


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(("fault", "name", "kind", "expected"), RCODES)
async def test_a_fault_changes_its_replies_and_undoes_itself(
    lab: Lab, transport: str, fault: str, name: str, kind: str, expected: tuple[str, list[str]]
) -> None:
    good = said(await ask(lab, name, kind, transport))
    await lab.set_fault(fault, True)
    assert said(await ask(lab, name, kind, transport)) == expected
    await lab.set_fault(fault, False)
    assert said(await ask(lab, name, kind, transport)) == good


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_silent_server_answers_nobody(lab: Lab, transport: str) -> None:
    await lab.set_fault("dns-timeout", True)
    with pytest.raises(dns.exception.Timeout):
        await ask(lab, WEB, transport=transport, timeout=0.2)
    await lab.set_fault("dns-timeout", False)
    assert said(await ask(lab, WEB, transport=transport)) == ("NOERROR", ["127.0.0.1"])


async def test_a_slow_server_takes_its_time(lab: Lab) -> None:
    await lab.set_fault("dns-slow", True)
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert said(await ask(lab, WEB)) == ("NOERROR", ["127.0.0.1"])
    assert loop.time() - began >= SLOW


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_malformed_reply_has_our_id_and_ends_in_the_middle(lab: Lab, transport: str) -> None:
    await lab.set_fault("dns-malformed", True)
    with pytest.raises(dns.exception.DNSException) as caught:
        await ask(lab, "api.example.com.", transport=transport)
    assert not isinstance(caught.value, dns.exception.Timeout)
    assert said(await ask(lab, WEB, transport=transport)) == ("NOERROR", ["127.0.0.1"])


async def test_a_truncated_reply_sends_the_client_to_tcp_where_it_is_cut_off(lab: Lab) -> None:
    await lab.set_fault("dns-truncated", True)
    reply = await ask(lab, HEADLESS)
    assert reply.flags & dns.flags.TC
    assert said(reply) == ("NOERROR", [])
    with pytest.raises(EOFError):
        await ask(lab, HEADLESS, transport="tcp")
    assert said(await ask(lab, WEB, transport="tcp")) == ("NOERROR", ["127.0.0.1"])


async def test_two_dns_faults_at_once(lab: Lab) -> None:
    await lab.set_fault("dns-nxdomain", True)
    await lab.set_fault("dns-servfail", True)
    assert said(await ask(lab, WEB)) == ("NXDOMAIN", [])
    assert said(await ask(lab, "api.example.com.")) == ("SERVFAIL", [])
    await lab.set_fault("dns-nxdomain", False)
    assert said(await ask(lab, WEB)) == ("NOERROR", ["127.0.0.1"])
    assert said(await ask(lab, "api.example.com.")) == ("SERVFAIL", [])


async def test_dig_agrees(lab: Lab, loopback: str) -> None:
    if shutil.which("dig") is None:
        pytest.skip("dig is not installed")
    command = ["dig", f"@{loopback}", "-p", str(lab.ports.dns), "+short", "legacy-api.app.svc.cluster.local", "AAAA"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert output.decode().split() == ["api.example.com.", "::1"]
