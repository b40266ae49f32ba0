"""What is read as a plain response is what h11 makes of the same bytes; what is not plain is left to h11."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prober.wire.http import Call, HttpBroken, HttpClient, Record
from prober.wire.http import http1 as module
from prober.wire.http.plain import read_plain
from tests.support.fuzz import fuzzed
from tests.support.http import response, told
from tests.wire.test_http_fuzz import CALL, Recorded

LINES = [
    b"Content-Length: 2", b"content-length:2", b"Content-Length: 5", b"Content-Length: 0", b"Content-Length: 2, 2",
    b"Content-Length: +2", b"Content-Length:", b"Content-Length: 99999999999999999999", b"Server: lab", b"X:", b"X: ",
    b"X: a\tb ", b"X : y", b" folded", b"X: \xe9", b"X: \x00", b"X: \x01", b"X: \x7f", b"X: a\rb", b"X: a\nb",
    b"(x): y",
    b"no colon", b": empty", b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", b"Connection: close",
    b"Upgrade: h2c", b"X-\xc3\xa9: y", b"", b"Set-Cookie: a=1", b"Set-Cookie: b=2", b"X" * 300 + b": long",
]  # fmt: skip
STATUS = [
    b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK", b"HTTP/1.1 200", b"HTTP/1.1 200 ", b"HTTP/1.1 404 Not  Found",
    b"HTTP/1.1 204 No", b"HTTP/1.1 304 Not Modified", b"HTTP/1.1 100 Continue", b"HTTP/1.1 101 Switching",
    b"HTTP/1.1 600 x",
    b"HTTP/1.1 20 x", b"HTTP/1.1 2000 x", b"HTTP/2 200 OK", b"http/1.1 200 OK", b"HTTP/1.1  200 OK",
    b"HTTP/1.1 200 \xe9", b"HTTP/1.1 200 \x00",
]  # fmt: skip
BODIES = [b"", b"o", b"ok", b"okay, and more", b"5\r\nhello\r\n0\r\n\r\n", b"\r\n\r\n"]


async def read(pieces: list[bytes], method: str = "GET") -> dict[str, Any]:
    """All that an exchange makes of `pieces`."""
    client, record = HttpClient(), Record(limit=10)
    broken: object = None
    try:
        await client.exchange(Call(method, "http", "example.com", "/", CALL.fields), Recorded(pieces), "1.1", record)
    except HttpBroken as error:
        broken = (error.reason, error.detail)
    finally:
        await client.close()
    return {"broken": broken, **told(record)}


@fuzzed(1000)
@given(
    status=st.sampled_from(STATUS), lines=st.lists(st.sampled_from(LINES), max_size=5), body=st.sampled_from(BODIES),
    cut=st.integers(0, 80), method=st.sampled_from(["GET", "HEAD", "POST"]),
)  # fmt: skip
async def test_plain_responses_read_as_h11_reads_them(
    status: bytes, lines: list[bytes], body: bytes, cut: int, method: str
) -> None:
    data = b"\r\n".join([status, *lines]) + b"\r\n\r\n" + body
    pieces = [data[:cut], data[cut:]] if cut else [data]
    quick = await read(pieces, method)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "read_plain", lambda _data: None)
        assert await read(pieces, method) == quick


def test_the_usual_response_is_plain() -> None:
    plain = read_plain(response("404 Not Found", b"gone", "X-A: b \t"))
    assert plain is not None
    assert (plain.status, plain.version, plain.length) == (404, "1.1", 4)
    assert plain.fields == [(b"content-length", b"4"), (b"x-a", b"b")]


@pytest.mark.parametrize("call", [
    Call("GET", "http", "h", "/a b", CALL.fields),
    Call("GET", "http", "h", "/\r\nx: y", CALL.fields),
    Call("G T", "http", "h", "/", CALL.fields),
    Call("GET", "http", "h", "/", [(b"x", b"a\r\ny: b")]),
    Call("GET", "http", "h", "/", [(b"x y", b"a")]),
    Call("GET", "http", "h", "/", [(b"x", b"a\0")]),
])  # fmt: skip
async def test_what_would_not_be_one_request_is_never_sent(call: Call) -> None:
    sent: list[bytes] = []

    class Kept(Recorded):
        async def send(self, data: bytes) -> None:
            sent.append(data)

    guard = module.Guard(Kept([]), Record())
    with pytest.raises(ValueError, match="cannot be sent"):
        await module.Http1(guard).send(call)
    assert sent == []
