"""What is read as a plain HTTP/2 exchange is what h2 makes of the same frames; what is not plain is left to h2."""

from __future__ import annotations

from typing import Any

import pytest
from hpack import Decoder, Encoder
from hypothesis import given
from hypothesis import strategies as st

from prober.wire.http import HttpBroken, HttpClient, Record
from prober.wire.http import http2 as module
from prober.wire.http.plain2 import headers_frame
from tests.support.fuzz import fuzzed
from tests.support.http import frame, told
from tests.wire.test_http_fuzz import CALL, FRAMES, Recorded

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS, PADDED = 1, 4, 8


async def read(pieces: list[bytes]) -> dict[str, Any]:
    """All that an exchange makes of `pieces`."""
    client, record = HttpClient(), Record(limit=400_000)
    broken: object = None
    try:
        await client.exchange(CALL, Recorded(pieces), "2", record)
    except HttpBroken as error:
        broken = (error.reason, error.detail, error.evidence)
    finally:
        await client.close()
    return {"broken": broken, **told(record)}


async def same(pieces: list[bytes]) -> dict[str, Any]:
    """What is made of `pieces`, which is the same with h2 alone."""
    quick = await read(pieces)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "headers_frame", lambda _fields: None)
        assert await read(pieces) == quick
    return quick


def head(*fields: tuple[str, str], flags: int = END_HEADERS, huffman: bool = True) -> bytes:
    return frame(HEADERS, Encoder().encode(list(fields), huffman=huffman), flags=flags, stream=1)


OK = (":status", "200")
FIELDS = [
    ("server", "lab"), ("content-length", "2"), ("content-length", "0"), ("content-length", "x"), ("Server", "upper"),
    ("connection", "close"), ("te", "trailers"), ("transfer-encoding", "chunked"), (":path", "/"), (":status", "200"),
    ("x", " padded "), ("x", ""), ("x", "a\x01b"), ("x", "é"), ("", "no name"), ("set-cookie", "a=1"), ("a b", "c"),
]  # fmt: skip
STATUSES = [
    OK,
    (":status", "404"),
    (":status", "103"),
    (":status", "101"),
    (":status", "20"),
    (":status", "abc"),
    (":status", "600"),
    ("a", "b"),
]
OURS = st.one_of(
    st.builds(
        lambda status, fields, flags, huffman: head(status, *fields, flags=flags, huffman=huffman),
        st.sampled_from(STATUSES), st.lists(st.sampled_from(FIELDS), max_size=3),
        st.sampled_from([END_HEADERS, END_HEADERS | END_STREAM, 0, END_HEADERS | 0x20]), st.booleans(),
    ),
    st.builds(
        lambda data, flags, stream: frame(DATA, data, flags=flags, stream=stream),
        st.sampled_from([b"", b"ok", b"\1ok\0", b"x" * 16384]), st.sampled_from([0, 0, END_STREAM, PADDED, 2]),
        st.sampled_from([1, 1, 1, 3]),
    ),
    st.builds(
        lambda number, value: frame(SETTINGS, number.to_bytes(2) + value.to_bytes(4)),
        st.integers(0, 9), st.sampled_from([0, 1, 2, 100, 16384, 65535, 2**31 - 1, 2**31, 2**32 - 1]),
    ),
    st.builds(
        lambda stream, by: frame(WINDOW_UPDATE, by.to_bytes(4), stream=stream),
        st.sampled_from([0, 1, 3]), st.sampled_from([0, 1, 65535, 2**31 - 1]),
    ),
    st.sampled_from([
        frame(SETTINGS, flags=1), frame(SETTINGS, b"123456", flags=1), frame(SETTINGS, b"12345"), frame(PING, bytes(8)),
        frame(GOAWAY, (1).to_bytes(4) + bytes(4)), frame(GOAWAY, bytes(8)), frame(RST_STREAM, bytes(4), stream=1),
        frame(0xBE, b"unknown"), frame(SETTINGS, stream=1),
    ]),
)  # fmt: skip


@fuzzed(700)
@given(frames=st.lists(st.one_of(OURS, OURS, FRAMES), max_size=7), cut=st.integers(0, 80))
async def test_plain_exchanges_read_as_h2_reads_them(frames: list[bytes], cut: int) -> None:
    data = frame(SETTINGS) + b"".join(frames)
    await same([data[:cut], data[cut:]] if cut else [data])


USUAL = (
    frame(SETTINGS, (3).to_bytes(2) + (100).to_bytes(4)) + frame(SETTINGS, flags=1) + frame(WINDOW_UPDATE, b"\0\0\1\0")
)


@pytest.mark.parametrize(("frames", "body"), [
    (head(OK, ("content-length", "2")) + frame(DATA, b"ok", flags=END_STREAM, stream=1), b"ok"),
    (head(OK) + frame(DATA, b"o", stream=1) + frame(DATA, b"k", flags=END_STREAM, stream=1), b"ok"),
    (head(OK) + frame(DATA, b"ok", stream=1) + frame(DATA, flags=END_STREAM, stream=1), b"ok"),
    (head((":status", "204"), flags=END_HEADERS | END_STREAM), b""),
])  # fmt: skip
async def test_the_usual_exchange_needs_no_h2(frames: bytes, body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await same([USUAL, frames]))["body"] == body
    monkeypatch.setattr(module, "H2Connection", None)
    assert (await read([USUAL, frames]))["body"] == body


@pytest.mark.parametrize("odd", [
    frame(PING, bytes(8)),
    frame(DATA, b"\2ok\0\0", flags=PADDED, stream=1),
    frame(0xBE, b"unknown"),
    head(("trailer", "yes"), flags=END_HEADERS | END_STREAM),
    b"".join(frame(DATA, b"x" * 16384, stream=1) for _ in range(20)),
])  # fmt: skip
async def test_h2_takes_over_in_the_middle_of_a_body(odd: bytes) -> None:
    seen = await same(
        [USUAL, head(OK) + frame(DATA, b"ok", stream=1), odd, frame(DATA, b"!", flags=END_STREAM, stream=1)]
    )
    assert seen["body"][:2] == b"ok"


@pytest.mark.parametrize("size", [0, 1, 126, 127, 128, 255, 300, 5000])
def test_a_field_of_any_length_is_read_as_it_was_written(size: int) -> None:
    fields = [
        (b":method", b"GET"),
        (b":path", b"/" + b"p" * size),
        (b"authorization", b"s" * size),
        (b"n" * (size + 1), b""),
    ]
    written = headers_frame(fields)
    assert written is not None
    assert Decoder().decode(written[9:], raw=True) == fields


def test_a_head_that_needs_more_than_one_frame_is_h2s() -> None:
    assert headers_frame([(b"x", b"y" * 20_000)]) is None
