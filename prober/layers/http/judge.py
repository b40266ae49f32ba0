"""What an HTTP answer is worth: expectations against a record, as tables and pure functions."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Sequence
from functools import lru_cache
from typing import Any, Final

from prober.json_paths import parse_json, same, select
from prober.layers.base import Failed
from prober.options import Expect, JsonExpectation
from prober.reasons import Reason
from prober.wire.http.record import Record

#: What is good where `expect.status` says nothing.
GOOD: Final = range(200, 400)
#: Statuses that send the client elsewhere (RFC 9110 section 15.4); 300 and 304 do not.
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})

#: Characters of a JSON value in a message.
SHOWN: Final = 60

_pattern = lru_cache(maxsize=4096)(re.compile)


def status_matches(status: int, patterns: Sequence[int | str]) -> bool:
    """Whether `status` is one of `patterns`: numbers, or classes such as `2xx`."""
    return any(str(pattern).lower() in (str(status), f"{status // 100}xx") for pattern in patterns)


def complaint(expect: Expect, record: Record, *, good: Container[int] = GOOD, overlong: bool = False) -> Failed | None:
    """The first expectation that a complete answer does not meet, as the failure to raise; None if it meets all.

    In order: status, version, header fields, body. `good` counts where `expect.status` is empty; `overlong` says
    that the body was longer than what is read.
    """
    return (
        _status(expect, record.status or 0, good)
        or _version(expect, record.version)
        or _fields(expect, record)
        or (Failed(Reason.BODY, f"longer than {record.limit} bytes") if overlong else None)
        or body_complaint(expect, bytes(record.body))
    )


def _status(expect: Expect, status: int, good: Container[int]) -> Failed | None:
    if expect.status:
        if status_matches(status, expect.status):
            return None
        wanted = ", ".join(str(pattern) for pattern in expect.status)
        reason = Reason.REDIRECT if status in REDIRECTS else Reason.STATUS
        return Failed(reason, f"status {status}, expected {wanted}")
    return None if status in good else Failed(Reason.STATUS, f"status {status}")


def _version(expect: Expect, version: str | None) -> Failed | None:
    if expect.http_version is None or expect.http_version == version:
        return None
    return Failed(Reason.VERSION, f"HTTP/{version}, expected HTTP/{expect.http_version}")


def _fields(expect: Expect, record: Record) -> Failed | None:
    for name, pattern in expect.headers.items():
        values = record.values(name)
        if not values:
            return Failed(Reason.HEADER, f"no field {name}")
        if not any(_pattern(pattern).search(value) for value in values):
            return Failed(Reason.HEADER, f"{name} does not match {pattern}")
    return None


def body_complaint(expect: Expect, body: bytes) -> Failed | None:
    """The first expectation that a whole body does not meet."""
    if expect.body_contains is not None and expect.body_contains.encode() not in body:
        return Failed(Reason.BODY, f"does not contain {expect.body_contains!r}")
    if expect.body_not_contains is not None and expect.body_not_contains.encode() in body:
        return Failed(Reason.BODY, f"contains {expect.body_not_contains!r}")
    if expect.body_matches is not None and not _pattern(expect.body_matches).search(body.decode("utf-8", "replace")):
        return Failed(Reason.BODY, f"does not match {expect.body_matches!r}")
    return _json(expect, body) if expect.body_json else None


def _json(expect: Expect, body: bytes) -> Failed | None:
    """The first of `expect.body_json` that the document in the body does not meet."""
    try:
        document = parse_json(body)
        complaints = (_selected(path, wanted, document) for path, wanted in expect.body_json.items())
        found = next(filter(None, complaints), None)
    except ValueError as error:
        # the text of json's own errors quotes nothing of the document
        return Failed(Reason.BODY, f"not JSON: {error}")
    return None if found is None else Failed(Reason.BODY, found)


def _selected(path: str, wanted: JsonExpectation, document: Any) -> str | None:
    """What is wrong with the values that `path` selects of `document`."""
    values = select(path, document)
    if wanted.exists is not None:
        return None if bool(values) is wanted.exists else f"{path} selects {'nothing' if wanted.exists else 'a value'}"
    if not values:
        return f"{path} selects nothing"
    if wanted.matches is not None:
        search = _pattern(wanted.matches).search
        unlike = next((value for value in values if not search(_text(value))), values)
        return None if unlike is values else f"{path} is {_json_text(unlike)}, which does not match {wanted.matches!r}"
    unlike = next((value for value in values if not same(value, wanted.equals)), values)
    return None if unlike is values else f"{path} is {_json_text(unlike)}, expected {_json_text(wanted.equals)}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _json_text(value, SHOWN * 100)


def _json_text(value: Any, most: int = SHOWN) -> str:
    text = json.dumps(value, ensure_ascii=False, default=float)
    return text if len(text) <= most else f"{text[:most]}…"
