"""Whatever bytes come, a parser gives what it promises or raises what it declares, in bounded time."""

from __future__ import annotations

import json
import tempfile
from contextlib import suppress
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import dns.message
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from prober.kubernetes.slices import parse_slice
from prober.lab.certificates import CertificateFiles
from prober.layers.tls.rung import certificate_was_requested
from prober.reasons import REASONS, Family, Layer
from prober.wire.dns.message import Query, Step, encode, judge
from prober.wire.dns.resolvconf import Server, parse
from prober.wire.echo import HEADER, TOKEN, reply_to
from prober.wire.errqueue import parse_extended_error
from prober.wire.grpc.answer import Answer, header_block, read_response
from prober.wire.grpc.health import serving_status
from prober.wire.http.errors import HttpBroken
from prober.wire.http.frames import Frames
from prober.wire.http.websocket import WebSocket
from prober.wire.tls.certificates import Link
from prober.wire.tls.ocsp import read_staple
from tests.support.api_server import endpoint_slice
from tests.support.fuzz import Recorded, bounded, damaged, fuzzed, in_pieces
from tests.support.nameserver import reply_to as dns_reply

SERVER = Server("127.0.0.1", 53)
#: What a resolv.conf is made of, and what it should not be.
WORDS = ("nameserver ", "search ", "options ", "domain ", "::1", "10.0.0.1 ", "ndots:", "timeout:99", "9" * 20, "a.b ",
         "\n", "#", ";", "attempts:-1", "%eth0", "\0", " ")  # fmt: skip
STAPLE = b"\x30\x82\1\0\x0a\1\0\xa0\x82\0\x80\x30\x7e\6\x09\x2b\6\1\5\5\7\x30\1\1\4\x71"
SECTIONS = (b"\x88\x5f\x10application/grpc", b"\x40\x0bgrpc-status\x010", b"\x3f\xe1\x1f\x88")
_LINES = {
    "A": ["web.c. 30 IN CNAME x.c.", "x.c. 5 IN A 192.0.2.1", "x.c. 9 IN A 192.0.2.2"],
    "AAAA": ["web.c. 30 IN AAAA 2001:db8::1"],
    "TXT": ['web.c. 30 IN TXT "a b" c'],
    "SRV": ["web.c. 30 IN SRV 1 2 53 x.c."],
    "MX": ["web.c. 30 IN MX 10 x.c."],
    "ANY": ["web.c. 30 IN A 192.0.2.1"],
}


@cache
def _reply(kind: str) -> bytes:
    """A good reply with the id 0."""
    query = dns.message.make_query("web.c.", kind, id=0, use_edns=0)
    return dns_reply(query, *_LINES[kind]).to_wire()


@fuzzed(400)
@given(data=st.data(), kind=st.sampled_from([*_LINES]), transport=st.sampled_from(["udp", "tcp"]))
def test_a_dns_reply_is_judged_or_passed_over(data: st.DataObject, kind: str, transport: Any) -> None:
    query = Query(SERVER, "web.c.", kind, transport)
    reply = data.draw(damaged(_reply(kind)))
    with bounded():
        step = judge({query: encode(query, 0)}, reply)
    assert step is None or (isinstance(step, Step) and step.query is query)
    assert step is None or step.reason is None or step.reason in REASONS[Layer.DNS]
    if step is not None:
        json.dumps([step.shown(), step.answers])
        if step.reason is None and kind in ("A", "AAAA"):
            assert all(ip_address(answer) for answer in step.answers)


@fuzzed(150)
@given(data=st.binary(max_size=80))
def test_an_extended_error_is_one_or_none(data: bytes) -> None:
    error = parse_extended_error(data)
    assert error is None or (error.version in (4, 6) and (not error.offender or ip_address(error.offender)))


@fuzzed(150)
@given(data=st.binary(max_size=80), head=st.integers(0, 60), family=st.sampled_from([*Family]))
def test_an_echo_reply_is_one_or_none(data: bytes, head: int, family: Family) -> None:
    reply = reply_to(family, data, head)
    assert reply is None or len(reply[2]) == TOKEN
    assert reply is None or len(data) >= head + HEADER + TOKEN


@fuzzed(150)
@given(text=st.one_of(
    st.text(max_size=300),
    st.lists(st.sampled_from(WORDS), max_size=30).map("".join),
))  # fmt: skip
def test_any_resolv_conf_is_read(text: str) -> None:
    conf = parse(text, hostname="pod.app.svc")
    assert 0 <= conf.ndots <= 15
    assert all(ip_address(server.address.partition("%")[0]) for server in conf.servers)


@fuzzed(150)
@given(data=damaged(b"\x16\x03\x03\0\x08\x0b\0\0\0\x0d\0\0\0", b"\x16\x03\x03\0\4\2\0\0\0\x16\x03\x03\0\4\x0d\0\0\0"))
def test_a_first_flight_asks_for_a_certificate_or_not(data: bytes) -> None:
    with bounded():
        assert certificate_was_requested(data) in (True, False)


@cache
def _certificates() -> tuple[x509.Certificate, ...]:
    with tempfile.TemporaryDirectory() as folder:
        files = CertificateFiles(Path(folder))
        chain, _ = files.leaf(["api.example.com", "127.0.0.1", "::1", "*.example.com"])
        return (*x509.load_pem_x509_certificates(chain.read_bytes()),)


@fuzzed(400)
@given(data=st.data())
def test_a_certificate_has_facts_or_is_none(data: st.DataObject) -> None:
    der = [certificate.public_bytes(Encoding.DER) for certificate in _certificates()]
    link = None
    with bounded(), suppress(ValueError, x509.InvalidVersion):  # as `Links.sent` declares it
        link = Link(x509.load_der_x509_certificate(data.draw(damaged(*der))))
    if link is None:
        return
    with bounded():
        assert link.carries("api.example.com") in (True, False)
        assert link.carries("::1") in (True, False)


@fuzzed(150)
@given(
    data=damaged(b"\x30\x03\x0a\1\6", b"\x30\x82\1\0\x0a\1\0\xa0\x82\0\x80\x30\x7e\6\x09\x2b\6\1\5\5\7\x30\1\1\4\x71")
)
def test_a_staple_says_something_or_why_not(data: bytes) -> None:
    leaf, issuer = _certificates()[:2]
    with bounded():
        staple = read_staple(data, leaf, issuer)
    assert staple.status or staple.error


def _slices() -> st.SearchStrategy[Any]:
    good = endpoint_slice("web-1", "web", "10.0.0.1", ("10.0.0.2", False), ("10.0.0.3", None), http=8080)
    keys = st.sampled_from([*good, "ready", "name", "port", "addresses", "conditions"])
    odd = st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
        max_leaves=6,
    )
    return st.builds(lambda key, value: {**good, key: value}, st.sampled_from([*good]), odd)


@fuzzed(150)
@given(item=_slices())
def test_a_slice_is_one_or_none_or_refused(item: Any) -> None:
    with suppress(ValueError):
        parsed = parse_slice(item)
        assert parsed is None or all(isinstance(port, int) for port in parsed.ports.values())


@fuzzed(150)
@given(
    blocks=st.lists(
        damaged(b"\x88\x5f\x10application/grpc", b"\x40\x0bgrpc-status\x010", b"\x3f\xe1\x1f\x88"), max_size=4
    )
)
def test_header_sections_of_grpc_are_a_response_or_none(blocks: list[bytes]) -> None:
    with bounded():
        response = read_response([header_block(block[0] if block else 0, block) for block in blocks])
    assert response is None or isinstance(response.status, int)


@fuzzed(150)
@given(data=damaged(b"\x08\x01", b"\x0a\x10type.example/a.b\x1a\x05\x0a\x03x/y", b"\x1a\xff\xff\xff\xff\x0f"))
def test_messages_of_grpc_are_read_or_refused(data: bytes) -> None:
    with bounded():
        details = Answer("INTERNAL", trailers=(("grpc-status-details-bin", data),)).details()
    assert len(details) <= 16
    with suppress(ValueError):
        assert serving_status(data)


@fuzzed(150)
@given(pieces=in_pieces(damaged(b"\0\0\0\4\0\0\0\0\0" * 3, b"\0\0\5\0\0\0\0\0\1hello")))
def test_frames_are_whole_or_a_violation(pieces: list[bytes]) -> None:
    frames = Frames()
    with bounded(), suppress(HttpBroken):
        for piece in pieces:
            for one in frames.split(piece):
                assert len(one.payload) <= 16384


@fuzzed(100)
@given(pieces=in_pieces(damaged(b"\x81\x05hello", b"\x89\x02hi\x8a\x00", b"\x88\x02\x03\xe8", b"\x01\x01a\x80\x01b")))
async def test_a_websocket_is_held_until_it_ends(pieces: list[bytes]) -> None:
    socket = WebSocket(Recorded(pieces[1:]), pieces[0], 1000)
    with bounded(), pytest.raises(HttpBroken) as broken:
        await socket.hold(5.0)
    assert broken.value.reason in REASONS[Layer.HTTP]
