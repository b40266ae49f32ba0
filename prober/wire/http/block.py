"""The header block of one response (RFC 7541), decoded without ceremony. Pure.

A connection carries one, so the dynamic table lives as long as the block. What is rare or wrong is None: hpack, inside
h2, then reads it and says what it is.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from hpack.exceptions import HPACKDecodingError
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

from prober.wire.http.record import Fields

#: Appendix A; entry 0 is none.
_STATIC: Final[tuple[tuple[bytes, bytes], ...]] = ((b"", b""), *HeaderTable.STATIC_TABLE)
#: Bytes that the dynamic table holds, and what each entry takes beside its text (sections 4.1 and 4.2).
_TABLE: Final = 4096
_ENTRY: Final = 32
#: Bytes of all fields together, counted like the table's: as h2 has it.
_MOST: Final = 64 * 1024
#: Digits of an integer: none needs more.
_DIGITS: Final = 4
#: Strings that come again with every response: names, types, versions.
_short: Final = lru_cache(maxsize=512)(decode_huffman)
_SHORT: Final = 48


class _Rare(Exception):
    """Something that hpack may read."""


def read_block(data: bytes) -> Fields | None:
    """The fields of a whole block; None if it is not a plain one."""
    fields: Fields = []
    added: Fields = []
    room, size, at = _TABLE, _MOST, 0
    try:
        while at < len(data):
            byte = data[at]
            if byte & 0x80:
                index, at = _integer(data, at, 0x7F)
                field = _entry(index, added)
            else:
                if byte & 0x60 == 0x20:  # a new size of the table
                    return None
                index, at = _integer(data, at, 0x3F if byte & 0x40 else 0x0F)
                if index:
                    name = _entry(index, added)[0]
                else:
                    name, at = _string(data, at)
                value, at = _string(data, at)
                field = name, value
                if byte & 0x40:
                    room -= len(name) + len(value) + _ENTRY
                    added.append(field)
            size -= len(field[0]) + len(field[1]) + _ENTRY
            if room < 0 or size < 0:
                return None
            fields.append(field)
    except (_Rare, IndexError, HPACKDecodingError):
        return None
    return fields


def _entry(index: int, added: Fields) -> tuple[bytes, bytes]:
    """An entry of both tables together (section 2.3.3): the latest one added comes first behind the static ones."""
    if not index or index >= len(_STATIC) + len(added):
        raise _Rare
    return _STATIC[index] if index < len(_STATIC) else added[len(_STATIC) - 1 - index]


def _integer(data: bytes, at: int, mask: int) -> tuple[int, int]:
    """An integer whose first byte has the bits of `mask` for it (section 5.1), and where it ends."""
    number = data[at] & mask
    at += 1
    if number < mask:
        return number, at
    for digit in range(_DIGITS):
        byte = data[at + digit]
        number += (byte & 0x7F) << 7 * digit
        if byte < 0x80:
            return number, at + digit + 1
    raise _Rare


def _string(data: bytes, at: int) -> tuple[bytes, int]:
    """A string (section 5.2), and where it ends."""
    huffman = data[at] & 0x80
    length, at = _integer(data, at, 0x7F)
    end = at + length
    text = data[at:end]
    if len(text) != length:
        raise _Rare
    if huffman:
        text = _short(text) if length <= _SHORT else decode_huffman(text)
    return text, end
