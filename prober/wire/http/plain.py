"""The response that nearly every HTTP/1.1 server sends, read without ceremony (RFC 9112). Pure.

A whole head in one piece, with a Content-Length, and nothing about it that needs a second thought. Everything else is
h11's to read, and so is the judgement of what breaks the protocol: on what is taken here both agree, as a test holds.
It costs a tenth of h11's time, which was most of a probe's.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from prober.wire.http.record import Fields

_STATUS: Final = re.compile(rb"HTTP/(1\.[01]) ([2-5][0-9]{2}) [\t -~]*")
_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
#: What no line of a plain head holds: controls but the tab, and bytes beyond ASCII.
ODD: Final = re.compile(rb"[^\t -~]")
LENGTH: Final = re.compile(rb"[0-9]{1,15}")
#: Statuses without a body, whatever their fields say (RFC 9112 section 6.3).
_BODILESS: Final = frozenset({204, 304})
#: Names of fields as they were sent → in lower case; found to be names once, at most so many of them.
_names: dict[bytes, bytes] = {}
_MOST_NAMES: Final = 2048


class Plain(NamedTuple):
    """A head, and where in the bytes that were read its body of `length` bytes begins."""

    status: int
    version: str
    fields: Fields
    body: int
    length: int


def read_plain(data: bytes) -> Plain | None:
    """The head that `data` begins with, if it is a plain one."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    first, *lines = data[:end].split(b"\r\n")
    match = _STATUS.fullmatch(first)
    if match is None:
        return None
    fields: Fields = []
    length = None
    for line in lines:
        name, colon, value = line.partition(b":")
        lower = lower_name(name)
        if not colon or lower is None or ODD.search(value):
            return None
        value = value.strip(b" \t")
        if lower == b"content-length":
            if length is not None or not LENGTH.fullmatch(value):
                return None
            length = int(value)
        elif lower in (b"transfer-encoding", b"upgrade"):
            return None
        fields.append((lower, value))
    status = int(match[2])
    if length is None or status in _BODILESS:
        return None
    return Plain(status, match[1].decode("ascii"), fields, end + 4, length)


def lower_name(name: bytes) -> bytes | None:
    """A field's `name` in lower case; None if it can be none (RFC 9110 section 5.1)."""
    known = _names.get(name)
    if known is not None or not _NAME.fullmatch(name):
        return known
    lower = name.lower()
    if len(_names) < _MOST_NAMES and len(name) <= 64:
        _names[name] = lower
    return lower
