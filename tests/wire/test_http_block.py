"""A header block that is read without ceremony holds what hpack reads in it; the rest is left to hpack."""

from __future__ import annotations

import pytest
from hpack import Decoder, Encoder
from hypothesis import given
from hypothesis import strategies as st

from prober.wire.http.block import read_block
from tests.support.fuzz import fuzzed

NAMES = st.one_of(st.sampled_from([":status", "date", "content-length", "set-cookie", "x"]), st.text("ab-", max_size=9))
FIELDS = st.lists(st.tuples(NAMES, st.text(max_size=40)), min_size=1, max_size=12)


@fuzzed(400)
@given(fields=FIELDS, huffman=st.booleans(), sensitive=st.booleans())
def test_what_an_encoder_writes_is_read(fields: list[tuple[str, str]], huffman: bool, sensitive: bool) -> None:
    block = Encoder().encode([(name, value, sensitive) for name, value in fields], huffman=huffman)
    assert read_block(block) == [(name.encode(), value.encode()) for name, value in fields]


@fuzzed(1500)
@given(block=st.one_of(st.binary(max_size=30), st.lists(st.sampled_from(range(0x20, 256, 3)), max_size=20).map(bytes)))
def test_any_bytes_are_read_as_hpack_reads_them_or_left_to_it(block: bytes) -> None:
    fields = read_block(block)
    if fields is not None:
        assert fields == Decoder().decode(block, raw=True)


@pytest.mark.parametrize("block", [
    b"\x20\x88",  # a new size of the dynamic table
    b"\x80",  # entry 0
    b"\xbe",  # an entry that was never added
    b"\xff\xff\xff\xff\xff\xff\xff\x0f",  # an endless integer
    b"\x00\x05ab",  # a string that is cut off
    b"\x00\x81\x00\x00",  # Huffman that decodes to nothing
    b"\x00",
    b"\x40" + b"\x01x" + b"\x7f\x81\x1f" + b"v" * 4096,  # larger than the dynamic table
    (b"\x40\x01x\x7e" + b"v" * 126) * 30,  # the same, one by one
])  # fmt: skip
def test_what_is_rare_or_wrong_is_left_to_hpack(block: bytes) -> None:
    assert read_block(block) is None
