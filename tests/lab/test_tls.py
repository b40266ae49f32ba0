"""The ingress as a TLS terminator, seen by the standard library's ssl: what each fault does to a handshake."""

from __future__ import annotations

import asyncio
import socket
import ssl

import pytest
from OpenSSL import SSL

from prober.lab.lab import Lab

HOST = "api.example.com"


def handshake(lab: Lab, address: str = "127.0.0.1", name: str | None = HOST, timeout: float = 2.0) -> str:
    """`ok VERSION ALPN` after a handshake and a request, or the error in one line."""
    context = ssl.create_default_context(cafile=str(lab.ca_file))
    context.set_alpn_protocols(["h2", "http/1.1"])
    if name is None:
        context.check_hostname = False
    try:
        with (
            socket.create_connection((address, lab.ports.ingress), timeout=timeout) as sock,
            context.wrap_socket(sock, server_hostname=name) as tls,
        ):
            if tls.selected_alpn_protocol() != "h2":
                tls.sendall(b"GET /health HTTP/1.1\r\nhost: api.example.com\r\nconnection: close\r\n\r\n")
            tls.recv(4096)  # h2: the server's SETTINGS; under TLS 1.3 also the place for a late alert
            return f"ok {tls.version()} {tls.selected_alpn_protocol()}"
    except OSError as error:
        return f"{type(error).__name__}: {error}"


def chain_as_sent(lab: Lab) -> list[str]:
    """The subjects of the certificates that the ingress sends, unverified."""
    with socket.create_connection(("127.0.0.1", lab.ports.ingress), timeout=2.0) as sock:
        sock.setblocking(True)
        connection = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), sock)
        connection.set_tlsext_host_name(HOST.encode())
        connection.set_connect_state()
        connection.do_handshake()
        sent = connection.get_peer_cert_chain(as_cryptography=True) or []
        return [certificate.subject.rfc4514_string() for certificate in sent]


GOOD = "ok TLSv1.3 h2"
SEEN = [
    ("tls-expired", "certificate has expired"),
    ("tls-not-yet-valid", "certificate is not yet valid"),
    ("tls-wrong-name", "Hostname mismatch, certificate is not valid for 'api.example.com'"),
    ("tls-unknown-ca", "unable to get local issuer certificate"),
    ("tls-self-signed", "self-signed certificate"),
    ("tls-incomplete-chain", "unable to get local issuer certificate"),
    ("tls-wrong-purpose", "certificate purpose"),
    ("tls-no-alpn", "ok TLSv1.3 None"),
    ("tls-no-http2", "ok TLSv1.3 http/1.1"),
    ("tls-old-version", "PROTOCOL_VERSION"),
    ("tls-no-cipher", "HANDSHAKE_FAILURE"),
    ("tls-unknown-sni", "UNRECOGNIZED_NAME"),
    ("tls-plaintext", "WRONG_VERSION_NUMBER"),
    ("tls-hang", "TimeoutError"),
    ("tls-reset", "ConnectionResetError"),
    ("tls-closed", "EOF"),
    ("tls-client-certificate", "CERTIFICATE_REQUIRED"),
]


async def test_a_good_handshake_in_both_families(lab: Lab, loopback: str) -> None:
    assert await asyncio.to_thread(handshake, lab, loopback) == GOOD


@pytest.mark.parametrize(("fault", "expected"), SEEN, ids=[fault for fault, _ in SEEN])
async def test_a_fault_shows_in_the_handshake_and_undoes_itself(
    lab: Lab, loopback: str, fault: str, expected: str
) -> None:
    if fault in lab.unavailable:
        pytest.skip(lab.unavailable[fault])
    await lab.set_fault(fault, True)
    assert expected in await asyncio.to_thread(handshake, lab, loopback, timeout=0.2 if fault == "tls-hang" else 2.0)
    await lab.set_fault(fault, False)
    assert await asyncio.to_thread(handshake, lab, loopback) == GOOD


async def test_routing_is_by_sni(lab: Lab) -> None:
    assert "UNRECOGNIZED_NAME" in await asyncio.to_thread(handshake, lab, name="nobody.example.com")
    assert await asyncio.to_thread(handshake, lab, name=None) == GOOD  # without SNI: the default certificate


async def test_an_unknown_ca_sends_its_chain_and_an_incomplete_chain_sends_less(lab: Lab) -> None:
    assert await asyncio.to_thread(chain_as_sent, lab) == [f"CN={HOST}", "CN=prober lab intermediate"]
    await lab.set_fault("tls-unknown-ca", True)
    assert await asyncio.to_thread(chain_as_sent, lab) == [f"CN={HOST}", "CN=stranger intermediate"]
    await lab.set_fault("tls-incomplete-chain", True)
    assert await asyncio.to_thread(chain_as_sent, lab) == [f"CN={HOST}"]
    await lab.set_fault("tls-unknown-ca", False)
    assert await asyncio.to_thread(chain_as_sent, lab) == [f"CN={HOST}"]


async def test_two_defects_go_into_one_certificate(lab: Lab) -> None:
    await lab.set_fault("tls-expired", True)
    await lab.set_fault("tls-wrong-name", True)
    assert await asyncio.to_thread(chain_as_sent, lab) == ["CN=other.example.net", "CN=prober lab intermediate"]
    assert "CERTIFICATE_VERIFY_FAILED" in await asyncio.to_thread(handshake, lab)
    await lab.set_fault("tls-wrong-name", False)
    assert "certificate has expired" in await asyncio.to_thread(handshake, lab)
    await lab.set_fault("tls-expired", False)
    assert await asyncio.to_thread(handshake, lab) == GOOD
