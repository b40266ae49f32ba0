"""Whatever a peer sends, a rung holds or fails for a reason of its layer, and its evidence is plain JSON, bounded."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from prober.layers.base import Ascent, Failed, Kit
from prober.layers.rungs import rung_of
from prober.model import Endpoint
from prober.options import Expect
from prober.reasons import REASONS, Kind, Layer
from tests.support.cells import make_cell
from tests.support.fuzz import MOST_TEXT, Recorded, bounded, damaged, fuzzed, in_pieces
from tests.support.http import frame, response

HEAD = (
    b"HTTP/1.1 200 OK\r\nServer: envoy\r\nX-Envoy-Upstream-Service-Time: 7\r\nAge: 3\r\nCache-Control: max-age=9\r\n"
    b"Via: 1.1 a\r\nLocation: https://[::1]:8/x\r\nSet-Cookie: a=b\r\nContent-Type: application/json\r\n"
)
ANSWERS = (
    response("200 OK", b'{"status": "ok", "deep": [[[1]]]}', "Content-Type: application/json"),
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nX: y\r\n\r\n",
    HEAD + b"Content-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.0 302 Found\r\nLocation: //x\r\n\r\nrest",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81\x02ok",
)
FRAMES = (
    frame(4) + frame(1, b"\x88\x5f\x0aapplication", flags=4, stream=1) + frame(0, b"hello", flags=1, stream=1),
    frame(4, b"\0\4\0\0\xff\xff") + frame(4, flags=1) + frame(1, b"\x88", stream=1)
    + frame(9, b"\x40\1x\1y", flags=4, stream=1) + frame(0, b"\2ok\0\0", flags=9, stream=1),
    frame(4) + frame(7, b"\0\0\0\1" + bytes(4) + b"why") + frame(3, b"\0\0\0\7", stream=1),
)  # fmt: skip
STATUSES = (
    response("500 X", b"[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n"),
    response("403 X", b'{"kind":"Status","reason":"Forbidden","message":"no","code":403}'),
)
TUNNELS = (
    b"HTTP/1.1 200 Connection established\r\nVia: 1.1 squid\r\n\r\nearly",
    b"HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 502 Bad\r\n\r\n",
)
HELLOS = (
    b"\x16\x03\x03\0\x31\x02\0\0\x2d\x03\x03" + bytes(32) + b"\0\x13\x01\0\0\5\0\x2b\0\2\x03\x04",
    b"\x15\x03\x03\0\2\2\x28",
    b"\x16\x03\x03\0\x51\x02\0\0\x4d\x03\x03" + b"\x07" * 32 + b"\0\xc0\x2b\0\0\5\0\x17\0\0\0\x0b" + bytes(40),
)


#: One for all: a TLS context reads the system's whole bundle.
KIT = Kit()


async def climb_one(layer: Layer, pieces: list[bytes], kind: Kind, scheme: Any, **how: Any) -> None:
    """The rung of `layer` on a stream that says `pieces`."""
    ascent = Ascent(make_cell(kind, scheme, "api.example.com", **how), KIT)
    ascent.stream, ascent.address = Recorded(pieces), "127.0.0.1"
    reason = None
    with bounded():
        try:
            await rung_of(kind, layer)(ascent)
        except Failed as failure:
            reason = failure.reason
    assert reason is None or reason in REASONS[layer]
    assert len(json.dumps(ascent.evidence)) < MOST_TEXT
    assert all(seconds >= 0 for seconds in ascent.phases.values())


EXPECT = Expect.model_validate({
    "headers": {"content-type": "json$"}, "body_matches": "(a|b)+c", "body_json": {"$..status": "ok"},
    "status": ["2xx"],
})  # fmt: skip


@fuzzed(120)
@given(pieces=in_pieces(damaged(*ANSWERS)), expecting=st.booleans(), method=st.sampled_from(["GET", "HEAD", "POST"]))
async def test_http_1(pieces: list[bytes], expecting: bool, method: str) -> None:
    how = {"expect": EXPECT} if expecting else {}
    await climb_one(Layer.HTTP, pieces, Kind.HTTP, "http", options={"http": {"method": method}}, **how)


@fuzzed(120)
@given(pieces=in_pieces(damaged(*FRAMES)))
async def test_http_2(pieces: list[bytes]) -> None:
    await climb_one(Layer.HTTP, pieces, Kind.HTTP, "http", options={"http": {"version": "2"}})


@fuzzed(80)
@given(pieces=in_pieces(damaged(*STATUSES)))
async def test_kubernetes(pieces: list[bytes]) -> None:
    options = {"kubernetes": {"token_file": "/nonexistent/token"}}
    await climb_one(Layer.HTTP, pieces, Kind.KUBERNETES, "https", options=options)


@fuzzed(120)
@given(pieces=in_pieces(damaged(*TUNNELS)))
async def test_proxy(pieces: list[bytes]) -> None:
    await climb_one(Layer.PROXY, pieces, Kind.TLS, "tls", proxy=Endpoint("http", "proxy.example.com", 3128))


@fuzzed(100)
@given(pieces=in_pieces(damaged(*HELLOS)), version=st.sampled_from(["1.2", "1.3"]))
async def test_tls(pieces: list[bytes], version: str) -> None:
    await climb_one(Layer.TLS, pieces, Kind.TLS, "tls", options={"tls": {"max_version": version}})


DIALOGUES = {
    "smtp": (b"220-mail\r\n220 mail ESMTP\r\n250-mail\r\n250 STARTTLS\r\n220 go\r\n", b"421 busy\r\n"),
    "ftp": (b"220 ftp\r\n234 go\r\n", b"530 no\r\n"),
    "imap": (b"* OK imap\r\na OK go\r\n", b"* BYE\r\n"),
    "pop3": (b"+OK pop\r\n+OK go\r\n", b"-ERR\r\n"),
    "postgres": (b"S", b"N", b"E\0\0\0\x0fSFATAL\0Mno\0\0"),
    "mysql": (b"\x2c\0\0\0\x0a8.0.1\0" + bytes(13) + b"\xff\xff\x21" + bytes(30), b"\x07\0\0\0\xff\x10\x04no"),
    "ldap": (b"\x30\x0c\2\1\1\x78\7\x0a\1\0\4\0\4\0", b"\x30\x0c\2\1\1\x78\7\x0a\1\2\4\0\4\0"),
}


@fuzzed(200)
@given(data=st.data(), protocol=st.sampled_from([*DIALOGUES]))
async def test_starttls(data: st.DataObject, protocol: str) -> None:
    pieces = data.draw(in_pieces(damaged(*DIALOGUES[protocol])))
    await climb_one(Layer.TLS, pieces, Kind.TLS, "tls", options={"tls": {"starttls": protocol}})
