"""Parts that were compressed one by one make one gzip stream, whatever was joined with what."""

from __future__ import annotations

import gzip
import zlib

import httpx
from hypothesis import given
from hypothesis import strategies as st

from prober.export.deflate import Body, Deflater, GzipBody, Part, PlainBody, crc32_combine


def sent(body: Body, parts: list[Part]) -> bytes:
    """The whole body, taken whenever it is full."""
    taken = []
    for part in parts:
        body.add([part])
        if body.full:
            taken.append(body.take())
    return b"".join(taken) + body.end()


@given(st.lists(st.binary(max_size=300)), st.randoms())
def test_parts_in_any_order_are_a_gzip_stream_and_text_again(texts: list[bytes], random: object) -> None:
    deflater = Deflater()
    parts = [(text, deflater.part(text)) for text in texts]
    random.shuffle(parts)  # type: ignore[attr-defined]  # hypothesis hands out a Random
    whole = b"".join(text for text, _ in parts)
    assert gzip.decompress(sent(GzipBody(), [part for _, part in parts])) == whole  # checks CRC and length
    assert sent(PlainBody(), [part for _, part in parts]) == whole


@given(st.binary(), st.binary())
def test_the_checksum_of_two_texts_follows_from_theirs(before: bytes, after: bytes) -> None:
    assert crc32_combine(zlib.crc32(before), zlib.crc32(after), len(after)) == zlib.crc32(before + after)


def test_checksums_of_long_texts_too() -> None:
    for length in (255, 256, 0xFF00, 0xFFFF, 0x10000, 0x12345, 1_000_000):
        after = bytes(range(256)) * (length // 256) + bytes(length % 256)
        assert crc32_combine(zlib.crc32(b"before"), zlib.crc32(after), length) == zlib.crc32(b"before" + after)


def test_large_bodies_leave_in_pieces_that_a_client_can_read() -> None:
    deflater = Deflater()
    texts = [b"%d " % number * 5000 for number in range(100)]
    body = sent(GzipBody(), [deflater.part(text) for text in texts])
    response = httpx.Response(200, headers={"Content-Encoding": "gzip"}, content=body)
    assert response.content == b"".join(texts)


def test_a_part_does_not_know_what_was_compressed_before_it() -> None:
    text = b"prober_up 1.0\n" * 20
    deflater = Deflater()
    assert deflater.part(text) == deflater.part(text)
