"""A gzip body put together from parts that were compressed before: what has not changed is not compressed again.

A part is a piece of raw deflate (RFC 1951) that ends on a byte boundary and refers to no other: parts can be joined
in any order. Around them stand a gzip header and trailer (RFC 1952). Pure: no I/O.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Iterable
from functools import cache
from typing import Protocol

_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\x04\xff"  # deflate, no name, no time, fastest, unknown system
_LAST_BLOCK = b"\x03\0"


#: Compressed text, and length and CRC-32 of the text. A plain tuple: there are tens of thousands of them, and the
#: garbage collector takes plain tuples of numbers off its list.
Part = tuple[bytes, int, int]
EMPTY: Part = (b"", 0, 0)


class Deflater:
    """Compresses parts. Level 1: a scrape is read once; a small window: parts are a few kB."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(1, zlib.DEFLATED, -13, 5)

    def part(self, text: bytes) -> Part:
        """`text` as a part. Z_FULL_FLUSH aligns its end to a byte and forgets the past."""
        if not text:
            return EMPTY
        data = self._deflate.compress(text) + self._deflate.flush(zlib.Z_FULL_FLUSH)
        return data, len(text), zlib.crc32(text)


class Body(Protocol):
    """Parts on their way out."""

    @property
    def full(self) -> bool:
        """Whether it is worth while to take what is ready."""
        ...

    def add(self, parts: Iterable[Part]) -> None:
        """Take over the next parts."""
        ...

    def take(self) -> bytes:
        """The bytes that are ready."""
        ...

    def end(self) -> bytes:
        """The bytes that are left, and what closes the body."""
        ...


class GzipBody:
    """The parts as they are, in the envelope of RFC 1952."""

    def __init__(self) -> None:
        self._ready = [_HEADER]
        self._size = 0
        self._crc = 0
        self._length = 0

    @property
    def full(self) -> bool:
        """64 KiB are ready: one write."""
        return self._size >= 64 * 1024

    def add(self, parts: Iterable[Part]) -> None:
        """Take `parts` into body, checksum and length."""
        for data, length, crc in parts:
            self._ready.append(data)
            self._size += len(data)
            self._crc = crc32_combine(self._crc, crc, length)
            self._length += length

    def take(self) -> bytes:
        """The bytes that are ready."""
        ready, self._ready, self._size = b"".join(self._ready), [], 0
        return ready

    def end(self) -> bytes:
        """What is left, an empty last block, and checksum and length of all parts."""
        return self.take() + _LAST_BLOCK + struct.pack("<II", self._crc, self._length & 0xFFFFFFFF)


class PlainBody:
    """The parts as text again, for clients that take no gzip: inflating costs less than rendering."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(-15)
        self._ready: list[bytes] = []
        self._length = 0

    @property
    def full(self) -> bool:
        """256 KiB are ready: inflating them takes 0.2 ms."""
        return self._length >= 256 * 1024

    def add(self, parts: Iterable[Part]) -> None:
        """Take `parts` into the body."""
        for data, length, _ in parts:
            self._ready.append(data)
            self._length += length

    def take(self) -> bytes:
        """The text that is ready."""
        ready, self._ready, self._length = b"".join(self._ready), [], 0
        return self._inflate.decompress(ready)

    def end(self) -> bytes:
        """What is left."""
        return self.take()


def crc32_combine(before: int, after: int, length: int) -> int:
    """CRC-32 of two texts joined, from those of each; `length` is that of the second, in bytes.

    The shift of `before` over `length` bytes is linear over GF(2), and so is put together from tables:
    for the low and the high byte of `length`, by each byte of the sum.
    """
    while length:
        step = length & 0x00FF or min(length, 0xFF00)
        first, second, third, fourth = _tables(step)
        before = first[before & 0xFF] ^ second[before >> 8 & 0xFF] ^ third[before >> 16 & 0xFF] ^ fourth[before >> 24]
        length -= step
    return before ^ after


@cache
def _tables(length: int) -> tuple[array[int], ...]:
    """What each byte of a sum becomes over `length` bytes. At most 510 lengths are asked for, 4 kB each."""
    zeros = bytes(length)
    constant = zlib.crc32(zeros)
    tables = []
    for byte in range(4):
        table = array("I", [0])
        for bit in range(8):
            single = zlib.crc32(zeros, 1 << (8 * byte + bit)) ^ constant
            table.extend([single ^ other for other in table])
        tables.append(table)
    return tuple(tables)
